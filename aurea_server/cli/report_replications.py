"""A repeated run, as tables of its report: each figure with its interval, and each replication."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.text import Text

from aurea_engine import Replication, Replications, RunResult, Spread
from aurea_server.cli.number_format import (
    VERDICT_STYLE,
    format_digits,
    format_number,
    format_percent,
    format_seconds,
)
from aurea_server.cli.tables import LABEL_WIDTH, Column, Table

MOST_SHOWN = 20
"""Replications that are shown; of more, those that do not count or lie far from the others. JSON has all of them."""

FIGURES = {
    "throughput": "throughput",
    "goodput": "goodput",
    "response_time.mean": "mean response",
    "response_time.p50": "p50",
    "response_time.p95": "p95",
    "response_time.p99": "p99",
    "failure_ratio": "failures",
}
"""The figures that are shown, and how the report calls them."""


def describe_replications(replications: Replications) -> Text:
    """How many there were, and how many count."""
    done, begun, asked = len(replications.counted), len(replications.each), replications.asked
    line = Text(f"{done} completed", "bold" if done == begun else "bold yellow")
    if replications.until is not None:
        until = replications.until
        goal = format_percent(until) if until >= 0.001 else f"{until * 100:.2g} %"
        goal = f"±{goal} of the mean response time"
        spread = replications.spread("response_time.mean")
        half = None if spread is None else spread.half_width
        if half is not None and half <= until:
            return line.append(f" of at most {asked}, until the interval was {goal}", "not bold")
        return line.append(f" of at most {asked}, and the interval is not yet {goal}", "not bold")
    if done < asked:
        line.append(f" of {asked}; the others are in no figure", "not bold")
    return line.append("; figures are means over them", "not bold")


def tabulate_figures(result: RunResult) -> Table:
    """Each figure with its 95 % interval over replications, and how far these spread."""
    assert result.replications is not None
    heads = ("mean", "95 % interval", "std", "min", "max", "pooled")
    table = Table(Column("figure", least=LABEL_WIDTH), *(Column(head, right=True) for head in heads))
    for spread, label in _choose(result):
        show, interval = _make_format(spread.name), spread.interval
        cells = [show(spread.mean), "–" if interval is None else _join_ends(show(interval.low), show(interval.high))]
        cells += ["–" if value is None else show(value) for value in (spread.std, spread.min, spread.max)]
        # Only quantiles differ from their mean when all jobs are taken together.
        table.add_row(label, *cells, "" if spread.pooled is None else show(spread.pooled))
    return table


def _choose(result: RunResult) -> Iterator[tuple[Spread, str]]:
    assert result.replications is not None
    for name, label in FIGURES.items():
        spread = result.replications.spread(name)
        if spread is None or (name == "failure_ratio" and not spread.max):
            continue
        # Without an objective on single jobs every completed job is good, and goodput is the throughput.
        if name == "goodput" and not any(objective.quantile is not None for objective in result.spec.objectives):
            continue
        yield spread, label
    if (spread := result.replications.spread("cost_per_million")) is not None:
        yield spread, f"{result.cost.currency}/million"


def _join_ends(low: str, high: str) -> str:
    """``19.6 – 20.2 ms``: a unit that both have stands once, or the table would not fit."""
    unit = low.lstrip("0123456789.,")
    return f"{low.removesuffix(unit) if high.lstrip('0123456789.,') == unit else low} – {high}"


def _make_format(name: str) -> Callable[[float | None], str]:
    if "_time" in name:
        return format_seconds
    if name == "failure_ratio":
        return lambda value: "–" if value is None else format_percent(value)
    if name.startswith("cost"):
        return lambda value: "–" if value is None else format_digits(value)
    return lambda value: format_number(value, "/s")


def tabulate_replications(result: RunResult) -> Table:
    """A line for each replication: its seed, which repeats it, and what it came to."""
    heads = ("seed", "throughput", "mean", "p99")
    numbers = (Column(head, right=True) for head in heads)
    table = Table(Column("replication", least=LABEL_WIDTH), *numbers, Column("verdict"))
    outlying = _list_outlying(result)
    for one in list_shown(result):
        table.add_row(f"{one.number}", *_list_numbers(one), _describe_verdict(one, is_far=one.number in outlying))
    return table


def list_shown(result: RunResult) -> list[Replication]:
    """The replications that have a line of their own; none of a run that was not repeated."""
    each, outlying = result.replications.each if result.replications else (), _list_outlying(result)
    return [one for one in each if len(each) <= MOST_SHOWN or not one.counts or one.number in outlying]


def _list_outlying(result: RunResult) -> set[int]:
    """Far from the others by one of the figures that are shown."""
    return {number for spread, _ in _choose(result) for number in spread.outlying} if result.replications else set()


def _list_numbers(one: Replication) -> list[str]:
    figures = one.figures
    times = (format_seconds(figures.get(f"response_time.{name}")) for name in ("mean", "p99"))
    return [f"{one.seed}", format_number(figures.get("throughput"), "/s"), *times]


def _describe_verdict(one: Replication, *, is_far: bool) -> Text:
    if not one.counts or one.verdict is None:
        return Text(one.status.replace("_", " "), "bold yellow")
    line = Text(one.verdict, VERDICT_STYLE[one.verdict])
    return line.append(", outlying", "not bold yellow") if is_far else line
