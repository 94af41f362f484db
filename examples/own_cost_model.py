"""Two cost models of your own: one made of quantities and prices, one made of a formula. Run it with python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from aurea_engine.costs import (
    BilledTime,
    Component,
    CostModel,
    Flat,
    Formula,
    PerSecond,
    Price,
    RunInfo,
    check_cost_model,
    measure,
    price,
)
from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.workload.distributions import Floats


@dataclass(frozen=True)
class PerStartedMinute(CostModel):
    """As a taxi meter: every started minute of service is paid for."""

    price: Price = "0.01"

    def components(self) -> Iterator[Component]:
        minutes = BilledTime(step=60).times(Fraction(1, 60))
        yield Component("minutes", minutes, Flat(self.price), "Minutes")


@dataclass(frozen=True)
class LatePenalty(Formula):
    """What slow answers cost the business: five cents for each response of more than half a second."""

    def cost(self, jobs: JobBatch) -> Floats:
        return np.where(jobs.response_ns > NS // 2, 0.05, 0.0)


def make_three_jobs() -> JobBatch:
    """Jobs of 0.2, 30 and 90 seconds. None of them waited."""
    start = np.zeros(3, np.int64)
    finish = np.array([NS // 5, 30 * NS, 90 * NS])
    return JobBatch(start, start, start, finish, np.ones(3, np.uint8))


def main() -> None:
    jobs = make_three_jobs()
    for model in (PerStartedMinute(), LatePenalty(), PerStartedMinute() + LatePenalty() + PerSecond("0.0001")):
        check_cost_model(model)
        cost = price(measure(jobs, RunInfo(90 * NS), model), model)
        assert cost.total is not None, cost.problem
        print(f"{type(model).__name__}: {cost.to_dict()['total']} {cost.currency}")
        for line in cost.lines:
            print(f"    {line.name}: {float(line.quantity):g} {line.unit} at {float(line.unit_price or 0):g}")


if __name__ == "__main__":
    main()
