"""What a price is *per*: a `Quantity` is read, exactly, from what the meters of a run counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.meters import JobCount, JobMeter, JobTime, Meter
from aurea_engine.costs.started_jobs import STARTED, Billed
from aurea_engine.costs.usage import Usage
from aurea_engine.fields.checked import Checked, Seconds
from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.workload.distributions import Floats


class Quantity(ABC):
    """What a price is per, in units: which meters it needs, and how it is read from their counts, exactly."""

    @abstractmethod
    def meters(self) -> tuple[Meter, ...]:
        """What must be counted during the run."""

    @abstractmethod
    def read(self, usage: Usage) -> Fraction:
        """The whole run's quantity, in units."""

    def per_job(self, batch: JobBatch) -> Floats:
        """Each job's own part, for lists and histograms only; NaN where a job has none of its own."""
        return np.full(len(batch), np.nan)

    @property
    def monotone(self) -> bool:
        """Whether it can only grow while a run goes on, and what is read of it meanwhile is no estimate.

        So it is of what is summed job by job as jobs end; False where nobody knows, as of instances and of the window.
        """
        return False

    def times(self, factor: int | Fraction) -> Quantity:
        """This quantity in other units: ``BilledTime().times(Fraction(1, 3600))`` is hours."""
        return _Times(self, Fraction(factor))


@dataclass(frozen=True)
class _Times(Quantity):
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
        return self.of.monotone and self.factor >= 0


def nanoseconds(seconds: float) -> int:
    return round(seconds * NS)


@dataclass(frozen=True)
class MeterTotal(Quantity):
    """The sum of one meter over the jobs that are ``billed``, ``unit`` counts to the unit."""

    meter: JobMeter
    billed: Billed = STARTED
    unit: int = 1

    def meters(self) -> tuple[Meter, ...]:
        return (self.meter,)

    def read(self, usage: Usage) -> Fraction:
        counts = usage.of(self.meter)
        return Fraction(sum(counts.get(outcome, 0) for outcome in self.billed)) / self.unit

    def per_job(self, batch: JobBatch) -> Floats:
        costs = np.zeros(len(batch))
        wanted = np.isin(batch.outcome, [Outcome[name.upper()] for name in self.billed]) & batch.was_started
        costs[wanted] = self.meter.checked(batch[wanted]) / self.unit
        return costs

    @property
    def monotone(self) -> bool:
        return True


class _Sum(Checked, Quantity):
    """A quantity that is the sum of one meter."""

    @property
    @abstractmethod
    def _total(self) -> MeterTotal:
        """Which."""

    def meters(self) -> tuple[Meter, ...]:
        return self._total.meters()

    def read(self, usage: Usage) -> Fraction:
        return self._total.read(usage)

    def per_job(self, batch: JobBatch) -> Floats:
        return self._total.per_job(batch)

    @property
    def monotone(self) -> bool:
        return True


@dataclass(frozen=True)
class Jobs(_Sum):
    """The number of started jobs of the ``billed`` outcomes."""

    billed: Billed = STARTED

    @property
    def _total(self) -> MeterTotal:
        return MeterTotal(JobCount(), self.billed)


@dataclass(frozen=True)
class BilledTime(_Sum):
    """Seconds of service: each job's plus ``extra``, rounded up to a whole ``step``, at least ``minimum``, then summed."""

    step: Seconds = 0
    minimum: Seconds = 0
    extra: Seconds = 0
    billed: Billed = STARTED

    @property
    def _total(self) -> MeterTotal:
        step, minimum, extra = (nanoseconds(each) for each in (self.step, self.minimum, self.extra))
        return MeterTotal(JobTime(max(1, step), minimum, extra), self.billed, NS)


@dataclass(frozen=True)
class Window(Quantity):
    """Seconds of the measured window, whatever the jobs did."""

    def meters(self) -> tuple[Meter, ...]:
        return ()

    def read(self, usage: Usage) -> Fraction:
        return Fraction(usage.run.window_ns, NS)

    def per_job(self, batch: JobBatch) -> Floats:
        return np.zeros(len(batch))
