"""The line that people see during a run."""

from __future__ import annotations

from typing import Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from aurea_engine import Finding, Observer, Progress, RunSpec
from aurea_server.cli.number_format import SEVERITY_STYLE, format_money, format_number, format_seconds, make_printable
from aurea_server.cli.tables import Prose, join_fitting

NAME_WIDTH = 24
"""Characters of a run's label that the line shows."""

BESIDE = 16 + 5 + 3
"""Columns of the line for the bar, the share, and the gaps between."""


def shorten_name(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…"


def list_figures(
    throughput: float | None, p99: float | None, time_left: float | None, cost: str | None = None
) -> list[str]:
    """What the line of a run shows, wherever it runs; the first are the last to be left out on a narrow terminal."""
    figures = [format_number(throughput, "/s"), f"p99 {format_seconds(p99)}"]
    figures += [] if cost is None else [cost]
    return figures if time_left is None else [*figures, f"{time_left:,.0f} s left"]


class LiveLine(Observer):
    """A progress bar on stderr with rate, p99, the cost so far and time left; above it, each grave finding as it is made."""

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
        self._currency = "USD"
        self._reported: set[str] = set()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def on_start(self, spec: RunSpec) -> None:
        self._currency = spec.cost.currency
        self._bar.update(self._task, description=make_printable(spec.label or "running"))

    def on_progress(self, progress: Progress) -> None:
        for finding in progress.findings:
            self._report(finding)
        cost = None if progress.cost is None else format_money(float(progress.cost), self._currency)
        parts = list_figures(progress.throughput, progress.p99, progress.time_left, cost)
        # Unknown in a run that ends with its users' patience or a stop: then the bar only moves back and forth.
        share = progress.fraction_done
        self._bar.update(
            self._task,
            total=None if share is None else 1.0,
            completed=0.0 if share is None else share,
            figures=join_fitting(parts, self._room()),
        )

    def _room(self) -> int:
        """Columns that are left beside name, bar and share."""
        # Asked each time: the terminal may be made narrower during the run.
        return self._bar.console.width - cell_len(shorten_name(self._bar.tasks[self._task].description)) - BESIDE

    def _report(self, finding: Finding) -> None:
        """Print a finding above the line. Notes are left to the report: they do not change the verdict."""
        if finding.severity and finding.code not in self._reported:
            # Once, although it is reported twice a second and may be withdrawn again: a line that was printed stays.
            self._reported.add(finding.code)
            line = Text(finding.code, SEVERITY_STYLE[finding.severity.name])
            line.append(f": {make_printable(finding.detail)}", "not bold")
            self._bar.console.print(Prose(line), crop=False)


class _NameColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(shorten_name(task.description), "bold", no_wrap=True)


class _ShareColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.percentage:3.0f} %")


class _FiguresColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["figures"], no_wrap=True, overflow="ellipsis")
