"""Watching a run. Observers are told; they cannot change a run, and one that raises is dropped and logged once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs import Cost
from aurea_engine.records.failure_classes import fold_failures
from aurea_engine.records.status_codes import name_statuses
from aurea_engine.results.findings import Finding

if TYPE_CHECKING:
    from aurea_engine.results.result import ObjectiveResult
    from aurea_engine.run.meters import Meters
    from aurea_engine.run.parts import RunParts
    from aurea_engine.spec import RunSpec
    from aurea_engine.workload.callbacks import PoolState

log = logging.getLogger(__name__)
# A library says nothing unless the program that uses it asks for it.
log.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Progress:
    """A run at an instant. Times in seconds, rates in jobs per second.

    ``utilization``: share of the slots in use at this instant. ``bill``: an estimate of the cost so far, in lines.
    ``fraction_done``: of the jobs or of the time to release them, None if neither is limited; below 1 until the last job
    has ended. ``time_left``: seconds, if it goes on like that. ``findings``: as they stand; those of the last report are
    the result's. ``pool``: the connections of jobs that need some. ``objectives``: judged by the jobs that have ended; what
    is met now may be missed in the end. None of a repeated run has been judged before it ended.
    ``replication``: (the number of the one that is under way, how many there are to be at most) where a run is repeated;
    everything else is then of all replications so far.
    ``meters`` are the engine's own and go on changing: read what you need, or copy it, before you return.
    """

    elapsed: float
    arrived: int
    in_flight: int
    queued: int
    counts: Mapping[Outcome, int]
    throughput: float
    mean_latency: float | None
    p99: float | None
    utilization: float | None
    cost: Fraction | None
    bill: Cost | None
    fraction_done: float | None
    time_left: float | None
    findings: tuple[Finding, ...]
    meters: Meters
    pool: PoolState | None = None
    replication: tuple[int, int] | None = None
    objectives: tuple[ObjectiveResult, ...] = ()

    @property
    def statuses(self) -> dict[str, int]:
        """Jobs by the code that their target answered with."""
        return name_statuses(self.meters.statuses)

    @property
    def failures(self) -> dict[str, int]:
        """Jobs by the class of their failure or timeout."""
        return fold_failures(self.meters.failures)

    @property
    def ended(self) -> int:
        """Jobs that have reached an outcome."""
        return sum(self.counts.values())


class Observer:
    """Base of observers: every hook is optional. Hooks run on the engine's thread, so they must be quick."""

    def on_start(self, spec: RunSpec) -> None:
        """The window is about to open. ``spec`` has its seed."""

    def on_progress(self, progress: Progress) -> None:
        """About twice a second of real time, and once when the last job has ended."""

    def on_parts(self, parts: RunParts) -> None:
        """The same as a value that merges with the parts of other shards, before each report; the last has the records.

        All but the last share their meters with the run, which go on changing: use `RunParts.to_bytes` before you return.
        """


class Observers:
    """Several observers as one that never raises."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)

    def __bool__(self) -> bool:
        return bool(self._observers)

    def on_start(self, spec: RunSpec) -> None:
        """Tell all."""
        self._tell("on_start", spec)

    def on_progress(self, progress: Progress) -> None:
        """Tell all."""
        self._tell("on_progress", progress)

    def on_parts(self, parts: RunParts) -> None:
        """Tell all."""
        self._tell("on_parts", parts)

    def _tell(self, hook: str, news: object) -> None:
        # A copy of the list: an observer that raises is taken out of it. KeyboardInterrupt and SystemExit are no failures of
        # an observer: they end the program, and go through.
        for observer in list(self._observers):
            try:
                getattr(observer, hook)(news)
            except Exception:
                self._observers.remove(observer)
                log.exception("observer %s raised in %s and was dropped", type(observer).__name__, hook)
