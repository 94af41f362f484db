"""Real time: the dispatcher driven by a clock and an event loop. One task, the *pump*, goes round in turns."""

# Theory of operation
# -------------------
# A turn (`aurea_engine.run.realtime_turns`) takes all that is due at one reading of the
# clock, in the order that every driver keeps (`aurea_engine.run.driver`): ends, then a stop, then arrivals, then starts.
# Between turns the pump waits for the next instant at which something is due, or for the bell that an executor rings when
# a job has ended.
#
# *The schedule is absolute.* Instants count from the opening of the window, never from the turn before. An arrival that
# is noticed late is released late, which its lag says, and nothing that comes after it moves. This is what keeps the
# measurement free of coordinated omission: a slow target, a busy loop or a slow job cannot hold the arrivals back, it can
# only show in the response times, which count from the intended start.
#
# *Stamps are of the thing itself, not of the turn.* ``released`` is read as a job is released, ``started`` and
# ``finished`` by its executor beside the job's first and last step. Only timers share the stamp of the turn that saw
# them.
#
# *What can be done per turn is not done per job.* At full speed a turn takes tens of jobs, and each has about three
# microseconds in all, of which its task and its coroutines take two. So jobs arrive in batches of slices
# (`arrival_schedule`), enter service past the queue where there is a slot for each, and end in batches: one sort, one
# write of columns, one addition to the counts, one pass over the users who think.
#
# *A turn is short.* It takes at most `turns.MOST_ARRIVALS` arrivals of different instants. Where something is always due,
# as in a closed loop without thought, the pump gives the event loop a round every `LONGEST_TURN`: only then do tasks that
# wait for a socket or a timer go on, and only then can a signal or a caller stop the run.
#
# *Waiting is exact where it can be.* Event loops fire timers in steps of a millisecond, so the clock spins before an
# instant that is due (`aurea_engine.run.clock`). Jobs that burn CPU time need that core themselves; beside them the pump
# does not spin.
#
# The pump handles no job's end as it happens, and starts no job but in a turn; see `aurea_engine.run.executors.contract`.

from __future__ import annotations

import asyncio

from aurea_engine.records.batch import NS
from aurea_engine.run.context import DriverStats, RunContext
from aurea_engine.run.executors.contract import ExecutorContext
from aurea_engine.run.realtime_turns import Turns
from aurea_engine.run.recorder import BATCH_REALTIME
from aurea_engine.run.thread_usage import ThreadUsage
from aurea_engine.spec import RunSpec

TICK = NS // 10
"""Longest time between two looks at the stop flag."""

LONGEST_TURN = NS // 500
"""Longest time the pump holds the event loop while there is always something due."""


class RealTimeDriver:
    """The driver of real time, which accepts everything."""

    def accepts(self, spec: RunSpec) -> bool:
        return spec.clock == "real"

    async def drive(self, run: RunContext) -> DriverStats:
        return await _Pump(run).drive()


class _Pump:
    """One run: what waits between its turns."""

    def __init__(self, run: RunContext) -> None:
        assert run.clock is not None
        self._clock, self._conditions, self._stats = run.clock, run.conditions, run.stats
        self._recorder, self._dispatcher = run.recorder, run.dispatcher
        # A spinning pump would take the very core that these jobs need.
        self._exact = not any(leaf.executor == "cpu_workers" for leaf in run.spec.workload.job.leaves())
        self._opens_at = run.opens_at
        self._context = ExecutorContext(run.recorder, run.conditions.wait_limits, run.clock, run.stats)
        self._turns = Turns(run, self._context)
        self._bell, self._now = self._context.bell, self._context.now

    async def drive(self) -> DriverStats:
        """Until every job has ended, or the run is stopped."""
        usage = self._usage = ThreadUsage(self._clock)
        now = self._clock.now()
        # Shards count from one instant, whenever each of them came to begin: what that cost shows as lag of the first jobs,
        # and the instants of all are on one scale.
        opened = now if self._opens_at is None else self._opens_at
        self._stats.skew_ns = now - opened
        self._turns.open(opened)
        stopped: int | None = None
        # Whatever ends the pump, an error of a strategy or the caller's cancellation too, its jobs end with it.
        try:
            stopped = await self._turn_until_over()
            self._stats.used_ns = usage.used_ns()
        finally:
            await self._turns.close(stopped)
        self._stats.window_ns = self._now() if stopped is None else stopped
        return self._stats

    async def _turn_until_over(self) -> int | None:
        """Turn by turn, until nothing is left to happen. Returns the instant at which the run was stopped before."""
        turns, context, bell, clock = self._turns, self._context, self._bell, self._now
        # Between the end of a wait and the stamp of the job that was waited for, every step is lag: the clock is read
        # once.
        now, looked, yielded = clock(), 0, 0
        while True:
            # A caller's function, which may report to observers: not at each turn.
            if now - looked >= TICK:
                looked = now
                self._stats.used_ns = self._usage.used_ns()
                if self._conditions.watch(now):
                    return now
            if bell.rung:
                # Silenced before the turn, which takes all that is logged, and not after it: what ends during the turn
                # rings again, and the wait below returns at once. The other way round an end could wait for the next
                # arrival.
                bell.rung = False
                if context.broken is not None:
                    raise context.broken
            if (stopped := turns.take(now)) is not None:
                return stopped
            self._recorder.digest_batch(BATCH_REALTIME)
            due = turns.next_instant()
            # Nothing is to arrive and nothing is in service. Nothing waits either: no slot is idle while a job waits.
            if due is None and not self._dispatcher.busy:
                return None
            now = clock()
            # What ended within the turn, as eager tasks do, is taken by the next one at once: a user of a closed loop may
            # be ready to send again.
            if not context.ends and (due is None or due > now):
                now = yielded = await self._wait(now, self._conditions.sooner(due), looked + TICK)
            elif now - yielded > LONGEST_TURN:
                await asyncio.sleep(0)
                now = yielded = clock()

    async def _wait(self, began: int, due: int | None, tick: int) -> int:
        """For the next instant, the bell, or the next look at the stop flag. Returns the time."""
        clock, opened = self._clock, self._context.opened
        until = tick if due is None else min(due, tick)
        exact = self._exact and until == due
        await clock.wait(until + opened, self._bell, exact)
        now = clock.now() - opened
        self._stats.waited_ns += now - began
        self._stats.has_spun |= exact
        # How late the event loop was shows only where the clock ended the wait. A bell may have rung long after the
        # instant, or before it; then nothing can be said.
        if not self._bell.rung:
            self._stats.late_ns = max(self._stats.late_ns, now - until)
        return now
