"""Kernels: virtual time for open arrivals on a fixed number of slots, several times faster than the heap of events."""

# Theory of operation
#
# Where no job is rejected and none leaves, a job's start follows from two things alone: the instants at which slots
# become free, and the jobs that wait. So there is no heap of events but one of c instants (``free``, one for each slot:
# Kiefer and Wolfowitz 1955), and arrivals are taken block by block.
#
# - *First come, first served*: job i starts at max(its arrival, the earliest free slot). Starts never go back, so the jobs
#   that have not started yet are always the last ones.
# - *By a key* (last come, shortest, priority): before each arrival, jobs that can start before its instant do, smallest key
#   first, equal keys in order of arrival. Jobs that arrive at one instant start only when all of that instant are there, so
#   not before the first arrival that comes later.
#
# *What is known is ahead of the clock.* A job's start is known before virtual time has come to it, and its end with it.
# Virtual time has come to the latest arrival, ``last``: what starts before ``last`` has begun, what ends by ``last`` has
# ended and is logged as such, and nothing else is visible from outside.
#
# *Stops are a mask on the columns* (`aurea_engine.run.driver` says what a stop at t means). Of the jobs whose start is
# known, those with start < t are in service, and those of them with end <= t have ended; all others are cancelled. A stop
# that the specification states comes after the last block, since the plan gives out no arrival of t or later. A stop from
# outside takes effect at ``last``, before its arrivals: jobs that were to arrive at ``last`` itself are taken back.
#
# *Peak.* A job that takes no time is in service at its instant all the same, so far as there are slots.

from __future__ import annotations

import heapq

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NEVER, NS, Instants
from aurea_engine.run.aborts import aborting
from aurea_engine.run.context import DriverStats, RunContext, in_reach
from aurea_engine.run.plan import Block
from aurea_engine.run.recorder import BATCH
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Arrivals
from aurea_engine.workload.schedulers import Fifo, Lifo, Priority, Scheduler, ShortestFirst


class FifoKernel:
    """First come, first served."""

    def accepts(self, spec: RunSpec) -> bool:
        return type(spec.scheduler) is Fifo and _starts_follow_from_slots(spec)

    async def drive(self, run: RunContext) -> DriverStats:
        with in_reach():
            _FifoRun(run).run()
        return run.close_virtual_window()


class KeyedKernel:
    """Last come first served, shortest first, by priority."""

    def accepts(self, spec: RunSpec) -> bool:
        return type(spec.scheduler) in (Lifo, ShortestFirst, Priority) and _starts_follow_from_slots(spec)

    async def drive(self, run: RunContext) -> DriverStats:
        with in_reach():
            _KeyedRun(run).run()
        return run.close_virtual_window()


def _starts_follow_from_slots(spec: RunSpec) -> bool:
    """Open arrivals, a fixed number of slots, no job rejected, none that leaves, and no single end decides anything."""
    workload, scheduler = spec.workload, spec.scheduler
    return (
        spec.clock == "virtual"
        and type(workload.arrivals).think_times is Arrivals.think_times  # so arrivals are open
        and scheduler.slots is not None
        and scheduler.queue_limit is None
        and workload.patience is None
        and workload.deadline is None
        # A drain of nothing would end the run among the starts of its last arrivals.
        and (workload.drain is None or round(workload.drain * NS) > 0)
        and not aborting(spec)
    )


