"""Meters count what a price may be per: jobs, nanoseconds, whatever a job consumed. Counts are exact integers.

A meter counts whole numbers, so its sums are exact, and neither the order of jobs nor the size of batches changes them.
Rounding to a billing step and minimums happens here, job by job, before anything is summed. Counts are kept by outcome, so
that a later question ("and if failures were free?") needs no records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aurea_engine.costs.billing_step import round_up_each
from aurea_engine.costs.started_jobs import StartedJobs
from aurea_engine.errors import NotReported, StrategyError
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.measures import Schema

Whole = NDArray[np.int64]


class MeterState(ABC):
    """The counts of one meter so far in one run."""

    additive: ClassVar[bool] = False
    """Whether the counts of two parts of one run add up to those of the whole, as sums over single jobs do. Where they do
    not, a run that was measured in parts is counted again from its records.
    """

    @abstractmethod
    def feed(self, parts: StartedJobs) -> None:
        """Count the next ended jobs. They may come in any order."""

    @abstractmethod
    def merge(self, other: MeterState) -> None:
        """Add the counts of another state of the same meter: another part of the *same* run."""

    @abstractmethod
    def read_counts(self) -> dict[str, int] | None:
        """The exact counts by label. May be called again after more jobs. None if the state no longer keeps them."""

    def estimate_counts(self) -> dict[str, int] | None:
        """A cheap estimate of `read_counts` for a live display."""
        return self.read_counts()


class Meter(ABC):
    """Counts one thing over one run. ``key`` is its identity: it holds every parameter that changes the count."""

    @property
    @abstractmethod
    def key(self) -> str:
        """For example ``time/step=1000000/minimum=1000000``. Stored usage is found by it, so it must not change."""

    @abstractmethod
    def state(self) -> MeterState:
        """A new state that has counted nothing."""

    def find_problem(self, schema: Schema) -> str | None:
        """Why it cannot count in a run whose records have the columns of ``schema``, None if it can.

        Asked before the run, so that a bill does not fail after hours for a measure that no job reports.
        """
        return None


class JobMeter(Meter):
    """A meter that counts each job by itself. Subclass it as a frozen dataclass and write `measure`."""

    @property
    def key(self) -> str:
        # The class by its full name and all fields, so two meters with one key count the same. Moving or renaming the class
        # of a stored meter makes its counts unreadable.
        return f"{type(self).__module__}.{type(self).__qualname__}/{self!r}"

    @abstractmethod
    def measure(self, jobs: JobBatch) -> Whole:
        """One whole number >= 0 for each of ``jobs``, which all started. Vectorised: one array in, one int64 array out."""

    def state(self) -> MeterState:
        return _Sums(self)

    def find_problem(self, schema: Schema) -> str | None:
        try:
            self.measure(JobBatch.empty(schema))
        except NotReported as error:
            return str(error)
        except Exception:  # noqa: BLE001 - a user's meter may not like to be asked about no job; that is no problem of the run
            return None
        return None

    def measure_checked(self, jobs: JobBatch) -> Whole:
        """Call `measure` and check what it returns."""
        # A subclass may be a user's. A float, a wrong length or a negative count would make a wrong bill without any error.
        counts = np.asarray(self.measure(jobs))
        if counts.shape != (len(jobs),) or counts.dtype.kind not in "iu":
            raise StrategyError(
                f"the meter {self.key} must give {len(jobs)} whole numbers, got {counts.dtype} of shape {counts.shape}"
            )
        if counts.size and counts.min() < 0:
            raise StrategyError(f"the meter {self.key} must count from 0 up, got {counts.min()}")
        return counts


class _Sums(MeterState):
    """One running sum for each outcome."""

    additive: ClassVar[bool] = True

    def __init__(self, meter: JobMeter) -> None:
        self.meter = meter
        self.sums: dict[str, int] = {}

    def feed(self, parts: StartedJobs) -> None:
        for outcome, jobs in parts.by_outcome.items():
            self.sums[outcome] = self.sums.get(outcome, 0) + sum_exactly(self.meter.measure_checked(jobs))

    def merge(self, other: MeterState) -> None:
        assert isinstance(other, _Sums)
        for outcome, count in other.sums.items():
            self.sums[outcome] = self.sums.get(outcome, 0) + count

    def read_counts(self) -> dict[str, int]:
        return dict(self.sums)


def sum_exactly(counts: Whole) -> int:
    """The sum as a Python integer, correct even if it does not fit int64."""
    if not counts.size:
        return 0
    # No partial sum can exceed rows × maximum, so where that fits int64, numpy's sum cannot wrap around.
    if int(counts.max()) <= (2**63 - 1) // counts.size:
        return int(counts.sum())
    # Upper and lower halves summed apart: neither overflows below 2³¹ rows.
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
    """Each started job's service time plus ``extra``, rounded up to a whole ``step``, at least ``minimum``. All in ns."""

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
        round_up_each(time, self.step, self.minimum)
        return time
