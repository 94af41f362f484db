"""The measures and marks of jobs, and the figures of each group, as tables of a run's report."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from aurea_engine import GroupResult, RunResult, Timing
from aurea_server.cli.number_format import format_amount, format_number, format_seconds, make_printable, name_unit
from aurea_server.cli.tables import LABEL_WIDTH, Column, Table

QUANTILES = {"mean": "mean", "p50": "p50", "p95": "p95", "p99": "p99", "max": "max"}
"""Fewer than of the times of the run, since a group and its counts stand on the same line of 80 columns."""


def list_mark_timings(result: RunResult) -> list[tuple[str, Timing]]:
    """Label and figures of each mark that any job reported: rows of the table of times, under the response time."""
    marks = ((name, times.from_intended) for name, times in result.marks.items())
    return [(f"  {name.replace('_', ' ')}", timing) for name, timing in marks if timing.count]


def tabulate_groups(result: RunResult) -> Table:
    """A line for each group: its jobs, those that did not complete, and the response times of those that did.

    It is what other load testers show for each kind of request.
    """
    # One list for all groups, so that their figures stand in one column.
    # 80 columns hold a name, two counts and five times; what does not fit is in the JSON.
    names = _list_supported(group.response_time for group in result.groups)
    # A step also has jobs that never came to it; a column of zeros says nothing.
    short = any(group.not_reached for group in result.groups)
    heads = ("jobs", "failed", *(["not reached"] if short else []), *(QUANTILES[name] for name in names))
    table = Table(Column("group", least=LABEL_WIDTH), *(Column(head, right=True) for head in heads))
    for group in result.groups:
        # The name is text from outside: it is shown as it is, never as a terminal's command.
        times = (format_seconds(group.response_time.quantile(name)) for name in names)
        counts = [f"{group.counts.arrived:,}", f"{_count_failed(group):,}"]
        if short:
            counts.append("" if group.not_reached is None else f"{group.not_reached:,}")
        table.add_row(make_printable(group.name), *counts, *times)
    return table


def _count_failed(group: GroupResult) -> int:
    """Jobs that ended otherwise than well; a cancelled one did not end of itself."""
    counts = group.counts
    return counts.failed + counts.timed_out + counts.rejected + counts.abandoned


def tabulate_measures(result: RunResult) -> Table:
    """A line for each measure: the total of all jobs, and how much one job reported."""
    # A status is the name of an answer, and stands among the facts.
    measured = {name: each for name, each in result.measures.items() if each.is_quantity}
    names = _list_supported(each.amounts for each in measured.values())
    # Tokens per second of the window is what servers of models are compared by.
    rates = any(each.unit == "tokens" for each in measured.values())
    heads = ("total", *(["per second"] if rates else []), *(QUANTILES[name] for name in names))
    table = Table(Column("measure", least=LABEL_WIDTH), *(Column(head, right=True) for head in heads), Column())
    for name, each in measured.items():
        amounts = [format_amount(each.amounts.quantile(quantile), each.unit) for quantile in names]
        sums = [format_number(each.total), *([format_number(each.rate)] if rates else [])]
        table.add_row(name.replace("_", " "), *sums, *amounts, Text(make_printable(name_unit(each.unit)), "dim"))
    return table


def _list_supported(timings: Iterable[Timing]) -> list[str]:
    """The figures that any of the samples supports: a column of dashes says nothing."""
    # Walked several times, and most callers pass a generator.
    listed = list(timings)
    return [name for name in QUANTILES if any(timing.quantile(name) is not None for timing in listed)]
