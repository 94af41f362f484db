"""A scheduler of your own: shortest first, but a job's turn comes nearer while it waits. Run it with python."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from aurea_engine import Exponential, Fifo, Poisson, Queue, RunSpec, Scheduler, ShortestFirst, Sleep, Workload, simulate
from aurea_engine.testing import check_scheduler


@dataclass(frozen=True)
class Aging(Scheduler):
    """For each second of demand, a job lets pass those that arrive within ``patience`` seconds after it.

    With 0 it is first come, first served. The larger ``patience`` is, the nearer it comes to shortest first.
    """

    patience: Annotated[float, Meta(ge=0, le=1e6)] = 1.0

    def queue(self) -> Queue:
        return AgingQueue(self.patience)


class AgingQueue(Queue):
    """The waiting jobs of one run, in a heap: the next one is on top."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._heap: list[tuple[float, int]] = []

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        known = 0.0 if math.isnan(demand) else demand
        heapq.heappush(self._heap, (intended / 1e9 + self._patience * known, job))

    def pop(self) -> int:
        return heapq.heappop(self._heap)[1]

    def __len__(self) -> int:
        return len(self._heap)


def main() -> None:
    check_scheduler(Aging(slots=2))
    workload = Workload(Sleep(Exponential(0.06)), Poisson(55), jobs=60_000)
    print("response time             mean      p99       max")
    for name, scheduler in (
        ("first come, first served", Fifo(slots=4)),
        ("aging, patience 2", Aging(slots=4, patience=2)),
        ("shortest first", ShortestFirst(slots=4)),
    ):
        times = simulate(RunSpec(workload, scheduler, seed=7)).response_time
        print(f"{name:24}  {times.mean:.3f} s  {times.p99:.3f} s  {times.max:6.3f} s")


if __name__ == "__main__":
    main()
