"""Schedulers: which waiting job is served next, on how many slots, and how many jobs may wait."""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from aurea_engine.fields.checked import Checked

Slots = Annotated[int, Meta(ge=1, le=1_000_000)]
Limit = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Queue(ABC):
    """The waiting jobs of one run. Only the dispatcher calls it.

    It must give back every job that it was given, each once. A queue that does not ends the run with `StrategyError`.
    """

    @abstractmethod
    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        """Add job number ``job``. ``intended`` in ns; ``demand`` in seconds, NaN if unknown; higher is more urgent."""

    @abstractmethod
    def pop(self) -> int:
        """Remove and return the job that is served next. Called only while jobs wait. Among equals the lowest number."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of waiting jobs."""

    def forget(self, jobs: set[int]) -> bool:
        """Remove ``jobs``, which have left (`Workload.patience`). False if the queue cannot: then `pop` returns them later,
        and the dispatcher skips them.
        """
        return False


@dataclass(frozen=True)
class Scheduler(ABC, Checked):
    """The queueing discipline. Subclass it and write `queue`.

    ``slots``: how many jobs may be in service at once (the c of M/M/c), None for no limit. ``queue_limit``: how many may
    wait, None for no limit. A job that finds the queue full is rejected, and counted. ``divided``: a run in shards may
    divide these, and the users of a closed model, so that each shard has its share; without shards it changes nothing.
    """

    slots: Slots | None = None
    queue_limit: Limit | None = None
    # By keyword only: a subclass with fields of its own keeps the positions of its arguments.
    divided: bool = field(default=False, kw_only=True)

    @abstractmethod
    def queue(self) -> Queue:
        """A new, empty queue in the order of this discipline."""


class _FifoQueue(Queue):
    # Jobs are pushed in the order of their arrival, which is also the order of their numbers: a deque suffices.

    def __init__(self) -> None:
        self._jobs: deque[int] = deque()

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        self._jobs.append(job)

    def pop(self) -> int:
        return self._jobs.popleft()

    def __len__(self) -> int:
        return len(self._jobs)

    def forget(self, jobs: set[int]) -> bool:
        self._jobs = deque(job for job in self._jobs if job not in jobs)
        return True


class _HeapQueue(Queue):
    """Smallest key first. Jobs with the same key keep their order, because the job number is the second part of the key."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []

    def pop(self) -> int:
        return heapq.heappop(self._heap)[1]

    def __len__(self) -> int:
        return len(self._heap)

    def forget(self, jobs: set[int]) -> bool:
        # O(n) once for a batch of jobs that left, instead of a search for each.
        self._heap = [entry for entry in self._heap if entry[1] not in jobs]
        heapq.heapify(self._heap)
        return True


class _LifoQueue(_HeapQueue):
    """Newest instant first. Jobs of one instant keep their order, which is why this is no plain stack."""

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        heapq.heappush(self._heap, (-intended, job))


class _ShortestQueue(_HeapQueue):
    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        # NaN compares as False with everything and would break the heap. Infinity puts jobs of unknown demand last.
        heapq.heappush(self._heap, (float("inf") if math.isnan(demand) else demand, job))


class _PriorityQueue(_HeapQueue):
    # heapq pops the smallest, and higher priorities are more urgent: hence the sign.

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        heapq.heappush(self._heap, (-priority, job))


@dataclass(frozen=True)
class Fifo(Scheduler):
    """First come, first served."""

    def queue(self) -> Queue:
        return _FifoQueue()


@dataclass(frozen=True)
class Lifo(Scheduler):
    """Last come, first served, without interrupting the job in service."""

    def queue(self) -> Queue:
        return _LifoQueue()


@dataclass(frozen=True)
class ShortestFirst(Scheduler):
    """Smallest demand first (SJF), without interrupting. Jobs of unknown demand go last, in order of arrival."""

    def queue(self) -> Queue:
        return _ShortestQueue()


@dataclass(frozen=True)
class Priority(Scheduler):
    """Highest priority first (see `Branch.priority`), in order of arrival within one priority, without interrupting."""

    def queue(self) -> Queue:
        return _PriorityQueue()


BUILT_IN = (Fifo, Lifo, ShortestFirst, Priority)
"""The schedulers whose queues are known to keep their contract. A queue of any other type is watched as it is used."""
