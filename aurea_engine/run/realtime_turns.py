"""What one turn of the pump does: ends, a stop, arrivals, starts, in the order of `aurea_engine.run.driver`.

Nothing in here waits: all that is due at one reading of the clock is done. `aurea_engine.run.realtime` has the theory.
"""

# Two ways through a turn. Where every job waits until it is served and nothing but the last job ends the run (`plain`), a
# turn asks no further questions, and jobs go in batches. Otherwise a job may leave, or the run abort or end, between any two
# jobs, and what must be judged job by job is done job by job. Both keep the same order, and the tests hold the results of
# both equal to those of virtual time.
#
# The instant of a turn is ``now``, read once before it. A turn that notices a stop late takes place *at the stop*: then
# ``now`` is set back to that instant, so that what came after it, though it has already happened, does not count.

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter

from aurea_engine.records.batch import NEVER
from aurea_engine.run.arrival_schedule import Batch, schedule_arrivals
from aurea_engine.run.context import RunContext
from aurea_engine.run.executors.choice import make_executors
from aurea_engine.run.executors.contract import End, Executor, ExecutorContext
from aurea_engine.run.executors.timers import Timers

Work = tuple[Executor, Sequence[int], Sequence[float], Sequence[int]]  # an executor and what its `start` is called with

MOST_ARRIVALS = 1024
"""Arrivals of different instants that are taken in one turn: a generator that is behind still looks at the ends."""


