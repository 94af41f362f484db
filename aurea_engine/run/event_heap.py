"""Virtual time: the clock jumps from event to event, and nothing is waited for.

The general path is a heap of ends over the dispatcher, and works for every scheduler and arrivals. The disciplines that come
with Aurea have a shorter one where arrivals are open and nothing is rejected: see `kernels`. Where jobs may leave, or
something but the last job may end the run, `instants` works through it instant by instant.

All of them can be stopped from outside, which `watch` tells now and then. Such a stop takes effect at one instant, as
`instants` describes it: the same run with that instant as its `Workload.stop_at` has the same records.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import chain

from aurea_engine.errors import Problem, SpecError
from aurea_engine.records.batch import NEVER, Instants
from aurea_engine.run.context import DriverStats, RunContext, in_reach
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.instants import InstantByInstant
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import BATCH, Recorder
from aurea_engine.run.stop_conditions import Watch
from aurea_engine.spec import RunSpec
from aurea_engine.workload.schedulers import BUILT_IN

STANDSTILL = 1_000_000
"""Arrivals at one instant after which a closed model without a number of jobs is taken to stand still."""

FOREVER = 2**63
_LAST = (FOREVER, -1, 0.0, 0, 0, 0)
"""Comes after the last arrival."""


class EventHeap:
    """The driver of virtual time that accepts everything."""

    def accepts(self, spec: RunSpec) -> bool:
        return spec.clock == "virtual"

    async def drive(self, run: RunContext) -> DriverStats:
        with in_reach():
            if run.conditions.plain:
                scheduler = run.spec.scheduler
                sees_all = scheduler.slots is not None and type(scheduler) not in BUILT_IN
                _Simulation(run.plan, run.dispatcher, run.recorder, run.conditions.watch, sees_all).run()
            else:
                advancing = _Advancing(run.plan)
                InstantByInstant(run.plan, run.dispatcher, run.recorder, run.conditions, advancing.arrived).run()
        return run.close_virtual_window()


class _Simulation:
    """The general path: a heap of ends of jobs in service, and in the closed model one of users who think."""

    def __init__(self, plan: JobPlan, dispatcher: Dispatcher, recorder: Recorder, watch: Watch, sees_all: bool) -> None:
        self._plan = plan
        self._sees_all = sees_all
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._watch = watch
        self._ends: list[tuple[int, int]] = []

    def run(self) -> None:
        """From event to event until nothing is left to happen."""
        thinks = self._plan.think_times
        stopped = (
            self._run_closed(chain.from_iterable(map(_as_list, thinks))) if thinks is not None else self._run_open()
        )
        if stopped is not None:
            self._cut_after(stopped)

    def _run_open(self) -> int | None:
        ends, recorder, dispatcher, look = self._ends, self._recorder, self._dispatcher, BATCH
        pop, push, replace = heapq.heappop, heapq.heappush, heapq.heapreplace
        arrive, finish, succeed, enter = (
            dispatcher.arrive,
            dispatcher.finish,
            dispatcher.succeed,
            dispatcher.pass_through,
        )
        full, room = dispatcher.slots, 0 if self._sees_all else dispatcher.slots
        done, outcome, started, finished = recorder.done, recorder.outcome, recorder.started, recorder.finished
        abnormal, arrivals, base = recorder.abnormal, recorder.numbered(self._plan), recorder.base
        at, job, demand, priority, _, _ = next(arrivals, _LAST)
        while ends or at != FOREVER:
            now = ends[0][0] if ends else FOREVER
            if now < at:  # an end, and no arrival with it
                ended = ends[0][1]
                outcome[ended - base] = abnormal.pop(ended, 1) if abnormal else 1
                done.append(ended)
                if dispatcher.waiting:
                    row = (ended := succeed()) - base
                    started[row] = now
                    finished[row] = end = now + finished[row]
                    replace(ends, (end, ended))
                else:
                    finish()
                    pop(ends)
            elif at < now and dispatcher.busy >= full:  # an arrival that can only wait
                if not arrive(job, at, demand, priority):
                    recorder.reject(job)
                at, job, demand, priority, _, _ = next(arrivals, _LAST)
                continue
            else:
                alone, now, here = at < now, at, [(job, demand, priority)]
                at, job, demand, priority, _, _ = next(arrivals, _LAST)
                if alone and at != now and dispatcher.busy < room:  # nobody needs to choose
                    enter(1)
                    row = (first := here[0][0]) - base
                    started[row] = now
                    finished[row] = end = now + finished[row]
                    push(ends, (end, first))
                    continue
                while at == now:
                    here.append((job, demand, priority))
                    at, job, demand, priority, _, _ = next(arrivals, _LAST)
                self._meet(now, here)
            if len(done) >= look:
                if self._look(now):
                    return now
                look, base = len(done) + BATCH, recorder.base
        return None

    def _meet(self, now: int, arrivals: Iterable[tuple[int, float, int]]) -> None:
        """An instant at which several things happen: all ends, all ``arrivals`` (job, demand, priority), starts."""
        ends, recorder, dispatcher, base = self._ends, self._recorder, self._dispatcher, self._recorder.base
        while ends and ends[0][0] == now:
            self._end(heapq.heappop(ends)[1])
        for job, demand, priority in arrivals:
            if not dispatcher.arrive(job, now, demand, priority):
                recorder.reject(job)
        for job in dispatcher.starts():
            recorder.started[job - base] = now
            recorder.finished[job - base] = end = now + recorder.finished[job - base]
            heapq.heappush(ends, (end, job))

    def _end(self, job: int) -> None:
        recorder = self._recorder
        recorder.outcome[job - recorder.base] = recorder.abnormal.pop(job, 1)
        recorder.done.append(job)
        self._dispatcher.finish()

    def _run_closed(self, thinks: Iterator[int]) -> int | None:  # noqa: C901 - one loop; a call more costs each job
        ends, recorder, dispatcher, look = self._ends, self._recorder, self._dispatcher, BATCH
        pop, push = heapq.heappop, heapq.heappush
        arrive, finish, starts = dispatcher.arrive, dispatcher.finish, dispatcher.starts
        done, outcome, started, finished = recorder.done, recorder.outcome, recorder.started, recorder.finished
        abnormal, plans = recorder.abnormal, recorder.numbered(self._plan)
        intended, released, stop_ns = recorder.intended, recorder.released, self._plan.stop_ns
        thinking, must_advance = [0] * self._plan.users, _Advancing(self._plan).arrived
        may_stand_still = self._plan.unlimited
        while thinking or ends:
            now = thinking[0] if thinking and (not ends or thinking[0] < ends[0][0]) else ends[0][0]
            base = recorder.base
            while ends and ends[0][0] == now:
                job = pop(ends)[1]
                outcome[job - base] = abnormal.pop(job, 1) if abnormal else 1
                done.append(job)
                finish()
                push(thinking, now + next(thinks))
            while thinking and thinking[0] == now:
                pop(thinking)
                plan = next(plans, None) if stop_ns is None or now < stop_ns else None
                if plan is None:
                    thinking.clear()
                    break
                _, job, demand, priority, _, _ = plan
                intended[job - base] = released[job - base] = now
                if not arrive(job, now, demand, priority):
                    recorder.reject(job)
                    push(thinking, now + next(thinks))
                if may_stand_still:
                    must_advance(now)
            if dispatcher.waiting and dispatcher.busy < dispatcher.slots:
                for job in starts():
                    row = job - base
                    started[row] = now
                    finished[row] = end = now + finished[row]
                    push(ends, (end, job))
            if len(done) >= look:
                if self._look(now):
                    return now
                look = len(done) + BATCH
        return None

    def _look(self, now: int) -> bool:
        """Digest what has ended, where that is wanted, and ask whether to stop."""
        self._recorder.digest_batch(BATCH)
        return self._watch(now)

    def _cut_after(self, now: int) -> None:
        """Stopped, when ``now`` was looked at: what is left to happen now does, and the run ends a nanosecond later.

        No arrival of an open process is left: all of an instant are taken together. A user of the closed model who would
        send again at this very instant does not.
        """
        ends, cut = self._ends, now + 1
        while ends and ends[0][0] <= now:
            self._meet(now, ())
        while ends and ends[0][0] == cut:
            self._end(heapq.heappop(ends)[1])
        for _, job in ends:
            self._recorder.cancel(job, cut)
            self._dispatcher.finish()
        for job in self._dispatcher.drop_waiting():
            self._recorder.cancel(job, NEVER)
        self._plan.stop(cut, releasing=True)


class _Advancing:
    """A closed model whose jobs and thoughts take no time, and that has no number of jobs, would never end."""

    def __init__(self, plan: JobPlan) -> None:
        self._may_stand_still = plan.unlimited
        self._standing_still = 0
        self._last = -1

    def arrived(self, now: int) -> None:
        """Of each arrival. Raises `SpecError` where there is no end to those of one instant."""
        self._standing_still = self._standing_still + 1 if now == self._last else 0
        self._last = now
        if self._may_stand_still and self._standing_still > STANDSTILL:
            problem = (
                "is required, or a think time: users who come back at once, served or not, never reach the duration"
            )
            raise SpecError([Problem("workload.jobs", problem)])


def _as_list(block: Instants) -> list[int]:
    return block.tolist()  # type: ignore[no-any-return]
