"""Judging objectives: met, missed, or inconclusive. No data is never a pass.

Times are estimates: an objective on them is met when the one-sided 95 % confidence bound is on the right side, missed
when the opposite bound is on the wrong one, and inconclusive between. Ratios, rates and money are what this very run
did, so they are compared as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from aurea_engine.records.batch import NS, Instants
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import CONFIDENCE, count_samples_needed, find_rank
from aurea_engine.results.result import Counts, ObjectiveResult
from aurea_engine.results.statistics import BATCHES, Timing, convert_to_unit, find_quantile_ranks
from aurea_engine.spec import Objective

Z_95 = 1.6448536
T_29_ONE_SIDED = 1.6991270
T_29_TWO_SIDED = 2.0452296
CANTELLI_95 = math.sqrt(19)
"""No distribution has more than 5 % of itself above its mean by more than so many standard deviations: 1/(1 + k²)."""

FEWEST_FOR_A_MEAN = 10
"""Jobs from which on `CANTELLI_95` standard errors, with the sample's own deviation, are a 95 % bound for times as variable
as exponential ones, with a margin: it fails for 2 % of the samples of 10, and for 5 % of those of 5.
"""

ValueAt = Callable[[int], float]
"""1-based rank → the value of that rank, seconds."""


def value_at(ordered: Instants, unit: int = NS) -> ValueAt:
    """Ranks of whole numbers in rising order, ``unit`` of them to the unit."""
    return lambda rank: int(ordered[rank - 1]) / unit


def value_in(histogram: LatencyHistogram, unit: int = NS) -> ValueAt:
    """Ranks of a histogram, within its relative error."""
    return lambda rank: convert_to_unit(histogram.quantile(rank / histogram.count), unit)


def judge_time(objective: Objective, timing: Timing, at: ValueAt, since: str = "", unit: str = "s") -> ObjectiveResult:
    """An objective on a mean or a quantile of a kind of time, or of a measure in ``unit``. ``since`` says which jobs count,
    such as " after noon".
    """
    if objective.quantile is None:
        observed, bounds, short = timing.mean, _mean_bounds(timing), _short_of_a_mean(timing, since)
    else:
        observed, bounds, short = _quantile_bounds(objective.quantile, timing.count, at, since)
    if bounds is None:
        return ObjectiveResult(objective, "inconclusive", observed, short)
    low, high = bounds
    if objective.at_most is not None:
        outcome = "met" if high <= objective.at_most else "missed" if low > objective.at_most else "inconclusive"
    else:
        assert objective.at_least is not None
        outcome = "met" if low >= objective.at_least else "missed" if high < objective.at_least else "inconclusive"
    detail = short if short and outcome == "inconclusive" else f"95 % bounds {low:.6g} {unit} and {high:.6g} {unit}"
    return ObjectiveResult(objective, outcome, observed, detail)  # type: ignore[arg-type]


def _mean_bounds(timing: Timing) -> tuple[float, float] | None:
    """One-sided 95 % bounds of the mean: from batch means, and with few jobs by Cantelli's inequality."""
    if timing.mean is None or timing.std is None or timing.count < FEWEST_FOR_A_MEAN:
        return None
    if timing.mean_interval is not None:
        half = (timing.mean_interval.high - timing.mean) * T_29_ONE_SIDED / T_29_TWO_SIDED
    else:
        half = (Z_95 if timing.count >= 2 * BATCHES else CANTELLI_95) * timing.std / math.sqrt(timing.count)
    return max(timing.mean - half, 0.0), timing.mean + half


def _short_of_a_mean(timing: Timing, since: str) -> str:
    if not timing.count:
        return f"no job completed{since}"
    few = timing.count < FEWEST_FOR_A_MEAN
    return f"a mean needs {FEWEST_FOR_A_MEAN} jobs, {timing.count} completed{since}" if few else ""


def _quantile_bounds(q: float, n: int, at: ValueAt, since: str) -> tuple[float | None, tuple[float, float] | None, str]:
    """(observed, one-sided 95 % bounds, what there are too few jobs for). Where nothing else bounds a time, 0 does."""
    needed = count_samples_needed(q)
    if n < needed:
        return None, None, f"p{q * 100:g} needs {needed} jobs, {n} completed{since}"
    low, high = find_quantile_ranks(n, q, 1 - CONFIDENCE)
    short = f"{n} jobs are too few for a lower bound of p{q * 100:g}" if low is None else ""
    return at(find_rank(q, n)), (0.0 if low is None else at(low), at(n if high is None else high)), short


def judge_fact(objective: Objective, observed: float | None, why_not: str) -> ObjectiveResult:
    """An objective on something that this run did: compared as it is."""
    if observed is None:
        return ObjectiveResult(objective, "inconclusive", None, why_not)
    if objective.at_most is not None:
        held = observed <= objective.at_most
    else:
        assert objective.at_least is not None
        held = observed >= objective.at_least
    return ObjectiveResult(objective, "met" if held else "missed", observed, f"{observed:.6g}")


def failure_ratio(counts: Counts) -> float | None:
    """Failed, timed out, rejected and abandoned jobs ÷ those that arrived and were not cancelled."""
    whole = counts.arrived - counts.cancelled
    bad = counts.failed + counts.timed_out + counts.rejected + counts.abandoned
    return bad / whole if whole else None
