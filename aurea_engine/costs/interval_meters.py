"""Meters over intervals of the whole run: how many jobs were in service at once, and how long instances were busy.

For any assignment of jobs to instances that take c jobs at once, with L(t) jobs in service and service times d::

    Σd / c  ≤  ∫⌈L/c⌉dt  ≤  Σ over instances of the union of its busy periods  ≤  Σd

`Concurrency` counts how long each level of L lasted. That one histogram gives ∫⌈L/c⌉dt for *every* c. `BusyTime` assigns
jobs to instances as `aurea_engine.costs.job_routing` describes. At one instant jobs end before others start, and a job of no
duration occupies nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aurea_engine.costs.billing_step import count_steps, round_up
from aurea_engine.costs.job_routing import Numbers, find_busy_periods
from aurea_engine.costs.meters import Meter, MeterState, Whole, sum_exactly
from aurea_engine.costs.started_jobs import STARTED, Billed, StartedJobs

Scope = Literal["period", "instance", "run"]
"""What is rounded up to the step: each busy period, the total of each instance, or the total of the run."""

MOST_LEVELS = 1000
"""A histogram of concurrency with more levels is kept only if a cost model needs it."""

# Jobs that an estimate for a live display looks at.
_SAMPLE = 20_000
# Integers below this are exact in float64, so np.bincount, which sums in float64, is exact.
_EXACT_FLOAT = 2**53
# A span below this leaves room for one more bit in int64.
_CODED = 2**62
# Three parts of 21 bits cover a nonnegative int64. A sum of 2³² parts of 21 bits stays below 2⁵³.
_BITS = 21
_PART = 2**_BITS - 1


class _Intervals(MeterState):
    """Buffers starts and finishes, 16 bytes a job. ``limit``: with more jobs, everything is dropped."""

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

    def feed(self, parts: StartedJobs) -> None:
        for jobs in parts.billed(self.billed):
            lasting = jobs.finished > jobs.started
            everything = bool(lasting.all())
            starts = jobs.started.copy() if everything else jobs.started[lasting]
            finishes = jobs.finished.copy() if everything else jobs.finished[lasting]
            # Copies, since a caller may write over its columns later. Jobs of no duration occupy nothing, and are left out.
            self.rows += len(starts)
            self.job_ns += sum_exactly(finishes - starts)
            if self._kept:
                self.starts.append(starts)
                self.finishes.append(finishes)
            else:
                self.starts, self.finishes = [], []

    @property
    def _kept(self) -> bool:
        return self.limit is None or self.rows <= self.limit

    def merge(self, other: MeterState) -> None:
        assert isinstance(other, _Intervals)
        self.rows += other.rows
        self.job_ns += other.job_ns
        if self._kept:
            self.starts += other.starts
            self.finishes += other.finishes
        else:
            self.starts, self.finishes = [], []

    def read_counts(self) -> dict[str, int] | None:
        if not self._kept:
            return None
        if not self.rows:
            return self.count(np.empty(0, np.int64), np.empty(0, np.int64))
        if len(self.starts) > 1:
            self.starts, self.finishes = [np.concatenate(self.starts)], [np.concatenate(self.finishes)]
        return self.count(self.starts[0], self.finishes[0])

    def estimate_counts(self) -> dict[str, int] | None:
        """The counts of the latest jobs, scaled by service time. Taken again whenever there are a tenth more jobs."""
        if not self._kept or not self.rows:
            return self.read_counts()
        asked, ratios = self._ratio
        if self.rows > asked * 1.1:
            ratios = self._measure_latest()
            self._ratio = (self.rows, ratios)
        return {label: round(ratio * self.job_ns) for label, ratio in ratios.items()}

    def _measure_latest(self) -> dict[str, float]:
        rows, first = 0, len(self.starts)
        while first > 0 and rows < _SAMPLE:
            first -= 1
            rows += len(self.starts[first])
        starts = np.concatenate(self.starts[first:])[-_SAMPLE:]
        finishes = np.concatenate(self.finishes[first:])[-_SAMPLE:]
        time = sum_exactly(finishes - starts)
        return {label: count / time for label, count in self.count(starts, finishes).items()}


@dataclass(frozen=True)
class Concurrency(Meter):
    """For how many ns exactly 1, 2, 3, … billed jobs were in service. The label is that number."""

    billed: Billed = STARTED
    limit: int | None = None

    @property
    def key(self) -> str:
        return f"concurrency/billed={'+'.join(sorted(self.billed))}"

    def state(self) -> MeterState:
        return _Levels(self.billed, self.limit)


class _Levels(_Intervals):
    def read_counts(self) -> dict[str, int] | None:
        levels = super().read_counts()
        # Kept only in case of a later question, and the result should stay small.
        return None if self.limit is not None and levels is not None and len(levels) > MOST_LEVELS else levels

    def count(self, starts: Whole, finishes: Whole) -> dict[str, int]:
        if not len(starts):
            return {}
        origin = int(starts.min())
        if int(finishes.max()) - origin >= _CODED:
            return _label_levels(*_count_levels_uncoded(starts, finishes))
        # One sort of coded events: twice the instant, plus one for a start. So at one instant ends come before starts, and
        # the lowest bit says whether the level goes up or down.
        events = np.concatenate([(starts - origin) * 2 + 1, (finishes - origin) * 2])
        events.sort()
        levels = np.cumsum((events & 1) * 2 - 1, dtype=np.int32)[:-1]
        events >>= 1
        lasted = np.diff(events)
        return _label_levels(levels, lasted)


def _count_levels_uncoded(starts: Whole, finishes: Whole) -> tuple[Numbers, Whole]:
    """The same for a span of 146 years or more, whose coded events would not fit int64: the number of jobs that had started
    by each instant, minus the number that had ended.
    """
    instants = np.unique(np.concatenate([starts, finishes]))
    started, ended = (np.searchsorted(np.sort(each), instants[:-1], side="right") for each in (starts, finishes))
    return (started - ended).astype(np.int32), np.diff(instants)


def _label_levels(levels: Numbers, lasted: Whole) -> dict[str, int]:
    return {str(level): ns for level, ns in enumerate(_sum_by_label(levels, lasted)) if level and ns}


def _sum_by_label(labels: Numbers, values: Whole) -> list[int]:
    """Sums of ``values`` by label, exactly. Float sums are exact below 2⁵³ (104 days of ns); above, in three parts."""
    if sum_exactly(values) < _EXACT_FLOAT:
        return [int(total) for total in np.bincount(labels, values).tolist()]
    parts = [np.bincount(labels, (values >> shift) & _PART).tolist() for shift in (0, _BITS, 2 * _BITS)]
    return [int(a) + (int(b) << _BITS) + (int(c) << 2 * _BITS) for a, b, c in zip(*parts, strict=True)]


@dataclass(frozen=True)
class BusyTime(Meter):
    """How long instances that take ``concurrency`` jobs at once were busy. Labels: ``billed`` is rounded up to ``step`` ns
    by ``scope``, ``busy`` is not; ``jobs`` is Σd; ``instances`` is the number that were ever needed.
    """

    concurrency: int
    step: int = 1
    scope: Scope = "period"
    billed: Billed = STARTED

    @property
    def key(self) -> str:
        outcomes = "+".join(sorted(self.billed))
        return f"busy/concurrency={self.concurrency}/step={self.step}/scope={self.scope}/billed={outcomes}"

    def state(self) -> MeterState:
        return _Busy(self)


class _Busy(_Intervals):
    def __init__(self, meter: BusyTime) -> None:
        super().__init__(meter.billed, None)
        self.meter = meter

    def count(self, starts: Whole, finishes: Whole) -> dict[str, int]:
        job_ns = sum_exactly(finishes - starts)
        instances, periods = find_busy_periods(starts, finishes, self.meter.concurrency)
        step = self.meter.step
        if self.meter.scope == "period":
            billed = sum_exactly(count_steps(periods, step)) * step
        elif self.meter.scope == "instance":
            count = int(instances.max()) + 1 if len(instances) else 0
            totals = _sum_by_label(instances, periods) if count else []
            billed = sum(round_up(total, step) for total in totals)
        else:
            billed = round_up(sum_exactly(periods), step)
        used = int(instances.max()) + 1 if len(instances) else 0
        return {"billed": billed, "busy": sum_exactly(periods), "jobs": job_ns, "instances": used}
