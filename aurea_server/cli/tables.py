"""Tables that never cut a figure, its unit or an id, however narrow the terminal.

Where a table is too wide, the columns that hold prose are folded between words. Where that is not enough, its rows are
stacked: each cell on a line of its own, beneath the first. What cannot be folded, such as a long id, stays whole and runs
over the edge, where the terminal wraps it and a copy of it is still right. Without a terminal there is no width at all: a
pipe or a file has no edge.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

GAP, INDENT = 2, 4
LABEL_WIDTH = 13
"""Of the first column of every table of a report: as wide as "response time", the longest label."""
NO_WIDTH = 1_000_000
_BREAK = re.compile(r"(?<![0-9 ])(?<!\bper) +(?!per million)")
"""Where a line may end: between words. What follows a digit is its unit, or belongs to it, as in "1 USD per million"."""


def show(*things: RenderableType, color: bool = True) -> None:
    """Print on stdout; texts are folded as the prose of a table is. NO_COLOR of the environment holds in any case."""
    # With a height too, since rich gives a dumb terminal 80 columns otherwise.
    console = Console(width=measure_width(sys.stdout), height=25, highlight=False, no_color=None if color else True)
    for thing in things:
        console.print(Prose(thing) if isinstance(thing, str | Text) else thing, crop=False)


def measure_width(stream: TextIO) -> int:
    """Columns of the terminal that ``stream`` goes to, by COLUMNS where that is set; `NO_WIDTH` where it goes to none."""
    if not stream.isatty():
        return NO_WIDTH
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return min(int(asked), NO_WIDTH)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80  # a terminal that does not know says 0
    except OSError:
        return 80


def fold(text: Text, width: int) -> list[Text]:
    """The lines of ``text``, each as wide as it may be; a piece that is wider stays whole."""
    lines: list[Text] = []
    # Not rich's own folding, which breaks between a figure and its unit.
    for paragraph in text.split("\n", allow_blank=True):
        breaks = [match.span() for match in _BREAK.finditer(paragraph.plain)]
        begin = end = resume = 0
        for stop, after in [*breaks, (len(paragraph), len(paragraph))]:
            if end > begin and cell_len(paragraph.plain[begin:stop]) > width:
                lines.append(paragraph[begin:end])
                begin = resume
            end, resume = stop, after
        lines.append(paragraph[begin:end])
    return lines


def measure_longest_piece(text: Text) -> int:
    """Cells of the longest piece that cannot be folded."""
    return max((cell_len(piece) for line in text.plain.split("\n") for piece in _BREAK.split(line)), default=0)


class Prose:
    """A text by itself."""

    def __init__(self, text: str | Text) -> None:
        self._text = Text(text) if isinstance(text, str) else text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield from map(_keep_whole, fold(self._text, options.max_width))


def _keep_whole(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ignore"
    line.rstrip()
    return line


@dataclass(frozen=True)
class Column:
    """``prose``: its cells may be folded between words; all others are figures, units and names, and stay whole."""

    head: str = ""
    right: bool = False
    prose: bool = False
    least: int = 0


class Table:
    """Rows under heads, without lines between. The first column names the row.

    ``two_lines``: rows that are too wide may take two lines, before they are stacked.
    """

    def __init__(self, *columns: Column, two_lines: bool = False) -> None:
        self._columns, self._two_lines = columns, two_lines
        self._rows: list[list[Text]] = []
        self._heads = [Text(column.head, "dim") for column in columns]

    def add_row(self, *cells: str | Text) -> None:
        row = [Text(cell) if isinstance(cell, str) else cell for cell in cells]
        self._rows.append(row + [Text()] * (len(self._columns) - len(row)))

    def add_line(self, text: str | Text) -> None:
        """A line across all columns."""
        self._rows.append([Text(text) if isinstance(text, str) else text])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield from map(_keep_whole, self.lines(options.max_width))

    def lines(self, width: int) -> Iterator[Text]:
        """As many lines as it takes."""
        # Three layouts, from the easiest to read to the one that always fits: side by side, two lines a row, stacked.
        widths = self._widths(width)
        if widths is not None:
            return self._side_by_side(widths, width, 0)
        if self._two_lines and (split := self._split(width)):
            return self._side_by_side(self._natural(), width, split)
        return self._stacked(width)

    def _cells(self, index: int) -> list[Text]:
        return [self._heads[index], *(row[index] for row in self._rows if len(row) > 1)]

    def _natural(self) -> list[int]:
        return [
            max(column.least, *(cell_len(cell.plain) for cell in self._cells(i)))
            for i, column in enumerate(self._columns)
        ]

    def _widths(self, width: int) -> list[int] | None:
        """Of the columns, side by side; None if they do not fit, even with the prose folded."""
        widths = self._natural()
        excess = sum(widths) + GAP * (len(widths) - 1) - width
        # The widest prose gives way first, down to twenty columns or its longest word: narrower it cannot be read.
        for i in sorted(range(len(widths)), key=lambda i: -widths[i]):
            if excess > 0 and self._columns[i].prose:
                floor = min(widths[i], max(20, *(measure_longest_piece(cell) for cell in self._cells(i))))
                taken = min(excess, widths[i] - floor)
                widths[i], excess = widths[i] - taken, excess - taken
        return widths if excess <= 0 else None

    def _split(self, width: int) -> int:
        """At which column the second line begins, 0 where two lines do not do."""
        ends = list(accumulate(self._natural(), lambda so_far, more: so_far + GAP + more))
        first = sum(end <= width for end in ends)
        return first if first and ends[-1] - ends[first - 1] - GAP + INDENT <= width else 0

    def _side_by_side(self, widths: list[int], width: int, split: int) -> Iterator[Text]:
        groups = [range(split or len(widths)), *([range(split, len(widths))] if split else [])]
        heads = [self._heads] if any(head.plain for head in self._heads) else []
        for row in [*heads, *self._rows]:
            if len(row) == 1 < len(widths):
                yield from fold(row[0], width)
                continue
            # The second line of a row is indented, so that rows can still be told apart.
            for group in groups:
                yield from self._aligned(row, widths, group)

    def _aligned(self, row: Sequence[Text], widths: list[int], group: range) -> Iterator[Text]:
        folded = {i: fold(row[i], widths[i]) if self._columns[i].prose else [row[i]] for i in group}
        for number in range(max(map(len, folded.values()))):
            line = Text(" " * INDENT if group.start else "")
            for i in group:
                cell = folded[i][number] if number < len(folded[i]) else Text()
                room = " " * (widths[i] - cell_len(cell.plain))
                line.append(room if self._columns[i].right else "").append_text(cell)
                line.append("" if self._columns[i].right else room).append(" " * GAP)
            yield line

    def _stacked(self, width: int) -> Iterator[Text]:
        # All labels of a stacked table are as wide as the widest, so that their cells stand in one column.
        room = max((cell_len(head.plain) for head in self._heads[1:]), default=0)
        room += GAP if room else 0
        if self._heads[0].plain:
            yield self._heads[0]
        for row in self._rows:
            yield from fold(row[0], width)
            for head, cell in zip(self._heads[1:], row[1:], strict=False):
                if cell.plain:
                    yield from self._labelled(head, cell, room, width)

    def _labelled(self, head: Text, cell: Text, room: int, width: int) -> Iterator[Text]:
        """The cell beside its head; beneath it where there is no room."""
        before = Text(" " * INDENT).append_text(head).append(" " * (room - cell_len(head.plain)))
        if head.plain and INDENT + room + measure_longest_piece(cell) > width:
            yield before
            before = Text(" " * INDENT)
        indent = cell_len(before.plain)
        for number, line in enumerate(fold(cell, width - indent)):
            yield (before if number == 0 else Text(" " * indent)).append_text(line)


def join_fitting(parts: Sequence[str], width: int, join: Callable[[Sequence[str]], str] = "  ".join) -> str:
    """As many of ``parts``, from the first, as fit: what does not is left out whole."""
    return next((line for n in range(len(parts), 0, -1) if cell_len(line := join(parts[:n])) <= width), "")
