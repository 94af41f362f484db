"""Distributions of durations, in seconds. Each states its exact mean and squared coefficient of variation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta

from aurea_engine.errors import Problem, StrategyError
from aurea_engine.fields.checked import Checked, Invalid, PositiveSeconds, Seconds, Weight, non_empty
from aurea_engine.fields.units import DURATION, parse_duration
from aurea_engine.records.batch import NS, Floats

_NO_DISTRIBUTION = (
    f'must be seconds, or a distribution such as {{"kind": "exponential", "mean": 0.1}}, or {DURATION.form}'
)

Spread = Annotated[float, Meta(ge=0, le=1e3)]


class Moments(NamedTuple):
    """``mean`` in seconds. ``scv`` is variance ÷ mean², ``inf`` if the variance does not exist."""

    mean: float
    scv: float


class Distribution(ABC, Checked):
    """Where durations are drawn from. `sample` draws them, and `moments` gives their exact moments."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        """``n`` independent draws, seconds, none negative."""

    @abstractmethod
    def moments(self) -> Moments:
        """The exact mean and squared coefficient of variation of what `sample` draws."""

    @classmethod
    def coerce(cls, value: object) -> Distribution:
        """A plain number or a duration is a constant."""
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            return Constant(value)  # type: ignore[arg-type]
        if isinstance(value, str):
            if parse_duration(value) is not None:
                return Constant(value)  # type: ignore[arg-type] # read as every duration is
            raise Invalid(f"{_NO_DISTRIBUTION}{DURATION.suggest(value)}")
        raise Invalid(_NO_DISTRIBUTION)


def draw_durations(distribution: Distribution, rng: np.random.Generator, n: int) -> Floats:
    """`Distribution.sample`, checked: raises `StrategyError` for another shape, and for negative numbers and NaN."""
    what = f"{type(distribution).__name__}.sample"
    seconds = to_floats(distribution.sample(rng, n), n, what)
    wrong = ~(seconds >= 0)
    if wrong.any():
        raise StrategyError(f"{what} must give seconds that are not negative, got {seconds[wrong][0]:g}")
    return seconds


_SLACK = 1 + 2**-51
"""0.3 s × 10⁹ is a little less than 300,000,000 in floats. This factor makes up for that, and for no more."""


def cut_to_whole_ns(seconds: Floats) -> Floats:
    """Fixed durations, cut down to whole nanoseconds, but still in seconds. Those below one nanosecond are left as they are.

    Arrivals i/λ are rounded to the nanosecond, so two of them may be one ns less than 1/λ apart. A service of 1/λ that is
    cut down has ended when the next job arrives, as in exact arithmetic. Rounded up it would not have, and on one slot
    without a queue that job would be rejected. Durations that are drawn at random are rounded instead, which has no bias.
    """
    # Above 2⁵¹ ns, 26 days, the slack would be a nanosecond by itself, and a float has no finer steps anyway.
    ns = seconds * NS
    cut = np.floor(ns * _SLACK)
    return np.where((cut >= 1) & (ns < 2**51), cut / NS, seconds)


def to_floats(given: object, n: int, what: str) -> Floats:
    """``given`` as ``n`` floats. Raises `StrategyError` with a message that begins with ``what``."""
    try:
        numbers = np.asarray(given, float)
    except (TypeError, ValueError):
        raise StrategyError(f"{what} was asked for {n} numbers and gave {type(given).__name__}") from None
    if numbers.shape != (n,):
        shape = " × ".join(map(str, numbers.shape)) or "a single one"
        raise StrategyError(f"{what} was asked for {n} numbers and gave {shape}")
    return numbers


@dataclass(frozen=True)
class Constant(Distribution):
    """Always ``value`` seconds."""

    value: Seconds

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return cut_to_whole_ns(np.full(n, self.value))

    def moments(self) -> Moments:
        return Moments(self.value, 0.0)


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform between ``low`` and ``high``."""

    low: Seconds
    high: Seconds

    def check(self) -> list[Problem]:
        return [] if self.low <= self.high else [Problem("high", "must be >= low", str(self.high))]

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        seconds = rng.uniform(self.low, self.high, n)
        return cut_to_whole_ns(seconds) if self.low == self.high else seconds

    def moments(self) -> Moments:
        mean = (self.low + self.high) / 2
        # The variance of a uniform distribution is (high − low)² / 12.
        return Moments(mean, ((self.high - self.low) / mean) ** 2 / 12 if mean else 0.0)


@dataclass(frozen=True)
class Exponential(Distribution):
    """Memoryless: the M of M/M/c. Its squared coefficient of variation is 1."""

    mean: PositiveSeconds

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.exponential(self.mean, n)

    def moments(self) -> Moments:
        return Moments(self.mean, 1.0)