class Turns:
    """The turns of one run."""

    def __init__(self, run: RunContext, context: ExecutorContext) -> None:
        self._plan, self._dispatcher, self._recorder = run.plan, run.dispatcher, run.recorder
        self._conditions, self._context = run.conditions, context
        self._wait_limits, self._stop_instant = run.conditions.wait_limits, run.conditions.stop_instant
        self._ends, self._now = context.ends, context.now
        self._timers = Timers(context)
        self._executors = make_executors(context, run.spec.workload.job.leaves(), run.runs, self._timers)
        self._schedule = schedule_arrivals(run.plan, run.recorder)
        # Batches whose jobs have a slot each, and start in this turn without having queued.
        self._entering: list[Batch] = []
        # What queued jobs have to do. Timers are not in it, and jobs that never queue are not: it costs more than a
        # queue.
        self._work: dict[int, tuple[Executor, float, int]] = {}
        # Jobs that queued in this turn, where any may leave.
        self._new: list[int] = []

    def open(self, at: int) -> None:
        """The window opens, at this instant of the clock."""
        self._context.opened = at
        for executor in self._executors:
            executor.open()

    def take(self, now: int) -> int | None:
        """All that is due now: ends, arrivals, starts. Where that ends the run, returns the instant at which it did."""
        conditions, stop, timers = self._conditions, self._stop_instant, self._timers.ends
        if conditions.plain:
            # Looked at here, since a call that finds nothing to do is lag of the job that is due.
            if self._ends or (timers and timers[0][0] <= now):
                self._end(now)
            self._arrive(now)
            self._start()
            # In the open model the last arrival says by itself that it was the last.
            if self._schedule.exhausted or self._schedule.closed:
                self._notice_the_last(now)
            return None
        if over := stop.reached(now):
            now = stop.at_ns or 0  # whenever it was noticed
        # Before the ends: that no more jobs come may decide whether an end loses an objective.
        self._notice_the_last(now)
        self._end(now)
        if not over and not conditions.lost() and not stop.reached(now):
            self._arrive(now)
            if not conditions.lost():
                self._serve_waiting(now)
            if not conditions.lost():
                return None
        # What a late generator still owes was meant to arrive before the stop. It has arrived, and does not start.
        while not conditions.lost() and self._arrive(now - 1, released=now):
            pass
        return now

    def next_instant(self) -> int | None:
        """When something is due next, as far as anybody knows."""
        due = self._timers.ends[0][0] if self._timers.ends else None
        arrival = self._schedule.next_instant()
        return arrival if due is None or (arrival is not None and arrival < due) else due

    # --- Ends --------------------------------------------------------------------------------------------------------

    def _end(self, now: int) -> None:
        """Timers that are due, and whatever executors have logged."""
        timers = self._timers.ends
        # Timers first: their stamp is ``now``, but they were due before it, and lower job numbers lead among them.
        if timers and timers[0][0] <= now:
            jobs = self._timers.end_due(now)
            self._account_ends(jobs, [now] * len(jobs), now)
        if not self._ends:
            return
        # Sorted, since executors log in the order in which they come to it: by instant, and among equals by job number.
        # Copied and cleared, not replaced: executors hold on to this very list.
        ends = sorted(self._ends)
        self._ends.clear()
        if ends[-1][0] > now:
            ends = self._cancel_later(ends, now)
        if ends:
            self._recorder.finish_all(ends)
            self._account_ends([end[1] for end in ends], [end[0] for end in ends], now)

    def _cancel_later(self, ends: list[End], stop: int) -> list[End]:
        """A stop was due before these jobs ended, and the pump notices it only now: they were in service then. Returns those
        that ended in time.
        """
        # They have really ended; but in virtual time, and in any result, a stop at t leaves what was in service then
        # cancelled.
        kept = bisect_right(ends, stop, key=itemgetter(0))
        for _, job, began, *_ in ends[kept:]:
            self._recorder.start(job, began)
            self._cancel([job], stop)
        return ends[:kept]

    def _account_ends(self, jobs: Sequence[int], instants: Sequence[int], now: int) -> None:
        self._dispatcher.finish(len(jobs))
        self._note_ends(jobs, instants, now)

    def _note_ends(self, jobs: Sequence[int], instants: Sequence[int], now: int) -> None:
        """Jobs have reached their outcome: objectives are told, and in the closed model their users think."""
        aborts = self._conditions.aborts
        # By jobs and in their order, never by turns: the same ends lose the same objective, however they were batched.
        if aborts is not None:
            for job in jobs:
                aborts.ended(job)
        # Once no more jobs come, thoughts would only keep the run waiting.
        if self._stop_instant.releasing:
            self._schedule.think(instants, now)

    # --- Arrivals ----------------------------------------------------------------------------------------------------

    def _notice_the_last(self, now: int) -> None:
        """Whether any job is still to arrive: no more of them are planned, or their time is over."""
        stop, schedule = self._stop_instant, self._schedule
        if not stop.releasing:
            return
        over = schedule.closed and stop.too_late(now) and stop.too_late(schedule.next_instant() or now)
        if schedule.exhausted or over:
            stop.close(now)
            schedule.close()
            if self._conditions.aborts is not None:
                self._conditions.aborts.all_arrived()

    def _arrive(self, now: int, released: int | None = None) -> bool:
        """Release what is due, `MOST_ARRIVALS` and the rest of an instant at a time. Whether anything was.

        Each is stamped by the clock, or as ``released`` where that is given.
        """
        schedule, conditions = self._schedule, self._conditions
        clock, opened = self._context.clock.now, self._context.opened
        # An objective may be lost with a job that is turned away: then that job is the last to arrive.
        most = MOST_ARRIVALS if conditions.aborts is None else 1
        taken = 0
        while n := schedule.count_due(now, most):
            # All before a stamp is lag. One is spelt out, since up to Python 3.11 a comprehension is a call.
            if released is None:
                stamps = [clock() - opened] if n == 1 else [clock() - opened for _ in range(n)]
            else:
                stamps = [released] * n
            batch = schedule.take(n)
            self._stop_instant.latest = batch.intended[-1]
            self._recorder.arrive_all(batch.first, batch.intended, stamps)
            # Before these jobs are admitted: if one is rejected, judging it needs to know that it was of the last.
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
        first, intended, demands, priorities, leaves, limits, _ = batch
        arrive, executors, timers, work = self._dispatcher.arrive, self._executors, self._timers, self._work
        new = self._new if self._wait_limits.anyone else None
        jobs = range(first, first + len(intended))
        for job, at, demand, priority, leaf, limit in zip(
            jobs, intended, demands, priorities, leaves, limits, strict=True
        ):
            if arrive(job, at, demand, priority):
                # What it has to do is remembered until it starts; for a timer, the planned service time says all.
                if executors[leaf] is not timers:
                    work[job] = (executors[leaf], demand, limit)
                if new is not None:
                    new.append(job)
            else:
                self._recorder.reject(job)
                self._note_ends([job], [self._now()], now)

    # --- Starts ------------------------------------------------------------------------------------------------------

    def _serve_waiting(self, now: int) -> None:
        """Jobs that may not wait longer leave, and jobs start while slots are free."""
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
        timed: list[int] = []
        running: list[Work] = []
        # Only now, not as they arrived: the first step of an eager task would hold up the release of every later job.
        for batch in self._entering:
            self._split_batch(batch, timed, running)
        self._entering.clear()
        jobs = self._dispatcher.starts()
        if self._work:
            self._fetch_work(jobs, timed, running)
        else:
            timed += jobs
        # All timers in one call, and before anything runs: they share a stamp, so ten thousand equal sleeps end in one turn.
        # With a stamp for each batch, the ends of one would hold up those of the next.
        if timed:
            self._timers.start(timed)
        for executor, started, demands, limits in running:
            executor.start(started, demands, limits)

    def _split_batch(self, batch: Batch, timed: list[int], running: list[Work]) -> None:
        jobs, executors = range(batch.first, batch.first + len(batch.intended)), self._executors
        if batch.leaf is not None:
            if executors[batch.leaf] is self._timers:
                timed += jobs
            else:
                running.append((executors[batch.leaf], jobs, batch.demands, batch.limits))
            return
        for job, leaf, demand, limit in zip(jobs, batch.leaves, batch.demands, batch.limits, strict=True):
            if executors[leaf] is self._timers:
                timed.append(job)
            else:
                running.append((executors[leaf], (job,), (demand,), (limit,)))

    def _fetch_work(self, jobs: Sequence[int], timed: list[int], running: list[Work]) -> None:
        """What these jobs, which leave the queue, have to do."""
        for job in jobs:
            if (work := self._work.pop(job, None)) is None:
                timed.append(job)
                continue
            executor, demand, limit = work
            # It has a slot, so it does not leave any more; the executor will say when it really began.
            self._recorder.start(job, self._now())
            running.append((executor, (job,), (demand,), (limit,)))

    # --- The end of the run ------------------------------------------------------------------------------------------

    async def close(self, stopped: int | None) -> None:
        """Nothing outlives the window: what is in service or waits ends as cancelled, at ``stopped`` or, where the run
        raised, now.
        """
        cut = self._now() if stopped is None else stopped
        self._end(cut)
        for executor in self._executors_once():
            self._cancel(executor.give_up(), cut)
        for job in self._dispatcher.drop_waiting():
            self._recorder.cancel(job, NEVER)
        if stopped is not None:
            self._plan.stop(cut, releasing=self._stop_instant.left_off(cut))
        # Last, since it waits: the window is closed, and what jobs do as they are cancelled is in no figure.
        for executor in self._executors_once():
            await executor.stop()

    def _executors_once(self) -> Iterable[Executor]:
        """All leaves of timers have the same one."""
        return dict.fromkeys(self._executors)

    def _cancel(self, jobs: Iterable[int], cut: int) -> None:
        """They were in service at ``cut``; or began a moment after it, before the pump noticed."""
        # No instant of a record may precede another: one that began later ends where it began. One without a start waited
        # in a pool: it was never in service.
        recorder = self._recorder
        for job in jobs:
            began = recorder.started[job - recorder.base]
            recorder.cancel(job, NEVER if began < 0 else max(cut, began))
            self._dispatcher.finish()
