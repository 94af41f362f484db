"""The line that people see during a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from aurea_engine import Finding, Observer, Outcome, Progress, RunSpec
from aurea_server.cli.course import NewValues
from aurea_server.cli.live_charts import LiveCharts
from aurea_server.cli.number_format import SEVERITY_STYLE, format_money, format_number, format_seconds, make_printable
from aurea_server.cli.tables import Prose, join_fitting
from aurea_server.cli.token_figures import list_tokens_of

NAME_WIDTH = 24
"""Columns of a run's label that the line shows."""

MOST_NAMED = 3
"""Statuses, and classes of failures, that the line shows."""

BESIDE = 16 + 5 + 3
"""Columns of the line for the bar, the share, and the gaps between."""


def shorten_name(name: str) -> str:
    """At most `NAME_WIDTH` columns of it."""
    return name if cell_len(name) <= NAME_WIDTH else f"{set_cell_size(name, NAME_WIDTH - 1).rstrip()}…"


def list_figures(
    throughput: float | None,
    p99: float | None,
    time_left: float | None,
    more: Sequence[str] = (),
    tokens: Sequence[str] = (),
) -> list[str]:
    """What the line of a run shows, wherever it runs; the last are the first to be left out on a narrow terminal.

    ``more``: what else is known where it runs, before the time that is left; ``tokens``: what is looked for first where jobs
    ask language models, and all of it fits on 80 columns.
    """
    rate, response = format_number(throughput, "/s"), f"p99 {format_seconds(p99)}"
    figures = [*tokens, rate, *more] if tokens else [rate, response, *more]
    return figures if time_left is None else [*figures, f"{time_left:,.0f} s left"]


def describe_replication(number: int, most: int) -> str:
    """Which replication of a repeated run is under way."""
    return f"replication {number} of {most}"


def list_replies(progress: Progress) -> list[str]:
    """How requests to a target fare: replies by status, failures by class, connections. Nothing for other jobs."""
    # The classes are a closed set or names of exceptions of the user's own code: not a target's words, but printable anyway.
    counted = [f"{status}: {count:,}" for status, count in _find_most(progress.statuses)]
    counted += [f"{count:,} {make_printable(name)}" for name, count in _find_most(progress.failures)]
    if (pool := progress.pool) is not None:
        counted.append(f"{pool.busy:,} of {pool.open:,} connections")
        counted += [f"{pool.waiting:,} wait"] if pool.waiting else []
    return counted


def _find_most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: -each[1])[:MOST_NAMED]


class LiveLine(Observer):
    """A progress bar on stderr with rate, p99, the cost so far and time left; above it, each grave finding as it is made;
    beneath it, where the terminal has room, charts of rate and p99.
    """

    def __init__(self, console: Console) -> None:
        # Transient: the report takes its place. Four times a second is more often than a run reports.
        self._bar = Bar(
            _NameColumn(),
            BarColumn(bar_width=16),
            _ShareColumn(),
            _FiguresColumn(table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("running", total=None, figures="")
        self._charts = LiveCharts.on(console)
        self._response_times = NewValues()
        self._currency = "USD"
        self._reported: set[str] = set()

    def __enter__(self) -> Self:
        if self._charts is None:
            self._bar.start()
        else:
            self._charts.open()
            self._draw()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._charts is None:
            self._bar.stop()
        else:
            self._charts.close()

    @property
    def console(self) -> Console:
        """What is printed here stays above the line."""
        return self._bar.console if self._charts is None else self._charts.console

    def settle(self) -> None:
        """Before something is printed where the line was: wait until the terminal has taken its end."""
        if self._charts is not None and sys.stdout.isatty():
            self._charts.settle()

    def on_start(self, spec: RunSpec) -> None:
        self._currency = spec.cost.currency
        self._bar.update(self._task, description=make_printable(spec.label or "running"))
        if self._charts is not None:
            self._charts.course.planned = spec.workload.duration
        self._draw()

    def on_progress(self, progress: Progress) -> None:
        for finding in progress.findings:
            self._report(finding)
        more, tokens = list_replies(progress), list_tokens_of(progress)
        if progress.replication is not None:
            more.insert(0, describe_replication(*progress.replication))
        if progress.cost is not None:
            (tokens or more).append(format_money(float(progress.cost), self._currency))
        parts = list_figures(progress.throughput, progress.p99, progress.time_left, more, tokens)
        # Unknown in a run that ends with its users' patience or a stop: then the bar only moves back and forth.
        share = progress.fraction_done
        self._bar.update(
            self._task,
            total=None if share is None else 1.0,
            completed=0.0 if share is None else share,
            figures=join_fitting(parts, self._room()),
        )
        if self._charts is not None:
            p99 = self._response_times.take_p99(progress.meters.times["response_time"])
            self._charts.course.add(progress.elapsed, progress.counts.get(Outcome.COMPLETED, 0), p99)
        self._draw()

    def _draw(self) -> None:
        """Draw the line by hand, where there are charts: as rich does it for all others, but in a tenth of the time."""
        if self._charts is None:
            return
        task, paint, columns = self._bar.tasks[self._task], self._charts.paint, self._charts.columns
        name, share = shorten_name(task.description), "" if task.total is None else f"{task.percentage:3.0f} %"
        bar = self._charts.draw_bar(None if task.total is None else task.completed) + " "
        if columns < cell_len(name) + BESIDE:
            name, bar = set_cell_size(name, min(cell_len(name), max(columns - len(share) - 1, 0))), ""
        self._charts.draw(" ".join((paint["bold"](name), f"{bar}{share}", task.fields["figures"])))

    def _room(self) -> int:
        """Columns that are left beside name, bar and share."""
        # Asked each time: the terminal may be made narrower during the run.
        columns = self._bar.console.width if self._charts is None else self._charts.columns
        return columns - cell_len(shorten_name(self._bar.tasks[self._task].description)) - BESIDE

    def _report(self, finding: Finding) -> None:
        """Print a finding above the line. Notes are left to the report: they do not change the verdict."""
        if finding.severity and finding.code not in self._reported:
            # Once, although it is reported twice a second and may be withdrawn again: a line that was printed stays.
            self._reported.add(finding.code)
            line = Text(finding.code, SEVERITY_STYLE[finding.severity.name])
            line.append(f": {make_printable(finding.detail)}", "not bold")
            self.console.print(Prose(line), crop=False)


class _NameColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(shorten_name(task.description), "bold", no_wrap=True)


class _ShareColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.percentage:3.0f} %")


class _FiguresColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["figures"], no_wrap=True, overflow="ellipsis")
