"""The keeper: the process that a supervisor starts, and the only one of the three that it knows."""

#     supervisor ─ keeper ─ guard ─ worker ─ whatever jobs start
#
# `enclose` makes one process into these three. Who watches whom, and what happens when one of them is gone:
#
# - **The worker ends** (done, crashed, killed). The guard ends all that jobs left, and ends as the worker ended: with the
#   same exit code, or by the same signal. The keeper sees the guard end, and does likewise. So the supervisor, which can
#   wait only for its own child, learns how the *worker* ended.
# - **The guard is killed.** The kernel kills the worker (`die_with_parent`). What hid below is now the keeper's, which
#   adopts orphans too, and ends it in the guard's place.
# - **The guard is stopped** (SIGSTOP). Nothing is cleaned up until it is continued. When the keeper ends, the kernel
#   sends the guard SIGCONT, and the tie, which has closed meanwhile, tells it what to do.
# - **The keeper is killed.** The tie closes. The guard ends everything and itself.
# - **The supervisor ends**, however: its end of the lifeline closes with it, and the guard ends everything. The kernel
#   also kills the keeper, as the child of a parent that is gone, but nothing depends on that.
# - **The supervisor wants the end:** it closes the lifeline. A second later it sends SIGKILL to the group of keeper and
#   worker; the guard is in another group, sees the tie close, and ends the rest.
#
# The keeper leads the process group, and the worker is in it: signals to the group reach both. They ignore the polite
# ones (`IGNORED_SIGNALS` in `__main__`) until the supervisor has asked for a stop, since a Ctrl-C at a terminal goes to
# every process of the foreground group and is the supervisor's to judge.
#
# Where the system is not Linux, nobody adopts orphans, no death signal is sent, and only the process group is ended.

from __future__ import annotations

import contextlib
import os
import signal
from typing import NoReturn

from aurea_engine.processes.guard import end_descendants, guard_worker
from aurea_engine.processes.linux import adopt_orphans, die_with_parent, set_process_name


def enclose(peer: int, lifeline: int) -> None:
    """Return in a new process, the worker to be; the calling process becomes the keeper and never returns.

    ``peer`` is the descriptor of the worker's socket, which is the worker's alone; ``lifeline`` is the end of a pipe whose
    other end the supervisor holds.
    """
    # The tie: a pipe whose write end only the keeper has. Nothing is ever written; that it closes is the message.
    tie, held_by_keeper = os.pipe()
    adopt_orphans()
    if guard := os.fork():
        # A process with a copy of a descriptor keeps its other end from closing. So each process closes what is not its
        # own.
        _become(b"aurea-keeper", peer, lifeline, tie)
        _end_with_status(_wait_for_guard(guard))
    os.close(held_by_keeper)
    adopt_orphans()  # not inherited by fork, unlike most of what prctl sets
    die_with_parent(signal.SIGCONT)  # not SIGKILL: it must live to clean up, and may have been stopped
    guard = os.getpid()
    if worker := os.fork():
        _become(b"aurea-guard", peer)
        os.setpgid(0, 0)
        _end_with_status(guard_worker(worker, lifeline, tie))
    os.close(lifeline)
    os.close(tie)
    set_process_name(b"aurea-runner")
    die_with_parent()
    if os.getppid() != guard:  # it ended before the kernel was asked to tell us
        os._exit(1)


def _become(name: bytes, *not_ours: int) -> None:
    """Take a name, and close what is not ours: the supervisor reads the worker's output until its last writer ends."""
    set_process_name(name)
    for descriptor in (0, 1, 2, *not_ours):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _wait_for_guard(guard: int) -> int:
    """Until the guard has ended; then what is left below, which is ours now, is ended too. The guard's wait status."""
    while True:
        found, status = os.waitpid(-1, 0)  # any child: orphans that the guard left are reaped on the way
        if found == guard:
            end_descendants()
            return status


def _end_with_status(status: int) -> NoReturn:
    """End as the process with this wait status ended: by the same signal, or with the same code."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)  # ours may be ignored, and then it would not end us
        os.kill(os.getpid(), -code)
    # `_exit`, not `exit`: this process was forked from one with buffers and handlers that are not its own to run.
    os._exit(code if code >= 0 else 128 - code)
