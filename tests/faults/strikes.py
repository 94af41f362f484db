"""What happens to a process of a run: a signal, or the end of its connections. And how much processor there was."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

HANGS = 120.0
"""Seconds after which something hangs. What is only slow, on a machine that others keep busy, is no fault."""

PROC = Path("/proc")
_PIDFD_GETFD = 438
"""The number of the system call on every architecture."""


def find_below(pid: int) -> dict[int, str]:
    """All processes below ``pid``, by number, with their names."""
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        with contextlib.suppress(OSError, ValueError):  # it may end at any moment
            for thread in (PROC / f"{parent}/task").iterdir():
                waiting += map(int, (thread / "children").read_text("ascii").split())
        if parent != pid:
            with contextlib.suppress(OSError):
                found[parent] = (PROC / f"{parent}/comm").read_text().strip()
    return found


def is_there(pid: int) -> bool:
    """Whether it is there, and no zombie that somebody is about to reap."""
    try:
        return (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: set[int], seconds: float = HANGS) -> list[int]:
    """Those that are still there after a while."""
    until = time.monotonic() + seconds
    while (left := [pid for pid in pids if is_there(pid)]) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def strike(pid: int, fault: str) -> bool:
    """Do it to the process; False where it has ended before."""
    try:
        if fault == "socket":
            return shut_sockets(pid)
        os.kill(pid, signal.Signals[fault])
    except ProcessLookupError:
        return False
    return True


def shut_sockets(pid: int) -> bool:
    """End all connections of another process, as a network that fails would; the process itself goes on."""
    shut = False
    with contextlib.suppress(ProcessLookupError), _open_process(pid) as handle:
        for link in (PROC / f"{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(link.readlink()).startswith("socket:"):
                    shut |= _shut(_copy_descriptor(handle, int(link.name)))
    return shut


def can_shut_sockets() -> bool:
    """Whether the system lets us: Linux from 5.6 on, for processes below this one."""
    with contextlib.suppress(OSError), _open_process(os.getpid()) as handle:
        os.close(_copy_descriptor(handle, 0))
        return True
    return False


@contextlib.contextmanager
def _open_process(pid: int) -> Iterator[int]:
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def _copy_descriptor(handle: int, number: int) -> int:
    copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, handle, number, 0)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return int(copy)


def _shut(descriptor: int) -> bool:
    # Of the connection and not of our copy: both ends see it.
    with socket.socket(fileno=descriptor) as connection:
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        connection.shutdown(socket.SHUT_RDWR)
    return True


class ProcessorShare:
    """How much of a processor one more process gets meanwhile: 1 on an idle machine. A bound in seconds on a machine that
    others keep busy is one in the seconds that it gave us.
    """

    def __init__(self) -> None:
        self._wall = self._used = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    @property
    def share(self) -> float:
        return min(self._used / self._wall, 1.0) if self._wall else 1.0

    def _ask(self) -> None:
        # A few milliseconds of work every quarter of a second: by its own time and by the clock.
        while not self._over.wait(0.25):
            wall, used = time.perf_counter(), time.thread_time()
            while time.thread_time() - used < 0.004:
                pass
            self._wall += time.perf_counter() - wall
            self._used += time.thread_time() - used


@contextlib.contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """The block takes at most so long, in seconds that the machine gave us."""
    began = time.monotonic()
    with ProcessorShare() as processor:
        yield
    took = time.monotonic() - began
    assert took * processor.share <= seconds, f"{what} took {took:.1f} s, with {processor.share:.0%} of a processor"
