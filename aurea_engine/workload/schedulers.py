"""Schedulers: which waiting job is served next, on how many slots, and how many may wait."""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from aurea_engine.fields.checked import Checked

Slots = Annotated[int, Meta(ge=1, le=1_000_000)]
Limit = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Queue(ABC):
    """The jobs that wait, during one run. The dispatcher is its only caller.

    It must give back every job it was given, each once; `StrategyError` ends a run whose queue does not.
    """

    @abstractmethod
    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        """Job number ``job`` waits. ``intended`` in ns, ``demand`` in seconds (NaN where unknown), higher is more urgent."""

    @abstractmethod
    def pop(self) -> int:
        """The job that is served next. Only called while jobs wait. Among equals the lowest number goes first."""

    @abstractmethod
    def __len__(self) -> int:
        """How many jobs wait."""

    def forget(self, jobs: set[int]) -> bool:
        """Take out ``jobs``, which have left (`Workload.patience`). False where a queue cannot: then `pop` gives them out,
        and they are passed over.
        """
        return False


@dataclass(frozen=True)
class Scheduler(ABC, Checked):
    """The queueing discipline: subclass it and answer `queue`.

    ``slots``: how many jobs may be in service at once (the c of M/M/c), None for no limit. ``queue_limit``: how many may
    wait; a job that arrives when they all do is rejected, and counted. None for no limit.
    """

    slots: Slots | None = None
    queue_limit: Limit | None = None

    @abstractmethod
    def queue(self) -> Queue:
        """An empty queue in this discipline's order."""


class _FifoQueue(Queue):
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
    """Smallest key first; jobs of one key keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []

    def pop(self) -> int:
        return heapq.heappop(self._heap)[1]

    def __len__(self) -> int:
        return len(self._heap)

    def forget(self, jobs: set[int]) -> bool:
        self._heap = [entry for entry in self._heap if entry[1] not in jobs]
        heapq.heapify(self._heap)
        return True


class _LifoQueue(_HeapQueue):
    """Newest instant first; jobs of one instant keep their order."""

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        heapq.heappush(self._heap, (-intended, job))


class _ShortestQueue(_HeapQueue):
    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        # A job of unknown demand goes last: NaN would break the heap's order.
        heapq.heappush(self._heap, (float("inf") if math.isnan(demand) else demand, job))


class _PriorityQueue(_HeapQueue):
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
