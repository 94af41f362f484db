"""Two processes around the one that executes runs, so that nothing that a job starts outlives it, however well it hides.

::

    server ─ keeper ─ guard ─ runner ─ whatever jobs start

The keeper is what the server started: it leads the process group, in which the runner is too, and ends as the runner ended.
The guard has a group of its own, so it is there when the server kills the other one. Both adopt what loses its parent below
them, so a process that left its group and session is found all the same. The guard ends all that is below it when runner,
keeper or server is gone; the keeper does when the guard is gone. Where there is no Linux, only the group is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import time
from pathlib import Path
from typing import NoReturn

PATIENCE = 5.0
"""Seconds that a process has to die by SIGKILL: one that hangs in the kernel must not hold up the others' end."""

_PROC = Path("/proc")
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


def enclose(peer: int, lifeline: int) -> None:
    """Returns in the runner to be, a new process; this one becomes the keeper and never returns.

    ``peer`` is the runner's alone; ``lifeline`` is a pipe whose other end the server has.
    """
    tie, held = os.pipe()  # closes when the keeper is gone
    _kernel(_PR_SET_CHILD_SUBREAPER, 1)
    if guard := os.fork():
        _become(b"aurea-keeper", peer, lifeline, tie)
        _end_as(_last(guard))
    os.close(held)
    _kernel(_PR_SET_CHILD_SUBREAPER, 1)
    die_with_parent(signal.SIGCONT)  # it may have been stopped; what it is to do then, the tie tells
    guard = os.getpid()
    if runner := os.fork():
        _become(b"aurea-guard", peer)
        os.setpgid(0, 0)
        _end_as(_watch(runner, lifeline, tie))
    os.close(lifeline)
    os.close(tie)
    _kernel(_PR_SET_NAME, b"aurea-runner")
    die_with_parent()
    if os.getppid() != guard:
        os._exit(1)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this signal to this process when its parent ends."""
    _kernel(_PR_SET_PDEATHSIG, number)


def _kernel(option: int, value: int | bytes) -> None:
    """Linux only; a system that does not know the option goes without."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _become(name: bytes, *not_ours: int) -> None:
    _kernel(_PR_SET_NAME, name)
    for descriptor in (0, 1, 2, *not_ours):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _watch(runner: int, *ends: int) -> int:
    """Until the runner has ended, or another end of these pipes has closed; then nothing is left below. Its status."""
    bell, ringer = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(ringer, False)
    signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ear = select.poll()
    for descriptor in (bell, *ends):
        ear.register(descriptor, select.POLLIN)
    while (status := _reaped().get(runner)) is None:
        if {descriptor for descriptor, _ in ear.poll()} & set(ends):
            if not _PROC.exists():
                os.killpg(os.getpgid(runner), signal.SIGKILL)
            return _clear().get(runner, int(signal.SIGKILL))
        with contextlib.suppress(BlockingIOError):
            os.read(bell, 4096)
    _clear()
    return status


def _last(child: int) -> int:
    """Until this child has ended; then what else is below, which is ours now, is ended too. Its status."""
    while True:
        found, status = os.waitpid(-1, 0)
        if found == child:
            _clear()
            return status


def _reaped() -> dict[int, int]:
    """The children that have ended, with their status. Raises ChildProcessError where there are none at all."""
    found: dict[int, int] = {}
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return found
            found[pid] = status
    except ChildProcessError:
        if found:
            return found
        raise


def _clear() -> dict[int, int]:
    """End all that is below, and reap it: a child that ends leaves its own children to us, so at last there are none."""
    until = time.monotonic() + PATIENCE
    found: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until:
            for pid in _children():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            found |= _reaped()
            time.sleep(0.0005)
    return found


def _children() -> list[int]:
    us = os.getpid()
    try:
        return [int(pid) for pid in (_PROC / f"self/task/{us}/children").read_text("ascii").split()]
    except OSError:  # a kernel that does not list them
        return [int(each.name) for each in _PROC.glob("[0-9]*") if _parent(each) == us]


def _parent(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
    return 0


def _end_as(status: int) -> NoReturn:
    """End as the process with this status has ended: by the same signal, or with the same code."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)
