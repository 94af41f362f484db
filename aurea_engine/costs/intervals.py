"""Whole-run meters over intervals: how many jobs were in service at once, and for how long instances were busy.

For any assignment of jobs to instances that take c jobs at once, with L(t) jobs in service and d their service times::

    Σd / c  ≤  ∫⌈L/c⌉dt  ≤  Σ over instances of the union of its busy periods  ≤  Σd

`Concurrency` keeps how long each level of L lasted; that one histogram answers ∫⌈L/c⌉dt for *every* c. `BusyTime` assigns
jobs to instances: each job, in order of its start (the shorter one first among equals), goes to the lowest-numbered
instance with a free place. At one instant jobs end before others start, and periods that touch are one period. A job of no
duration occupies nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from dataclasses import dataclass
from heapq import heappop, heappush, heappushpop
from typing import Literal

import numpy as np

from aurea_engine.costs.meters import STARTED, Billed, Meter, Parts, State, Whole, exact_sum

Scope = Literal["period", "instance", "run"]
"""What is rounded up to the step: each busy period, each instance's total, or the run's."""

_SAMPLE = 20_000
_EXACT_FLOAT = 2**53


class _Intervals(State):
    """Buffers starts and finishes, 16 bytes a job. ``limit``: forget everything beyond so many jobs."""

    def __init__(self, billed: Billed, limit: int | None) -> None:
        self.billed = billed
        self.limit = limit
        self.starts: list[Whole] = []
        self.finishes: list[Whole] = []
        self.rows = 0
        self.job_ns = 0
        self._ratio: tuple[int, dict[str, float]] = (0, {})

    @abstractmethod
    def count(self, starts: Whole, finishes: Whole) -> dict[str, int]:
        """The exact counts for these intervals, all of positive length, in any order."""

    def feed(self, parts: Parts) -> None:
        for jobs in parts.billed(self.billed):
            lasting = jobs.finished > jobs.started
            everything = bool(lasting.all())
            starts = jobs.started.copy() if everything else jobs.started[lasting]
            finishes = jobs.finished.copy() if everything else jobs.finished[lasting]
            self.rows += len(starts)
            self.job_ns += exact_sum(finishes - starts)
            if self._kept:
                self.starts.append(starts)
                self.finishes.append(finishes)
            else:
                self.starts, self.finishes = [], []

    @property
    def _kept(self) -> bool:
        return self.limit is None or self.rows <= self.limit

    def merge(self, other: State) -> None:
        assert isinstance(other, _Intervals)
        self.rows += other.rows
        self.job_ns += other.job_ns
        if self._kept:
            self.starts += other.starts
            self.finishes += other.finishes
        else:
            self.starts, self.finishes = [], []

    def close(self) -> dict[str, int] | None:
        if not self._kept:
            return None
        if not self.rows:
            return self.count(np.empty(0, np.int64), np.empty(0, np.int64))
        if len(self.starts) > 1:
            self.starts, self.finishes = [np.concatenate(self.starts)], [np.concatenate(self.finishes)]
        return self.count(self.starts[0], self.finishes[0])

    def rough(self) -> dict[str, int] | None:
        """The latest jobs' counts in proportion to their service time, taken again at each tenth more of jobs."""
        if not self._kept or not self.rows:
            return self.close()
        asked, ratios = self._ratio
        if self.rows > asked * 1.1:
            ratios = self._latest()
            self._ratio = (self.rows, ratios)
        return {label: round(ratio * self.job_ns) for label, ratio in ratios.items()}

    def _latest(self) -> dict[str, float]:
        rows, first = 0, len(self.starts)
        while first > 0 and rows < _SAMPLE:
            first -= 1
            rows += len(self.starts[first])
        starts = np.concatenate(self.starts[first:])[-_SAMPLE:]
        finishes = np.concatenate(self.finishes[first:])[-_SAMPLE:]
        time = exact_sum(finishes - starts)
        return {label: count / time for label, count in self.count(starts, finishes).items()}


@dataclass(frozen=True)
class Concurrency(Meter):
    """How many ns exactly 1, 2, 3, … billed jobs were in service, labelled by that number."""

    billed: Billed = STARTED
    limit: int | None = None

    @property
    def key(self) -> str:
        return f"concurrency/billed={'+'.join(sorted(self.billed))}"

    def state(self) -> State:
        return _Levels(self.billed, self.limit)


class _Levels(_Intervals):
    def count(self, starts: Whole, finishes: Whole) -> dict[str, int]:
        if not len(starts):
            return {}
        origin = int(starts.min())
        # One sort of coded events: twice the instant, plus one for a start, so that at one instant ends come first.
        events = np.concatenate([(starts - origin) * 2 + 1, (finishes - origin) * 2])
        events.sort()
        levels = np.cumsum((events & 1) * 2 - 1, dtype=np.int32)[:-1]
        events >>= 1
        lasted = np.diff(events)
        return {str(level): ns for level, ns in enumerate(_sums_by(levels, lasted)) if level and ns}


def _sums_by(labels: np.ndarray[tuple[int], np.dtype[np.int32]], values: Whole) -> list[int]:
    """Sums of ``values`` by label. Sums in float64 are exact below 2⁵³ (104 days of ns); beyond, in two halves."""
    if int(values.sum()) < _EXACT_FLOAT:
        return [int(total) for total in np.bincount(labels, values).tolist()]
    high, low = np.bincount(labels, values >> 30), np.bincount(labels, values & (2**30 - 1))
    return [(int(a) << 30) + int(b) for a, b in zip(high.tolist(), low.tolist(), strict=True)]


