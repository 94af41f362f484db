"""The shortest closed loop: users who do not think, jobs that take no time, a slot for everyone.

Nothing is ever waited for, so the pump's heaps would only be turned over. Users simply take turns, in the order in which
their last jobs ended, which is the order in which the pump would release them. A property test holds both equal, job by job.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.run.clock import Clock
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import BATCH_REALTIME, Recorder
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Closed
from aurea_engine.workload.distributions import Constant
from aurea_engine.workload.jobs import Sleep

NOTHING = Constant(0.0)


def can_sprint(spec: RunSpec) -> bool:
    """Whether ``spec`` is that loop."""
    arrivals, job, slots = spec.workload.arrivals, spec.workload.job, spec.scheduler.slots
    if type(arrivals) is not Closed or type(job) is not Sleep:
        return False
    return arrivals.think_time == job.duration == NOTHING and (slots is None or slots >= arrivals.users)


class Sprint:
    """Drives one such run; see `RealTime`, whose place it takes."""

    def __init__(
        self, plan: JobPlan, dispatcher: Dispatcher, recorder: Recorder, clock: Clock, watch: Callable[[int], bool]
    ) -> None:
        self._plan, self._dispatcher, self._recorder = plan, dispatcher, recorder
        self._clock, self._watch = clock, watch
        self.waited_ns = self.late_ns = 0

    async def run(self) -> int:
        """Until the jobs or the duration run out, or the watch says stop. Returns the length of the window, ns."""
        clock, users = self._clock.now, self._plan.users
        opened = clock()
        ends = deque([opened] * users)
        for block in self._plan.blocks():
            n = len(block)
            times = self._turns(ends, n, opened)
            self._recorder.extend(block)
            self._write(n, times, opened)
            self._dispatcher.arrived += len(times[0])
            self._dispatcher.ended += len(times[0])
            self._dispatcher.peak = max(self._dispatcher.peak, min(users, len(times[0])))
            self._recorder.digest_batch(BATCH_REALTIME)
            if self._watch(clock() - opened) or len(times[0]) < n:
                break
            await asyncio.sleep(0)
        return clock() - opened

    def _turns(self, ends: deque[int], n: int, opened: int) -> tuple[list[int], list[int], list[int]]:
        """Up to ``n`` jobs: when each was meant to start, when it did, and when it ended."""
        clock, take, put = self._clock.now, ends.popleft, ends.append
        stop = None if self._plan.stop_ns is None else opened + self._plan.stop_ns
        intended: list[int] = []
        started: list[int] = []
        finished: list[int] = []
        for _ in range(n):
            at = take()
            if stop is not None and at >= stop:
                break
            intended.append(at)
            started.append(clock())
            now = clock()
            finished.append(now)
            put(now)
        return intended, started, finished

    def _write(self, n: int, times: tuple[list[int], list[int], list[int]], opened: int) -> None:
        recorder, took = self._recorder, len(times[0])
        first = len(recorder.outcome) - n
        intended, started, finished = (np.array(column, np.int64) - opened for column in times)
        columns = (recorder.intended, intended), (recorder.released, started), (recorder.started, started)
        for column, values in (*columns, (recorder.finished, finished)):
            np.frombuffer(column, np.int64)[first : first + took] = values
        np.frombuffer(recorder.outcome, np.uint8)[first : first + took] = Outcome.COMPLETED
        recorder.done.frombytes(np.arange(recorder.base + first, recorder.base + first + took).tobytes())
