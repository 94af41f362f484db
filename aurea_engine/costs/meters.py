"""Meters turn columns of jobs into exact whole counts.

A meter counts in integers (nanoseconds, jobs, tokens), so sums are exact and neither order nor batch size matters. Rounding
to a billing step and minimums happen here, job by job, before anything is summed. What a meter counted is kept by outcome,
so that a later question ("and if failures were free?") needs no records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aurea_engine.costs.started_jobs import Parts
from aurea_engine.errors import StrategyError
from aurea_engine.records.batch import JobBatch

Whole = NDArray[np.int64]


class State(ABC):
    """What one meter has counted so far in one run."""

    @abstractmethod
    def feed(self, parts: Parts) -> None:
        """Take the next ended jobs, in any order."""

    @abstractmethod
    def merge(self, other: State) -> None:
        """Take over what another state of the same meter has counted: a part of the *same* run, seen elsewhere."""

    @abstractmethod
    def close(self) -> dict[str, int] | None:
        """The exact counts by label; may be asked again after more feeding. None where it gave up keeping them."""

    def rough(self) -> dict[str, int] | None:
        """A cheap estimate of `close` for a live display."""
        return self.close()


class Meter(ABC):
    """Counts one thing over one run. ``key`` is its identity: everything that changes what is counted is part of it."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Such as ``time/step=1000000/minimum=1000000``."""

    @abstractmethod
    def state(self) -> State:
        """A fresh count."""


class JobMeter(Meter):
    """A meter that looks at each job alone. Subclass it as a frozen dataclass and write `measure`."""

    @property
    def key(self) -> str:
        return f"{type(self).__module__}.{type(self).__qualname__}/{self!r}"

    @abstractmethod
    def measure(self, jobs: JobBatch) -> Whole:
        """One whole number >= 0 for each of ``jobs``, which all started. Vectorised: one array in, one int64 array out."""

    def state(self) -> State:
        return _Sums(self)

    def checked(self, jobs: JobBatch) -> Whole:
        """`measure`, held to its contract."""
        counts = np.asarray(self.measure(jobs))
        if counts.shape != (len(jobs),) or counts.dtype.kind not in "iu":
            raise StrategyError(
                f"the meter {self.key} must give {len(jobs)} whole numbers, got {counts.dtype} of shape {counts.shape}"
            )
        if counts.size and counts.min() < 0:
            raise StrategyError(f"the meter {self.key} must count from 0 up, got {counts.min()}")
        return counts


class _Sums(State):
    def __init__(self, meter: JobMeter) -> None:
        self.meter = meter
        self.sums: dict[str, int] = {}

    def feed(self, parts: Parts) -> None:
        for outcome, jobs in parts.by_outcome.items():
            self.sums[outcome] = self.sums.get(outcome, 0) + exact_sum(self.meter.checked(jobs))

    def merge(self, other: State) -> None:
        assert isinstance(other, _Sums)
        for outcome, count in other.sums.items():
            self.sums[outcome] = self.sums.get(outcome, 0) + count

    def close(self) -> dict[str, int]:
        return dict(self.sums)


def exact_sum(counts: Whole) -> int:
    """The sum as a Python integer, right even where it does not fit int64."""
    if not counts.size:
        return 0
    if int(counts.max()) <= (2**63 - 1) // counts.size:
        return int(counts.sum())
    return (int((counts >> 32).sum()) << 32) + int((counts & 0xFFFFFFFF).sum())


@dataclass(frozen=True)
class JobCount(JobMeter):
    """One for each started job."""

    @property
    def key(self) -> str:
        return "jobs"

    def measure(self, jobs: JobBatch) -> Whole:
        return np.ones(len(jobs), np.int64)


@dataclass(frozen=True)
class JobTime(JobMeter):
    """Each started job's service time in ns: plus ``extra``, up to a whole ``step``, at least ``minimum`` (all ns)."""

    step: int = 1
    minimum: int = 0
    extra: int = 0

    @property
    def key(self) -> str:
        return f"time/step={self.step}/minimum={self.minimum}/extra={self.extra}"

    def measure(self, jobs: JobBatch) -> Whole:
        time = jobs.service_ns
        if self.extra:
            time += self.extra
        if self.step > 1:
            # Int64 all the way: the ceiling of a float bills one step too many for half of all whole-step jobs.
            time += self.step - 1
            time //= self.step
            time *= self.step
        if self.minimum:
            np.maximum(time, self.minimum, out=time)
        return time
