"""Arrival processes: the instants at which a workload means its jobs to start.

An instant is int64 nanoseconds since the window opened. Every process is on an absolute schedule: instant *i* never
depends on when instant *i − 1* was served, so nothing drifts and nothing is omitted when the system falls behind.

Processes with a rate that is known at each instant, λ(t), are exact inverses of the expected count Λ(t) = ∫λ: arrival *i*
comes at Λ(t) = i. That makes `Stages` join without a gap and without a double arrival, whatever the rates.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, PositiveSeconds, Rate, RateOrZero, non_empty
from aurea_engine.records.batch import NS, Floats, Instants
from aurea_engine.workload.distributions import Constant as ConstantDuration
from aurea_engine.workload.distributions import Distribution, draw_durations

BLOCK = 4096
"""Arrivals drawn at a time."""

BEYOND = 9e18
"""ns, 285 years: just inside int64. No run reaches it."""


class Arrivals(ABC, Checked):
    """When jobs arrive. An open process answers with `instants` alone; the closed model adds `think_times`."""

    ends: ClassVar[Literal["by itself", "with jobs or duration", "with jobs"]] = "with jobs or duration"
    """What stops the process; a workload that would never end is refused."""

    @abstractmethod
    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        """Blocks of int64 ns, none negative, in order within and across blocks; lazily, for ever or until it ends."""

    def think_times(self, rng: np.random.Generator) -> Iterator[Instants] | None:
        """Closed model only: blocks of ns from one job's end until the same user's next job. None for open processes."""
        return None

    def asked_rate(self) -> float | None:
        """The long-run rate asked for, jobs per second, where there is one."""
        return None

    def span(self) -> float | None:
        """Seconds after which the process ends by itself, where it does."""
        return None


def _invert_in_blocks(inverse: Callable[[Floats], Floats], total: float = math.inf) -> Iterator[Instants]:
    """Arrival i at Λ⁻¹(i), for every i < ``total``, in blocks."""
    first, last = 0, math.ceil(total - 1e-9) if total < math.inf else math.inf
    while first < last:
        count = int(min(BLOCK, last - first))
        yield _round_to_ns(inverse(np.arange(first, first + count, dtype=float)))
        first += count


def _round_to_ns(seconds: Floats) -> Instants:
    """What lies beyond every clock stays at `BEYOND`, so that a block may reach further than a run."""
    # Halves go up, all of them: to the even neighbour, arrivals 2/1024 s apart would be one ns more or less than that.
    return np.floor(np.minimum(seconds, BEYOND / NS) * NS + 0.5).astype(np.int64)


@dataclass(frozen=True)
class AllAtOnce(Arrivals):
    """Every job at the instant the window opens. Needs a number of jobs."""

    ends: ClassVar[Literal["with jobs"]] = "with jobs"

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        while True:
            yield np.zeros(BLOCK, np.int64)


_BITS = 52
"""A float from 1 up has so many bits behind the point at most."""


def _space_evenly(gap: float, first: int, n: int) -> Instants:
    """``n`` ≤ 1,024 multiples of ``gap`` ns from number ``first`` on, each rounded to the nanosecond, half up.

    In whole numbers, since only then is it true of any two that they are at least ⌊k·gap⌋ apart, k gaps apart: a float of
    i·gap is short of bits after some days. With gap = G + R/2⁵², k·R + 2⁵² stays below 2⁶³ for k < 1,024.
    """
    whole = int(gap)
    bits = int((gap - whole) * 2**_BITS)
    above, behind = divmod(first * bits, 2**_BITS)
    k = np.arange(n, dtype=np.int64)
    rounded: Instants = (behind + k * bits + 2 ** (_BITS - 1)) >> _BITS
    return np.asarray(first * whole + above + k * whole + rounded, np.int64)


@dataclass(frozen=True)
class Constant(Arrivals):
    """Arrival i at exactly i ÷ ``rate``, i = 0, 1, 2, …"""

    rate: Rate

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        gap, first = min(NS / self.rate, BEYOND), 0
        while (first + BLOCK) * gap < BEYOND:
            yield np.concatenate([_space_evenly(gap, first + part, BLOCK // 4) for part in range(0, BLOCK, BLOCK // 4)])
            first += BLOCK
        while True:
            yield _round_to_ns(np.arange(first, first + BLOCK, dtype=np.float64) * (gap / NS))
            first += BLOCK

    def asked_rate(self) -> float:
        return self.rate


@dataclass(frozen=True)
class Poisson(Arrivals):
    """Independent exponential gaps: the first M of M/M/c."""

    rate: Rate

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        return _accumulate_gaps(lambda n: rng.exponential(1 / self.rate, n))

    def asked_rate(self) -> float:
        return self.rate


@dataclass(frozen=True)
class Gamma(Arrivals):
    """Independent gamma gaps with coefficient of variation ``cv``: burstier than Poisson above 1, more even below."""

    rate: Rate
    cv: Annotated[float, Meta(ge=0, le=1e3)]

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        scv = self.cv**2
        if scv < 1e-12:
            return Constant(self.rate).instants(rng)
        return _accumulate_gaps(lambda n: rng.gamma(1 / scv, scv / self.rate, n))

    def asked_rate(self) -> float:
        return self.rate


def _accumulate_gaps(gaps: Callable[[int], Floats]) -> Iterator[Instants]:
    at = 0.0
    while True:
        block = at + np.cumsum(gaps(BLOCK))
        at = float(block[-1])
        yield _round_to_ns(block)


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
        """Rates at its two ends."""
        if self.rate is not None:
            return self.rate, self.rate
        assert self.start is not None
        assert self.end is not None
        return self.start, self.end


def _invert_ramp(count: Floats, rates: tuple[float, float], over: float) -> Floats:
    """Λ(t) = start·t + (end − start)·t²/(2·over), solved for t in the form that does not cancel when start ≈ end."""
    start, end = rates
    k = (end - start) / over
    root = np.sqrt(np.maximum(start**2 + 2 * k * count, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = 2 * count / (start + root)
    return np.where(count == 0, 0.0, np.minimum(t, over))


@dataclass(frozen=True)
class Stages(Arrivals):
    """Straight lines of rate, one after the other; ends with the last."""

    stages: Annotated[tuple[Stage, ...], non_empty("must hold at least one stage")]
    ends: ClassVar[Literal["by itself"]] = "by itself"

    def check(self) -> list[Problem]:
        if not any(max(stage.slope) > 0 for stage in self.stages):
            return [Problem("stages", "at least one rate must be > 0: nothing would ever arrive")]
        return []

    def span(self) -> float:
        return sum(stage.duration for stage in self.stages)

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        counts = np.cumsum([0.0] + [sum(stage.slope) / 2 * stage.duration for stage in self.stages])
        begins = np.cumsum([0.0] + [stage.duration for stage in self.stages])

        def inverse(count: Floats) -> Floats:
            which = np.clip(np.searchsorted(counts, count, side="right") - 1, 0, len(self.stages) - 1)
            t = np.empty(len(count))
            for i in np.unique(which).tolist():
                mine, stage = which == i, self.stages[i]
                t[mine] = begins[i] + _invert_ramp(count[mine] - counts[i], stage.slope, stage.duration)
            return t

        return _invert_in_blocks(inverse, float(counts[-1]))


@dataclass(frozen=True)
class Ramp(Arrivals):
    """From ``start`` to ``end`` jobs per second in a straight line ``over`` that many seconds; then it ends."""

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

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        total = (self.start + self.end) / 2 * self.over
        return _invert_in_blocks(lambda count: _invert_ramp(count, (self.start, self.end), self.over), total)


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
        return _invert_in_blocks(self._inverse)

    def _inverse(self, count: Floats) -> Floats:
        """Λ(t) = mean·t + A·P/2π·(cos φ − cos(φ + 2πt/P)) never leaves ± A·P/π of mean·t: bisect between those."""
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


@dataclass(frozen=True)
class Closed(Arrivals):
    """``users`` who each wait for their job to end, think for ``think_time``, and send the next.

    The closed model of Schroeder, Wierman and Harchol-Balter (NSDI 2006): arrivals are triggered by completions, so a slow
    system is offered less. All users send their first job when the window opens.
    """

    users: Annotated[int, Meta(ge=1, le=1_000_000)]
    think_time: Distribution = ConstantDuration(0.0)

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        yield np.zeros(self.users, np.int64)

    def think_times(self, rng: np.random.Generator) -> Iterator[Instants]:
        while True:
            yield _round_to_ns(draw_durations(self.think_time, rng, BLOCK))
