"""Short cuts in virtual time: open arrivals, a fixed number of slots, nothing rejected, a discipline that comes with Aurea.

A job's start then follows from the earliest free slot and the jobs that wait, so it takes a heap of the instants at which
slots are free, and for all but first come, first served (Kiefer and Wolfowitz 1955) a heap of the waiting jobs. A property
test holds both equal to the general path, job by job.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aurea_engine._dispatcher import Dispatcher
from aurea_engine._recorder import DIGEST, Recorder
from aurea_engine._release import Block, Release
from aurea_engine.records import NEVER, Instants
from aurea_engine.schedulers import Fifo, Lifo, Priority, Scheduler, ShortestFirst

Watch = Callable[[int], bool]


def run_short(release: Release, dispatcher: Dispatcher, recorder: Recorder, watch: Watch) -> None:
    """Simulate until every job has ended, or ``watch`` says stop. ``dispatcher.discipline`` is not None."""
    if dispatcher.discipline is Fifo:
        _in_order(release, dispatcher, recorder, watch)
    else:
        _Keyed(release, dispatcher, recorder, watch).run()


def _in_order(release: Release, dispatcher: Dispatcher, recorder: Recorder, watch: Watch) -> None:
    """First come, first served on c slots: a job starts when it arrives or when the earliest slot is free."""
    free = [0] * dispatcher.slots
    replace, first = heapq.heapreplace, 0
    busy_until = np.empty(0, np.int64)
    for block in release.blocks():
        assert block.intended is not None
        n = len(block)
        starts = []
        for intended, service in zip(block.intended.tolist(), block.service.tolist(), strict=True):
            start = free[0]
            if intended > start:
                start = intended
            replace(free, start + service)
            starts.append(start)
        recorder.extend(block)
        recorder.abnormal.clear()
        started = np.array(starts, np.int64)
        finished = started + block.service
        if (finished < started).any():
            raise OverflowError
        np.frombuffer(recorder.released, np.int64)[-n:] = block.intended
        np.frombuffer(recorder.started, np.int64)[-n:] = started
        np.frombuffer(recorder.finished, np.int64)[-n:] = finished
        np.frombuffer(recorder.outcome, np.uint8)[-n:] = block.ending
        recorder.done.frombytes(np.arange(first, first + n).tobytes())
        # A job that takes no time is in service at its instant all the same, so far as there are slots.
        busy_until = _note_peak(dispatcher, started, np.concatenate([busy_until, np.maximum(finished, started + 1)]))
        dispatcher.arrived += n
        dispatcher.ended += n
        first += n
        recorder.digest_some(DIGEST)
        if watch(int(block.intended[-1])):
            return


def _note_peak(dispatcher: Dispatcher, started: Instants, busy_until: Instants) -> Instants:
    """Raise the dispatcher's peak to the most jobs in service at any of these starts; returns the ends still to come."""
    busy_until = np.sort(busy_until)
    before = len(busy_until) - len(started)
    in_service = before + np.arange(1, len(started) + 1) - np.searchsorted(busy_until, started, side="right")
    dispatcher.peak = max(dispatcher.peak, min(dispatcher.slots, int(in_service.max())))
    return np.asarray(busy_until[busy_until > started[-1]])


def _keys(discipline: type[Scheduler] | None, block: Block) -> list[float] | list[int]:
    """What the waiting jobs are ordered by, smallest first; equal ones in order of arrival."""
    assert block.intended is not None
    if discipline is Lifo:
        return (-block.intended).tolist()  # type: ignore[no-any-return]
    if discipline is ShortestFirst:
        return np.nan_to_num(block.demand, nan=np.inf).tolist()  # type: ignore[no-any-return]
    assert discipline is Priority
    return (-block.priority).tolist()  # type: ignore[no-any-return]


class _Keyed:
    """Waiting jobs are served in order of a key. ``_free``: for every slot the instant from which it is free."""

    def __init__(self, release: Release, dispatcher: Dispatcher, recorder: Recorder, watch: Watch) -> None:
        self._release, self._dispatcher, self._recorder, self._watch = release, dispatcher, recorder, watch
        self._free = [0] * dispatcher.slots
        self._waiting: list[tuple[float, int, int]] = []
        self._order: list[int] = []
        self._starts: list[int] = []
        self._busy_until = np.empty(0, np.int64)

    def run(self) -> None:
        """Block by block; at the end, or when stopped, nothing waits any more."""
        last, first = 0, 0
        for block in self._release.blocks():
            assert block.intended is not None
            self._recorder.extend(block)
            np.frombuffer(self._recorder.released, np.int64)[-len(block) :] = block.intended
            self._dispatcher.arrived += len(block)
            last = self._take(block, block.intended.tolist(), first, last)
            first += len(block)
            self._write()
            if self._watch(last):
                self._cancel()
                return
        self._serve_the_rest(last)
        self._write()

    def _take(self, block: Block, instants: list[int], first: int, last: int) -> int:
        """The jobs of a block arrive. Before each, whoever can start before its instant does.

        ``last`` is the instant of the arrival before. Jobs that arrived at ``last`` itself start when all of that instant
        are there, so not before the first that comes later.
        """
        free, waiting, order, starts = self._free, self._waiting, self._order, self._starts
        push, pop, replace = heapq.heappush, heapq.heappop, heapq.heapreplace
        jobs = range(first, first + len(block))
        keys, services = _keys(self._dispatcher.discipline, block), block.service.tolist()
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

    def _write(self) -> None:
        """Into the columns, for all who have started since the last time: their ends are known with their starts."""
        if not self._order:
            return
        recorder, n = self._recorder, len(self._order)
        rows: NDArray[np.int64] = np.array(self._order, np.int64) - recorder.base
        started = np.array(self._starts, np.int64)
        finished = np.frombuffer(recorder.finished, np.int64)
        ends = started + finished[rows]
        if (ends < started).any():
            raise OverflowError
        finished[rows] = ends
        np.frombuffer(recorder.started, np.int64)[rows] = started
        abnormal, outcomes = recorder.abnormal, np.ones(n, np.uint8)
        if abnormal:
            outcomes[:] = [abnormal.pop(job, 1) for job in self._order]
        np.frombuffer(recorder.outcome, np.uint8)[rows] = outcomes
        recorder.done.frombytes(np.array(self._order, np.int64).tobytes())
        del finished
        self._busy_until = _note_peak(
            self._dispatcher, started, np.concatenate([self._busy_until, np.maximum(ends, started + 1)])
        )
        self._dispatcher.ended += n
        self._order.clear()
        self._starts.clear()
        recorder.digest_some(DIGEST)

    def _cancel(self) -> None:
        """Stopped: whoever has started ends as it would have, whoever waits is cancelled."""
        for _, job, _ in self._waiting:
            self._recorder.cancel(job, NEVER)
        self._dispatcher.ended += len(self._waiting)
        self._waiting.clear()
