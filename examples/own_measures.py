"""A job that reports what it saw: how many rows it read, and when the first one came. And a price for each row."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns

from aurea_engine import CostModel, Fifo, Job, Mark, Measure, Objective, Poisson, RunSpec, Workload
from aurea_engine.costs import Component, Flat, Price, Reported, check_cost_model
from aurea_engine.testing import LoopClock, check_job, run_jumping

ROWS = Measure("rows", "rows")


class Query(Job):
    """The first row comes after 20 ms, and all hundred are there after another 100 ms."""

    marks = (Mark("first_row"),)
    measures = (ROWS,)
    now = staticmethod(perf_counter_ns)

    async def run(self, demand: float) -> dict[str, int]:
        await asyncio.sleep(0.020)
        first = self.now()
        await asyncio.sleep(0.100)
        return {"first_row": first, "rows": 100}


class JumpingQuery(Query):
    """The same by the clock of a loop whose time jumps, so that this program prints the same on every machine."""

    now = staticmethod(LoopClock().now)


@dataclass(frozen=True)
class PerRow(CostModel):
    """So much for each row that jobs reported, exactly."""

    price: Price = "0.000002"

    def components(self) -> Iterator[Component]:
        yield Component("rows", Reported("rows"), Flat(self.price), "Rows")


def main() -> None:
    check_job(Query())
    check_cost_model(PerRow(), measures=(ROWS,))
    objectives = (Objective("first_row", at_most=0.5, quantile=0.95), Objective("rows", at_least=10))
    workload = Workload(JumpingQuery(), Poisson(25), jobs=1000)
    result = run_jumping(RunSpec(workload, Fifo(slots=4), PerRow(), seed=1, objectives=objectives))

    first, rows = result.marks["first_row"], result.measures["rows"]
    print(
        f"first row: {first.from_start.p95:.3f} s after the start, p95 {first.from_intended.p95:.3f} s after it was due"
    )
    print(f"rows:      {rows.total:,} in all, p95 {rows.amounts.p95:g} {rows.unit} a job")
    print(f"cost:      {float(result.cost.total)} USD")
    for judged in result.objectives:
        print(f"objective: {judged.objective}: {judged.outcome}")

    job = result.jobs.record(0)
    print(f"first job: started at {job.started:.3f} s, {job.marks}, {job.measures}")


if __name__ == "__main__":
    main()
