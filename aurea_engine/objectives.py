"""Judging objectives: met, missed, or inconclusive. No data is never a pass.

Times are estimates: an objective on them is met when the one-sided 95 % confidence bound is on the right side, missed
when the opposite bound is on the wrong one, and inconclusive between. Ratios, rates and money are what this very run
did, so they are compared as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from aurea_engine.histogram import LatencyHistogram, rank_of
from aurea_engine.observers import Progress
from aurea_engine.records import NS, Instants, Outcome
from aurea_engine.results import Counts, ObjectiveResult
from aurea_engine.spec import TIMES, Objective, RunSpec
from aurea_engine.statistics import BATCHES, Timing, samples_needed

Z_95 = 1.6448536
T_29_ONE_SIDED = 1.6991270
T_29_TWO_SIDED = 2.0452296

ValueAt = Callable[[int], float]
"""1-based rank → the value of that rank, seconds."""


def value_at(ordered: Instants) -> ValueAt:
    """Ranks of ns in rising order."""
    return lambda rank: int(ordered[rank - 1]) / NS


def value_in(histogram: LatencyHistogram) -> ValueAt:
    """Ranks of a histogram, within its relative error."""
    return lambda rank: histogram.quantile(rank / histogram.count)


def judge_time(objective: Objective, timing: Timing, at: ValueAt) -> ObjectiveResult:
    """An objective on a mean or a quantile of a kind of time."""
    if objective.quantile is None:
        bounds, observed = _mean_bounds(timing), timing.mean
        short = "no job completed" if not timing.count else f"too few jobs ({timing.count}) for an interval of the mean"
    else:
        q, n = objective.quantile, timing.count
        needed = samples_needed(q)
        short = f"p{q * 100:g} needs {needed} jobs, {n} completed"
        supported = n >= needed
        observed = at(max(1, math.ceil(q * n - 1e-9 * n))) if supported else None
        bounds = _quantile_bounds(q, n, at) if supported else None
    if bounds is None:
        return ObjectiveResult(objective, "inconclusive", observed, short)
    low, high = bounds
    interval = f"95 % bounds {low:.6g} s and {high:.6g} s"
    if objective.at_most is not None:
        outcome = "met" if high <= objective.at_most else "missed" if low > objective.at_most else "inconclusive"
    else:
        assert objective.at_least is not None
        outcome = "met" if low >= objective.at_least else "missed" if high < objective.at_least else "inconclusive"
    return ObjectiveResult(objective, outcome, observed, interval)  # type: ignore[arg-type]


def _mean_bounds(timing: Timing) -> tuple[float, float] | None:
    """One-sided 95 % bounds of the mean from batch means; for few jobs, what holds whatever the distribution."""
    if timing.mean is None or timing.min is None or timing.max is None:
        return None
    if timing.mean_interval is None:
        if timing.exact and timing.count < 2 * BATCHES:
            return timing.min, timing.max
        half = Z_95 * (timing.std or 0.0) / math.sqrt(timing.count)
        return timing.mean - half, timing.mean + half
    half = (timing.mean_interval.high - timing.mean) * T_29_ONE_SIDED / T_29_TWO_SIDED
    return timing.mean - half, timing.mean + half


def _quantile_bounds(q: float, n: int, at: ValueAt) -> tuple[float, float]:
    """Order statistics whose ranks are one-sided 95 % bounds of a binomial count (normal approximation, outward)."""
    spread = Z_95 * math.sqrt(n * q * (1 - q))
    low, high = max(1, math.floor(n * q - spread)), min(n, math.ceil(n * q + spread) + 1)
    return at(low), at(high)


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
    """Failed, timed out and rejected jobs ÷ those that arrived and were not cancelled."""
    whole = counts.arrived - counts.cancelled
    return (counts.failed + counts.timed_out + counts.rejected) / whole if whole else None


def hopeless(spec: RunSpec, progress: Progress) -> bool:
    """Whether an objective that says ``abort`` can no longer be met, whatever the rest of the run brings."""
    return any(objective.abort and _lost(objective, spec, progress) for objective in spec.objectives)


def _lost(objective: Objective, spec: RunSpec, progress: Progress) -> bool:
    limit, workload = objective.at_most, spec.workload
    jobs = workload.jobs if workload.duration is None else None  # which of the two comes first is not known
    if limit is None:
        return False
    if objective.metric == "cost":
        return progress.cost is not None and progress.cost > limit
    counts = progress.counts
    ended = progress.ended
    if objective.metric == "failure_ratio":
        bad = sum(counts.get(outcome, 0) for outcome in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED))
        return bad / jobs > limit if jobs else ended >= 100 and bad / ended > limit
    if objective.metric in TIMES and objective.quantile is not None:
        histogram: LatencyHistogram = getattr(progress.meters, objective.metric.removesuffix("_time"))
        if histogram.count < samples_needed(objective.quantile):
            return False
        if jobs is None:
            return _quantile_bounds(objective.quantile, histogram.count, value_in(histogram))[0] > limit
        return histogram.count_above(limit) > jobs - rank_of(objective.quantile, jobs)
    return False
