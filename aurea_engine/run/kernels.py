"""Short cuts in virtual time: open arrivals, a fixed number of slots, nothing rejected, a discipline that comes with Aurea.

A job's start then follows from the earliest free slot and the jobs that wait, so it takes a heap of the instants at which
slots are free, and for all but first come, first served (Kiefer and Wolfowitz 1955) a heap of the waiting jobs. A property
test holds both equal to the general path, job by job.
"""

from __future__ import annotations

import heapq

import numpy as np

from aurea_engine.records.batch import NEVER, Instants, Outcomes
from aurea_engine.run.aborts import aborting
from aurea_engine.run.context import DriverStats, RunContext, in_reach
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.plan import Block, JobPlan
from aurea_engine.run.recorder import BATCH, Recorder
from aurea_engine.run.stop_conditions import Watch
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Arrivals
from aurea_engine.workload.schedulers import Fifo, Lifo, Priority, Scheduler, ShortestFirst


class FifoKernel:
    """First come, first served."""

    def accepts(self, spec: RunSpec) -> bool:
        return _is_simple(spec) and type(spec.scheduler) is Fifo

    async def drive(self, run: RunContext) -> DriverStats:
        with in_reach():
            _InOrder(run.plan, run.dispatcher, run.recorder, run.conditions.watch).run()
        return run.close_virtual_window()


class KeyedKernel:
    """Last come first served, shortest first, by priority."""

    def accepts(self, spec: RunSpec) -> bool:
        return _is_simple(spec) and type(spec.scheduler) in (Lifo, ShortestFirst, Priority)

    async def drive(self, run: RunContext) -> DriverStats:
        with in_reach():
            _Keyed(run.plan, run.dispatcher, run.recorder, run.conditions.watch, type(run.spec.scheduler)).run()
        return run.close_virtual_window()


def _is_simple(spec: RunSpec) -> bool:
    """Open arrivals, a fixed number of slots, nothing rejected, and nothing but the last job ends the run."""
    return (
        spec.clock == "virtual"
        and type(spec.workload.arrivals).think_times is Arrivals.think_times  # so they are open
        and spec.scheduler.slots is not None
        and spec.scheduler.queue_limit is None
        and spec.workload.plain
        and not aborting(spec)
    )


class _ShortCut:
    """What all short cuts share: their rows, and how they are stopped.

    The start of a job is known before virtual time has come to it, and its end with it. So what has *ended* is what ends no
    later than the latest arrival: the others are kept in ``_serving`` (job numbers), and not logged as done before they
    are. A stop takes effect at the latest arrival: see `aurea_engine.run.driver`.
    """

    def __init__(self, plan: JobPlan, dispatcher: Dispatcher, recorder: Recorder, watch: Watch) -> None:
        self._plan, self._dispatcher, self._recorder, self._watch = plan, dispatcher, recorder, watch
        self._free = [0] * dispatcher.slots
        self._serving: Instants = np.empty(0, np.int64)
        self._busy_until = np.empty(0, np.int64)

    def _settle(self, begun: Instants, until: int | None) -> None:
        """Log the jobs in service, those in ``begun`` too, that have ended ``until`` then (None: all of them)."""
        recorder = self._recorder
        serving = np.concatenate([self._serving, begun]) if len(self._serving) else begun
        if until is not None:
            over = np.frombuffer(recorder.finished, np.int64)[serving - recorder.base] <= until
            self._serving = serving[~over]
            serving = serving[over]
        if not len(serving):
            return
        np.frombuffer(recorder.outcome, np.uint8)[serving - recorder.base] = self._outcomes(serving)
        recorder.done.frombytes(serving.tobytes())
        self._dispatcher.ended += len(serving)

    def _outcomes(self, jobs: Instants) -> Outcomes:
        """How these end."""
        abnormal = self._recorder.abnormal
        if not abnormal:
            return np.ones(len(jobs), np.uint8)
        return np.array([abnormal.pop(job, 1) for job in jobs.tolist()], np.uint8)

    def _cut(self, at: int, waiting: Instants) -> None:
        """Stopped at ``at``, the latest arrival: who is in service or waits is cancelled, who arrives then does not."""
        recorder, dispatcher = self._recorder, self._dispatcher
        for job in self._serving.tolist():
            recorder.cancel(job, at)
        intended = np.frombuffer(recorder.intended, np.int64)[waiting - recorder.base]
        arrived = waiting[intended < at].tolist()
        del intended
        for job in arrived:
            recorder.started[job - recorder.base] = NEVER
            recorder.cancel(job, NEVER)
        dispatcher.ended += len(self._serving) + len(arrived)
        dispatcher.arrived -= len(waiting) - len(arrived)
        dispatcher.peak = min(dispatcher.peak, dispatcher.arrived)
        self._plan.stop(at, releasing=True)


