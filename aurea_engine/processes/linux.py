"""What Linux offers for supervising processes: a signal when the parent ends, orphans to adopt, a name to be seen by."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

PROC = Path("/proc")
# From <linux/prctl.h>; Python has no names for them.
PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this signal to this process when its parent ends.

    "Parent" is the *thread* that forked this process (prctl(2), PR_SET_PDEATHSIG): a process must be started by a thread
    that lives as long as the process is wanted. And the kernel says nothing where the parent was gone before the call, so
    a caller that cannot exclude that looks at `os.getppid` afterwards.
    """
    _prctl(PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, in place of process 1 (PR_SET_CHILD_SUBREAPER).

    A program that forks twice and starts a session, as daemons do, is still found among our children then.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_process_name(name: bytes) -> None:
    """The name that ``ps -o comm`` and ``/proc/PID/comm`` show: at most 15 bytes."""
    _prctl(_PR_SET_NAME, name)


def _prctl(option: int, value: int | bytes) -> None:
    """Linux only; a system that does not know the option goes without."""
    # By ctypes, since the standard library has no prctl. In a process that has just forked: `CDLL(None)` opens nothing
    # new.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def children() -> list[int]:
    """The processes whose parent this one is, ended ones that were not reaped included."""
    us = os.getpid()
    try:
        # Of the main thread alone: the callers have no other threads.
        return [int(pid) for pid in (PROC / f"self/task/{us}/children").read_text("ascii").split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN: ask every process for its parent
        return [int(each.name) for each in PROC.glob("[0-9]*") if _parent_of(each) == us]


def _parent_of(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The name of the program comes before, in parentheses, and may hold anything: also parentheses and blanks.
        return int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
    return 0


def resident_bytes() -> int:
    """Memory that this process has in use; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((PROC / "self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def is_runnable(pid: int) -> bool:
    """Whether a thread of the process runs, or would if it got a processor: then it is neither stopped nor idle."""
    with contextlib.suppress(OSError, IndexError):
        for thread in (PROC / f"{pid}/task").iterdir():
            if (thread / "stat").read_bytes().rpartition(b")")[2].split()[0] == b"R":
                return True
    return False


def read_usage_ns(pid: int) -> int:
    """CPU time of a process and all below it so far, and the time for which they waited for a processor; 0 where the system
    does not say. One that has ended takes its time along.
    """
    # Waiting for a processor is a sign of life, too: on a busy machine a process may get none for seconds.
    used, waiting = 0, [pid]
    while waiting:
        with contextlib.suppress(OSError, ValueError, IndexError):  # it may end at any moment
            for thread in (PROC / f"{waiting.pop()}/task").iterdir():
                used += sum(map(int, (thread / "schedstat").read_text("ascii").split()[:2]))
                waiting += map(int, (thread / "children").read_text("ascii").split())
    return used
