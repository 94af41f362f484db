"""Real time: the dispatcher driven by a clock and an event loop.

Theory of operation
-------------------
One task, the *pump*, goes round in turns. A turn takes all that is due at one reading of the clock, in the order that every
driver keeps (`aurea_engine.run.driver`): ends, then a stop, then arrivals, then starts. Then the pump waits for the next
instant at which something is due, or for the bell that an executor rings when a job has ended.

*The schedule is absolute.* An arrival that is noticed late is released late, which its lag says, and nothing that comes
after it moves. This is what keeps the measurement free of coordinated omission: a slow target, a busy loop or a slow job
cannot hold the arrivals back, it can only show in the response times.

*Stamps are of the thing itself*, not of the turn: ``released`` is read as a job is released, ``started`` and ``finished``
by its executor. Only timers share the stamp of the turn that saw them.

*What can be done per turn is not done per job.* At full speed a turn takes tens of jobs, and each has a few microseconds in
all. So jobs come in batches of slices (`arrival_schedule`), enter service past the queue where there is a slot for each,
and end in batches: one sort, one write of columns, one addition to the counts, one pass over the users who think.

*Turns end.* Where something is always due, as in a closed loop without thought, the pump gives the event loop a round every
`TURN`: only then do tasks that wait for a socket or a timer go on.

What the pump does not do: it handles no job's end as it happens, and starts no job but in a turn (see `executors`).
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter

from aurea_engine.errors import StrategyError
from aurea_engine.records.batch import NEVER, NS
from aurea_engine.run.arrival_schedule import Batch, schedule_arrivals
from aurea_engine.run.callback_pools import Callbacks
from aurea_engine.run.context import DriverStats, RunContext
from aurea_engine.run.executors import Executor, ExecutorContext, Timers
from aurea_engine.run.recorder import BATCH_REALTIME
from aurea_engine.run.tasks import Tasks
from aurea_engine.spec import RunSpec
from aurea_engine.workload.callbacks import CallbackPool
from aurea_engine.workload.jobs import EXECUTORS, Job, OpenedJob

TICK = NS // 10
"""Longest time between two looks at the stop flag."""

TURN = NS // 500
"""Longest time the pump holds the event loop while there is always something due."""

MOST_ARRIVALS = 1024
"""Arrivals of different instants that are taken in one turn: a generator that is behind still looks at the ends."""


class RealTimeDriver:
    """The driver of real time, which accepts everything."""

    def accepts(self, spec: RunSpec) -> bool:
        return spec.clock == "real"

    async def drive(self, run: RunContext) -> DriverStats:
        return await _Pump(run).drive()


class _Pump:
    """One run."""

    def __init__(self, run: RunContext) -> None:
        assert run.clock is not None
        conditions, leaves = run.conditions, run.spec.workload.job.leaves()
        self._plan, self._dispatcher, self._recorder = run.plan, run.dispatcher, run.recorder
        self._clock, self._conditions, self._stats = run.clock, conditions, run.stats
        self._wait_limits, self._stop_instant = conditions.wait_limits, conditions.stop_instant
        # A spinning pump would take the very core that these jobs need.
        self._exact = not any(leaf.executor == "cpu_workers" for leaf in leaves)
        self._context = ExecutorContext(run.recorder, conditions.wait_limits, run.clock)
        self._ends, self._bell, self._now = self._context.ends, self._context.bell, self._context.now
        self._timers = Timers(self._context)
        self._executors = [
            _make_executor(self._context, *each, self._timers) for each in zip(leaves, run.runs, strict=True)
        ]
        self._schedule = schedule_arrivals(run.plan, run.recorder)
        self._entering: list[Batch] = []
        self._work: dict[int, tuple[Executor, float, int]] = {}
        self._new: list[int] = []
        self._stopped_ns: int | None = None

    async def drive(self) -> DriverStats:
        """Until every job has ended, or the run is stopped."""
        self._context.opened = self._clock.now()
        for executor in self._executors:
            executor.open()
        try:
            await self._turn_until_over()
        finally:
            await self._end_run()
        self._stats.window_ns = self._now() if self._stopped_ns is None else self._stopped_ns
        return self._stats

    async def _turn_until_over(self) -> None:
        """Turn by turn; returns when nothing is left, or the run is over at ``_stopped_ns``."""
        looked = turned = 0
        while True:
            now = self._now()
            if now - looked >= TICK:
                looked = now
                if self._conditions.watch(now):
                    self._stopped_ns = now
                    return
            if self._context.broken is not None:
                raise self._context.broken
            # Before the turn, which takes all that is logged: what ends during it rings again.
            self._bell.rung = False
            if self._turn(now):
                return
            self._recorder.digest_batch(BATCH_REALTIME)
            due = self._next_instant()
            if due is None and not self._dispatcher.busy:
                return
            now = self._now()
            if not self._ends and (due is None or due > now):
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
        await self._clock.wait(until + self._context.opened, self._bell, self._exact and until == due)
        now = self._now()
        self._stats.waited_ns += now - began
        # A bell may have come after the instant; then how late the loop was is not known.
        if not self._bell.rung:
            self._stats.late_ns = max(self._stats.late_ns, now - until)

    def _next_instant(self) -> int | None:
        due, arrival = self._timers.next_instant(), self._schedule.next_instant()
        return arrival if due is None or (arrival is not None and arrival < due) else due

    # --- Ends --------------------------------------------------------------------------------------------------------

    def _end(self, now: int) -> None:
        """Timers that are due, and whatever executors have logged."""
        if (due := self._timers.next_instant()) is not None and due <= now:
            jobs = self._timers.end_due(now)
            self._account_ends(jobs, [now] * len(jobs), now)
        if not self._ends:
            return
        ends = sorted(self._ends)
        self._ends.clear()
        if ends[-1][0] > now:
            # Only when a stop is due that came before: these were still in service then.
            late = ends[bisect_right(ends, now, key=itemgetter(0)) :]
            del ends[-len(late) :]
            for _, job, began, *_ in late:
                self._recorder.start(job, began)
            self._cancel([job for _, job, *_ in late], now)
        if ends:
            self._recorder.finish_all(ends)
            self._account_ends([end[1] for end in ends], [end[0] for end in ends], now)

    def _account_ends(self, jobs: Sequence[int], instants: Sequence[int], now: int) -> None:
        self._dispatcher.finish(len(jobs))
        self._note_ends(jobs, instants, now)

    def _note_ends(self, jobs: Sequence[int], instants: Sequence[int], now: int) -> None:
        """Jobs have reached their outcome: whoever judges is told, and in the closed model their users think."""
        aborts = self._conditions.aborts
        if aborts is not None:
            for job in jobs:
                aborts.ended(job)
        if self._stop_instant.releasing:
            self._schedule.think(instants, now)

    # --- Arrivals ----------------------------------------------------------------------------------------------------

    def _notice_the_last(self, now: int) -> None:
        """Whether any job is still to arrive: no more of them are planned, or their time is over."""
        stop, schedule = self._stop_instant, self._schedule
        if not stop.releasing:
            return
        if schedule.exhausted or (
            schedule.closed and stop.too_late(now) and stop.too_late(schedule.next_instant() or now)
        ):
            stop.close(now)
            schedule.close()
            if self._conditions.aborts is not None:
                self._conditions.aborts.all_arrived()

    def _arrive(self, now: int, released: int | None = None) -> bool:
        """Release what is due, `MOST_ARRIVALS` and the rest of an instant at a time. Whether anything was.

        Each is stamped by the clock, or as ``released`` where that is given.
        """
        schedule, conditions, clock, opened = self._schedule, self._conditions, self._clock.now, self._context.opened
        # An objective may be lost with a job that is turned away: then that job is the last to arrive.
        most = MOST_ARRIVALS if conditions.aborts is None else 1
        taken = 0
        while (batch := schedule.take(now, most)) is not None:
            n, self._stop_instant.latest = len(batch.intended), batch.intended[-1]
            stamps = [clock() - opened for _ in batch.intended] if released is None else [released] * n
            self._recorder.arrive_all(batch.first, batch.intended, stamps)
            if schedule.exhausted:
                self._notice_the_last(now)
            # Nobody leaves and nothing aborts: jobs that find a slot each need not be told apart.
            if conditions.plain and self._dispatcher.admit(n):
                self._entering.append(batch)
            else:
                self._queue(batch, now)
            taken += n
            if conditions.lost():
                break
            if taken >= MOST_ARRIVALS:  # only the rest of this instant: a discipline has to see all of it
                now = min(now, batch.intended[-1])
        return taken > 0

    def _queue(self, batch: Batch, now: int) -> None:
        """Jobs enter the queue one by one, as far as there is room."""
        first, *columns, _ = batch
        arrive, executors, work = self._dispatcher.arrive, self._executors, self._work
        for job, (at, demand, priority, leaf, limit) in enumerate(zip(*columns, strict=True), first):
            if arrive(job, at, demand, priority):
                # What it has to do is remembered until it starts; for a timer, the planned service time says all.
                if executors[leaf] is not self._timers:
                    work[job] = (executors[leaf], demand, limit)
                if self._wait_limits.anyone:
                    self._new.append(job)
            else:
                self._recorder.reject(job)
                self._note_ends([job], [self._now()], now)

    # --- Starts ------------------------------------------------------------------------------------------------------

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
            self._note_ends([job], [now], now)

    def _start(self) -> None:
        """Whoever enters service now begins: first those that never queued, which came before those that do."""
        for batch in self._entering:
            self._start_batch(batch)
        self._entering.clear()
        jobs = self._dispatcher.starts()
        if not self._work:
            if jobs:
                self._timers.start(jobs)
            return
        for job in jobs:
            if (work := self._work.pop(job, None)) is None:
                self._timers.start((job,))
                continue
            executor, demand, limit = work
            # It has a slot, so it does not leave any more; the executor will say when it really began.
            self._recorder.start(job, self._now())
            executor.start((job,), (demand,), (limit,))

    def _start_batch(self, batch: Batch) -> None:
        jobs, executors = range(batch.first, batch.first + len(batch.intended)), self._executors
        if batch.leaf is not None:
            executors[batch.leaf].start(jobs, batch.demands, batch.limits)
            return
        for job, leaf, demand, limit in zip(jobs, batch.leaves, batch.demands, batch.limits, strict=True):
            executors[leaf].start((job,), (demand,), (limit,))

    # --- The end of the run ------------------------------------------------------------------------------------------

    async def _end_run(self) -> None:
        """Nothing outlives the window: what is in service or waits ends as cancelled, and nobody thinks of a next job."""
        cut = self._now() if self._stopped_ns is None else self._stopped_ns
        self._end(cut)
        for executor in self._executors_once():
            self._cancel(executor.give_up(), cut)
        for job in self._dispatcher.drop_waiting():
            self._recorder.cancel(job, NEVER)
        if self._stopped_ns is not None:
            self._plan.stop(cut, releasing=self._stop_instant.left_off(cut))
        for executor in self._executors_once():
            await executor.stop()

    def _executors_once(self) -> Iterable[Executor]:
        """All leaves of timers have the same one."""
        return dict.fromkeys(self._executors)

    def _cancel(self, jobs: Iterable[int], cut: int) -> None:
        """They were in service at ``cut``; or began a moment after it, before the pump noticed."""
        recorder = self._recorder
        for job in jobs:
            began = recorder.started[job - recorder.base]
            recorder.cancel(job, NEVER if began < 0 else max(cut, began))
            self._dispatcher.finish()


def _make_executor(context: ExecutorContext, leaf: Job, opened: OpenedJob | None, timers: Timers) -> Executor:
    """What does the work of ``leaf``, of which ``opened`` is what its `Job.opened` yielded."""
    name = type(leaf).__name__
    match leaf.executor:
        case "timers":
            return timers
        case "callbacks":
            if not isinstance(opened, CallbackPool):
                raise StrategyError(
                    f"{name}.opened must yield a CallbackPool, as {name}.executor says, not {opened!r:.100}"
                )
            return Callbacks(context, opened)
        case "tasks" | "cpu_workers":
            if isinstance(opened, CallbackPool) or not callable(opened):
                raise StrategyError(f"{name}.opened must yield what does one job, a function, not {opened!r:.100}")
            return Tasks(context, opened)
        case other:
            raise StrategyError(f"{name}.executor must be one of {', '.join(EXECUTORS)}, not {other!r:.100}")
