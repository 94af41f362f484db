"""Judging one objective by a figure: met, missed, or inconclusive. No data is never a pass.

Times and amounts are estimates of what the system does. An objective on them is met if the one-sided 95 % confidence bound
is on the right side, missed if the opposite bound is on the wrong side, and inconclusive in between. Ratios, rates and
money are what this run did, so they are compared as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from aurea_engine.records.batch import NS, Instants
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import CONFIDENCE, count_samples_needed, find_rank
from aurea_engine.results.result import Counts, ObjectiveResult
from aurea_engine.results.statistics import BATCHES, Interval, Timing, convert_to_unit, find_quantile_ranks
from aurea_engine.results.student_t import find_t
from aurea_engine.spec import Objective

FEWEST_FOR_A_MEAN = 10
"""Jobs from which on √19 standard errors (`_bound_mean`), by the sample's own deviation, are a 95 % bound with a margin
for times as variable as exponential ones: the bound fails for 2 % of samples of 10 jobs, and for 5 % of samples of 5.
"""

ValueAt = Callable[[int], float]
"""1-based rank → the value of that rank, seconds."""


def look_up_sorted(ordered: Instants, unit: int = NS) -> ValueAt:
    """The values of ``ordered``, which rise; ``unit`` of these whole numbers are one of the unit."""
    return lambda rank: int(ordered[rank - 1]) / unit


def look_up_histogram(histogram: LatencyHistogram, unit: int = NS) -> ValueAt:
    """The values of a histogram, within its relative error."""
    return lambda rank: convert_to_unit(histogram.quantile(rank / histogram.count), unit)


def count_jobs_needed(objective: Objective, confidence: float = CONFIDENCE) -> int:
    """With fewer jobs than these ``objective`` can never be met, whatever they take."""
    if not objective.is_of_jobs:
        return 1
    if objective.quantile is None:
        return FEWEST_FOR_A_MEAN
    # Met is what a bound says that lies above the quantile, or below it; a quantile is only given with the former.
    needed = count_samples_needed(objective.quantile, confidence)
    lower = 1 if objective.at_least is None else count_samples_needed(1 - objective.quantile, confidence)
    return max(needed, lower)


def judge_time(
    objective: Objective,
    timing: Timing,
    at: ValueAt,
    since: str = "",
    unit: str = "s",
    *,
    confidence: float = CONFIDENCE,
) -> ObjectiveResult:
    """An objective on a mean or a quantile of a kind of time, or of a measure in ``unit``. ``since`` says which jobs count,
    such as " after noon"; ``confidence`` how sure either answer has to be.
    """
    if objective.quantile is None:
        observed, bounds, short = timing.mean, _bound_mean(timing, confidence), _describe_shortage(timing, since)
    else:
        observed, bounds, short = _bound_quantile(objective.quantile, timing.count, at, since, confidence)
    if bounds is None:
        return ObjectiveResult(objective, "inconclusive", observed, short)
    low, high = bounds
    if objective.at_most is not None:
        outcome = "met" if high <= objective.at_most else "missed" if low > objective.at_most else "inconclusive"
    else:
        assert objective.at_least is not None
        outcome = "met" if low >= objective.at_least else "missed" if high < objective.at_least else "inconclusive"
    bounded = f"{100 * confidence:.3g} % bounds {low:.6g} {unit} and {high:.6g} {unit}"
    detail = short if short and outcome == "inconclusive" else bounded
    return ObjectiveResult(objective, outcome, observed, detail, Interval(low, high))  # type: ignore[arg-type]


def _bound_mean(timing: Timing, confidence: float) -> tuple[float, float] | None:
    """One-sided bounds of the mean: from batch means, and with few jobs by Cantelli's inequality."""
    if timing.mean is None or timing.std is None or timing.count < FEWEST_FOR_A_MEAN:
        return None
    # Batch means where there are enough jobs: consecutive waits are alike, so their plain standard error is far too small.
    # The interval is two-sided; one side of it is narrower at the same level, as the points of t say.
    if timing.mean_interval is not None:
        half = (timing.mean_interval.high - timing.mean) * find_t(BATCHES - 1, confidence) / find_t(BATCHES - 1)
    elif timing.count >= 2 * BATCHES:
        half = NormalDist().inv_cdf(confidence) * timing.std / math.sqrt(timing.count)
    else:
        # Cantelli's inequality: no distribution has more than 1/(1 + k²) of itself above its mean by k standard deviations.
        # For k = √19 that is 5 %.
        half = math.sqrt(confidence / (1 - confidence)) * timing.std / math.sqrt(timing.count)
    return max(timing.mean - half, 0.0), timing.mean + half


def _describe_shortage(timing: Timing, since: str) -> str:
    if not timing.count:
        return f"no job completed{since}"
    few = timing.count < FEWEST_FOR_A_MEAN
    return f"a mean needs {FEWEST_FOR_A_MEAN} jobs, {timing.count} completed{since}" if few else ""


def _bound_quantile(
    q: float, n: int, at: ValueAt, since: str, confidence: float
) -> tuple[float | None, tuple[float, float] | None, str]:
    """(observed, one-sided bounds, what there are too few jobs for). Where nothing else bounds a time, 0 does."""
    needed = count_samples_needed(q, confidence)
    if n < needed:
        return None, None, f"p{q * 100:g} needs {needed} jobs, {n} completed{since}"
    # The bounds are two values that occurred: how many lie below the quantile is binomial, whatever the distribution is.
    low, high = find_quantile_ranks(n, q, 1 - confidence)
    short = f"{n} jobs are too few for a lower bound of p{q * 100:g}" if low is None else ""
    return at(find_rank(q, n)), (0.0 if low is None else at(low), at(n if high is None else high)), short


def judge_fact(objective: Objective, observed: float | None, why_not: str) -> ObjectiveResult:
    """An objective on a fact about this run. ``why_not`` says why there is none where ``observed`` is None."""
    if observed is None:
        return ObjectiveResult(objective, "inconclusive", None, why_not)
    if objective.at_most is not None:
        held = observed <= objective.at_most
    else:
        assert objective.at_least is not None
        held = observed >= objective.at_least
    return ObjectiveResult(objective, "met" if held else "missed", observed, f"{observed:.6g}")


def find_failure_ratio(counts: Counts) -> float | None:
    """Failed, timed out, rejected and abandoned jobs ÷ those that arrived and were not cancelled."""
    # Cancelled is only what a stop ended: it says nothing about the system.
    whole = counts.arrived - counts.cancelled
    bad = counts.failed + counts.timed_out + counts.rejected + counts.abandoned
    return bad / whole if whole else None
