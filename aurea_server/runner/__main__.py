"""``python -m aurea_server.runner SOCKET LIFELINE MEMORY``: first make sure that this process cannot outlive its server.

Two ways, since each has a hole. PR_SET_PDEATHSIG is the kernel's SIGKILL, which needs no cooperation, but processes that
jobs start do not inherit it. The guard, forked before anything else is loaded, waits for the server's end of a pipe to
close, and then kills the whole process group.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Arguments: descriptor of the socket, descriptor of the lifeline, bytes of address space (0: no limit)."""
    peer, lifeline, memory = map(int, arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # what every process at once gets is no order to this one
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    die_with_parent()
    guard(peer, lifeline)
    os.register_at_fork(after_in_child=lambda: _forked(peer))
    limit(memory)
    from aurea_server.runner.child import serve  # noqa: PLC0415 - loaded when nothing can be left behind any more

    return serve(peer)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. Linux only; elsewhere the guard does it alone."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def guard(peer: int, lifeline: int) -> None:
    """Fork the process that waits for the server's end, and then ends everything that was started here."""
    if os.fork():
        os.close(lifeline)
        return
    os.close(peer)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        for stream in (0, 1, 2):
            os.close(stream)
        while os.read(lifeline, 1):
            pass
    os.killpg(0, signal.SIGKILL)


def _forked(peer: int) -> None:
    """A job forked: its child must not speak for us, and must not outlive us."""
    with contextlib.suppress(OSError):
        os.close(peer)
    die_with_parent()


def limit(memory: int) -> None:
    """No core files; no more address space than allowed; the first to go when the machine runs out of memory."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