class _InOrder(_ShortCut):
    """First come, first served on c slots: a job starts when it arrives or when the earliest slot is free.

    So starts never go back, and the jobs whose start is still to come are the last ones: from ``_queued`` on. How a job
    will end is kept in ``_endings``, of those from number ``_first`` on, until it has.
    """

    _first = 0
    _queued = 0

    def run(self) -> None:
        """Block by block."""
        recorder, dispatcher, free, replace = self._recorder, self._dispatcher, self._free, heapq.heapreplace
        first, self._endings = 0, bytearray()
        for block in self._plan.blocks():
            assert block.intended is not None
            n = len(block)
            starts = []
            for intended, service in zip(block.intended.tolist(), block.service.tolist(), strict=True):
                start = free[0]
                if intended > start:
                    start = intended
                replace(free, start + service)
                starts.append(start)
            started = np.array(starts, np.int64)
            self._write(block, started)
            dispatcher.arrived += n
            first, last = first + n, int(block.intended[-1])
            self._settle(self._begun(last), last)
            recorder.digest_batch(BATCH)
            if self._watch(last):
                self._note_peak(block, started[started < last])
                self._cut(last, np.arange(self._queued, first))
                return
            self._note_peak(block, started)
        self._settle(np.arange(self._queued, first), None)

    def _write(self, block: Block, started: Instants) -> None:
        recorder, n = self._recorder, len(block)
        assert block.intended is not None
        recorder.extend(block)
        recorder.abnormal.clear()
        self._endings += block.outcome.tobytes()
        finished = started + block.service
        if (finished < started).any():
            raise OverflowError
        np.frombuffer(recorder.released, np.int64)[-n:] = block.intended
        np.frombuffer(recorder.started, np.int64)[-n:] = started
        np.frombuffer(recorder.finished, np.int64)[-n:] = finished

    def _outcomes(self, jobs: Instants) -> Outcomes:
        outcomes = np.frombuffer(self._endings, np.uint8)[jobs - self._first]
        first = min(self._queued, int(self._serving.min())) if len(self._serving) else self._queued
        del self._endings[: first - self._first]
        self._first = first
        return outcomes

    def _note_peak(self, block: Block, started: Instants) -> None:
        # A job that takes no time is in service at its instant all the same, so far as there are slots.
        if len(started):
            ends = np.maximum(started + block.service[: len(started)], started + 1)
            self._busy_until = _note_peak(self._dispatcher, started, np.concatenate([self._busy_until, ends]))

    def _begun(self, last: int) -> Instants:
        """Who starts before ``last`` and was not known to yet."""
        started = np.frombuffer(self._recorder.started, np.int64)[self._queued - self._recorder.base :]
        first, self._queued = self._queued, self._queued + int(np.searchsorted(started, last))
        return np.arange(first, self._queued)


def _note_peak(dispatcher: Dispatcher, started: Instants, busy_until: Instants) -> Instants:
    """Raise the dispatcher's peak to the most jobs in service at any of these starts; returns the ends still to come."""
    busy_until = np.sort(busy_until)
    before = len(busy_until) - len(started)
    in_service = before + np.arange(1, len(started) + 1) - np.searchsorted(busy_until, started, side="right")
    dispatcher.peak = max(dispatcher.peak, min(dispatcher.slots, int(in_service.max())))
    return np.asarray(busy_until[busy_until > started[-1]])


def _keys(discipline: type[Scheduler], block: Block) -> list[float] | list[int]:
    """What the waiting jobs are ordered by, smallest first; equal ones in order of arrival."""
    assert block.intended is not None
    if discipline is Lifo:
        return (-block.intended).tolist()  # type: ignore[no-any-return]
    if discipline is ShortestFirst:
        return np.nan_to_num(block.demand, nan=np.inf).tolist()  # type: ignore[no-any-return]
    assert discipline is Priority
    return (-block.priority).tolist()  # type: ignore[no-any-return]


class _Keyed(_ShortCut):
    """Waiting jobs are served in order of a key. ``_free``: for every slot the instant from which it is free."""

    def __init__(
        self, plan: JobPlan, dispatcher: Dispatcher, recorder: Recorder, watch: Watch, discipline: type[Scheduler]
    ) -> None:
        super().__init__(plan, dispatcher, recorder, watch)
        self._discipline = discipline
        self._waiting: list[tuple[float, int, int]] = []
        self._order: list[int] = []
        self._starts: list[int] = []

    def run(self) -> None:
        """Block by block; at the end, or when stopped, nothing waits any more."""
        last, first = 0, 0
        for block in self._plan.blocks():
            assert block.intended is not None
            self._recorder.extend(block)
            np.frombuffer(self._recorder.released, np.int64)[-len(block) :] = block.intended
            self._dispatcher.arrived += len(block)
            last = self._take(block, block.intended.tolist(), first, last)
            first += len(block)
            self._settle(self._write(), last)
            self._recorder.digest_batch(BATCH)
            if self._watch(last):
                self._cut(last, np.array([job for _, job, _ in self._waiting], np.int64))
                return
        self._serve_the_rest(last)
        self._settle(self._write(), None)

    def _take(self, block: Block, instants: list[int], first: int, last: int) -> int:
        """The jobs of a block arrive. Before each, whoever can start before its instant does.

        ``last`` is the instant of the arrival before. Jobs that arrived at ``last`` itself start when all of that instant
        are there, so not before the first that comes later.
        """
        free, waiting, order, starts = self._free, self._waiting, self._order, self._starts
        push, pop, replace = heapq.heappush, heapq.heappop, heapq.heapreplace
        jobs = range(first, first + len(block))
        keys, services = _keys(self._discipline, block), block.service.tolist()
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
        return last

    def _serve_the_rest(self, last: int) -> None:
        while self._waiting:
            start = max(self._free[0], last)
            _, chosen, takes = heapq.heappop(self._waiting)
            heapq.heapreplace(self._free, start + takes)
            self._order.append(chosen)
            self._starts.append(start)

    def _write(self) -> Instants:
        """Into the columns, for all who have started since the last time, and who they are: their ends are known too."""
        recorder = self._recorder
        order = np.array(self._order, np.int64)
        if not len(order):
            return order
        rows = order - recorder.base
        started = np.array(self._starts, np.int64)
        finished = np.frombuffer(recorder.finished, np.int64)
        ends = started + finished[rows]
        if (ends < started).any():
            raise OverflowError
        finished[rows] = ends
        np.frombuffer(recorder.started, np.int64)[rows] = started
        self._busy_until = _note_peak(
            self._dispatcher, started, np.concatenate([self._busy_until, np.maximum(ends, started + 1)])
        )
        self._order.clear()
        self._starts.clear()
        return order
