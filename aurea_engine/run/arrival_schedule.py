"""The jobs of a real run that are still to arrive, as the pump takes them: some at a time, by their instants.

In the open model the plan says when each job arrives. In the closed model it only says which jobs come; when, is decided
by users, each of whom thinks after a job has ended, and then sends the next. So there is one class for each model, over
the same blocks of planned columns.
"""

# A batch is of consecutive jobs of one block, cut out of its columns as slices: what is done for each job, such as a
# tuple, a heap operation or a call, would be paid a million times a second. Consecutive jobs have consecutive rows, so
# the recorder writes a batch as slices too.
#
# A caller takes a batch after it has counted it (`count_due`), stamps its jobs, and then cuts it out (`take`). In one step
# the cutting would come before the stamps, as lag of jobs that were on time.

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import add
from typing import ClassVar, NamedTuple

from aurea_engine.records.batch import Instants
from aurea_engine.run.plan import Block, JobPlan
from aurea_engine.run.recorder import Recorder


class Batch(NamedTuple):
    """Consecutive jobs from number ``first`` on, in order of arrival. ``leaf``: the one that does all of them, else None."""

    first: int
    intended: list[int]
    demands: list[float]
    priorities: list[int]
    leaves: list[int]
    limits: list[int]
    leaf: int | None


class ArrivalSchedule:
    """The open model. Rows of the recorder are made as their blocks come up."""

    closed: ClassVar[bool] = False
    """Whether ends trigger arrivals."""

    def __init__(self, plan: JobPlan, recorder: Recorder) -> None:
        self._blocks, self._recorder = plan.blocks(), recorder
        # ``_first`` is the number of the job at position 0 of the block.
        self._first = self._position = self._size = 0
        self.exhausted = False
        """Whether the plan holds no further job."""
        self._load()

    def _load(self) -> None:
        """The next block, in plain lists: reading an item of an array makes an object of it each time."""
        # Loaded as soon as the block before is used up, so that `exhausted` is known with the last job and not after it.
        self._first += self._size
        self._position = self._size = 0
        block = next(self._blocks, None)
        if block is None:
            self.exhausted = True
            return
        self._recorder.extend(block)
        self._size = len(block)
        self._set_columns(block)

    def _set_columns(self, block: Block) -> None:
        self._intended: list[int] = [] if block.intended is None else block.intended.tolist()
        self._demands, self._priorities = block.demand.tolist(), block.priority.tolist()
        self._leaves, self._limits = block.leaf.tolist(), block.limit.tolist()
        # With one leaf for all, the batch goes to its executor in one call.
        self._leaf = self._leaves[0] if (block.leaf == block.leaf[0]).all() else None

    def next_instant(self) -> int | None:
        """When the next job arrives, as far as anybody knows."""
        return None if self.exhausted else self._intended[self._position]

    def count_due(self, now: int, most: int) -> int:
        """How many jobs of this block, ``most`` or fewer, are due by ``now``. They are not taken yet: who releases them
        stamps them first, and all that comes before a stamp is lag.
        """
        # In the open model planned instants never decrease, so what is due is a prefix of the rest of the block.
        if self.exhausted or (intended := self._intended)[start := self._position] > now:
            return 0
        end = min(start + most, self._size)
        if start + 1 == end or intended[start + 1] > now:
            return 1  # nearly always, where the generator keeps up
        return bisect_right(intended, now, start, end) - start

    def take(self, n: int) -> Batch:
        """The next ``n`` jobs, which were counted before."""
        return self._cut(self._intended[self._position : self._position + n])

    def _cut(self, intended: list[int]) -> Batch:
        start, first = self._position, self._first + self._position
        self._position = end = start + len(intended)
        demands, priorities = self._demands[start:end], self._priorities[start:end]
        batch = Batch(
            first, intended, demands, priorities, self._leaves[start:end], self._limits[start:end], self._leaf
        )
        if end == self._size:
            self._load()
        return batch

    def think(self, ends: Iterable[int], now: int) -> None:
        """Jobs have ended at these instants: nothing follows from it in the open model."""

    def close(self) -> None:
        """No job will arrive any more."""


class ClosedSchedule(ArrivalSchedule):
    """The closed model: users who think, and send nothing from the plan's ``stop_ns`` on."""

    closed: ClassVar[bool] = True

    def __init__(self, plan: JobPlan, recorder: Recorder, thinks: Iterator[Instants]) -> None:
        # Users whose thought is over wait in ``ready`` for the next look, the others in a heap. Where nobody thinks,
        # which is the fastest of all loops, none ever enters the heap.
        self._ready = [0] * plan.users
        self._thinking: list[int] = []
        self._thinks = chain.from_iterable(block.tolist() for block in thinks)
        self._stop_ns = plan.stop_ns
        super().__init__(plan, recorder)

    def next_instant(self) -> int | None:
        if self.exhausted:
            return None
        heads = [instants[0] for instants in (self._ready, self._thinking) if instants]
        return min(heads, default=None)

    def count_due(self, now: int, most: int) -> int:
        ready, thinking = self._ready, self._thinking
        # Users are alike: which of them sends job k decides nothing, so instants are all that is kept of them.
        while thinking and thinking[0] <= now:
            ready.append(heapq.heappop(thinking))
        if self.exhausted or not ready:
            return 0
        ready.sort()  # nearly sorted already: ends come in order
        due = min(len(ready), most, self._size - self._position)
        # ``now`` may be set back to a stop, or to the instant of the jobs taken before.
        if ready[due - 1] > now:
            due = bisect_right(ready, now, 0, due)
        if self._stop_ns is not None and due and ready[due - 1] >= self._stop_ns:
            due = bisect_left(ready, self._stop_ns, 0, due)
        return due

    def take(self, n: int) -> Batch:
        intended = self._ready[:n]
        del self._ready[:n]
        return self._cut(intended)

    def think(self, ends: Iterable[int], now: int) -> None:
        """Users whose jobs have ended at these instants think, each for as long as the next draw says."""
        ready, thinking = self._ready, self._thinking
        # `map` asks for an end first, and draws a thought only if there is one: none is drawn in vain, so the k-th end
        # gets the k-th thought in whatever batches they come.
        for at in map(add, ends, self._thinks):
            if at <= now:
                ready.append(at)
            else:
                heapq.heappush(thinking, at)

    def close(self) -> None:
        self._ready.clear()
        self._thinking.clear()


def schedule_arrivals(plan: JobPlan, recorder: Recorder) -> ArrivalSchedule:
    """The schedule of ``plan``'s model."""
    return (
        ArrivalSchedule(plan, recorder)
        if plan.think_times is None
        else ClosedSchedule(plan, recorder, plan.think_times)
    )
