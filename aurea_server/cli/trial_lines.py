"""What people see during a search: a line for each trial, with the bracket drawn beside it."""

from __future__ import annotations

import math

from rich.console import Console
from rich.text import Text

from aurea_engine.results.capacity import Bracket, SearchProgress, Trial
from aurea_server.cli.number_format import format_number, format_seconds, make_printable

WIDTH = 28
"""Columns of the drawing."""

STYLES = {"passed": "green", "failed": "red", "limited": "yellow", "measured": "dim"}


class TrialLines:
    """Prints each trial once it has ended, on stderr."""

    def __init__(self, console: Console) -> None:
        self._console, self._printed = console, 0
        self._seen: list[float] = []

    def show(self, progress: SearchProgress) -> None:
        """Called with the search's progress after each trial."""
        trial = progress.latest
        if trial is None or progress.trials <= self._printed:
            return
        self._printed = progress.trials
        if trial.value is not None:
            self._seen.append(trial.value)
        self._console.print(self._draw_line(trial, progress.bracket), soft_wrap=True, highlight=False)

    def _draw_line(self, trial: Trial, bracket: Bracket) -> Text:
        what = f"{trial.users:,} users" if trial.value is None else f"{trial.value:,.5g}"
        figure = format_number(trial.throughput, "/s") if trial.users else f"p99 {format_seconds(trial.p99)}"
        line = Text(f"{trial.phase.replace('_', ' '):<12} {what:>12}  ")
        line.append(f"{trial.outcome:<8}", STYLES[trial.outcome])
        line.append(f" {figure:<14} {trial.jobs:>9,} jobs  ")
        if trial.value is not None:
            line.append(draw_bracket(trial.value, bracket, self._seen))
        if trial.problem is not None and trial.outcome == "limited":
            line.append(f"  {make_printable(trial.problem)}", "yellow")
        line.rstrip()
        return line


def draw_bracket(value: float, bracket: Bracket, seen: list[float]) -> str:
    """``[---===o===-----]``: all values that were tried in equal ratios, the bracket as ``=``, this value as ``o``."""
    low, high = min(seen), max(seen)

    def place(at: float) -> int:
        # One value alone stands in the middle.
        share = math.log(at / low) / math.log(high / low) if high > low else 0.5
        return min(max(round(share * (WIDTH - 1)), 0), WIDTH - 1)

    first = 0 if bracket.low is None else place(bracket.low)
    last = WIDTH - 1 if bracket.high is None else place(bracket.high)
    marks = ["=" if first <= i <= last else "-" for i in range(WIDTH)]
    marks[place(value)] = "o"
    return f"[{''.join(marks)}]"
