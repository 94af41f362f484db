"""The guard: ends whatever jobs started and hid, when the worker that ran them is gone, or one of those who watch it is."""

# Why a process of its own? Killing a process group reaches all that stayed in it. A program that a job starts with
# ``start_new_session``, or that forks twice, is in no group that anybody knows. Such a program loses its parent at the
# latest when the worker ends, and the kernel then hands it to the nearest ancestor that adopts orphans. That is the
# guard, directly above the worker:
#
#     supervisor ─ keeper ─ guard ─ worker ─ whatever jobs start
#
# All that hid below the worker is then a *child* of the guard, which `/proc` lists, so it can be killed without guessing.
# Killing a child hands its own children to the guard in turn, so `end_descendants` repeats until there are no more. A
# fork bomb that forks faster than it is killed is what `KILL_PATIENCE` is for.
#
# The guard waits for three things at once, with one `poll` and no thread (it has forked, and must not allocate much):
#
# - a child ended (SIGCHLD, made readable by `signal.set_wakeup_fd`): if it is the worker, the run is over one way or
#   other;
# - the *lifeline* closed: the supervisor is gone, or wants all of this ended, which are the same to us;
# - the *tie* closed: the keeper is gone, so nobody is left who would tell the supervisor how this ended.
#
# The guard is in a process group of its own: the supervisor's last resort is SIGKILL to the worker's group, and the
# process that cleans up afterwards must not be in it.

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from aurea_engine.processes.linux import PROC, children

KILL_PATIENCE = 5.0
"""Seconds that descendants have to die by SIGKILL: one that hangs in the kernel must not hold up the others' end."""


def guard_worker(worker: int, *ends: int) -> int:
    """Wait until the worker has ended, or one of these pipes has closed; then leave nothing below. Its wait status."""
    wakeup, signalled = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(signalled, False)
    # Without a handler of Python's, SIGCHLD is ignored and nothing is ever written to the pipe. A full pipe is no fault:
    # one byte in it is enough to wake us, and all children are asked for every time.
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poller = select.poll()
    for descriptor in (wakeup, *ends):
        poller.register(descriptor, select.POLLIN)
    # Children are reaped before each wait, not only after one: the worker may have ended before the handler was set.
    while (status := reap().get(worker)) is None:
        if {descriptor for descriptor, _ in poller.poll()} & set(ends):
            if not PROC.exists():  # no Linux: children cannot be listed, and the worker's group is all that is known
                os.killpg(os.getpgid(worker), signal.SIGKILL)
            return end_descendants().get(worker, int(signal.SIGKILL))
        with contextlib.suppress(BlockingIOError):
            os.read(wakeup, 4096)
    end_descendants()
    return status


def reap() -> dict[int, int]:
    """The children that have ended, with their wait status. Raises ChildProcessError if there are no children at all."""
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


def end_descendants() -> dict[int, int]:
    """End all that is below this process, and reap it. The wait status of each child that was reaped."""
    until = time.monotonic() + KILL_PATIENCE
    found: dict[int, int] = {}
    # A child that ends leaves its children to us. So the loop ends when `reap` raises: then there is no descendant left.
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until:
            for pid in children():
                # None of these numbers can belong to another process: a child keeps its number until we reap it.
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            found |= reap()
            time.sleep(0.0005)  # killed processes need a moment to become zombies; spinning would take it from them
    return found
