"""How figures are written for people, and the line that they see while a run is on."""

from __future__ import annotations

import math
from typing import Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from aurea_engine import Finding, Observer, Progress, RunSpec
from aurea_server.cli.tables import Prose, fitting

VERDICT_STYLE = {"valid": "bold green", "degraded": "bold yellow", "invalid": "bold red"}
OUTCOME_STYLE = {"met": "green", "missed": "bold red", "inconclusive": "yellow"}
SEVERITY_STYLE = {"NOTE": "dim", "DEGRADED": "yellow", "INVALID": "bold red"}
NAME_WIDTH = 24
"""What the live line shows of a run's label."""

BESIDE = 16 + 5 + 3
"""Columns of the live line for the bar, the share, and the gaps between."""


def digits(value: float) -> str:
    """Three significant digits, never in powers of ten: ``0.0524``, ``5.24``, ``52.4``, ``524``, ``52,400``."""
    if not value:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    places = 2 - math.floor(math.log10(abs(rounded)))  # 9.996 has become 10.0
    return f"{rounded:,.{max(places, 0)}f}"


def seconds(value: float | None) -> str:
    """A time to three digits, with its unit."""
    if value is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if abs(value) >= size * 0.9995:
            return f"{value:,.0f} s" if abs(value) >= 1000 else f"{digits(value / size)} {unit}"
    return "0 s"


def number(value: float | None, unit: str = "") -> str:
    """A count or a rate: whole where it is whole or large, three digits where it is small."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else digits(value)
    return f"{text}{unit}"


def percent(value: float) -> str:
    """A share."""
    return f"{value * 100:.1f} %"


def money(value: float | None, currency: str) -> str:
    """An amount that can be read: never in powers of ten."""
    if value is None:
        return "unpriced"
    if value == 0:
        return f"0 {currency}"
    size = math.floor(math.log10(abs(value)))
    if size < -9:
        return f"{digits(value * 1e6)} {currency} per million"
    places = 2 if size >= 2 else 4 if size >= -2 else 3 - size
    return f"{value:,.{places}f} {currency}"


def printable(text: str) -> str:
    """``text`` without what would move a cursor or change a colour."""
    return "".join(character if character.isprintable() else "?" for character in text)


def shortened(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…"


class LiveLine(Observer):
    """A progress bar on stderr with rate, p99, cost so far and the time left; above it, each grave finding as it is seen."""

    def __init__(self, console: Console) -> None:
        self._bar = Bar(
            _Name(),
            BarColumn(bar_width=16),
            _Share(),
            _Figures(table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("running", total=None, figures="")
        self._currency = "USD"
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def on_start(self, spec: RunSpec) -> None:
        self._currency = spec.cost.currency
        self._bar.update(self._task, description=printable(spec.label or "running"))

    def on_progress(self, progress: Progress) -> None:
        for finding in progress.findings:
            self._tell(finding)
        parts = [f"{number(progress.throughput, '/s')}", f"p99 {seconds(progress.p99)}"]
        if progress.cost is not None:
            parts.append(money(float(progress.cost), self._currency))
        if progress.time_left is not None:
            parts.append(f"{progress.time_left:,.0f} s left")
        share = progress.fraction_done
        self._bar.update(
            self._task,
            total=None if share is None else 1.0,
            completed=0.0 if share is None else share,
            figures=fitting(parts, self._room()),
        )

    def _room(self) -> int:
        """Beside name, bar and share."""
        return self._bar.console.width - cell_len(shortened(self._bar.tasks[self._task].description)) - BESIDE

    def _tell(self, finding: Finding) -> None:
        """Notes are for the report: they leave the verdict alone."""
        if finding.severity and finding.code not in self._told:
            self._told.add(finding.code)
            line = Text(finding.code, SEVERITY_STYLE[finding.severity.name])
            told = line.append(f": {printable(finding.detail)}", "not bold")
            self._bar.console.print(Prose(told), crop=False)


class _Name(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(shortened(task.description), "bold", no_wrap=True)


class _Share(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.percentage:3.0f} %")


class _Figures(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["figures"], no_wrap=True, overflow="ellipsis")
