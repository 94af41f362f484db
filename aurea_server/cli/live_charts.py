"""What stands at the bottom of a terminal during a run: its line, and beneath it charts of how it has gone so far."""

from __future__ import annotations

from rich.console import Console

from aurea_server.cli.course import Course
from aurea_server.cli.course_charts import P99, draw_charts
from aurea_server.cli.live_area import LiveArea
from aurea_server.cli.painter import Painter
from aurea_server.cli.terminal_room import can_draw, measure_room

BAR = 16
"""Columns of the bar."""


class LiveCharts:
    """A line and charts in an area of the terminal that ``console`` writes to. ``course`` is what the charts draw."""

    def __init__(self, area: LiveArea, console: Console) -> None:
        self._area, self._stream = area, console.file
        self._console = console
        self.course, self.paint = Course(), Painter(console)
        self._size = self._measure()

    @classmethod
    def on(cls, console: Console) -> LiveCharts | None:
        """None where the terminal can draw no charts, whatever its size."""
        if not can_draw(console):
            return None
        try:
            descriptor = console.file.fileno()
        except (OSError, ValueError):
            return None
        return cls(LiveArea.on(descriptor, console), console)

    def open(self) -> None:
        """Begin the area."""
        self._area.open()

    def close(self) -> None:
        """Erase it all, and give the cursor back."""
        self._area.close()

    def settle(self) -> None:
        """As `LiveArea.settle`."""
        self._area.settle()

    @property
    def console(self) -> Console:
        """What is printed here stays above."""
        return self._area.above if self._area.is_open else self._console

    @property
    def columns(self) -> int:
        """Columns that a line may have."""
        # One less than there are: where a line ends in the last, some terminals erase its end with the rest of it.
        return self._measure()[0] - 1

    def _measure(self) -> tuple[int, int]:
        # Asked each time, so that the next frame is right after the terminal was resized.
        columns, rows = measure_room(self._stream)
        return columns or 80, rows

    def draw(self, line: str, p99_title: str = P99) -> None:
        """Show ``line``, and the charts where there is room."""
        size = self._measure()
        charts = draw_charts(self.course, *size, self.paint, p99_title)
        self._area.draw([line, *charts], is_resized=size != self._size)
        self._size = size

    def draw_bar(self, share: float | None) -> str:
        """``share`` of a bar; None where it is not known."""
        done, left = self.paint["bar.complete"], self.paint["bar.back"]
        halves = round((share or 0.0) * 2 * BAR)
        whole, half = divmod(halves, 2)
        return done("━" * whole + "╸" * half) + left("━" * (BAR - whole - half))