@dataclass(frozen=True)
class BusyTime(Meter):
    """For how long instances that take ``concurrency`` jobs at once were busy: ``billed`` is rounded up to ``step`` ns by
    ``scope``, ``busy`` is not; ``jobs`` is Σd; ``instances`` is how many were ever needed.
    """

    concurrency: int
    step: int = 1
    scope: Scope = "period"
    billed: Billed = STARTED

    @property
    def key(self) -> str:
        outcomes = "+".join(sorted(self.billed))
        return f"busy/concurrency={self.concurrency}/step={self.step}/scope={self.scope}/billed={outcomes}"

    def state(self) -> State:
        return _Busy(self)


class _Busy(_Intervals):
    def __init__(self, meter: BusyTime) -> None:
        super().__init__(meter.billed, None)
        self.meter = meter

    def count(self, starts: Whole, finishes: Whole) -> dict[str, int]:
        job_ns = exact_sum(finishes - starts)
        instances, periods = busy_periods(starts, finishes, self.meter.concurrency)
        step = self.meter.step
        if self.meter.scope == "period":
            billed = exact_sum(-(-periods // step) * step)
        elif self.meter.scope == "instance":
            count = int(instances.max()) + 1 if len(instances) else 0
            totals = _sums_by(instances, periods) if count else []
            billed = sum(-(-total // step) * step for total in totals)
        else:
            billed = -(-exact_sum(periods) // step) * step
        used = int(instances.max()) + 1 if len(instances) else 0
        return {"billed": billed, "busy": exact_sum(periods), "jobs": job_ns, "instances": used}


Numbers = np.ndarray[tuple[int], np.dtype[np.int32]]


def busy_periods(starts: Whole, finishes: Whole, concurrency: int) -> tuple[Numbers, Whole]:
    """The busy periods of all instances: the number of its instance, and its length in ns, for each."""
    if not len(starts):
        return np.empty(0, np.int32), np.empty(0, np.int64)
    starts, finishes = _in_order(starts, finishes)
    origin = int(starts[0])
    instance = assign(starts, finishes, concurrency)
    if instance is None:
        return _periods(starts - origin, finishes - origin, np.zeros(len(starts), np.int32))
    by_instance = np.argsort(instance, kind="stable")
    return _periods(starts[by_instance] - origin, finishes[by_instance] - origin, instance[by_instance])


def _in_order(starts: Whole, finishes: Whole) -> tuple[Whole, Whole]:
    """By start, then by finish: the bill must not depend on the order in which the jobs came."""
    if (finishes[1:] < finishes[:-1]).any():
        by_finish = np.argsort(finishes, kind="stable")
        starts, finishes = starts[by_finish], finishes[by_finish]
    order = np.argsort(starts, kind="stable")
    return starts[order], finishes[order]


def _periods(starts: Whole, finishes: Whole, instance: Numbers) -> tuple[Numbers, Whole]:
    """Jobs sorted by instance, then start: a period begins where the instance is new or all before have ended."""
    first_of = np.flatnonzero(np.diff(instance, prepend=-1))
    latest = np.empty_like(finishes)
    for begin, end in zip(first_of.tolist(), [*first_of[1:].tolist(), len(instance)], strict=True):
        np.maximum.accumulate(finishes[begin:end], out=latest[begin:end])
    begins = np.empty(len(starts), bool)
    begins[0] = True
    # Strictly after: a job that starts as the last one ends continues its period.
    begins[1:] = starts[1:] > latest[:-1]
    begins[first_of] = True
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(starts)) - 1
    return instance[first], latest[last] - starts[first]


def assign(starts: Whole, finishes: Whole, concurrency: int) -> Numbers | None:
    """Each job's instance, jobs in order of start; None where one instance took them all.

    Places are numbered, ``concurrency`` of them to an instance, and each job takes the lowest free one, which lies in the
    lowest-numbered instance with a free place.
    """
    n = len(starts)
    ending = np.argsort(finishes, kind="stable")
    before = np.searchsorted(starts, finishes[ending], side="left")
    ranks = np.arange(n)
    if int((before - ranks).max()) <= concurrency:
        return None
    peak = int((np.arange(1, n + 1) - np.searchsorted(finishes[ending], starts, side="right")).max())
    places = _lowest_free(np.bincount(before, minlength=n)[:n], ending, peak)
    return np.asarray(np.frombuffer(places, np.int32) // np.int32(concurrency))


def _lowest_free(ends_before: Whole, ending: Whole, peak: int) -> array[int]:
    """Each job's place, in order of start. ``ends_before``: how many end between the start before and this one.

    The one step that no vector operation can take, since who gets a place depends on who got the others: a heap of the free
    places. A place that is freed and taken at once, the usual case, is one heap operation.
    """
    places = array("i")
    take = places.append
    free = list(range(peak))
    ended = 0
    for block in range(0, len(ends_before), 1 << 16):
        counts = ends_before[block : block + (1 << 16)]
        following = ended + int(counts.sum())
        next_ended = iter(ending[ended:following].tolist()).__next__
        ended = following
        for count in counts.tolist():
            if count == 0:
                take(heappop(free))
            else:
                for _ in range(count - 1):
                    heappush(free, places[next_ended()])
                take(heappushpop(free, places[next_ended()]))
    return places
