"""Random streams by purpose: one for arrivals, one for demands, one for failures, and so on.

Each is derived from the run's seed by its name alone, so changing the scheduler leaves the arrivals as they were (common
random numbers), and it does not matter which process draws.
"""

from __future__ import annotations

import numpy as np


class Streams:
    """The random streams of one run, made when first asked for and then continued."""

    def __init__(self, seed: int, path: str = "") -> None:
        self._seed = seed
        self._path = path
        self._made: dict[str, np.random.Generator] = {}
        self._children: dict[str, Streams] = {}

    def rng(self, purpose: str) -> np.random.Generator:
        """The generator for ``purpose``: the same object at every call, so blocks continue one another."""
        if purpose not in self._made:
            name = f"{self._path}/{purpose}".encode()
            sequence = np.random.SeedSequence(self._seed, spawn_key=tuple(name))
            self._made[purpose] = np.random.Generator(np.random.PCG64(sequence))
        return self._made[purpose]

    def child(self, name: str) -> Streams:
        """An independent family of streams, for a part of the workload."""
        if name not in self._children:
            self._children[name] = Streams(self._seed, f"{self._path}/{name}")
        return self._children[name]
