"""The shortest way to a cost model of your own: a formula for the cost of each job."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aurea_engine.costs.cost_model import Component, CostModel
from aurea_engine.costs.meters import JobMeter, Whole
from aurea_engine.costs.quantities import MeterTotal
from aurea_engine.costs.rates import Flat
from aurea_engine.errors import StrategyError
from aurea_engine.records.batch import Floats, JobBatch

PICO = 10**12
"""A formula's costs are rounded to a millionth of a millionth of the currency unit, so that their sums are exact."""


class Formula(CostModel):
    """Subclass it as a frozen dataclass and write `cost`. ::

        @dataclass(frozen=True)
        class Penalty(Formula):
            def cost(self, jobs):
                return np.where(jobs.response_ns > 500_000_000, 0.01, 0.0)

    Each job's cost is rounded to 1e-12 of the currency unit. After that everything is exact.
    """

    @abstractmethod
    def cost(self, jobs: JobBatch) -> Floats:
        """The cost of each of ``jobs``, which all started: finite, >= 0, below nine million. One array in, one out."""

    def components(self) -> Iterator[Component]:
        yield Component("formula", MeterTotal(_Cost(self), unit=PICO), Flat(1), self.currency)


@dataclass(frozen=True)
class _Cost(JobMeter):
    model: Formula

    # Its key contains the class of the model and all of its fields (repr). So usage that was stored under one formula is
    # never read by another.
    def measure(self, jobs: JobBatch) -> Whole:
        costs = np.asarray(self.model.cost(jobs), float)
        if costs.shape != (len(jobs),):
            raise StrategyError(
                f"cost() must give one number for each of {len(jobs)} jobs, got the shape {costs.shape}"
            )
        # Nine million × 10¹² is just below 2⁶³. The negation also catches NaN, which every comparison answers with False.
        wrong = ~((costs >= 0) & (costs < 9e6))
        if wrong.any():
            raise StrategyError(f"cost() must give finite numbers from 0 to nine million, got {costs[wrong][0]}")
        return np.asarray(np.rint(costs * PICO), np.int64)
