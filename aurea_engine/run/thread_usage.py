"""Processor time of the generator's thread: whether a generator that seems to wait was in fact busy."""

# The pump waits for jobs, and meanwhile their callbacks run in the same thread: parsing a reply is work, not leisure. And on
# a machine that is busy with something else, the thread has work and no processor. Both are the generator's limit, and
# neither shows in how long the pump waited. A thread is always in one of three states: it runs, it waits for a processor,
# or it sleeps. The system counts the first two.

from __future__ import annotations

from pathlib import Path
from time import thread_time_ns

from aurea_engine.run.clock import Clock, MonotonicClock

_SCHEDULER = Path("/proc/thread-self/schedstat")
"""Linux: ns on a processor, ns on the run queue waiting for one, time slices (kernel: ``scheduler/sched-stats.rst``)."""


class ThreadUsage:
    """The usage of this thread since this was made."""

    def __init__(self, clock: Clock) -> None:
        # A clock that a test moves knows nothing of this thread.
        self._is_real = isinstance(clock, MonotonicClock)
        self._before = self._read()

    def used_ns(self) -> int:
        """For how long the thread had work: on a processor, or waiting for one where the system says so. Takes some
        microseconds.
        """
        return self._read() - self._before

    def _read(self) -> int:
        if not self._is_real:
            return 0
        try:
            queued = int(_SCHEDULER.read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            queued = 0
        return thread_time_ns() + queued
