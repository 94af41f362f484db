"""Random streams by purpose: one for arrivals, one for demands, one for failures, and so on.

Each is derived from the run's seed by its name alone. So another scheduler gets the same arrivals (common random numbers,
the variance reduction of simulation studies: Law, *Simulation Modeling and Analysis*, chapter 11), and it does not matter
which process draws.
"""

from __future__ import annotations

import numpy as np


class Streams:
    """The random streams of one run. Each is made when it is first used."""

    def __init__(self, seed: int, path: str = "") -> None:
        self._seed = seed
        self._path = path
        self._made: dict[str, np.random.Generator] = {}
        self._children: dict[str, Streams] = {}

    def rng(self, purpose: str) -> np.random.Generator:
        """The generator for ``purpose``. The same object at every call, so blocks continue one another."""
        if purpose not in self._made:
            # SeedSequence mixes the seed and the spawn key by a hash, so streams of different names are independent, and
            # equal ones equal on every machine (O'Neill's seed_seq design, which numpy documents as stable).
            name = f"{self._path}/{purpose}".encode()
            sequence = np.random.SeedSequence(self._seed, spawn_key=tuple(name))
            self._made[purpose] = np.random.Generator(np.random.PCG64(sequence))
        return self._made[purpose]

    def child(self, name: str) -> Streams:
        """An independent family of streams, for a part of the workload."""
        if name not in self._children:
            self._children[name] = Streams(self._seed, f"{self._path}/{name}")
        return self._children[name]

    def whole(self) -> Streams:
        """The streams of the whole run, each from its beginning: the same for every part of the workload that asks."""
        return Streams(self._seed)


def derive_seed(seed: int, purpose: str, index: int) -> int:
    """The seed of one of several runs that are derived from the run of ``seed``: 53 bits, by its purpose and its index.

    It is drawn as every other random number of a run: from the stream of that name, which no run draws from. So the runs of
    a study are independent of one another and of the run itself, and number 7 is the same however many there are.
    """
    # 53 bits, which all readers of JSON hold exactly.
    return int(Streams(seed).child(purpose).rng(f"{index}").integers(0, 2**53))
