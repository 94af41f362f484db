"""The tables of a run's figures: times, groups, measures, failures, theory, shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from aurea_engine.records.quantiles import QUANTILES
from aurea_engine.report.markup import Markup, datum, foreign, join
from aurea_engine.report.number_format import format_amount, format_number, format_percent, format_seconds
from aurea_engine.report.tables import Limits, Row, cut_rows, escape_pointer, write_table
from aurea_engine.results.result import Counts, GroupResult, MeasureAmounts, RunResult, TheoryRow
from aurea_engine.results.shard_figures import ShardResult
from aurea_engine.results.statistics import Timing

# --- Times -----------------------------------------------------------------------------------------------------------

TIMING = {
    "mean": "mean",
    "std": "std",
    "min": "min",
    **{name: f"p{q * 100:g}" for name, q in QUANTILES.items()},
    "max": "max",
}
"""Figure of a kind of time → its head."""


def list_timings(result: RunResult) -> Iterator[tuple[str, Timing, str]]:
    """(label, figures, place) of every kind of time that means something."""
    yield "response time", result.response_time, "/response_time"
    yield "waiting time", result.waiting_time, "/waiting_time"
    yield "service time", result.service_time, "/service_time"
    if result.spec.clock == "real" and result.spec.workload.arrivals.ends != "with jobs":
        yield "lag", result.lag, "/lag"
    if result.failure_time.count:
        yield "failed jobs", result.failure_time, "/failure_time"
    for name, times in result.marks.items():
        yield f"to {name}", times.from_intended, f"/marks/{escape_pointer(name)}"
        yield f"to {name}, from the start", times.from_start, f"/marks/{escape_pointer(name)}/from_start"
    if result.floor is not None:
        yield "floor: response time", result.floor.response_time, "/floor/response_time"
        yield "floor: service time", result.floor.service_time, "/floor/service_time"


def tabulate_times(result: RunResult, limits: Limits) -> Markup:
    """Every kind of time."""
    timings = list(list_timings(result))
    rows = (
        [
            foreign(label),
            datum(f"{timing.count:,}", timing.count, f"{place}/count"),
            *write_timing(timing, place, TIMING),
        ]
        for label, timing, place in timings
    )
    return write_table("Times", ["time", "jobs", *TIMING.values()], cut_rows(rows, len(timings), limits))


def write_timing(timing: Timing, place: str, names: Iterable[str]) -> Iterator[Markup]:
    for name in names:
        value = timing.quantile(name)
        yield datum(format_seconds(value), value, f"{place}/{name}")


# --- Groups ----------------------------------------------------------------------------------------------------------

GROUP_TIMES = ("mean", "p50", "p95", "p99", "max")


def tabulate_groups(result: RunResult, limits: Limits) -> Markup:
    """Every group: its jobs by outcome, and its response times."""
    groups = result.groups
    outcomes = [name for name in asdict(result.counts) if any(getattr(each.counts, name) for each in result.groups)]
    has_steps = any(each.not_reached is not None for each in groups)
    rows = (_write_group(group, f"/groups/{at}", outcomes, has_steps) for at, group in enumerate(groups))
    heads = ["group", *(name.replace("_", " ") for name in outcomes), *(["not reached"] if has_steps else [])]
    heads += [TIMING[name] for name in GROUP_TIMES]
    return write_table("Groups", heads, cut_rows(rows, len(groups), limits))


def _write_group(group: GroupResult, place: str, outcomes: Sequence[str], has_steps: bool) -> Row:
    not_reached = datum(format_number(group.not_reached), group.not_reached, f"{place}/not_reached")
    return [
        foreign(group.name),
        *write_counts(group.counts, place, outcomes),
        *([not_reached] if has_steps else []),
        *write_timing(group.response_time, f"{place}/response_time", GROUP_TIMES),
    ]


def write_counts(counts: Counts, place: str, outcomes: Iterable[str]) -> Iterator[Markup]:
    for name in outcomes:
        count = getattr(counts, name)
        yield datum(f"{count:,}", count, f"{place}/counts/{name}")


# --- What jobs reported, and how they failed --------------------------------------------------------------------------


def tabulate_measures(result: RunResult, limits: Limits) -> Markup:
    """What jobs reported of each measure."""
    measures = {name: each for name, each in result.measures.items() if each.is_quantity}
    rows = (
        [foreign(name), foreign(each.unit), *_write_amounts(each, f"/measures/{escape_pointer(name)}")]
        for name, each in measures.items()
    )
    heads = ["measure", "unit", "total", "per second", "mean", "p50", "p99", "max"]
    return write_table("Measures", heads, cut_rows(rows, len(measures), limits), texts=2)


def _write_amounts(amounts: MeasureAmounts, place: str) -> Iterator[Markup]:
    yield datum(format_number(amounts.total), amounts.total, f"{place}/total")
    yield datum(format_number(amounts.rate), amounts.rate, f"{place}/rate")
    for name in ("mean", "p50", "p99", "max"):
        value = amounts.amounts.quantile(name)
        yield datum(format_amount(value, amounts.unit), value, f"{place}/{name}")


def tabulate_numbers(label: str, numbers: Mapping[str, int], whole: int, place: str, limits: Limits) -> Markup:
    """Jobs by class or code, the most frequent first, each with its share of ``whole``."""
    ranked = sorted(numbers.items(), key=lambda each: -each[1])
    rows = (
        [
            foreign(name),
            datum(f"{count:,}", count, f"{place}/{escape_pointer(name)}"),
            format_percent(count / whole) if whole else "–",
        ]
        for name, count in ranked
    )
    return write_table(label, [label.lower(), "jobs", "share"], cut_rows(rows, len(ranked), limits))


THEORY_NAMES = {"wait_ratio": "jobs that wait", "rejected_ratio": "jobs rejected"}


def tabulate_theory(result: RunResult, limits: Limits) -> Markup:
    """What queueing theory says, beside what was measured."""
    rows = (_write_theory(row, f"/theory/{at}") for at, row in enumerate(result.theory))
    heads = ["figure", "theory", "measured", "standard errors apart"]
    return write_table("Queueing theory", heads, cut_rows(rows, len(result.theory), limits))


def _write_theory(row: TheoryRow, place: str) -> Row:
    figure = THEORY_NAMES.get(row.figure, row.figure.replace("_", " ").replace(".", " "))
    return [
        foreign(f"{row.model}: {figure}"),
        datum(_write_predicted(row.figure, row.expected), row.expected, f"{place}/expected"),
        datum(_write_predicted(row.figure, row.measured), row.measured, f"{place}/measured"),
        datum("–" if row.z is None else f"{row.z:+.2f}", row.z, f"{place}/z"),
    ]


def _write_predicted(figure: str, value: float | None) -> str:
    if value is None:
        return "–"
    if "_time" in figure:
        return format_seconds(value)
    return format_number(value, "/s") if figure == "throughput" else format_percent(value)


def tabulate_shards(result: RunResult, limits: Limits) -> Markup:
    """How each process fared."""
    rows = (_write_shard(each, f"/shards/{at}") for at, each in enumerate(result.shards))
    heads = ["shard", "status", "jobs", "late", "worst lag", "CPU time", "busy", "clock"]
    return write_table("Shards", heads, cut_rows(rows, len(result.shards), limits), texts=2)


def _write_shard(shard: ShardResult, place: str) -> Row:
    late = "–" if shard.late_share is None else format_percent(shard.late_share)
    offset = datum(_format_signed(shard.clock_offset), shard.clock_offset, f"{place}/clock_offset")
    return [
        join((f"{shard.shard} ", foreign(shard.host), f" {shard.process}")),
        "lost" if shard.loss is not None else str(shard.status or "–").replace("_", " "),
        datum(f"{shard.jobs:,}", shard.jobs, f"{place}/jobs"),
        datum(late, shard.late_share, f"{place}/late_share"),
        datum(format_seconds(shard.worst_lag), shard.worst_lag, f"{place}/worst_lag"),
        datum(format_seconds(shard.cpu), shard.cpu, f"{place}/cpu"),
        datum(format_percent(shard.busy), shard.busy, f"{place}/busy"),
        join((offset, " ± ", datum(format_seconds(shard.clock_bound), shard.clock_bound, f"{place}/clock_bound"))),
    ]


def _format_signed(seconds: float) -> str:
    return f"−{format_seconds(-seconds)}" if seconds < 0 else format_seconds(seconds)
