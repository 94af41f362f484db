"""Quantities are what a price is *per*: jobs, seconds, GB-hours. Each is read, exactly, from the counts of meters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.meters import JobCount, JobMeter, JobTime, Meter
from aurea_engine.costs.reported_meters import ReportedAmount
from aurea_engine.costs.started_jobs import STARTED, Billed
from aurea_engine.costs.usage import Usage
from aurea_engine.fields.checked import Checked, Seconds
from aurea_engine.records.batch import NS, Floats, JobBatch
from aurea_engine.records.measures import ColumnName, Scale


class Quantity(ABC):
    """What a price is per. It names the meters that it needs, and reads its value from their counts."""

    @abstractmethod
    def meters(self) -> tuple[Meter, ...]:
        """The meters that must count during the run."""

    @abstractmethod
    def read(self, usage: Usage) -> Fraction:
        """The quantity of the whole run, in units, exactly."""

    def per_job(self, batch: JobBatch) -> Floats:
        """Each job's own share as float64, for lists and histograms only. NaN if a job has no share of its own."""
        return np.full(len(batch), np.nan)

    @property
    def monotone(self) -> bool:
        """Whether it can only grow during a run, and its value during the run is exact.

        True for sums over ended jobs. False if unknown, and for instances and the window, whose values are estimates until
        the end.
        """
        return False

    def times(self, factor: int | Fraction) -> Quantity:
        """This quantity in another unit: ``BilledTime().times(Fraction(1, 3600))`` is in hours."""
        return _Times(self, Fraction(factor))


@dataclass(frozen=True)
class _Times(Quantity):
    """``of`` in another unit."""

    of: Quantity
    factor: Fraction

    def meters(self) -> tuple[Meter, ...]:
        return self.of.meters()

    def read(self, usage: Usage) -> Fraction:
        return self.of.read(usage) * self.factor

    def per_job(self, batch: JobBatch) -> Floats:
        return self.of.per_job(batch) * float(self.factor)

    @property
    def monotone(self) -> bool:
        # A negative factor turns growth around.
        return self.of.monotone and self.factor >= 0


def to_nanoseconds(seconds: float) -> int:
    """Rounded to the nearest nanosecond."""
    return round(seconds * NS)


class _SumOverJobs(Quantity):
    """A quantity that adds up a count >= 0 of each ended job."""

    @property
    def monotone(self) -> bool:
        # Jobs are added when they end and are never taken away.
        return True


@dataclass(frozen=True)
class MeterTotal(_SumOverJobs):
    """The sum of one meter over the jobs with a ``billed`` outcome. ``unit``: how many counts make one unit."""

    meter: JobMeter
    billed: Billed = STARTED
    unit: int = 1

    def meters(self) -> tuple[Meter, ...]:
        return (self.meter,)

    def read(self, usage: Usage) -> Fraction:
        # Counts are kept by outcome, so what is billed can change without metering again. One division at the end: exact.
        counts = usage.of(self.meter)
        return Fraction(sum(counts.get(outcome, 0) for outcome in self.billed)) / self.unit

    def per_job(self, batch: JobBatch) -> Floats:
        # Only started jobs: a meter must not see a job without a start, whose service time would be negative.
        costs = np.zeros(len(batch))
        wanted = np.isin(batch.outcome, [Outcome[name.upper()] for name in self.billed]) & batch.was_started
        costs[wanted] = self.meter.measure_checked(batch[wanted]) / self.unit
        return costs


# Two classes instead of one: users name seconds and outcomes, and are told about wrong ones; meters count nanoseconds.
class _NamedTotal(Checked, _SumOverJobs):
    """A `MeterTotal` under a name of its own, with fields in seconds."""

    @property
    @abstractmethod
    def _total(self) -> MeterTotal:
        """The sum that it stands for."""

    def meters(self) -> tuple[Meter, ...]:
        return self._total.meters()

    def read(self, usage: Usage) -> Fraction:
        return self._total.read(usage)

    def per_job(self, batch: JobBatch) -> Floats:
        return self._total.per_job(batch)


@dataclass(frozen=True)
class Jobs(_NamedTotal):
    """The number of started jobs of the ``billed`` outcomes."""

    billed: Billed = STARTED

    @property
    def _total(self) -> MeterTotal:
        return MeterTotal(JobCount(), self.billed)


@dataclass(frozen=True)
class BilledTime(_NamedTotal):
    """Seconds of service: each job's time plus ``extra``, rounded up to a whole ``step``, at least ``minimum``; summed."""

    step: Seconds = 0
    minimum: Seconds = 0
    extra: Seconds = 0
    billed: Billed = STARTED

    @property
    def _total(self) -> MeterTotal:
        step, minimum, extra = (to_nanoseconds(each) for each in (self.step, self.minimum, self.extra))
        return MeterTotal(JobTime(max(1, step), minimum, extra), self.billed, NS)


@dataclass(frozen=True)
class Reported(_NamedTotal):
    """The sum of what jobs reported of a measure, in its unit. ``scale`` must be the measure's own.

    A job that reported nothing adds nothing. A run whose jobs do not declare the measure is refused, or not priced.
    """

    measure: ColumnName
    scale: Scale = 1
    billed: Billed = STARTED

    @property
    def _total(self) -> MeterTotal:
        return MeterTotal(ReportedAmount(self.measure, self.scale), self.billed, self.scale)


@dataclass(frozen=True)
class Window(Quantity):
    """Seconds of the measured window. The jobs do not matter."""

    def meters(self) -> tuple[Meter, ...]:
        return ()

    def read(self, usage: Usage) -> Fraction:
        return Fraction(usage.run.window_ns, NS)

    def per_job(self, batch: JobBatch) -> Floats:
        return np.zeros(len(batch))
