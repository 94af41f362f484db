"""What a capacity search is asked: its range, how long its trials are, how many votes decide, and what it may use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from aurea_engine.closed_sets import CapacityVariable

Stage = Literal["wide", "middle", "narrow", "deciding", "verifying"]
"""How much a trial has to tell: the narrower the bracket, the longer its trials."""

VERIFYING = 2
"""So many times as long as other trials of a search in real time are those that verify."""

MOST_SLOTS = 1_000_000


@dataclass(frozen=True)
class Lengths:
    """How long trials are: so many jobs in each stage, and in real time at least so many seconds of the rate.

    Neighbouring jobs of a queue are alike, so it takes 10⁵ to 10⁶ of them to tell 2 % of a rate from chance: for M/M/1 with
    a p99 at ten times the service time, 4 · 10⁵ jobs leave 0.8 % of the rate (one standard deviation).
    """

    wide: int = 20_000
    middle: int = 100_000
    narrow: int = 250_000
    deciding: int = 500_000
    verifying: int = 1_000_000
    seconds: float | None = None

    def count_jobs(self, stage: Stage, rate: float | None, most: int | None = None) -> int:
        """Jobs of a trial at ``rate``; ``most`` of them are allowed."""
        jobs: int = getattr(self, stage)
        if self.seconds is not None and rate is not None:
            lasts = self.seconds * (VERIFYING if stage == "verifying" else 1)
            jobs = max(jobs, math.ceil(lasts * rate))
        return jobs if most is None else min(jobs, most)

    @classmethod
    def real(cls, seconds: float, fewest: int) -> Lengths:
        """Trials of ``seconds`` each, and of no fewer jobs than the objectives need."""
        return cls(fewest, fewest, fewest, fewest, fewest, seconds)


@dataclass(frozen=True)
class SearchLimits:
    """What a search may use. ``jobs``: over all trials; ``jobs_of_trial``: in one of them; None for no limit."""

    trials: int = 200
    jobs: int | None = None
    jobs_of_trial: int | None = None


@dataclass(frozen=True)
class SearchSettings:
    """How carefully is searched. ``width``: of the final bracket of rates, relative. ``votes``: so many equal ones classify
    a value on the way (2 is the majority of 3), ``confirmations`` at the ends of the final bracket.
    """

    width: float = 0.005
    votes: int = 2
    confirmations: int = 4
    lengths: Lengths = Lengths()


@dataclass(frozen=True)
class SearchPlan:
    """One search. ``low`` and ``high`` are the caller's bounds. ``required``: the one value to verify, None to search.

    ``probes``: whether trials in a closed loop can be run. ``has_floor``: whether an objective bounds times of single jobs,
    which no lower rate and no more slots bring below the service time. ``rate``: that of the specification, and ``slots``.
    """

    variable: CapacityVariable
    seed: int
    low: float | None = None
    high: float | None = None
    required: float | None = None
    probes: bool = True
    has_floor: bool = True
    rate: float | None = None
    slots: int | None = None
    settings: SearchSettings = SearchSettings()
    limits: SearchLimits = SearchLimits()


@dataclass(frozen=True)
class Axis:
    """The order of values: a higher rate is *harder*, and so are fewer slots. ``easiest`` and ``hardest`` end the range."""

    variable: CapacityVariable
    easiest: float
    hardest: float
    width: float

    @classmethod
    def of(cls, plan: SearchPlan) -> Axis:
        """The range of ``plan``; where it has no bound, one that no system reaches."""
        if plan.variable == "rate":
            return cls("rate", plan.low or 1e-9, plan.high or 1e9, plan.settings.width)
        return cls("slots", plan.high or MOST_SLOTS, plan.low or 1, plan.settings.width)

    def clamp(self, value: float) -> float:
        """The nearest value that may be tried: whole slots, rates of five digits."""
        inside = min(max(value, min(self.easiest, self.hardest)), max(self.easiest, self.hardest))
        if self.variable == "slots":
            return int(inside)
        # Rounded to what people read, but not out of the range.
        return inside if inside in (self.easiest, self.hardest) else float(f"{inside:.5g}")

    def harder(self, value: float, widths: int) -> float:
        """``value``, that many widths harder, or easier where negative; of slots, that many fewer."""
        if self.variable == "slots":
            return self.clamp(value - widths)
        return self.clamp(value * (1 + self.width) ** widths)

    def jump(self, value: float, number: int, *, harder: bool) -> float:
        """The next value to look at for a bracket: rates twice or half, slots 1, 2, 4, … more or fewer."""
        if self.variable == "slots":
            return self.clamp(value - 2**number if harder else value + 2**number)
        return self.clamp(value * 2 if harder else value / 2)

    def is_harder(self, value: float, other: float) -> bool:
        """Whether ``value`` asks more of the system than ``other``."""
        return value > other if self.variable == "rate" else value < other

    def middle(self, good: float, bad: float) -> float:
        """Between the two: rates in equal ratios, slots in whole numbers."""
        return self.clamp((good + bad) // 2 if self.variable == "slots" else math.sqrt(good * bad))

    def is_narrow(self, good: float, bad: float) -> bool:
        """Whether the search need not go on between the two."""
        # Rounding to five digits may leave a hair more than the width.
        return abs(good - bad) <= 1 if self.variable == "slots" else bad / good - 1 <= self.width * 1.01

    def choose_stage(self, good: float, bad: float) -> Stage:
        """How long trials between the two have to be."""
        gap = abs(bad - good) / min(bad, good)
        return "wide" if gap > 0.2 else "middle" if gap > 0.05 else "narrow"
