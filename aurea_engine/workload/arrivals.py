"""Arrival processes: the instants at which a workload means its jobs to start (the intended starts).

An instant is int64 nanoseconds since the window opened. Every process has an absolute schedule: instant *i* never depends on
when instant *i − 1* was served. So nothing drifts, and nothing is omitted when the system falls behind.

How instants follow from a rate is in `aurea_engine.workload.arrival_instants`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, PositiveSeconds, Rate, RateOrZero, non_empty
from aurea_engine.records.batch import NS, Floats, Instants
from aurea_engine.workload.arrival_instants import (
    BEYOND,
    BLOCK,
    accumulate_gaps,
    invert_in_blocks,
    invert_ramp,
    round_to_ns,
    space_evenly,
)
from aurea_engine.workload.distributions import Constant as ConstantDuration
from aurea_engine.workload.distributions import Distribution, draw_durations
from aurea_engine.workload.token_traces import TokenLengths


class Arrivals(ABC, Checked):
    """When jobs arrive. An open process needs `instants` only; the closed model adds `think_times`."""

    ends: ClassVar[Literal["by itself", "with jobs or duration", "with jobs"]] = "with jobs or duration"
    """What ends the process. A workload that would never end is refused."""

    @abstractmethod
    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        """Blocks of int64 ns, none negative, in order within and across blocks. Lazy: they may go on for ever."""

    def think_times(self, rng: np.random.Generator) -> Iterator[Instants] | None:
        """Closed model only: blocks of ns from the end of a job to the same user's next one. None for open processes."""
        return None

    def asked_rate(self) -> float | None:
        """The specified long-run rate in jobs per second, if there is one."""
        return None

    def span(self) -> float | None:
        """Seconds after which the process ends by itself, if it does."""
        return None

    def token_lengths(self) -> TokenLengths | None:
        """The lengths of the requests that arrive, where a trace has them: see `JobSource.bound_to`."""
        return None

    def at_rate(self, rate: float) -> Arrivals | None:
        """The same process with ``rate`` jobs per second on average; None if it has no rate, as the closed model.

        A process with a field ``rate`` needs no method of its own.
        """
        # Every process is a dataclass, as `Checked` asks for; the class of this method is the one that is not.
        return replace(self, rate=rate) if "rate" in getattr(self, "__dataclass_fields__", {}) else None  # type: ignore[type-var]


@dataclass(frozen=True)
class AllAtOnce(Arrivals):
    """All jobs at the instant at which the window opens. Needs a number of jobs."""

    ends: ClassVar[Literal["with jobs"]] = "with jobs"

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        while True:
            yield np.zeros(BLOCK, np.int64)


