"""A repeated run: every figure with its interval over replications, and each replication."""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import RunClock
from aurea_engine.report.figure_tables import TIMING
from aurea_engine.report.judgement import badge
from aurea_engine.report.markup import Markup, datum, element, join
from aurea_engine.report.number_format import format_digits, format_number, format_percent, format_seconds
from aurea_engine.report.tables import Limits, Row, cut_rows, escape_pointer, write_table
from aurea_engine.results.replications import Replication, Replications, Spread

SHOWN = ("throughput", "response_time.mean", "response_time.p50", "response_time.p99")
"""Figures of each replication."""


def tabulate_spreads(replications: Replications, clock: RunClock, limits: Limits) -> Markup:
    """Each figure: its mean over the replications that count, and how far they spread."""
    # In virtual time there is no generator that could be late.
    shown = [each for each in replications.spreads if clock == "real" or not each.name.startswith("lag.")]
    rows = (_write_spread(each, f"/repeat/figures/{escape_pointer(each.name)}") for each in shown)
    heads = ["figure", "mean", "95 % interval", "std", "min", "max", "pooled"]
    return write_table("Figures over replications", heads, cut_rows(rows, len(shown), limits))


def _write_spread(spread: Spread, place: str) -> Row:
    # One replication has no interval, and two have one that is too wide to be of use; both are said as they are.
    ends: Markup | str = "–"
    if spread.interval is not None:
        low, high = (
            datum(write_figure(spread.name, value), value, f"{place}/interval/{end}")
            for end, value in (("low", spread.interval.low), ("high", spread.interval.high))
        )
        ends = join((low, " – ", high))
    others = [
        datum(write_figure(spread.name, value), value, f"{place}/{name}")
        for name, value in (("std", spread.std), ("min", spread.min), ("max", spread.max), ("pooled", spread.pooled))
    ]
    mean = datum(write_figure(spread.name, spread.mean), spread.mean, f"{place}/mean")
    return [name_figure(spread.name), mean, ends, *others]


def name_figure(name: str) -> str:
    """``response_time.p999`` → ``response time p99.9``."""
    what, _, figure = name.partition(".")
    return f"{what.replace('_', ' ')} {TIMING.get(figure, figure)}".rstrip()


def write_figure(name: str, value: float | None) -> str:
    """A figure by its name, with its unit."""
    if value is None:
        return "–"
    if "_time" in name or name.startswith("lag."):
        return format_seconds(value)
    if name.endswith("_ratio"):
        return format_percent(value)
    if name in ("throughput", "goodput"):
        return format_number(value, "/s")
    return format_digits(value)


def tabulate_replications(replications: Replications, limits: Limits) -> Markup:
    """A row for each: its seed repeats it."""
    rows = (_write_replication(each, f"/replications/{at}") for at, each in enumerate(replications.each))
    heads = ["replication", "verdict", "seed", "completed", *map(name_figure, SHOWN)]
    table = write_table("Replications", heads, cut_rows(rows, len(replications.each), limits), texts=2)
    return join((element("p", *_describe(replications), class_="quiet"), table))


def _describe(replications: Replications) -> Iterator[str]:
    yield f"{len(replications.counted)} of {len(replications.each)} replications count: they ran to their end. "
    yield "Rates and times of this report are means over them, counts and cost are totals."


def _write_replication(one: Replication, place: str) -> Row:
    return [
        str(one.number),
        badge(one.verdict) if one.verdict is not None else one.status.replace("_", " "),
        datum(str(one.seed), one.seed, f"{place}/seed"),
        datum(f"{one.completed:,}", one.completed, f"{place}/completed_jobs"),
        *(
            datum(write_figure(name, one.figures[name]), one.figures[name], f"{place}/{name}")
            if name in one.figures
            else "–"
            for name in SHOWN
        ),
    ]
