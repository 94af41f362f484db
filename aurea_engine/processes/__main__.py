"""What `spawn` starts, with the arguments SOCKET LIFELINE MEMORY PROGRAM; see `keeper` and `child`."""

# First make sure that nothing can be left behind, then limit what can be taken, then load what is not the engine's own.
# Importing this module has loaded the engine already. No code of anybody else's ran by that, so nothing could hide; and
# where the supervisor died meanwhile, the lifeline is closed, which the guard sees as soon as there is one.

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import resource
import signal
import sys
from pathlib import Path

from aurea_engine.processes.child import Program, serve
from aurea_engine.processes.keeper import enclose
from aurea_engine.processes.linux import die_with_parent

SPARE = 32 * 1024**2
"""Bytes of address space that can always be had where memory is not what is missing."""

IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that may be sent to every process of a terminal, container or service at once: the supervisor judges them."""


def main(arguments: list[str]) -> int:
    """Arguments: descriptor of the socket, descriptor of the lifeline, bytes of address space (0: no limit), program."""
    peer, lifeline, memory = map(int, arguments[:3])
    # `spawn` started us with these blocked: one that came before this line is dropped here, and has ended nobody.
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED_SIGNALS)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a job that crashes must not fill the disk
    die_with_parent()
    enclose(peer, lifeline)
    os.register_at_fork(after_in_child=lambda: _isolate_fork(peer))
    limit_memory(memory)
    # From here on memory may be what is missing. Libraries say that in many ways, and some end the process by themselves,
    # so we look ourselves and say it in the one word that the supervisor looks for.
    if not has_room(SPARE):
        return report_no_memory()
    try:
        return serve(peer, load_program(arguments[3]))
    except Exception:
        if has_room(SPARE):
            raise
        return report_no_memory()


def load_program(name: str) -> Program:
    """The function that ``module:function`` names. Our own supervisor gave the name: it never comes from a specification."""
    module, _, function = name.partition(":")
    program: Program = getattr(importlib.import_module(module), function)
    return program


def _isolate_fork(peer: int) -> None:
    """A job forked: its child must not speak for us, and must not outlive us."""
    with contextlib.suppress(OSError):
        os.close(peer)
    die_with_parent()


def limit_memory(memory: int) -> None:
    """No more address space than allowed; the first to go when the machine runs out of memory."""
    if memory:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


def has_room(size: int) -> bool:
    """Whether so many more bytes of address space could be had."""
    try:
        # Read-only and never touched, so it takes address space and no memory.
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()
    except OSError:
        return False
    return True


def report_no_memory() -> int:
    """Say it in the word that the supervisor looks for."""
    sys.stderr.write("MemoryError: the process cannot be loaded within the memory that it may have\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
