"""Lines at the bottom of a terminal that are drawn again in place, while other output goes above them.

Between two frames the cursor waits at the start of the first line. So nothing need be known of what the terminal did to the
lines meanwhile: where it was made narrower and wrapped them, the cursor went along with the line that it stands in. A frame
is written over the one before, and what is left of that is erased last: nothing is ever blank, which would flicker.

A thread writes. A terminal that was stopped (Ctrl-S), or whose connection stalls, holds up that thread and not the run.
Where the process is stopped instead (Ctrl-Z), the shell gets the terminal as it was, and the area comes back afterwards.
"""

from __future__ import annotations

import io
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy

from aurea_server.stdio.standard_streams import write_all

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
ERASE_RIGHT, ERASE_BELOW = "\x1b[K", "\x1b[J"
ERASE_ALL = "\x1b7\x1b[2K\x1b[B\x1b[J\x1b8"
"""The cursor's line and all below, whole: a part that was wrapped is otherwise still a part of the line before."""

CUT_LINES, WRAP_LINES = "\x1b[?7l", "\x1b[?7h"
"""Whether the terminal cuts a line at its edge, or wraps it."""

PATIENCE = 1.0
"""Seconds that the end waits for a terminal that takes nothing."""

Write = Callable[[bytes], None]


class _Order(NamedTuple):
    """What to write next. ``above``: lines that stay; ``frame``: the lines of the area, None: as they are; ``is_resized``:
    the terminal has another size than before; ``is_pause``: nothing until the next order.
    """

    above: str = ""
    frame: Sequence[str] | None = None
    is_resized: bool = False
    is_pause: bool = False
    is_last: bool = False


class LiveArea:
    """``write`` takes bytes for the terminal, and may block. ``above`` is a console whose output goes above the area."""

    def __init__(self, write: Write, console: Console) -> None:
        self._write = write
        # Not locked, unlike queue.Queue: the handler of a signal may put something while the main thread does.
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._obey, daemon=True, name="live-area")
        # Without colours of its own: rich looks for those of the terminal in the environment, as it did for ``console``.
        self.above = Console(file=cast(TextIO, _Above(self._orders)), force_terminal=True, no_color=console.no_color)
        self._streams: tuple[TextIO, TextIO] | None = None
        self._is_paused = threading.Event()

    @classmethod
    def on(cls, descriptor: int, console: Console) -> LiveArea:
        """On the terminal of ``descriptor``. ``console``: which colours it has."""

        def write(content: bytes) -> None:
            with suppress(OSError):  # as everything on stderr: a terminal that is gone must not cost the result
                write_all(descriptor, content)

        return cls(write, console)

    def open(self) -> None:
        """From now on there is an area, and what is printed in this process goes above it."""
        self._streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (cast(TextIO, FileProxy(self.above, stream)) for stream in self._streams)
        self._thread.start()
        # Where it is ignored, there is no shell that could let the process go on again.
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, self._stop)

    @property
    def is_open(self) -> bool:
        return self._streams is not None

    def settle(self) -> None:
        """After the end: wait until the terminal has taken all, however long that takes. What is printed comes after it."""
        if self._thread.ident is not None:
            self._thread.join()

    def draw(self, lines: Sequence[str], *, is_resized: bool = False) -> None:
        """Show these lines; a part that the terminal has no room for is cut. ``is_resized``: since it last had some."""
        self._orders.put(_Order(frame=lines, is_resized=is_resized))

    def close(self) -> None:
        """Erase the area, and give the cursor back. A second call does nothing."""
        if self._streams is None:
            return
        (sys.stdout, sys.stderr), self._streams = self._streams, None
        if signal.getsignal(signal.SIGTSTP) == self._stop:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        self._orders.put(_Order(is_last=True))
        self._thread.join(PATIENCE)

    def _stop(self, number: int, _: object) -> None:
        """Ctrl-Z came. Returns when the process goes on."""
        self._orders.put(_Order(is_pause=True))
        self._is_paused.wait(PATIENCE)
        self._is_paused.clear()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._stop)
        # Whatever stands there now is not of the area: it begins anew where the cursor is.
        self._orders.put(_Order())

    def _obey(self) -> None:
        """The thread: write what is asked for, of several frames the latest, until the end."""
        frame: Sequence[str] = ()
        is_last = False
        while not is_last:
            orders = self._take_orders()
            is_last = orders[-1].is_last
            frame = next((each.frame for each in reversed(orders) if each.frame is not None), frame)
            content = "\r" + (ERASE_ALL if any(each.is_resized for each in orders) else "")
            content += "".join(each.above for each in orders)
            is_gone = is_last or orders[-1].is_pause
            content += ERASE_BELOW + SHOW_CURSOR if is_gone else HIDE_CURSOR + _lay_out(frame)
            self._write(content.encode("utf-8", "backslashreplace"))
            if orders[-1].is_pause:
                self._is_paused.set()

    def _take_orders(self) -> list[_Order]:
        """All that wait, but none after a pause or the last; one at least, however long that takes."""
        orders = [self._orders.get()]
        while not (orders[-1].is_last or orders[-1].is_pause or self._orders.empty()):
            orders.append(self._orders.get())
        return orders


def _lay_out(frame: Sequence[str]) -> str:
    """The frame over whatever stands there, with the cursor back at its start."""
    # Cut, since a terminal and we may not agree how wide a character is: a line that it wrapped would move all others.
    text = CUT_LINES + "\n".join(f"{line}{ERASE_RIGHT}" for line in frame) + ERASE_BELOW + WRAP_LINES
    return text + (f"\r\x1b[{len(frame) - 1}A" if len(frame) > 1 else "\r")


class _Above(io.TextIOBase):
    """What is written goes above the area."""

    def __init__(self, orders: queue.SimpleQueue[_Order]) -> None:
        self._orders = orders

    def write(self, text: str, /) -> int:
        if text:
            # Each line over one of the area, which is drawn again beneath.
            whole = text if text.endswith("\n") else text + "\n"
            self._orders.put(_Order(above=whole.replace("\n", f"{ERASE_RIGHT}\n")))
        return len(text)
