"""A program in a pseudo-terminal, with what stands on its screen."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyte
from pyte import modes

PATIENCE = 120.0


class PseudoTerminal:
    """``screen`` is what a person would see by now; ``came`` all that was written."""

    def __init__(self, master: int, process: subprocess.Popen[bytes], columns: int, rows: int) -> None:
        self._master, self.process = master, process
        # A model of a screen needs a row, also where the terminal says that it has none.
        self.screen = pyte.Screen(max(columns, 1), max(rows, 1))
        self._stream = pyte.ByteStream(self.screen)
        self.came = b""

    @property
    def lines(self) -> list[str]:
        """The rows of the screen, without blanks at their ends."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def shows_cursor(self) -> bool:
        return not self.screen.cursor.hidden

    @property
    def wraps(self) -> bool:
        return bool(modes.DECAWM in self.screen.mode)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        set_size(self._master, columns, rows)

    def until(self, seen: Callable[[list[str]], Any], what: str) -> list[str]:
        """Read on until the rows are so. Returns them."""
        deadline = time.monotonic() + PATIENCE
        while not seen(self.lines):
            assert time.monotonic() < deadline, f"no {what}:\n" + "\n".join(self.lines)
            assert self._read(), f"ended before {what}:\n" + "\n".join(self.lines)
        return self.lines

    def end(self) -> int:
        """Read until the program has ended. Returns its code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, "it did not end"
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 1.0)
        if not ready:
            return True
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        self.came += piece
        self._stream.feed(piece)
        return bool(piece)


def set_size(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextmanager
def pseudo_terminal(
    command: Sequence[str], environment: dict[str, str], columns: int = 100, rows: int = 30
) -> Iterator[PseudoTerminal]:
    """``command`` in a terminal of its own, whose Ctrl-C reaches it. Killed at the end of the block."""
    master, slave = os.openpty()
    set_size(slave, columns, rows)

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - one thread, and one system call
        env=environment,
    )
    os.close(slave)
    try:
        yield PseudoTerminal(master, process, columns, rows)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(master)
