"""Replications of a run: each by itself, and every figure over all of them; what `repeat` answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aurea_engine.closed_sets import Reason, Status, Verdict
from aurea_engine.results.statistics import Interval

LEVEL = 0.95
"""Of the intervals over replications."""


@dataclass(frozen=True)
class Replication:
    """One of the runs: ``number`` counts from 1, and ``seed`` repeats it. ``reason``: why it did not complete.

    ``figures`` are by name, such as ``throughput`` and ``response_time.p99``, those that it has; there are none of a
    replication that came to no result, whose ``verdict`` is None, too. ``findings`` are codes, gravest first.
    """

    number: int
    seed: int
    status: Status
    verdict: Verdict | None
    reason: Reason | None = None
    arrived: int = 0
    completed: int = 0
    findings: tuple[str, ...] = ()
    figures: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether it is in the figures: one that did not complete is a sample of something else."""
        return self.status == "completed"


@dataclass(frozen=True)
class Spread:
    """A figure over the replications that count.

    ``mean`` is the mean of the replications' own figures, also of a quantile; ``interval`` is its 95 % interval by
    Student's t, None for one replication. ``std``, ``min`` and ``max`` are of the replications. ``pooled``: the quantile of
    the jobs of all replications together, None of other figures. ``outlying``: the numbers of those far from
    the others.
    """

    name: str
    mean: float
    interval: Interval | None
    std: float | None
    min: float
    max: float
    pooled: float | None = None
    outlying: tuple[int, ...] = ()

    @property
    def half_width(self) -> float | None:
        """Of the interval, relative to the mean; None where there is none."""
        if self.interval is None or not self.mean:
            return None
        # From the upper end: the lower one is cut off at 0.
        return (self.interval.high - self.mean) / abs(self.mean)


@dataclass(frozen=True)
class Replications:
    """The replications of a run, in order. ``asked``: the most that there were to be; ``until``: how narrow the relative
    half-width of the interval of the mean response time had to be, None if all that were asked for were run.
    """

    asked: int
    each: tuple[Replication, ...]
    spreads: tuple[Spread, ...]
    until: float | None = None

    @property
    def counted(self) -> tuple[Replication, ...]:
        """Those that are in the figures."""
        return tuple(each for each in self.each if each.counts)

    def spread(self, figure: str) -> Spread | None:
        """A figure over the replications, None if not all that count have it."""
        return next((each for each in self.spreads if each.name == figure), None)
