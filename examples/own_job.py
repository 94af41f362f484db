"""A job of your own: a query that a cache answers nine times out of ten. Run it with python."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from aurea_engine import Fifo, Job, Poisson, RunSpec, Workload, simulate
from aurea_engine.testing import check_job, run_jumping


@dataclass(frozen=True)
class Query(Job):
    """Takes 2 ms from the cache and 80 ms from the disk; ``hits`` is the share that the cache answers."""

    hits: Annotated[float, Meta(ge=0, le=1)] = 0.9

    def demands(self, rng: np.random.Generator, first: int, n: int) -> np.ndarray:
        """Known before the job runs, so virtual time can simulate it and ``shortest_first`` can sort by it."""
        return np.where(rng.random(n) < self.hits, 0.002, 0.080)

    async def run(self, demand: float) -> None:
        """What one job does on the real clock. Put your own code here; it may await and may raise."""
        await asyncio.sleep(demand)


def main() -> None:
    check_job(Query())
    for hits in (0.9, 0.8, 0.7):
        spec = RunSpec(Workload(Query(hits), Poisson(100), jobs=20_000), Fifo(slots=4), seed=1)
        times = simulate(spec).response_time
        print(f"{hits:.0%} hits: mean {times.mean * 1000:4.1f} ms, p99 {times.p99 * 1000:5.1f} ms")
    # The same specification, but `run` is really called, on an event loop whose clock jumps to the next timer.
    spec = RunSpec(Workload(Query(0.7), Poisson(100), jobs=2_000), Fifo(slots=4), seed=1)
    for how in (simulate, run_jumping):
        print(f"{how.__name__:12} mean {how(spec).response_time.mean:.6f} s")


if __name__ == "__main__":
    main()