class _KernelRun:
    """One run: what both kernels share."""

    def __init__(self, run: RunContext) -> None:
        self._plan, self._dispatcher, self._recorder = run.plan, run.dispatcher, run.recorder
        self._conditions = run.conditions
        self._free = [0] * run.dispatcher.slots
        self._serving: Instants = np.empty(0, np.int64)
        """Jobs that have started and not ended, as far as virtual time has come."""
        self._busy_until: Instants = np.empty(0, np.int64)
        """Of the jobs in service at the latest start: when they end, at least a nanosecond after they started."""

    def _add(self, block: Block) -> int:
        """The jobs of ``block`` arrive. Returns the instant of its last arrival."""
        assert block.intended is not None
        self._recorder.extend(block)
        self._dispatcher.account(arrived=len(block))
        return int(block.intended[-1])

    def _advance(self, begun: Instants, until: int | None) -> None:
        """Virtual time has come to ``until`` (None: to the end), and ``begun``, in order of their starts, have started.

        Those who have ended by then are logged.
        """
        recorder = self._recorder
        self._note_peak(begun)
        ended = np.concatenate([self._serving, begun]) if len(self._serving) else begun
        if until is not None:
            over = np.frombuffer(recorder.finished, np.int64)[ended - recorder.base] <= until
            self._serving, ended = ended[~over], ended[over]
        else:
            self._serving = self._serving[:0]
        if len(ended):
            recorder.finish_as_planned(ended)
            self._dispatcher.account(ended=len(ended))

    def _end_all(self, begun: Instants) -> None:
        """Nothing stops the run any more: ``begun`` start, and all jobs end."""
        # Piece by piece, so that a long queue takes no memory a second time. Once at least, for those in service.
        for first in range(0, max(len(begun), 1), BATCH):
            self._advance(begun[first : first + BATCH], None)
            self._recorder.digest_batch(BATCH)

    def _note_peak(self, begun: Instants) -> None:
        """Count the jobs in service at each of these starts: from before and since, less who has ended."""
        if not len(begun):
            return
        rows = begun - self._recorder.base
        started = np.frombuffer(self._recorder.started, np.int64)[rows]
        ends = np.maximum(np.frombuffer(self._recorder.finished, np.int64)[rows], started + 1)
        busy_until = np.sort(np.concatenate([self._busy_until, ends]))
        before, n = len(self._busy_until), len(started)
        # At the k-th start: those in service before, and k new ones, less the ends up to that instant. A job that ends at
        # the instant of a start has left before it.
        in_service = before + np.arange(1, n + 1) - np.searchsorted(busy_until, started, side="right")
        self._dispatcher.account(peak=min(self._dispatcher.slots, int(in_service.max())))
        self._busy_until = busy_until[busy_until > started[-1]]

    def _look(self, last: int) -> bool:
        """Digest what has ended, where that is wanted. Whether the run is to stop at ``last``."""
        self._recorder.digest_batch(BATCH)
        return self._conditions.watch(last)

    def _close(self, last: int) -> int | None:
        """The last job has arrived, at ``last``. Returns the instant at which the run must end, if there is one."""
        # The same questions in the same order as the heap of events asks them, so that both get the same answers.
        stop = self._conditions.stop_instant
        stop.latest = last
        stop.close(last)
        return stop.at_ns

    def _stop(self, at: int, waiting: Instants) -> None:
        """The run ends ``at``: who is in service then or waits is cancelled, and who would arrive then does not."""
        recorder, serving = self._recorder, self._serving
        started = np.frombuffer(recorder.started, np.int64)[serving - recorder.base]
        arrived = np.frombuffer(recorder.intended, np.int64)[waiting - recorder.base] < at
        taken_back, waiting = len(waiting) - int(arrived.sum()), waiting[arrived]
        # Starts that were worked out ahead of the clock are taken back: who waits never started.
        cancelled = np.concatenate([serving, waiting])
        never = np.full(len(waiting), NEVER, np.int64)
        recorder.write(
            cancelled,
            np.concatenate([started, never]),
            np.concatenate([np.full(len(serving), at, np.int64), never]),
            Outcome.CANCELLED,
        )
        self._dispatcher.account(ended=len(cancelled), arrived=-taken_back)
        self._plan.stop(at, releasing=self._conditions.stop_instant.left_off(at))


