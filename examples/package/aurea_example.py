"""Strategies of a package, for every Aurea that is installed beside it. pyproject.toml gives them their names."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from aurea_engine import CostModel, Job, Queue, Scheduler
from aurea_engine.costs import BilledTime, Component, Flat, Price


@dataclass(frozen=True)
class Query(Job):
    """2 ms from the cache, 80 ms from the disk."""

    hits: float = 0.9

    def demands(self, rng: np.random.Generator, first: int, n: int) -> np.ndarray:
        return np.where(rng.random(n) < self.hits, 0.002, 0.080)

    async def run(self, demand: float) -> None:
        await asyncio.sleep(demand)


@dataclass(frozen=True)
class PerStartedMinute(CostModel):
    """``price`` for each started minute of each job."""

    price: Price = "0.01"

    def components(self) -> Iterator[Component]:
        minutes = BilledTime(step=60).times(Fraction(1, 60))
        yield Component("minutes", minutes, Flat(self.price), "Minutes")


@dataclass(frozen=True)
class LongestFirst(Scheduler):
    """Largest demand first. A batch on several slots ends sooner, because no long job is left for the end."""

    def queue(self) -> Queue:
        return LongestFirstQueue()


class LongestFirstQueue(Queue):
    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        heapq.heappush(self._heap, (0.0 if math.isnan(demand) else -demand, job))

    def pop(self) -> int:
        return heapq.heappop(self._heap)[1]

    def __len__(self) -> int:
        return len(self._heap)
