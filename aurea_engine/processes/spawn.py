"""Starting a supervised process: what it is given, and what it is not."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from aurea_engine.processes.linux import PR_SET_PDEATHSIG

HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that wait while a process is being started: what every process gets at once is for the supervisor to judge."""

# The same as ``python -m aurea_engine.processes``, but for one thing before: loading the package takes a third of a
# second, and much longer on a busy machine. Where the supervisor is killed meanwhile, nobody watches this process yet. So
# the kernel is asked to end it with its parent before anything is loaded, and where the parent is gone by then, it ends
# by itself.
_START = """\
import contextlib, ctypes, os, runpy
with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(None).prctl({death_signal}, {kill}, 0, 0, 0)
if os.getppid() == {parent}:
    runpy.run_module("aurea_engine.processes", run_name="__main__", alter_sys=True)
"""

WORKER = "aurea_engine.processes.worker_program:start"
"""The program that executes specifications."""


@dataclass(frozen=True)
class Command:
    """What to start. ``program``: ``module:function`` of a `child.Program`; ``memory``: bytes of address space, 0 for no
    limit; ``secrets``: names of environment variables that jobs must not see.
    """

    program: str = WORKER
    memory: int = 0
    secrets: Collection[str] = ()


@dataclass(frozen=True)
class Started:
    """A process that was started, and our ends of what connects us: all are the caller's to close."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    lifeline: int
    output: int


def start_process(command: Command) -> Started:
    """Start it. Raises OSError, and then nothing is left open."""
    # Two stacks: `theirs` is closed here in any case, since only the new process may hold those ends (an end that we kept
    # a copy of would never be seen to close); `ours` only where starting fails.
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        near, far = socket.socketpair()
        theirs.callback(far.close)
        ours.callback(near.close)
        # Nothing is ever written to the lifeline. The kernel closes our end when we end, however that comes about.
        lifeline_read, lifeline = os.pipe()
        theirs.callback(os.close, lifeline_read)
        ours.callback(os.close, lifeline)
        output, output_write = os.pipe()
        theirs.callback(os.close, output_write)
        ours.callback(os.close, output)
        start = _START.format(death_signal=PR_SET_PDEATHSIG, kill=int(signal.SIGKILL), parent=os.getpid())
        arguments = [f"{far.fileno()}", f"{lifeline_read}", f"{command.memory}", command.program]
        # The mask is inherited over exec. Without it, a Ctrl-C between exec and the first line of ours would end a
        # process that nobody had asked to end. `__main__` ignores these signals first and unblocks them then.
        theirs.callback(
            signal.pthread_sigmask, signal.SIG_SETMASK, signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        )
        process = subprocess.Popen(  # noqa: S603 - our own module; vfork and exec take a millisecond
            [sys.executable, *_search_path_flags(), "-c", start, *arguments],
            stdin=subprocess.DEVNULL,  # a job that reads it must not take our terminal's input
            stdout=output_write,
            stderr=output_write,
            # Every other descriptor stays here: a job must not reach our ledger, or another process's lifeline.
            pass_fds=(far.fileno(), lifeline_read),
            start_new_session=True,  # a group of its own, which can be signalled without us
            env=_environment(command.secrets),
        )
        ours.pop_all()
        return Started(process, near, lifeline, output)


@functools.cache
def _search_path_flags() -> list[str]:
    """The process looks for modules where we do: in the folder it was started in only if we do."""
    # `-c` puts the folder of the call in front of everything else. A user's `numpy.py` that lies there would be
    # loaded in place of the library, into a process that is ours: so only where this program was started like that, too.
    try:
        here = str(Path.cwd())
    except OSError:
        here = ""
    return [] if sys.path[0] in ("", here) else ["-P"]


def _environment(secrets: Collection[str]) -> dict[str, str]:
    """Ours without secrets. numpy needs no threads of its own here, and each would take address space."""
    kept = {name: value for name, value in os.environ.items() if name not in secrets}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
