"""Real time: the dispatcher driven by a clock and an event loop.

One task pumps: it takes what is due (ends, then arrivals, then starts: the dispatcher's rules), and waits for the next
instant. The schedule is absolute; an arrival that is noticed late is released late and says so in its lag, and nothing that
comes after it moves.

Jobs that only let time pass cost no task: their ends are a heap of instants. All others run as tasks, which stamp their own
start and end.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from aurea_engine._dispatcher import Dispatcher
from aurea_engine._recorder import SIP, Recorder
from aurea_engine._release import UNKNOWN, Release
from aurea_engine.clock import Bell, Clock
from aurea_engine.jobs import Run
from aurea_engine.records import NEVER, NS, Outcome

Watch = Callable[[int], bool]
"""Called with ns since the window opened, at least ten times a second; True stops the run."""

TICK = NS // 10
"""Longest time between two looks at the stop flag."""

TURN = NS // 500
"""Longest time the pump holds the event loop while there is always something due."""

GRACE = 2.0
"""Seconds that cancelled jobs have to end before they are left behind."""


MOST_ARRIVALS = 1024
"""Arrivals of different instants that are taken in one turn: a generator that is behind still looks at the ends."""


class RealTime:
    """Drives one run. ``runs[leaf]`` does one job of that leaf, or is None where only time has to pass.

    ``exact``: spin before an instant that is due, where the event loop's timer is coarser than that.
    """

    def __init__(
        self,
        release: Release,
        dispatcher: Dispatcher,
        recorder: Recorder,
        runs: Sequence[Run | None],
        clock: Clock,
        watch: Watch,
        *,
        exact: bool,
    ) -> None:
        self._release, self._dispatcher, self._recorder = release, dispatcher, recorder
        self._runs, self._clock, self._watch = runs, clock, watch
        self._exact = exact
        self._bell = Bell()
        self._timers: list[tuple[int, int]] = []
        self._ended: list[tuple[int, int, int]] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._work: dict[int, tuple[Run, float, int]] = {}
        self._arrivals = recorder.numbered(release)
        self._upcoming = None if release.closed else next(self._arrivals, None)
        self._thinking = [0] * release.users
        thinks = release.think_times
        self._thinks = None if thinks is None else chain.from_iterable(block.tolist() for block in thinks)
        self._opened = 0
        self.waited_ns = 0
        """Time spent waiting for the next instant: the rest of the window the pump was at work."""
        self.late_ns = 0
        """Longest time that the event loop kept the pump beyond the instant it waited for."""

    async def run(self) -> int:
        """Until every job has ended, or the watch says stop. Returns the length of the window, ns."""
        self._opened = self._clock.now()
        try:
            await self._pump()
        finally:
            await self._cancel()
        return self._now()

    def _now(self) -> int:
        return self._clock.now() - self._opened

    async def _pump(self) -> None:
        looked = turned = 0
        while True:
            now = self._now()
            if now - looked >= TICK:
                looked = now
                if self._watch(now):
                    return
            self._bell.rung = False
            self._end(now)
            self._arrive(now)
            self._start()
            self._recorder.digest_some(SIP)
            due = self._next_instant()
            if due is None and not self._tasks and not self._ended:
                return
            now = self._now()
            if not self._ended and (due is None or due > now):
                await self._wait(due, looked + TICK)
                turned = self._now()
            elif now - turned > TURN:
                await asyncio.sleep(0)
                turned = self._now()

    async def _wait(self, due: int | None, tick: int) -> None:
        began = self._now()
        until = tick if due is None else min(due, tick)
        await self._clock.wait(until + self._opened, self._bell, self._exact and until == due)
        now = self._now()
        self.waited_ns += now - began
        if not self._bell.rung:
            self.late_ns = max(self.late_ns, now - until)

    def _next_instant(self) -> int | None:
        due = self._timers[0][0] if self._timers else None
        if self._upcoming is not None and (due is None or self._upcoming[0] < due):
            due = self._upcoming[0]
        if self._thinking and (due is None or self._thinking[0] < due):
            due = self._thinking[0]
        return due

    def _end(self, now: int) -> None:
        timers, thinks = self._timers, self._thinks
        recorder, base, finish = self._recorder, self._recorder.base, self._dispatcher.finish
        finished, outcomes, done, abnormal = recorder.finished, recorder.outcome, recorder.done, recorder.abnormal
        while timers and timers[0][0] <= now:
            job = heapq.heappop(timers)[1]
            finished[job - base] = now
            outcomes[job - base] = abnormal.pop(job, 1) if abnormal else 1
            done.append(job)
            finish()
            if thinks is not None:
                heapq.heappush(self._thinking, now + next(thinks))
        if not self._ended:
            return
        ended, self._ended = self._ended, []
        for at, job, outcome in sorted(ended):
            finished[job - base] = at
            outcomes[job - base] = outcome
            done.append(job)
            finish()
            if thinks is not None:
                heapq.heappush(self._thinking, at + next(thinks))

    def _arrive(self, now: int) -> None:
        if self._thinks is not None:
            self._arrive_closed(now, self._thinks)
            return
        upcoming, taken, at = self._upcoming, 0, -1
        recorder, arrive, clock, opened = self._recorder, self._dispatcher.arrive, self._clock.now, self._opened
        while upcoming is not None and upcoming[0] <= now:
            if taken >= MOST_ARRIVALS and upcoming[0] != at:
                break
            at, job, demand, priority, leaf, limit = upcoming
            recorder.released[job - recorder.base] = clock() - opened
            self._admit(job, leaf, demand, limit) if arrive(job, at, demand, priority) else recorder.reject(job)
            upcoming = next(self._arrivals, None)
            taken += 1
        self._upcoming = upcoming

    def _arrive_closed(self, now: int, thinks: Iterator[int]) -> None:
        recorder, thinking, stop_ns = self._recorder, self._thinking, self._release.stop_ns
        while thinking and thinking[0] <= now:
            at = heapq.heappop(thinking)
            plan = next(self._arrivals, None) if stop_ns is None or at < stop_ns else None
            if plan is None:
                thinking.clear()
                return
            _, job, demand, priority, leaf, limit = plan
            row = job - recorder.base
            recorder.intended[row] = at
            recorder.released[row] = self._now()
            if self._dispatcher.arrive(job, at, demand, priority):
                self._admit(job, leaf, demand, limit)
            else:
                recorder.reject(job)
                heapq.heappush(thinking, self._now() + next(thinks))

    def _admit(self, job: int, leaf: int, demand: float, limit: int) -> None:
        """Remember what a job that is no mere timer has to do, until it starts."""
        run = self._runs[leaf]
        if run is not None:
            self._work[job] = (run, demand, limit)

    def _start(self) -> None:
        """Jobs that only let time pass share one stamp, as they share the one that ends them: none is shorter than asked."""
        jobs = self._dispatcher.starts()
        if not jobs:
            return
        recorder, work, clock, opened = self._recorder, self._work, self._clock.now, self._opened
        started, finished, base, timers = recorder.started, recorder.finished, recorder.base, self._timers
        now = clock() - opened
        for job in jobs:
            mine = work.pop(job, None) if work else None
            if mine is not None:
                self._tasks[job] = asyncio.create_task(self._serve(job, *mine))
            elif service := finished[job - base]:
                started[job - base] = now
                heapq.heappush(timers, (now + service, job))
            else:
                started[job - base] = clock() - opened
                self._ended.append((clock() - opened, job, recorder.abnormal.pop(job, 1)))

    async def _serve(self, job: int, run: Run, demand: float, limit: int) -> None:
        """One job as a task of its own. Whatever it raises is its outcome, and never leaves here."""
        recorder = self._recorder
        recorder.started[job - recorder.base] = self._now()
        outcome = recorder.abnormal.pop(job, int(Outcome.COMPLETED))
        if outcome == Outcome.TIMED_OUT:  # known to be too long; whether it really is shows when it runs
            outcome = int(Outcome.COMPLETED)
        scope = asyncio.timeout(None if limit == UNKNOWN else limit / NS)
        try:
            async with scope:
                await run(demand)
        except asyncio.CancelledError:
            outcome = Outcome.CANCELLED
        except BaseException as raised:  # noqa: BLE001 - whatever a job raises, sys.exit too, is its outcome
            outcome = Outcome.FAILED
            if not scope.expired():
                recorder.errors[type(raised).__name__] += 1
        if scope.expired():  # also when the job took no notice of being stopped
            outcome = Outcome.TIMED_OUT
        del self._tasks[job]
        self._ended.append((self._now(), job, outcome))
        self._bell.ring()

    async def _cancel(self) -> None:
        """Nothing outlives the window: what is in service or waits ends as cancelled, and nobody thinks of a next job."""
        self._thinks = None
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        self._end(now := self._now())
        for job in [*self._tasks, *(job for _, job in self._timers)]:
            self._recorder.cancel(job, now)
            self._dispatcher.finish()
        for job in self._dispatcher.abandon():
            self._recorder.cancel(job, NEVER)
