"""From draws of a figure of two runs to its shift, the interval of that, and a word, with Holm's correction.

A figure has a word where the whole interval of its shift lies on one side of a bound. Eight figures are eight chances to be
wrong, so each has to be surer than one alone: of m figures the first is decided at confidence 1 − 5 %/m, the next at
1 − 5 %/(m − 1), and so on, until at its level none is decided any more (Holm 1979). The chance that any word of a comparison
is wrong is then 5 % at most, however the figures hang together. A figure's interval is shown at the level that it was tested
at, so that the word can be read off it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aurea_engine.closed_sets import ComparisonWord
from aurea_engine.records.batch import Floats
from aurea_engine.results.comparison import ComparedFigure, ShiftInterval

ERROR = 0.05
"""The chance that any word of a comparison is wrong."""

ABSOLUTE = frozenset({"failure_ratio"})
"""Figures whose shift is a difference: a ratio of two small ratios says little."""

MORE_IS_BETTER = frozenset({"throughput"})


@dataclass(frozen=True)
class Shift:
    """The shift of one figure. ``draws`` are sorted, None where nothing tells how far it may be off; ``slack``: what the
    ends of an interval may be off by themselves. ``few``: it is of too few jobs to decide anything.
    """

    figure: str
    a: float
    b: float
    observed: float
    draws: Floats | None = None
    slack: float = 0.0
    few: bool = False

    def find_interval(self, level: float) -> ShiftInterval | None:
        """Between two percentiles of the draws. None if one of them is beyond what the sample tells."""
        if self.draws is None:
            return None
        tail = (1 - level) / 2
        ranks = np.array([np.floor(tail * len(self.draws)), np.ceil((1 - tail) * len(self.draws)) - 1]).astype(int)
        low, high = self.draws[ranks].tolist()
        if not (np.isfinite(low) and np.isfinite(high)):
            return None
        # Percentiles of few thousand draws waver; the observed shift itself is never outside.
        return ShiftInterval(min(low, self.observed) - self.slack, max(high, self.observed) + self.slack, level)

    def judge(self, interval: ShiftInterval | None, tolerance: float) -> ComparisonWord:
        """The word by the rule of the study: the whole interval must be on one side."""
        if interval is None or self.few:
            return "inconclusive"
        low, high = interval.low, interval.high
        if self.figure in MORE_IS_BETTER:
            low, high = -high, -low
        if low > tolerance:
            return "worse"
        if high < -tolerance:
            return "better"
        return "same" if -tolerance <= low and high <= tolerance else "inconclusive"


def find_shift(figure: str, a: float, b: float, draws: tuple[Floats, Floats] | None, slack: float) -> Shift | None:
    """The shift from ``a`` to ``b``; None where it is relative to nothing."""
    absolute = figure in ABSOLUTE
    if not absolute and a <= 0:
        return None
    observed = b - a if absolute else b / a - 1
    if draws is None:
        return Shift(figure, a, b, observed)
    ours, theirs = draws
    # An infinite draw of both is any shift at all, and so is one that tells nothing.
    with np.errstate(invalid="ignore"):
        shifts = theirs - ours if absolute else theirs / ours - 1
    slack = slack * (1 + abs(observed)) if figure.startswith("response_time.p") else 0.0
    return Shift(figure, a, b, observed, np.sort(np.where(np.isnan(shifts), np.inf, shifts)), slack)


def judge_shifts(shifts: list[Shift], tolerance: float, *, decides: bool) -> list[ComparedFigure]:
    """A word for each, in the order given. ``decides`` False: every word is inconclusive."""
    tested = [shift for shift in shifts if shift.draws is not None and not shift.few]
    found: dict[str, ComparedFigure] = {}
    open_figures, level = list(tested), 1 - ERROR
    for left in range(len(tested), 0, -1):
        level = 1 - ERROR / left
        decided = next((each for each in open_figures if _word(each, level, tolerance) != "inconclusive"), None)
        if decided is None:
            break
        found[decided.figure] = _compare(decided, level, tolerance, decides=decides)
        open_figures.remove(decided)
    return [
        found[each.figure] if each.figure in found else _compare(each, level, tolerance, decides=decides)
        for each in shifts
    ]


def _word(shift: Shift, level: float, tolerance: float) -> ComparisonWord:
    return shift.judge(shift.find_interval(level), tolerance)


def _compare(shift: Shift, level: float, tolerance: float, *, decides: bool) -> ComparedFigure:
    interval = shift.find_interval(level)
    word = shift.judge(interval, tolerance) if decides else "inconclusive"
    return ComparedFigure(shift.figure, shift.a, shift.b, shift.observed, interval, word)


def judge_whole(figures: list[ComparedFigure]) -> ComparisonWord:
    """Worse where any figure is, else inconclusive where any is, else better where any is, else same."""
    words = {each.word for each in figures}
    order: tuple[ComparisonWord, ...] = ("worse", "inconclusive", "better", "same")
    return next((word for word in order if word in words), "inconclusive")