class _FifoRun(_KernelRun):
    """Starts are computed as jobs arrive. ``_queued``: the first job whose start is still ahead."""

    _queued = 0

    def run(self) -> None:
        """Block by block."""
        first = last = 0
        for block in self._plan.blocks():
            last = self._add(block)
            self._recorder.serve_block(first, np.array(self._work_out_starts(block), np.int64))
            first += len(block)
            self._advance(self._take_begun(last), last)
            if self._look(last):
                return self._stop(last, np.arange(self._queued, first))
        until = self._close(last)
        # Virtual time goes on to the stop only if a job is still there by then.
        if until is None or not first or self._last_end() < until:
            return self._end_all(np.arange(self._queued, first))
        self._advance(self._take_begun(until), until)
        return self._stop(until, np.arange(self._queued, first))

    def _work_out_starts(self, block: Block) -> list[int]:
        assert block.intended is not None
        free, replace, starts = self._free, heapq.heapreplace, []
        for intended, service in zip(block.intended.tolist(), block.service.tolist(), strict=True):
            start = free[0]
            if intended > start:
                start = intended
            replace(free, start + service)
            starts.append(start)
        return starts

    def _last_end(self) -> int:
        return max(self._free)

    def _take_begun(self, until: int) -> Instants:
        """Who starts before ``until``, and was not known to yet: starts never go back."""
        started = np.frombuffer(self._recorder.started, np.int64)[self._queued - self._recorder.base :]
        first, self._queued = self._queued, self._queued + int(np.searchsorted(started, until))
        return np.arange(first, self._queued)


def _keys(discipline: type[Scheduler], block: Block) -> list[float] | list[int]:
    """What the waiting jobs are ordered by, smallest first; equal ones in order of arrival."""
    assert block.intended is not None
    if discipline is Lifo:
        return (-block.intended).tolist()  # type: ignore[no-any-return]
    if discipline is ShortestFirst:
        # A job of unknown demand goes last: NaN would break the heap's order.
        return np.nan_to_num(block.demand, nan=np.inf).tolist()  # type: ignore[no-any-return]
    assert discipline is Priority
    return (-block.priority).tolist()  # type: ignore[no-any-return]


class _KeyedRun(_KernelRun):
    """Waiting jobs are a heap of (key, job, service time). ``_order`` and ``_starts`` are filled until they are written."""

    def __init__(self, run: RunContext) -> None:
        super().__init__(run)
        self._discipline = type(run.spec.scheduler)
        self._waiting: list[tuple[float, int, int]] = []
        self._order: list[int] = []
        self._starts: list[int] = []

    def run(self) -> None:
        """Block by block."""
        first = last = 0
        for block in self._plan.blocks():
            assert block.intended is not None
            before, last = last, self._add(block)
            self._take(block, block.intended.tolist(), first, before)
            first += len(block)
            self._advance(self._write_starts(), last)
            if self._look(last):
                return self._stop(last, self._who_waits())
        until = self._close(last)
        self._serve_the_rest(last, until)
        if until is None or not first or (not self._waiting and max(self._free) < until):
            return self._end_all(self._write_starts())
        self._advance(self._write_starts(), until)
        return self._stop(until, self._who_waits())

    def _take(self, block: Block, instants: list[int], first: int, last: int) -> None:
        """The jobs of a block arrive. Before each, jobs that can start before its instant do; ``last``: the one before."""
        free, waiting, order, starts = self._free, self._waiting, self._order, self._starts
        push, pop, replace = heapq.heappush, heapq.heappop, heapq.heapreplace
        jobs = range(first, first + len(block))
        keys, services = _keys(self._discipline, block), block.service.tolist()
        # The inner loop runs once for each job that waits, whenever that is: each job is pushed and popped once.
        for at, key, service, job in zip(instants, keys, services, jobs, strict=True):
            while waiting:
                start = free[0]
                if start < last:
                    start = last
                if start >= at:
                    break
                _, chosen, takes = pop(waiting)
                replace(free, start + takes)
                order.append(chosen)
                starts.append(start)
            push(waiting, (key, job, service))
            last = at

    def _serve_the_rest(self, last: int, until: int | None) -> None:
        """No job arrives any more: the waiting jobs start one after another, those whose turn comes before ``until``."""
        while self._waiting:
            start = max(self._free[0], last)
            if until is not None and start >= until:
                return
            _, chosen, takes = heapq.heappop(self._waiting)
            heapq.heapreplace(self._free, start + takes)
            self._order.append(chosen)
            self._starts.append(start)

    def _write_starts(self) -> Instants:
        """Who has started since the last time, now in the columns."""
        order = np.array(self._order, np.int64)
        self._recorder.serve_many(order, np.array(self._starts, np.int64))
        self._order.clear()
        self._starts.clear()
        return order

    def _who_waits(self) -> Instants:
        return np.array([job for _, job, _ in self._waiting], np.int64)
