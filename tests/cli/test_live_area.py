"""Lines that are drawn again in place: on a model of a terminal, byte for byte."""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pyte
import pytest
from rich.console import Console

from aurea_server.cli import live_area
from aurea_server.cli.live_area import LiveArea, _lay_out

CONSOLE = Console(file=io.StringIO(), force_terminal=True, color_system="standard")


class Screen:
    """A terminal, with everything that was written to it."""

    def __init__(self, columns: int = 40, rows: int = 8) -> None:
        self.model = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.model)
        self.written: list[str] = []

    def write(self, content: bytes) -> None:
        self.written.append(content.decode())
        # A terminal also goes to the start of the line, as it is told by stty's onlcr.
        self._stream.feed(content.decode().replace("\n", "\r\n"))

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.model.display]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm")
    return Screen()


@pytest.fixture
def area(screen: Screen) -> Iterator[LiveArea]:
    area = LiveArea(screen.write, CONSOLE)
    area.open()
    yield area
    area.close()


def test_an_area_is_gone_when_it_ends(screen: Screen, area: LiveArea) -> None:
    """What stood above is there, what stood in it is not, and the cursor is where the area began."""
    screen.write(b"before\n")
    area.draw(["one", "two", "three"])
    area.above.print("a finding")
    area.close()
    assert screen.lines == ["before", "a finding", *[""] * 6]
    assert (screen.model.cursor.y, screen.model.cursor.x, screen.model.cursor.hidden) == (2, 0, False)
    area.close()
    assert screen.written[-1].count(live_area.SHOW_CURSOR) == 1


def test_the_latest_frame_is_drawn_over_the_first(screen: Screen) -> None:
    """Frames of more and fewer lines, of longer and shorter ones: nothing of one is left in the next."""
    for frame in (["a line", "b line", "c"], ["a"], ["x line", "yy", "z", "w line"], ["x", "y"]):
        screen.write(_lay_out(frame).encode())
        assert screen.lines == [*frame, *[""] * (8 - len(frame))]
        assert (screen.model.cursor.y, screen.model.cursor.x) == (0, 0)


def test_nothing_is_blank_while_a_frame_is_drawn(screen: Screen) -> None:
    """That would flicker: what two frames have in common stands there after every single byte of the second."""
    frame = ["\x1b[1mlabel\x1b[0m 10 %", "│▁▂▃", "└───"]
    screen.write(_lay_out(frame).encode())
    stood = screen.lines
    for letter in _lay_out(frame).encode().decode():
        screen.write(letter.encode())
        assert screen.lines == stood


def test_an_area_at_the_bottom_scrolls_once(screen: Screen) -> None:
    """Drawn on the last row it moves what is above it up, and then stays."""
    screen.write(b"".join(b"%d\n" % i for i in range(7)))
    for _ in range(5):
        screen.write(_lay_out(["one", "two", "three"]).encode())
    assert screen.lines == ["2", "3", "4", "5", "6", "one", "two", "three"]


def test_a_line_that_is_too_wide_is_cut(screen: Screen) -> None:
    """A terminal and we may not agree on how wide a character is. Wrapped, it would move the area a row each time."""
    for _ in range(3):
        screen.write(_lay_out(["家" * 30, "two"]).encode())
    assert screen.lines[1:] == ["two", *[""] * 6]
    assert screen.model.cursor.y == 0


def test_an_area_taller_than_the_terminal_ends(screen: Screen, area: LiveArea) -> None:
    """After the terminal was made lower, before the next frame: no error, and the end is clean."""
    area.draw([str(i) for i in range(20)])
    area.close()
    assert screen.lines == [""] * 8
    assert not screen.model.cursor.hidden


def test_what_jobs_print_goes_above(screen: Screen) -> None:
    """In this process, on stdout and stderr, whole lines or not; the streams are given back at the end."""
    before, area = (sys.stdout, sys.stderr), LiveArea(screen.write, CONSOLE)
    area.open()
    area.draw(["line"])
    print("printed")
    print("said", file=sys.stderr)
    print("no end", end="")
    sys.stdout.flush()
    area.draw(["line again"])
    area.close()
    assert screen.lines[:3] == ["printed", "said", "no end"]
    assert (sys.stdout, sys.stderr) == before


def test_a_stopped_terminal_does_not_hold_up_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-S, or a connection that stalls: `draw` and `print` return at once, and the end waits no longer than it says."""
    monkeypatch.setattr(live_area, "PATIENCE", 0.01)
    goes_on, came = threading.Event(), Screen()

    def write(content: bytes) -> None:
        goes_on.wait(60)
        came.write(content)

    area = LiveArea(write, CONSOLE)
    area.open()
    for i in range(1000):
        area.draw([f"frame {i}"])
    area.above.print("finding")
    area.close()
    assert came.written == []
    goes_on.set()
    area._thread.join(60)
    # What waited is one piece: what stays, and the end. The thread may have been at the first frame; nobody saw the others.
    assert len(came.written) <= 2
    assert came.lines[0] == "finding"


def test_the_end_may_come_in_a_signal(area: LiveArea, screen: Screen) -> None:
    """The second Ctrl-C ends the area from a handler, in the midst of anything: also of putting an order."""
    ended: list[bool] = []

    def end_and_note() -> None:
        area.close()
        ended.append(True)

    put: Callable[..., None] = area._orders.put

    class Interrupted:
        """A queue during whose `put` a signal comes."""

        def put(self, order: live_area._Order) -> None:
            area._orders = original
            end_and_note()
            put(order)

    original = area._orders
    area._orders = Interrupted()  # type: ignore[assignment]
    area.draw(["late"])
    assert ended == [True]
    assert screen.lines == [""] * 8


def test_an_ignored_stop_stays_ignored(screen: Screen) -> None:
    """A shell without job control could not let the process go on; and what was there before is there afterwards."""
    for handler in (signal.SIG_IGN, signal.SIG_DFL):
        before = signal.signal(signal.SIGTSTP, handler)
        try:
            area = LiveArea(screen.write, CONSOLE)
            area.open()
            assert (signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN) == (handler is signal.SIG_IGN)
            area.close()
            assert signal.getsignal(signal.SIGTSTP) is handler
        finally:
            signal.signal(signal.SIGTSTP, before)
