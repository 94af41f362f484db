"""Real time: the dispatcher driven by a clock and an event loop.

One task pumps: it takes what is due (ends, then arrivals, then starts: the dispatcher's rules), and waits for the next
instant. The schedule is absolute; an arrival that is noticed late is released late and says so in its lag, and nothing that
comes after it moves. What ends a run early, and who leaves when, is as
`aurea_engine.run.driver` describes it, turn by turn.

Jobs that only let time pass cost no task: their ends are a heap of instants. All others run as tasks, which stamp their own
start and end.
"""

from __future__ import annotations

import asyncio
import heapq
from itertools import chain

from aurea_engine.records.batch import NEVER, NS
from aurea_engine.run.clock import Bell
from aurea_engine.run.context import DriverStats, RunContext
from aurea_engine.run.executors import JobTasks
from aurea_engine.run.recorder import BATCH_REALTIME
from aurea_engine.spec import RunSpec
from aurea_engine.workload.jobs import Run

TICK = NS // 10
"""Longest time between two looks at the stop flag."""

TURN = NS // 500
"""Longest time the pump holds the event loop while there is always something due."""
MOST_ARRIVALS = 1024
"""Arrivals of different instants that are taken in one turn: a generator that is behind still looks at the ends."""


class RealTime:
    """Drives one run. ``exact``: spin before an instant that is due, where the event loop's timer is coarser than that."""

    def __init__(self, run: RunContext, *, exact: bool) -> None:
        assert run.clock is not None
        plan, conditions = run.plan, run.conditions
        self._plan, self._dispatcher, self._recorder = plan, run.dispatcher, run.recorder
        self._runs, self._clock, self._conditions = run.runs, run.clock, conditions
        self._wait_limits, self._stop_instant = conditions.wait_limits, conditions.stop_instant
        self._exact = exact
        self._bell = Bell()
        self._timers: list[tuple[int, int]] = []
        self._ended: list[tuple[int, int, int]] = []
        self._tasks = JobTasks(run.recorder, conditions.wait_limits, self._now, self._has_run)
        self._work: dict[int, tuple[Run, float, int]] = {}
        self._arrivals = run.recorder.numbered(plan)
        self._upcoming = next(self._arrivals, None)
        self._thinking = [0] * plan.users
        thinks = plan.think_times
        self._thinks = None if thinks is None else chain.from_iterable(block.tolist() for block in thinks)
        self._new: list[int] = []
        self._note = self._has_ended if self._thinks is not None or conditions.aborts is not None else None
        self._opened = 0
        self._stopped_ns: int | None = None
        self._stats = run.stats

    async def run(self) -> int:
        """Until every job has ended, or the run is ended. Returns the length of the window, ns."""
        self._opened = self._clock.now()
        try:
            await self._pump()
        finally:
            await self._cancel()
        return self._now() if self._stopped_ns is None else self._stopped_ns

    def _now(self) -> int:
        return self._clock.now() - self._opened

    async def _pump(self) -> None:
        """Turn by turn; returns when nothing is left, or the run is over at ``_stopped_ns``."""
        looked = turned = 0
        while True:
            now = self._now()
            if now - looked >= TICK:
                looked = now
                if self._conditions.watch(now):
                    self._stopped_ns = now
                    return
            self._bell.rung = False
            if self._turn(now):
                return
            self._recorder.digest_batch(BATCH_REALTIME)
            due = self._next_instant()
            if due is None and not self._tasks.running and not self._ended:
                return
            now = self._now()
            if not self._ended and (due is None or due > now):
                await self._wait(self._conditions.sooner(due), looked + TICK)
                turned = self._now()
            elif now - turned > TURN:
                await asyncio.sleep(0)
                turned = self._now()

    def _turn(self, now: int) -> bool:
        """All that is due now: ends, arrivals, starts. Whether the run is over."""
        conditions, stop = self._conditions, self._stop_instant
        if conditions.plain:
            self._notice_the_last(now)
            self._end(now)
            self._arrive(now)
            self._start()
            return False
        if over := stop.reached(now):
            now = stop.at_ns or 0  # whenever it was noticed
        self._notice_the_last(now)
        self._end(now)
        if not over and not conditions.lost() and not stop.reached(now):
            self._arrive(now)
            if not conditions.lost():
                self._serve_waiting(now)
            if not conditions.lost():
                return False
        while not conditions.lost() and self._arrive(now - 1, released=now):
            pass  # what a late generator still owes has arrived, and does not start
        self._stopped_ns = now
        return True

    async def _wait(self, due: int | None, tick: int) -> None:
        began = self._now()
        until = tick if due is None else min(due, tick)
        await self._clock.wait(until + self._opened, self._bell, self._exact and until == due)
        now = self._now()
        self._stats.waited_ns += now - began
        if not self._bell.rung:
            self._stats.late_ns = max(self._stats.late_ns, now - until)

    def _next_instant(self) -> int | None:
        due = self._timers[0][0] if self._timers else None
        arrival = self._due()
        return arrival if due is None or (arrival is not None and arrival < due) else due

    def _end(self, now: int) -> None:
        timers, note = self._timers, self._note
        recorder, base, finish = self._recorder, self._recorder.base, self._dispatcher.finish
        finished, outcomes, done, abnormal = recorder.finished, recorder.outcome, recorder.done, recorder.abnormal
        while timers and timers[0][0] <= now:
            job = heapq.heappop(timers)[1]
            finished[job - base] = now
            outcomes[job - base] = abnormal.pop(job, 1) if abnormal else 1
            done.append(job)
            finish()
            if note is not None:
                note(job, now)
        if not self._ended:
            return
        ended, self._ended = self._ended, []
        for at, job, outcome in sorted(ended):
            finished[job - base] = at
            outcomes[job - base] = outcome
            done.append(job)
            finish()
            if note is not None:
                note(job, at)

    def _has_run(self, at: int, job: int, outcome: int) -> None:
        """A task has ended, between two turns."""
        self._ended.append((at, job, outcome))
        self._bell.ring()

    def _has_ended(self, job: int, at: int) -> None:
        """A job has reached its outcome: whoever judges is told, and in the closed model its user thinks."""
        if self._conditions.aborts is not None:
            self._conditions.aborts.ended(job)
        if self._thinks is not None and self._stop_instant.releasing:
            heapq.heappush(self._thinking, at + next(self._thinks))

    def _notice_the_last(self, now: int) -> None:
        """Whether any job is still to arrive: no more of them are planned, or their time is over."""
        stop = self._stop_instant
        if not stop.releasing or (self._thinks is None and self._upcoming is not None):
            return
        if self._upcoming is None or (stop.too_late(now) and stop.too_late(self._due() or now)):
            stop.close(now)
            self._thinking.clear()
            if self._conditions.aborts is not None:
                self._conditions.aborts.all_arrived()

    def _due(self) -> int | None:
        """When the next job arrives, as far as anybody knows."""
        if self._thinks is not None:
            return self._thinking[0] if self._thinking and self._upcoming is not None else None
        return None if self._upcoming is None else self._upcoming[0]

    def _arrive(self, now: int, released: int | None = None) -> bool:
        """Release what is due, `MOST_ARRIVALS` and the rest of an instant at a time. Whether anything was.

        Each is stamped by the clock, or as ``released`` where that is given.
        """
        taken, at, aborts = 0, -1, self._conditions.aborts
        recorder, arrive, clock, opened = self._recorder, self._dispatcher.arrive, self._clock.now, self._opened
        closed, thinking, new = (
            self._thinks is not None,
            self._thinking,
            self._new if self._wait_limits.anyone else None,
        )
        while (plan := self._upcoming) is not None and (aborts is None or aborts.lost is None):
            due = (thinking[0] if thinking else now + 1) if closed else plan[0]
            if due > now or (taken >= MOST_ARRIVALS and due != at):
                break
            if closed and self._stop_instant.too_late(due):
                break
            at, taken = due, taken + 1
            _, job, demand, priority, leaf, limit = plan
            row = job - recorder.base
            if closed:
                heapq.heappop(thinking)
                recorder.intended[row] = at
            recorder.released[row] = clock() - opened if released is None else released
            self._upcoming = next(self._arrivals, None)
            if self._upcoming is None:
                self._stop_instant.latest = at
                self._notice_the_last(now)
            if arrive(job, at, demand, priority):
                self._admit(job, leaf, demand, limit)
                if new is not None:
                    new.append(job)
            else:
                recorder.reject(job)
                if self._note is not None:
                    self._note(job, self._now())
        if taken:
            self._stop_instant.latest = at
        return taken > 0

    def _admit(self, job: int, leaf: int, demand: float, limit: int) -> None:
        """Remember what a job that is no mere timer has to do, until it starts."""
        run = self._runs[leaf]
        if run is not None:
            self._work[job] = (run, demand, limit)

    def _serve_waiting(self, now: int) -> None:
        """Whoever may not wait longer leaves, and jobs start while slots are free."""
        waits = self._wait_limits
        if not waits.anyone:
            self._start()
            return
        left = waits.before_starts(now)
        self._start()
        for job in self._new:
            waits.enter(job)
        self._new.clear()
        for job in (*left, *waits.after_starts(now)):
            self._work.pop(job, None)
            if self._note is not None:
                self._note(job, now)

    def _start(self) -> None:
        """Jobs that only let time pass share one stamp, as they share the one that ends them: none is shorter than asked."""
        jobs = self._dispatcher.starts()
        if not jobs:
            return
        recorder, work, clock, opened = self._recorder, self._work, self._clock.now, self._opened
        started, finished, base, timers = recorder.started, recorder.finished, recorder.base, self._timers
        now = clock() - opened
        if self._wait_limits.anyone:
            for job in jobs:
                self._wait_limits.limit_service(job, now)
        for job in jobs:
            mine = work.pop(job, None) if work else None
            if mine is not None:
                started[job - base] = now  # it waits no longer; its task says when it really began
                self._tasks.start(job, *mine)
            elif service := finished[job - base]:
                started[job - base] = now
                heapq.heappush(timers, (now + service, job))
            else:
                started[job - base] = clock() - opened
                self._ended.append((clock() - opened, job, recorder.abnormal.pop(job, 1)))

    async def _cancel(self) -> None:
        """Nothing outlives the window: what is in service or waits ends as cancelled, and nobody thinks of a next job."""
        cut = self._now() if self._stopped_ns is None else self._stopped_ns
        self._note = None
        self._end(cut)
        recorder = self._recorder
        for job in [*self._tasks.running, *(job for _, job in self._timers)]:
            began = recorder.started[job - recorder.base]
            recorder.cancel(job, NEVER if began < 0 else max(cut, began))
            self._dispatcher.finish()
        for job in self._dispatcher.drop_waiting():
            recorder.cancel(job, NEVER)
        if self._stopped_ns is not None:
            self._plan.stop(cut, releasing=self._stop_instant.left_off(cut))
        await self._tasks.cancel()


class RealTimeDriver:
    """The driver of real time that accepts everything."""

    def accepts(self, spec: RunSpec) -> bool:
        return spec.clock == "real"

    async def drive(self, run: RunContext) -> DriverStats:
        exact = not any(leaf.executor == "cpu_workers" for leaf in run.spec.workload.job.leaves())
        run.stats.window_ns = await RealTime(run, exact=exact).run()
        return run.stats
