"""Starting a runner process: what it is given, and what it is not."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that wait while a process is being started: what every process at once gets is for the server to judge."""

_SECRETS = ("AUREA_TOKEN", "AUREA_TOKEN_FILE")


def spawn(memory: int) -> tuple[socket.socket, subprocess.Popen[bytes], int, int]:
    """(our end of the socket, the process, the lifeline's end that we hold, where its output comes out). Raises OSError."""
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as failed:
        near, far = socket.socketpair()
        theirs.callback(far.close)
        failed.callback(near.close)
        lifeline_read, lifeline = os.pipe()
        theirs.callback(os.close, lifeline_read)
        failed.callback(os.close, lifeline)
        output, output_write = os.pipe()
        theirs.callback(os.close, output_write)
        failed.callback(os.close, output)
        arguments = [f"{far.fileno()}", f"{lifeline_read}", f"{memory}"]
        theirs.callback(signal.pthread_sigmask, signal.SIG_SETMASK, signal.pthread_sigmask(signal.SIG_BLOCK, HELD))
        process = subprocess.Popen(  # noqa: S603 - our own module; vfork and exec take a millisecond
            [sys.executable, *_search_path(), "-m", "aurea_server.runner", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output_write,
            stderr=output_write,
            pass_fds=(far.fileno(), lifeline_read),
            start_new_session=True,
            env=_environment(),
        )
        failed.pop_all()
        return near, process, lifeline, output


@functools.cache
def _search_path() -> list[str]:
    """The runner looks for modules where the server does: in the folder it was started in only if the server does."""
    try:
        here = str(Path.cwd())
    except OSError:
        here = ""
    return [] if sys.path[0] in ("", here) else ["-P"]


def _environment() -> dict[str, str]:
    """Ours without secrets; numpy needs no threads of its own here."""
    kept = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
