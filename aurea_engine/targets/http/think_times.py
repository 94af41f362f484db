"""Think times of flows: how long each is, and the one timer that wakes all flows which think."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from aurea_engine.records.batch import NS
from aurea_engine.workload.distributions import Constant, Distribution, draw_durations
from aurea_engine.workload.streams import Streams

# A think time belongs to a flow and a step, and not to the order in which flows come to that step: a slower target, another
# shard, or the next run of the same seed must not give a user other thoughts. So they are drawn in blocks of consecutive
# flows, each from a generator that is made from the run's key, the step and the block alone. Flows come nearly in order, so
# a block is drawn once and looked up some thousand times.

BLOCK = 1024
"""Flows whose think times before one step are drawn together."""

BLOCKS_KEPT = 8
"""Of each step. A flow that comes late to a step has its block drawn again: the same numbers."""


class ThinkTimes:
    """How long the user of each flow thinks before each step, in ns. ``steps``: a distribution for each, None for none."""

    def __init__(self, steps: Sequence[Distribution | None], streams: Streams) -> None:
        self._steps = tuple(steps)
        self._fixed = tuple(_find_fixed(each) for each in steps)
        self._key = int.from_bytes(streams.rng("thinks").bytes(16), "little")
        self._blocks = tuple(OrderedDict[int, NDArray[np.int64]]() for _ in steps)

    def before(self, step: int, flow: int) -> int:
        """Before ``step``, in the flow of that number in the whole run."""
        fixed = self._fixed[step]
        if fixed is not None:
            return fixed
        number, place = divmod(flow, BLOCK)
        kept = self._blocks[step]
        block = kept.get(number)
        if block is None:
            block = kept[number] = self._draw(step, number)
            if len(kept) > BLOCKS_KEPT:
                kept.popitem(last=False)
        return int(block[place])

    def _draw(self, step: int, block: int) -> NDArray[np.int64]:
        distribution = self._steps[step]
        assert distribution is not None
        seed = np.random.SeedSequence(self._key, spawn_key=(step, block))
        seconds = draw_durations(distribution, np.random.Generator(np.random.PCG64(seed)), BLOCK)
        # A thought of centuries is as good as one that never ends, and an instant must stay within int64.
        return np.asarray(np.rint(np.minimum(seconds, LONGEST) * NS), np.int64)


LONGEST = 1e9
"""Seconds: 31 years."""


def _find_fixed(distribution: Distribution | None) -> int | None:
    """The think time that is the same for all flows; None if it is drawn."""
    if distribution is None:
        return 0
    return round(min(distribution.value, LONGEST) * NS) if isinstance(distribution, Constant) else None


class Agenda:
    """Wakes flows at instants of the run. However many wait, there is one timer, for the next of them.

    ``wake``: is told of the flow and of the instant for which it was noted. One that need not be woken any more is woken all
    the same: it has to look whether the instant is still meant.
    """

    def __init__(self, now: Callable[[], int], wake: Callable[[int, int], None]) -> None:
        self._now, self._wake = now, wake
        self._heap: list[tuple[int, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._set_for = 0

    def note(self, due: int, flow: int) -> None:
        """Wake ``flow`` when ``due`` has come, and never before it."""
        heappush(self._heap, (due, flow))
        if self._timer is None or due < self._set_for:
            self._set()

    def close(self) -> None:
        """Wake nobody any more."""
        self._heap.clear()
        self._set()

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._set_for = self._heap[0][0]
            left = max(self._set_for - self._now(), 0) / NS
            self._timer = asyncio.get_running_loop().call_later(left, self._ring)

    def _ring(self) -> None:
        self._timer = None
        heap = self._heap
        try:
            # Event loops may fire a timer up to a millisecond early; then nothing is due yet.
            while heap and heap[0][0] <= self._now():
                due, flow = heappop(heap)
                self._wake(flow, due)
        finally:
            # Also where a flow raised: the others must not sleep for ever.
            if self._timer is None:
                self._set()
