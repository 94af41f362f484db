"""Which instance serves which job, and for how long each instance is busy.

Records do not say which instance served a job, so the jobs are routed here, by one rule. In order of their starts (the
shorter first among equals), each goes to the lowest-numbered instance with a free place. Places are numbered,
``concurrency`` of them to an instance. So taking the lowest free place is taking the lowest-numbered instance that has one.
At one instant places are freed before they are taken. Busy periods that touch are one period.

Jobs are routed in chunks, so that the memory for it stays small, however long the run. Between chunks only the jobs in
service and the open period of each instance are carried over.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush, heappushpop

import numpy as np

from aurea_engine.costs.meters import Whole

Numbers = np.ndarray[tuple[int], np.dtype[np.int32]]

_CHUNK = 1 << 16


def find_busy_periods(starts: Whole, finishes: Whole, concurrency: int) -> tuple[Numbers, Whole]:
    """All busy periods: for each, the number of its instance, and its length in ns."""
    starts, finishes = _sort_by_start(starts, finishes)
    router, periods = _Router(concurrency), _Periods()
    first = 0
    while first < len(starts):
        # Larger than the number of jobs in service. Otherwise most of the work would be carrying them from chunk to chunk.
        rows = slice(first, first + max(_CHUNK, 2 * len(router.finishes)))
        periods.add(starts[rows], finishes[rows], router.assign(starts[rows], finishes[rows]))
        first = rows.stop
    return periods.finish()


def _sort_by_start(starts: Whole, finishes: Whole) -> tuple[Whole, Whole]:
    """Sorted by start, then by finish, because the bill must not depend on the order in which the jobs came."""
    # Two stable sorts instead of lexsort. The first is mostly not needed: records are nearly in order of finish.
    if (finishes[1:] < finishes[:-1]).any():
        by_finish = np.argsort(finishes, kind="stable")
        starts, finishes = starts[by_finish], finishes[by_finish]
    order = np.argsort(starts, kind="stable")
    return starts[order], finishes[order]


class _Router:
    """Assigns each job an instance. ``finishes``, ``places``: those of the jobs in service after the last start."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.finishes: Whole = np.empty(0, np.int64)
        self.places: list[int] = []
        self.free: list[int] = []
        self.opened = 0

    def assign(self, starts: Whole, finishes: Whole) -> Numbers:
        """The instances of the next jobs, which come in order of their starts."""
        n, carried = len(starts), len(self.finishes)
        finishes = np.concatenate([self.finishes, finishes])
        ending = np.argsort(finishes, kind="stable")
        # side="left": a job that finishes at the instant of a start counts as ended before it, and its place can be taken.
        before = np.searchsorted(starts, finishes[ending], side="left")
        ends_before = np.bincount(before, minlength=n + 1)[:n]
        ended = int(ends_before.sum())
        staying = ending[ended:]
        peak = carried + int((np.arange(1, n + 1) - np.cumsum(ends_before)).max())
        self.finishes = finishes[staying]
        if peak <= self.concurrency and max(self.places, default=0) < self.concurrency:
            return self._assign_all_to_first(n, len(staying))
        if peak > self.opened:
            # The new places are above all in the heap, so appending them keeps it a heap.
            self.free += range(self.opened, peak)
            self.opened = peak
        places = self._assign_lowest_free(ends_before.tolist(), ending[:ended].tolist())
        self.places = [places[i] for i in staying.tolist()]
        return np.asarray(np.array(places[carried:], np.int32) // np.int32(self.concurrency))

    def _assign_all_to_first(self, n: int, staying: int) -> Numbers:
        """The short way: one instance has room for all, and then its places need not be told apart."""
        self.opened = max(self.opened, staying)
        self.places = list(range(staying))
        self.free = list(range(staying, self.opened))
        return np.zeros(n, np.int32)

    def _assign_lowest_free(self, ends_before: list[int], ending: list[int]) -> list[int]:
        """The places of the carried and of the new jobs. ``ends_before``: how many jobs end before each start.

        This step cannot be vectorised, because who gets a place depends on who got the others. It keeps a heap of the free
        places. In the usual case a place is freed and taken at once, which is a single heap operation.
        """
        places, free = self.places, self.free
        take, next_ended = places.append, iter(ending).__next__
        for count in ends_before:
            if count == 0:
                take(heappop(free))
            else:
                while count > 1:
                    heappush(free, places[next_ended()])
                    count -= 1  # noqa: PLW2901 - a range for each job would cost a tenth of the whole
                take(heappushpop(free, places[next_ended()]))
        return places


class _Periods:
    """Joins jobs of one instance that overlap or touch. An instance's last period stays open until no job can join it."""

    def __init__(self) -> None:
        self._open: tuple[Numbers, Whole, Whole] = (np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))
        self._closed: list[tuple[Numbers, Whole]] = []

    def add(self, starts: Whole, finishes: Whole, instance: Numbers) -> None:
        instance = np.concatenate([self._open[0], instance])
        # numpy sorts 16-bit integers by radix, which is several times faster. Stable, so that the open period of an instance
        # stays before its new jobs.
        narrow = instance.astype(np.int16) if int(instance.max()) < 2**15 else instance
        order = np.argsort(narrow, kind="stable")
        instance = instance[order]
        starts = np.concatenate([self._open[1], starts])[order]
        finishes = np.concatenate([self._open[2], finishes])[order]
        new_instance = np.diff(instance, prepend=-1) != 0
        latest = _compute_running_max(finishes, np.flatnonzero(new_instance))
        begins = new_instance
        # Strictly after: a job that starts at the instant at which the last one ends continues its period.
        begins[1:] |= starts[1:] > latest[:-1]
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(starts)) - 1
        which, began, ended = instance[first], starts[first], latest[last]
        stays_open = np.diff(which, append=-1) != 0
        self._open = (which[stays_open], began[stays_open], ended[stays_open])
        self._closed.append((which[~stays_open], (ended - began)[~stays_open]))

    def finish(self) -> tuple[Numbers, Whole]:
        which, began, ended = self._open
        parts = [*self._closed, (which, ended - began)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _compute_running_max(values: Whole, groups: Whole) -> Whole:
    """The largest value so far within each group; ``groups`` are their first rows."""
    largest = np.empty_like(values)
    for begin, end in _pair_bounds(groups.tolist(), len(values)):
        np.maximum.accumulate(values[begin:end], out=largest[begin:end])
    return largest


def _pair_bounds(firsts: list[int], end: int) -> Iterator[tuple[int, int]]:
    yield from zip(firsts, [*firsts[1:], end], strict=True)
