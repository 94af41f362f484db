"""How many tokens the prompt and the answer of a job are to have: by the job's number, and so the same in every process."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from aurea_engine.records.batch import Instants
from aurea_engine.workload.distributions import Constant, Distribution, draw_durations
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.token_traces import MOST_TOKENS

# Jobs are asked for one at a time while a run goes on, and a whole block at a time where it is planned; a slower server,
# another shard or the other clock must not give a job another length. So lengths are drawn in blocks of consecutive jobs,
# each from a generator that is made from the run's key, the purpose and the block alone (as think times of flows are).

BLOCK = 1024
"""Jobs whose lengths are drawn together."""
BLOCKS_KEPT = 8
"""A job that comes late has its block drawn again: the same numbers."""


class Wanted(NamedTuple):
    """Tokens that jobs are to have: a column for prompts, one for answers."""

    input: Instants
    output: Instants


class LengthDraws:
    """Lengths in tokens of one ``distribution``: whole ones, from ``least`` to `MOST_TOKENS`. ``purpose`` tells its draws
    apart from others of the same ``key``.
    """

    def __init__(self, distribution: Distribution, key: int, purpose: int, least: int = 1) -> None:
        self._distribution, self._key, self._purpose, self._least = distribution, key, purpose, least
        self._fixed = self._round(np.array([distribution.value])).item() if isinstance(distribution, Constant) else None
        self._blocks = OrderedDict[int, Instants]()

    def of(self, number: int) -> int:
        """The length of job ``number`` of the run."""
        if self._fixed is not None:
            return int(self._fixed)
        block, place = divmod(number, BLOCK)
        return int(self._block(block)[place])

    def span(self, first: int, n: int) -> Instants:
        """The lengths of ``n`` jobs from ``first`` on."""
        if self._fixed is not None:
            return np.full(n, self._fixed, np.int64)
        begin, end = first // BLOCK, (first + n - 1) // BLOCK
        drawn = np.concatenate([np.empty(0, np.int64), *(self._block(block) for block in range(begin, end + 1))])
        return drawn[first - begin * BLOCK :][:n]

    def _block(self, number: int) -> Instants:
        block = self._blocks.get(number)
        if block is None:
            seed = np.random.SeedSequence(self._key, spawn_key=(self._purpose, number))
            rng = np.random.Generator(np.random.PCG64(seed))
            block = self._blocks[number] = self._round(draw_durations(self._distribution, rng, BLOCK))
            if len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return block

    def _round(self, drawn: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Instants:
        return np.asarray(np.rint(np.clip(drawn, self._least, MOST_TOKENS)), np.int64)


def make_key(streams: Streams) -> int:
    """The key of the lengths of a run. It is the same for all who ask, whichever of the run's streams they have."""
    return int.from_bytes(streams.whole().rng("token lengths").bytes(16), "little")
