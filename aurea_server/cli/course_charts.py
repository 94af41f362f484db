"""Two small charts of a run beneath its line, in block characters: completed jobs per second, and the p99 over time.

They are drawn twice a second by the thread that releases the jobs, so they are put together by hand: through rich it would
take several milliseconds each time, and the jobs would be as late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from aurea_server.cli.course import Course, Figures
from aurea_server.cli.number_format import format_number, format_seconds
from aurea_server.cli.painter import Paint, Painter
from aurea_server.cli.terminal_room import has_room

P99, P99_SO_FAR = "p99 response time", "p99 response time so far"
"""What the second chart shows: of the jobs that ended just then, or of all before, too."""

GAP, WIDEST = 3, 72
"""Columns between the charts, and of the widest."""

LABELS = 9
"""Columns before an axis, but where a label is longer: "1,000,000" fits, and "300 ms"."""

LOW, HIGH, TALL = 4, 6, 24
"""Rows of bars, and of bars where the terminal has `TALL` rows."""

FEWEST_POINTS = 2
"""A run that is over before has no course."""

SHORTEST = 10.0
"""Seconds that the axis of time has at least: over the first it would change with every report."""

DAY = 86_400

TIMES = (1, 2, 3, 5, 10)
VALUES = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
"""Axes of time and of values end at one of these, times a power of ten."""

_LEVELS = " ▁▂▃▄▅▆▇█"


def draw_charts(course: Course, columns: int, rows: int, paint: Painter, p99_title: str = P99) -> list[str]:
    """Lines of fewer than ``columns``; none where there is no room for charts, or nothing to draw yet."""
    if not has_room(columns, rows) or len(course.points) < FEWEST_POINTS:
        return []
    width, height = min((columns - 1 - GAP) // 2, WIDEST), HIGH if rows >= TALL else LOW
    end, before = _choose_end(course), max(LABELS, *map(len, _label_peaks(course)))
    rates, p99 = course.cut(end, width - before - 2)
    left = _draw_chart(rates, height, "completed per second", _label_rate, paint["green"], before)
    right = _draw_chart(p99, height, p99_title, _label_time, paint["cyan"], before)
    times = f"{'':{before + 2}}0 s{_label_instant(end):>{width - before - 5}}"
    gap, dim = " " * GAP, paint["dim"]
    return [f"{one}{gap}{other}" for one, other in zip(left, right, strict=True)] + [dim(f"{times}{gap}{times}")]


def _label_peaks(course: Course) -> tuple[str, str]:
    """The longest labels that the axes of values may get: what is drawn is nowhere above the highest point."""
    rate, p99 = course.find_peaks()
    return _label_rate(round_up(rate, VALUES)), _label_time(round_up(p99, VALUES))


def _choose_end(course: Course) -> float:
    """Where the axis of time ends, seconds: at the end of the run where that is known."""
    if course.planned is not None and course.elapsed <= course.planned:
        return course.planned
    # A run of which so little has passed after some reports is a simulated one.
    return max(round_up(course.elapsed, TIMES), SHORTEST if course.elapsed >= 1 else 0.0)


def round_up(value: float, steps: Sequence[float]) -> float:
    """The least of ``steps``, times a power of ten, that is at or above ``value``; 0 for 0."""
    if value <= 0:
        return 0.0
    decade = 10.0 ** math.floor(math.log10(value))
    # A little below counts as reached: 0.3 / 0.1 is above 3.
    return next(step * decade for step in steps if step * decade >= value * (1 - 1e-9))


def _draw_chart(
    values: Figures, height: int, title: str, describe: Callable[[float], str], paint: Paint, before: int
) -> list[str]:
    """A title, ``height`` rows of bars beside the axis of values, and the axis of time; all lines are as wide. ``before``:
    columns for labels.
    """
    top = round_up(max((value for value in values if value is not None), default=0.0), VALUES)
    labels = [describe(top) if top else "", *[""] * (height - 1)]
    bars = draw_bars(values, top, height)
    rows = [f"{label:>{before}} │{paint(bar)}" for label, bar in zip(labels, bars, strict=True)]
    width = before + 2 + len(values)
    head = f"{'':{min(before + 2, width - len(title))}}{title}".ljust(width)
    return [head, *rows, f"{'0':>{before}} └{'─' * len(values)}"]


def draw_bars(values: Figures, top: float, height: int) -> list[str]:
    """A bar for each value, in eighths of a cell, row by row from the top. What is not nothing is not drawn as nothing."""
    scale = height * 8 / top if top else 0.0
    eighths = [max(round(value * scale), 1) if value else 0 for value in values]
    # Of the lowest row, of the next one, and so on: a stretch of blanks, the levels, and whole blocks.
    beyond = 8 * (height - 1)
    cells = " " * beyond + _LEVELS + _LEVELS[-1] * beyond
    return ["".join([cells[each + 8 * row] for each in eighths]) for row in range(height)]


def _label_rate(rate: float) -> str:
    return format_number(rate) if rate < 1e7 else f"{rate / 1e6:,.0f} M"


def _label_time(seconds: float) -> str:
    # In virtual time anything may last for years.
    return format_seconds(seconds) if seconds < 1e6 else f"{seconds / DAY:,.0f} d"


def _label_instant(seconds: float) -> str:
    return format_number(seconds, " s") if 1 <= seconds < 1e6 else _label_time(seconds)
