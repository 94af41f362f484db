"""How much room a terminal has, and whether it has enough for charts."""

from __future__ import annotations

import os
import sys
from typing import IO

from rich.console import Console

LEAST_COLUMNS, LEAST_ROWS = 60, 12
"""The smallest terminal that charts are drawn in."""


def measure_room(stream: IO[str]) -> tuple[int, int]:
    """Columns and rows of the terminal that ``stream`` goes to, asked anew; 0 and 0 where they are not known."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 0, 0
    told = os.environ.get("COLUMNS", "")
    # A user may want fewer columns than there are, never more: the terminal would wrap every line.
    columns = min(size.columns, int(told)) if told.isdecimal() and int(told) else size.columns
    return columns, size.lines


def goes_to_terminal(console: Console) -> bool:
    """Whether what ``console`` writes goes to a terminal, where it may move the cursor."""
    # Its own word is not enough: with FORCE_COLOR, as is usual in CI, it takes every file for a terminal.
    return console.is_terminal and console.file.isatty()


def can_draw(console: Console) -> bool:
    """Whether charts may be drawn on what ``console`` writes to, if there is room: a terminal with colours and blocks."""
    return (
        goes_to_terminal(console)
        and not console.is_dumb_terminal
        and not console.no_color
        and console.color_system not in (None, "windows")
        and console.encoding.startswith("utf")
    )


def has_room(columns: int, rows: int) -> bool:
    """Whether charts fit in so many."""
    return columns >= LEAST_COLUMNS and rows >= LEAST_ROWS


def fits_charts(*, color: bool = True) -> bool:
    """Whether what is printed on stdout may have charts: it goes to a terminal that can draw them, and has room."""
    console = Console(file=sys.stdout, no_color=None if color else True)
    return can_draw(console) and has_room(*measure_room(sys.stdout))
