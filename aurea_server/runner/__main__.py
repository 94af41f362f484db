"""``python -m aurea_server.runner SOCKET LIFELINE MEMORY``: first make sure that nothing can be left behind, then load."""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import signal
import sys
from pathlib import Path

from aurea_server.runner.guard import die_with_parent, enclose

LEAST, SPARE = 96 * 1024**2, 32 * 1024**2
"""Bytes that what is loaded takes at least; bytes that are always to be had where memory is not what is missing."""

DEAF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Arguments: descriptor of the socket, descriptor of the lifeline, bytes of address space (0: no limit)."""
    peer, lifeline, memory = map(int, arguments)
    for number in DEAF:  # what every process at once gets is no order to these
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DEAF)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    die_with_parent()
    enclose(peer, lifeline)
    os.register_at_fork(after_in_child=lambda: _forked(peer))
    limit(memory)
    if not room(LEAST):  # loading would tell in many ways, and OpenBLAS ends the process by itself
        return no_memory()
    try:
        from aurea_server.runner.child import serve  # noqa: PLC0415 - loaded when nothing can be left behind any more

        return serve(peer)
    except Exception:
        if room(SPARE):
            raise
        return no_memory()


def _forked(peer: int) -> None:
    """A job forked: its child must not speak for us, and must not outlive us."""
    with contextlib.suppress(OSError):
        os.close(peer)
    die_with_parent()


def limit(memory: int) -> None:
    """No more address space than allowed; the first to go when the machine runs out of memory."""
    if memory:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


def room(size: int) -> bool:
    """Whether so many more bytes of address space could be had."""
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()
    except OSError:
        return False
    return True


def no_memory() -> int:
    """Say it in the word that the server looks for."""
    sys.stderr.write("MemoryError: the runner cannot be loaded within the memory that it may have\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
