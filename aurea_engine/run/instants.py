"""Virtual time, instant by instant: for runs that may end early, and for jobs that may leave.

Theory of operation. At each instant, in this order:

1. all jobs end that end now (lower job number first);
2. *a stop takes effect*: `Workload.stop_at`, the end of the drain, or an objective that one of these ends has lost;
3. all jobs arrive that arrive now; those that find no room are rejected;
4. jobs whose deadline has come leave, rejected; then jobs start while slots are free; then jobs whose patience ends leave.

A stop at t therefore sees every end of t and no arrival of t. What is in service ends as cancelled at t; what waits is
cancelled and never started; what would arrive at t or later does not arrive. Where an objective is lost with a job that is
turned away as it arrives, that job is the last to arrive; where it is with one that leaves, all leave that leave now, and
the run ends at that instant. A stop from outside falls between two instants: it takes effect one nanosecond after the last
that was worked through.

This loop does everything, and costs some microseconds a job. The faster ones of `event_heap` and `kernels` are for runs in
which every job is served and nothing but the workload ends the run; a property test holds them equal.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import chain

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NEVER
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import BATCH, Recorder
from aurea_engine.run.stop_conditions import StopConditions

Upcoming = tuple[int, int, float, int, int, int]
"""(intended, job, demand, priority, leaf, limit), as `Recorder.numbered` gives them."""

_LOOK = 4096
"""Instants between two looks at whether somebody wants the run to stop."""


class InstantByInstant:
    """One run. ``must_advance`` is called with the instant of each arrival of a closed model."""

    def __init__(
        self,
        plan: JobPlan,
        dispatcher: Dispatcher,
        recorder: Recorder,
        conditions: StopConditions,
        must_advance: Callable[[int], None],
    ) -> None:
        self._plan, self._dispatcher, self._recorder = plan, dispatcher, recorder
        self._conditions, self._must_advance = conditions, must_advance
        self._wait_limits, self._aborts, self._stop_instant = (
            conditions.wait_limits,
            conditions.aborts,
            conditions.stop_instant,
        )
        self._ends: list[tuple[int, int]] = []
        self._arrivals: Iterator[Upcoming] = recorder.numbered(plan)
        self._upcoming = next(self._arrivals, None)
        self._thinking = [0] * plan.users
        thinks = plan.think_times
        self._thinks = None if thinks is None else chain.from_iterable(block.tolist() for block in thinks)
        self._new: list[int] = []

    def run(self) -> None:
        """From instant to instant, until nothing is left to happen or the run is ended."""
        instants = 0
        while (now := self._next_instant()) is not None:
            self._notice_the_last(now)
            self._end(now)
            if self._stop_instant.reached(now) or self._conditions.lost():
                return self._cut(now)
            self._arrive(now)
            if not self._conditions.lost():
                self._serve(now)
            if self._conditions.lost():
                return self._cut(now)
            instants += 1
            if instants % _LOOK == 0:
                self._recorder.digest_batch(BATCH)
                if self._conditions.watch(now):
                    return self._cut(now + 1)
        return None

    def _next_instant(self) -> int | None:
        """The next at which something happens; None when no job and no user is left, whatever the stop."""
        known = [self._ends[0][0]] if self._ends else []
        if self._thinks is None and self._upcoming is not None:
            known.append(self._upcoming[0])
        if self._thinking:
            known.append(self._thinking[0])
        if not known:
            return None
        later = (self._wait_limits.next_instant(), self._stop_instant.next_instant())
        return min(*known, *(instant for instant in later if instant is not None), known[0])

    def _end(self, now: int) -> None:
        ends, recorder = self._ends, self._recorder
        while ends and ends[0][0] <= now:
            job = heapq.heappop(ends)[1]
            recorder.outcome[job - recorder.base] = recorder.abnormal.pop(job, Outcome.COMPLETED)
            recorder.done.append(job)
            self._dispatcher.finish()
            self._ended(job, now)

    def _ended(self, job: int, now: int) -> None:
        """A job has reached its outcome: whoever judges is told, and in the closed model its user thinks."""
        if self._aborts is not None:
            self._aborts.ended(job)
        if self._thinks is not None and self._stop_instant.releasing:
            heapq.heappush(self._thinking, now + next(self._thinks))

    def _notice_the_last(self, now: int) -> None:
        """Whether any job is still to arrive: no more of them are planned, or their time is over."""
        if self._stop_instant.releasing and (self._upcoming is None or self._stop_instant.too_late(now)):
            self._stop_instant.close(now)
            self._thinking.clear()
            if self._aborts is not None:
                self._aborts.all_arrived()

    def _arrive(self, now: int) -> None:
        recorder = self._recorder
        while not self._conditions.lost() and (plan := self._due(now)) is not None:
            _, job, demand, priority, _, _ = plan
            self._stop_instant.latest = now
            recorder.intended[job - recorder.base] = recorder.released[job - recorder.base] = now
            if self._dispatcher.arrive(job, now, demand, priority):
                self._new.append(job)
                self._notice_the_last(now)
            else:
                recorder.reject(job)
                self._notice_the_last(now)
                self._ended(job, now)

    def _due(self, now: int) -> Upcoming | None:
        """The next job that arrives now."""
        due = self._upcoming
        if due is None or (self._thinks is None and due[0] != now):
            return None
        if self._thinks is not None:
            if not self._thinking or self._thinking[0] != now:
                return None
            heapq.heappop(self._thinking)
            self._must_advance(now)
        self._upcoming = next(self._arrivals, None)
        return due

    def _serve(self, now: int) -> None:
        """Whoever may not wait longer leaves, and jobs start while slots are free."""
        waits, recorder = self._wait_limits, self._recorder
        for job in waits.before_starts(now):
            self._ended(job, now)
        for job in self._dispatcher.starts():
            row = job - recorder.base
            recorder.started[row] = now
            recorder.finished[row] = end = now + waits.service(job, now, recorder.finished[row])
            heapq.heappush(self._ends, (end, job))
        if waits.anyone:
            for job in self._new:
                waits.enter(job)
            for job in waits.after_starts(now):
                self._ended(job, now)
        self._new.clear()

    def _cut(self, now: int) -> None:
        """The run ends: see above. Jobs that started now and take no time have ended now."""
        self._end(now)
        for _, job in self._ends:
            self._recorder.cancel(job, now)
            self._dispatcher.finish()
        for job in self._dispatcher.drop_waiting():
            self._recorder.cancel(job, NEVER)
        self._plan.stop(now, releasing=self._stop_instant.left_off(now))
