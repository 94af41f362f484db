"""Rounds in which contenders take turns, and what their figures come to."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.contest import AUREA, Bound, Row
from benchmarks.trial import run_trial


@dataclass(frozen=True)
class Spread:
    """Median and extremes of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Judgement:
    """``value``: the median, or the ratio of medians, that `Bound` bounds; None where the other contender is absent."""

    bound: Bound
    value: float | None

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        least = self.bound.better == "more" or self.bound.against is not None
        return self.value >= self.bound.limit if least else self.value <= self.bound.limit


@dataclass
class Outcome:
    """All rounds of one row. ``absent``: contender → why it gave no figures."""

    row: Row
    rounds: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def spread(self, contender: str, figure: str) -> Spread | None:
        values = [figures[figure] for figures in self.rounds.get(contender, []) if figure in figures]
        return Spread.of(values) if values else None

    def judge(self) -> list[Judgement]:
        return [Judgement(bound, self._find_value(bound)) for bound in self.row.bounds]

    def _find_value(self, bound: Bound) -> float | None:
        ours = self.spread(AUREA, bound.figure)
        if ours is None:
            return None
        if bound.against is None:
            return ours.median
        theirs = self.spread(bound.against, bound.figure)
        if theirs is None:
            return None
        # Of medians, not the median of ratios: rounds are paired in time, but each figure stands for itself in the
        # tables.
        ratio = ours.median / theirs.median
        return ratio if bound.better == "more" else 1 / ratio


def measure(row: Row, rounds: int, quick: bool, say: Callable[[str], None]) -> Outcome:
    """``rounds`` rounds: there and back again, so that none is always first, and drift falls on all alike."""
    # A B C, C B A: a machine that slows down, or warms up, does so for all contenders alike, and medians forget one bad
    # round.
    outcome = Outcome(row)
    for number in range(rounds):
        for contender in row.contenders if number % 2 == 0 else reversed(row.contenders):
            if contender.name in outcome.absent:
                continue
            say(f"{row.key}, round {number + 1} of {rounds}: {contender.name}")
            answer = run_trial(contender, quick, seed=number + 1)
            if isinstance(answer, str):
                outcome.absent[contender.name] = answer
            else:
                outcome.rounds.setdefault(contender.name, []).append(answer)
    return outcome
