"""The distribution of response times, as a bar for each range, in characters that any terminal can show.

The ranges are log-linear, at round numbers: on a linear scale nearly all jobs of a typical run would stand in the first bar,
and the tail, which is what one looks for, would be a row of empty ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.text import Text

from aurea_engine import LatencyHistogram
from aurea_server.cli.number_format import format_percent, format_seconds
from aurea_server.cli.tables import GAP, LABEL_WIDTH

MOST_ROWS = 14
WIDEST, NARROWEST = 40, 8
"""Cells of the longest bar: as many as there is room for, between these two."""

SERIES: tuple[tuple[float, ...], ...] = (
    (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 8, 9),
    (1, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 4, 5, 6, 7, 8),
    (1, 1.5, 2, 3, 5, 7),
    (1, 2, 5),
    (1, 3),
    (1,),
)
"""Round numbers within a decade, from the finest to the coarsest."""

_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Bin:
    """``count`` values were above the bin before and at most ``upper`` seconds."""

    upper: float
    count: int


def bin_values(histogram: LatencyHistogram) -> list[Bin]:
    """At most `MOST_ROWS` bins from the least to the greatest value, together as many as the histogram has."""
    low, high = max(histogram.minimum, 1) / 1e9, max(histogram.maximum, 1) / 1e9
    bounds = _choose_bounds(low, high)
    bins, below = [], 0
    for bound in bounds:
        # The last bound is at or above the greatest value, so that nothing is left over by a rounded bucket.
        within = histogram.count if bound >= high else histogram.count - histogram.count_above(bound)
        bins.append(Bin(bound, within - below))
        below = within
    while len(bins) > 1 and not bins[-1].count:
        bins.pop()  # the greatest value was at the very bound of its bucket
    return bins


def _choose_bounds(low: float, high: float) -> list[float]:
    """The upper bounds of the bins, rising; the last is at or above ``high``."""
    # Times that are nearly alike have no two numbers of a series between them: equal steps tell them apart.
    if high < 1.25 * low:
        step = _round_up(max((high - low) / (MOST_ROWS - 3), low / 100))
        first = math.ceil(low / step)
        return [number * step for number in range(first, max(math.ceil(high / step), first) + 1)]
    # The finest series that does; the last one always does: 64-bit nanoseconds have fewer than twenty decades.
    return next(
        (found for series in SERIES if len(found := _list_bounds(series, low, high)) <= MOST_ROWS),
        _list_bounds(SERIES[-1], low, high),
    )


def _round_up(step: float) -> float:
    """1, 2 or 5 times a power of ten: the first at or above ``step``."""
    decade = 10.0 ** math.floor(math.log10(step))
    return next(digit * decade for digit in (1, 2, 5, 10) if digit * decade >= step)


def _list_bounds(series: Sequence[float], low: float, high: float) -> list[float]:
    """The numbers of the series from the first at or above ``low`` to the first at or above ``high``."""
    bounds: list[float] = []
    for decade in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for digit in series:
            bound = digit * 10.0**decade
            if bound >= low:
                bounds.append(bound)
            if bound >= high:
                return bounds
    return bounds


class HistogramChart:
    """The chart, as wide as the terminal allows."""

    def __init__(self, histogram: LatencyHistogram, title: str = "response time") -> None:
        self._bins, self._title = bin_values(histogram), title
        self._count = histogram.count

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        labels = [f"≤ {format_seconds(each.upper)}" for each in self._bins]
        figures = [(f"{each.count:,}", _format_share(each.count / self._count)) for each in self._bins]
        before = max(LABEL_WIDTH, *map(cell_len, labels)) + GAP
        counts, shares = (max(len(row[i]) for row in figures) for i in range(2))
        after = counts + GAP + shares + GAP
        room = min(WIDEST, options.max_width - before - after)
        # Where no bar fits, the figures still do.
        room = room if room >= NARROWEST else 0
        yield _line(Text(self._title, "bold"))
        most = max(each.count for each in self._bins)
        for label, each, (count, share) in zip(labels, self._bins, figures, strict=True):
            bar = draw_bar(each.count / most, room)
            line = Text(label.rjust(before - GAP) + " " * GAP)
            line.append(bar, "cyan").append(" " * (room - cell_len(bar) + (GAP if room else 0)))
            yield _line(line.append(f"{count:>{counts}}{' ' * GAP}{share:>{shares}}"))


def draw_bar(share: float, width: int) -> str:
    """A bar of ``share`` of ``width`` cells, in eighths; what is not nothing is never drawn as nothing."""
    eighths = round(share * width * 8)
    if width and share > 0:
        eighths = max(eighths, 1)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def _format_share(share: float) -> str:
    # One job in a hundred thousand is what one looks for here: it must not read as none.
    return "<0.1 %" if 0 < share < 0.0005 else format_percent(share)


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ignore"
    return text