@dataclass(frozen=True)
class Gamma(Distribution):
    """Gamma with the given coefficient of variation: 0 is constant, 1 exponential, 1/√k Erlang-k."""

    mean: PositiveSeconds
    cv: Spread

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        # Shape k = 1/cv² and scale mean·cv²: mean kθ, variance kθ². The shape overflows for tiny cv, which is a constant.
        scv = self.cv**2
        return rng.gamma(1 / scv, self.mean * scv, n) if scv > 1e-12 else cut_to_whole_ns(np.full(n, self.mean))

    def moments(self) -> Moments:
        return Moments(self.mean, self.cv**2)


@dataclass(frozen=True)
class LogNormal(Distribution):
    """Log-normal with the given mean and coefficient of variation of the durations themselves, not of their logarithms."""

    mean: PositiveSeconds
    cv: Spread

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        # For parameters μ, σ² of the logarithm the mean is exp(μ + σ²/2) and cv² = exp(σ²) − 1 (Johnson, Kotz and
        # Balakrishnan, *Continuous Univariate Distributions*, chapter 14). log1p keeps the digits of a small cv.
        variance = math.log1p(self.cv**2)
        if not variance:
            return cut_to_whole_ns(np.full(n, self.mean))
        return rng.lognormal(math.log(self.mean) - variance / 2, math.sqrt(variance), n)

    def moments(self) -> Moments:
        return Moments(self.mean, self.cv**2)


@dataclass(frozen=True)
class Pareto(Distribution):
    """Pareto with minimum ``mean·(shape − 1)/shape``. At ``shape`` ≤ 1 there is no mean, so it is refused.

    Up to ``shape`` 2 there is no finite variance: sample means converge slowly, and no queueing formula holds.
    """

    mean: PositiveSeconds
    shape: Annotated[float, Meta(gt=0, le=1e3)]

    def check(self) -> list[Problem]:
        if self.shape > 1:
            return []
        return [
            Problem("shape", "must be > 1: at or below 1 a Pareto distribution has no mean to set", f"{self.shape:g}")
        ]

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        # numpy's "pareto" is the Lomax distribution, which begins at 0: add 1 for the classical one.
        lowest = self.mean * (self.shape - 1) / self.shape
        return lowest * (rng.pareto(self.shape, n) + 1)

    def moments(self) -> Moments:
        # Variance x²α / ((α − 1)²(α − 2)) over mean² (xα / (α − 1))² is 1 / (α(α − 2)).
        return Moments(self.mean, 1 / (self.shape * (self.shape - 2)) if self.shape > 2 else math.inf)


@dataclass(frozen=True)
class Weighted(Checked):
    """One branch of a `Mixture`."""

    weight: Weight
    distribution: Distribution


@dataclass(frozen=True)
class Mixture(Distribution):
    """Each draw comes from one branch, chosen with probability weight ÷ sum of weights."""

    of: Annotated[tuple[Weighted, ...], non_empty("weights must sum to more than 0: it must hold at least one branch")]

    def check(self) -> list[Problem]:
        if sum(branch.weight for branch in self.of) > 0:
            return []
        return [Problem("of", "weights must sum to more than 0")]

    def _compute_shares(self) -> Floats:
        weights = np.array([branch.weight for branch in self.of])
        return np.asarray(weights / weights.sum())

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        choice = rng.choice(len(self.of), n, p=self._compute_shares())
        seconds = np.empty(n)
        for i, branch in enumerate(self.of):
            mine = choice == i
            seconds[mine] = draw_durations(branch.distribution, rng, int(mine.sum()))
        return seconds

    def moments(self) -> Moments:
        parts = [branch.distribution.moments() for branch in self.of]
        shares = self._compute_shares().tolist()
        mean = sum(share * part.mean for share, part in zip(shares, parts, strict=True))
        if not mean:
            return Moments(mean, 0.0)
        if any(math.isinf(part.scv) for share, part in zip(shares, parts, strict=True) if share):
            return Moments(mean, math.inf)
        # Second moments add up by share: E[X²] = Σ share·mean²·(1 + scv). In units of the mean, because the squares of very
        # short times underflow to 0, and their ratios do not.
        units = [(share, part.mean / mean, part.scv) for share, part in zip(shares, parts, strict=True) if share]
        second = sum(share * unit * unit * (1 + scv) for share, unit, scv in units)
        return Moments(mean, max(second - 1, 0.0))


@dataclass(frozen=True)
class Empirical(Distribution):
    """Drawn at random, with replacement, from the measured ``values``."""

    values: Annotated[tuple[Seconds, ...], non_empty("must hold at least one duration")]

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.choice(cut_to_whole_ns(np.array(self.values)), n)

    def moments(self) -> Moments:
        values = np.array(self.values)
        mean = float(values.mean())
        return Moments(mean, float((values / mean).var()) if mean else 0.0)


def find_greatest(distribution: Distribution) -> float | None:
    """The greatest that ``distribution`` can draw, seconds; None where there is no such, or it is not known."""
    match distribution:
        case Constant():
            return distribution.value
        case Uniform():
            return distribution.high
        case Empirical():
            return max(distribution.values)
        case Mixture():
            branches = [find_greatest(branch.distribution) for branch in distribution.of if branch.weight]
            known = [each for each in branches if each is not None]
            return max(known) if len(known) == len(branches) else None
    return None