@dataclass(frozen=True)
class Constant(Arrivals):
    """Arrival i at exactly i ÷ ``rate``, i = 0, 1, 2, …"""

    rate: Rate

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        # Four parts, because space_evenly is exact for 1,024 at a time. Near the end of int64 its products would overflow.
        # No run gets there, so the coarser form below only has to exist.
        gap, first = min(NS / self.rate, BEYOND), 0
        while (first + BLOCK) * gap < BEYOND:
            yield np.concatenate([space_evenly(gap, first + part, BLOCK // 4) for part in range(0, BLOCK, BLOCK // 4)])
            first += BLOCK
        while True:
            yield round_to_ns(np.arange(first, first + BLOCK, dtype=np.float64) * (gap / NS))
            first += BLOCK

    def asked_rate(self) -> float:
        return self.rate


@dataclass(frozen=True)
class Poisson(Arrivals):
    """Independent exponential gaps: the first M of M/M/c."""

    rate: Rate

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        return accumulate_gaps(lambda n: rng.exponential(1 / self.rate, n))

    def asked_rate(self) -> float:
        return self.rate


@dataclass(frozen=True)
class Gamma(Arrivals):
    """Independent gamma gaps with coefficient of variation ``cv``: burstier than Poisson above 1, more even below."""

    rate: Rate
    cv: Annotated[float, Meta(ge=0, le=1e3)]

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        # Shape 1/cv² and scale cv²/rate give the mean 1/rate and the coefficient of variation cv. For a tiny cv the shape
        # would overflow, and the process is constant to the nanosecond anyway.
        scv = self.cv**2
        if scv < 1e-12:
            return Constant(self.rate).instants(rng)
        return accumulate_gaps(lambda n: rng.gamma(1 / scv, scv / self.rate, n))

    def asked_rate(self) -> float:
        return self.rate


@dataclass(frozen=True)
class Stage(Checked):
    """``duration`` seconds at ``rate``, or from ``start`` to ``end`` jobs per second in a straight line."""

    duration: PositiveSeconds
    rate: RateOrZero | None = None
    start: RateOrZero | None = None
    end: RateOrZero | None = None

    def check(self) -> list[Problem]:
        steady, sloped = self.rate is not None, self.start is not None or self.end is not None
        if steady == sloped or (sloped and (self.start is None or self.end is None)):
            return [Problem("", "needs either rate, or both start and end")]
        return []

    @property
    def slope(self) -> tuple[float, float]:
        """The rates at its beginning and its end."""
        if self.rate is not None:
            return self.rate, self.rate
        assert self.start is not None
        assert self.end is not None
        return self.start, self.end


@dataclass(frozen=True)
class Stages(Arrivals):
    """Straight lines of rate, one after the other. Arrivals end with the last stage."""

    stages: Annotated[tuple[Stage, ...], non_empty("must hold at least one stage")]
    ends: ClassVar[Literal["by itself"]] = "by itself"

    def check(self) -> list[Problem]:
        if not any(max(stage.slope) > 0 for stage in self.stages):
            return [Problem("stages", "at least one rate must be > 0: nothing would ever arrive")]
        return []

    def span(self) -> float:
        return sum(stage.duration for stage in self.stages)

    def at_rate(self, rate: float) -> Stages:
        """Every rate in proportion; the stages last as long as before."""
        factor = rate * self.span() / sum(sum(stage.slope) / 2 * stage.duration for stage in self.stages)
        slopes = [(stage.duration, *(factor * each for each in stage.slope)) for stage in self.stages]
        return Stages(tuple(Stage(duration, start=start, end=end) for duration, start, end in slopes))

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        # Λ and t at the joints. Within a stage the count is relative to its beginning; a stage of rate 0 has the same Λ at
        # both ends, and side="right" skips it.
        counts = np.cumsum([0.0] + [sum(stage.slope) / 2 * stage.duration for stage in self.stages])
        begins = np.cumsum([0.0] + [stage.duration for stage in self.stages])

        def inverse(count: Floats) -> Floats:
            which = np.clip(np.searchsorted(counts, count, side="right") - 1, 0, len(self.stages) - 1)
            t = np.empty(len(count))
            for i in np.unique(which).tolist():
                mine, stage = which == i, self.stages[i]
                t[mine] = begins[i] + invert_ramp(count[mine] - counts[i], stage.slope, stage.duration)
            return t

        return invert_in_blocks(inverse, float(counts[-1]))


@dataclass(frozen=True)
class Ramp(Arrivals):
    """The rate changes from ``start`` to ``end`` jobs per second in a straight line over ``over`` seconds. Then it ends."""

    start: RateOrZero
    end: RateOrZero
    over: PositiveSeconds
    ends: ClassVar[Literal["by itself"]] = "by itself"

    def check(self) -> list[Problem]:
        if self.start + self.end > 0:
            return []
        return [Problem("end", "start and end must not both be 0: nothing would ever arrive")]

    def span(self) -> float:
        return self.over

    def at_rate(self, rate: float) -> Ramp:
        """Both ends in proportion, over the same time."""
        factor = rate * 2 / (self.start + self.end)
        return Ramp(self.start * factor, self.end * factor, self.over)

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        total = (self.start + self.end) / 2 * self.over
        return invert_in_blocks(lambda count: invert_ramp(count, (self.start, self.end), self.over), total)


@dataclass(frozen=True)
class Sine(Arrivals):
    """λ(t) = ``mean`` + ``amplitude``·sin(``phase`` + 2πt/``period``); ``phase`` in radians."""

    mean: Rate
    amplitude: RateOrZero
    period: PositiveSeconds
    phase: Annotated[float, Meta(ge=-1e3, le=1e3)] = 0.0

    def check(self) -> list[Problem]:
        if self.amplitude <= self.mean:
            return []
        return [Problem("amplitude", "must be <= mean: a rate cannot be negative", f"{self.amplitude:g}")]

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        return invert_in_blocks(self._invert)

    def _invert(self, count: Floats) -> Floats:
        """Λ(t) = mean·t + A·P/2π·(cos φ − cos(φ + 2πt/P)), inverted by bisection."""
        # There is no closed form. But Λ never leaves mean·t ± A·P/π, so the root lies in an interval of fixed width. 64
        # halvings of it reach the last bit of a float, for a whole block at once. The upper end is taken, so no arrival is
        # early.
        swing, turn = self.amplitude * self.period / (2 * math.pi), 2 * math.pi / self.period
        low = np.maximum(count / self.mean - 2 * swing / self.mean, 0.0)
        high = count / self.mean + 2 * swing / self.mean
        for _ in range(64):
            t = (low + high) / 2
            early = self.mean * t + swing * (math.cos(self.phase) - np.cos(self.phase + turn * t)) < count
            low, high = np.where(early, t, low), np.where(early, high, t)
        return high

    def asked_rate(self) -> float:
        return self.mean

    def at_rate(self, rate: float) -> Sine:
        """Mean and amplitude in proportion, with the same period."""
        return replace(self, mean=rate, amplitude=min(self.amplitude * rate / self.mean, rate))


@dataclass(frozen=True)
class Closed(Arrivals):
    """``users`` who each wait for their job to end, think for ``think_time``, and send the next job.

    The closed model of Schroeder, Wierman and Harchol-Balter (NSDI 2006): completions trigger arrivals, so a slow system is
    offered less. All users send their first job when the window opens.
    """

    users: Annotated[int, Meta(ge=1, le=1_000_000)]
    think_time: Distribution = ConstantDuration(0.0)

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        yield np.zeros(self.users, np.int64)

    def think_times(self, rng: np.random.Generator) -> Iterator[Instants]:
        while True:
            yield round_to_ns(draw_durations(self.think_time, rng, BLOCK))
