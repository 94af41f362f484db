"""Real implementations of the contracts that do what a test tells them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import ClassVar, Literal

import numpy as np

from aurea_engine.records.batch import Instants
from aurea_engine.results.observers import Observer, Progress
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Arrivals


@dataclass(frozen=True)
class ScriptedArrivals(Arrivals):
    """Arrivals at ``at_ns``, whatever they are: out of order, too, if a test checks that this is noticed.

    They come in blocks of ``block``. With ``thinks_ns`` the model is closed: ``at_ns`` has one entry for each user, and
    think times are taken from ``thinks_ns`` over and over.
    """

    at_ns: tuple[int, ...]
    block: int = 4096
    thinks_ns: tuple[int, ...] | None = None
    ends: ClassVar[Literal["by itself"]] = "by itself"

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        for first in range(0, len(self.at_ns), self.block):
            yield np.array(self.at_ns[first : first + self.block], np.int64)

    # Cyclic, so that a test may give one think time for all users and jobs.
    def think_times(self, rng: np.random.Generator) -> Iterator[Instants] | None:
        if self.thinks_ns is None:
            return None
        return (np.array([thought], np.int64) for thought in cycle(self.thinks_ns))


class RecordingObserver(Observer):
    """Keeps what it is told: ``spec``, and ``reports`` in order."""

    def __init__(self) -> None:
        self.spec: RunSpec | None = None
        self.reports: list[Progress] = []

    def on_start(self, spec: RunSpec) -> None:
        self.spec = spec

    def on_progress(self, progress: Progress) -> None:
        self.reports.append(progress)
