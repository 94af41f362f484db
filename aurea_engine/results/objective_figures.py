"""Judging the objectives of a run by its figures: which figure an objective is on, and what to say where there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from aurea_engine.costs import Cost
from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import CONFIDENCE
from aurea_engine.results.figures import Figures, count_outcomes
from aurea_engine.results.objectives import (
    find_failure_ratio,
    judge_fact,
    judge_time,
    look_up_histogram,
    look_up_sorted,
)
from aurea_engine.results.result import Counts, ObjectiveResult
from aurea_engine.results.statistics import summarize_histogram, summarize_values
from aurea_engine.run.job_times import measure_reports, measure_span
from aurea_engine.run.meters import Meters
from aurea_engine.spec import TIMES, Objective


class JudgedRun(Protocol):
    """**Protocol:** what objectives on a whole run are judged by: a `RunResult`, or a run under way."""

    @property
    def counts(self) -> Counts: ...
    @property
    def cost(self) -> Cost: ...
    @property
    def throughput(self) -> float | None: ...
    @property
    def goodput(self) -> float | None: ...


@dataclass(frozen=True)
class RunSoFar:
    """A `JudgedRun` that has not ended."""

    counts: Counts
    cost: Cost
    throughput: float | None
    goodput: float | None

    @classmethod
    def of(cls, figures: Figures, cost: Cost) -> RunSoFar:
        """By the jobs that have ended."""
        return cls(count_outcomes(figures.meters.counts), cost, figures.throughput, figures.goodput)


def judge_objective(
    objective: Objective, result: JudgedRun, figures: Figures, *, is_lost: bool, confidence: float = CONFIDENCE
) -> ObjectiveResult:
    """``is_lost``: it ended the run. That was certain: neither a histogram nor a confidence interval may doubt it."""
    judged = _judge(objective, result, figures, confidence)
    # What was lost in counts, to the nanosecond, may look met within the 0.4 % of a histogram.
    if not is_lost or judged.outcome == "missed":
        return judged
    return replace(judged, outcome="missed", detail=f"no longer to be met when the run was ended; {judged.detail}")


def _judge(objective: Objective, result: JudgedRun, figures: Figures, confidence: float) -> ObjectiveResult:
    metric, since = objective.figure, " after the warm-up" if figures.warmup_ns else ""
    counted = _count_jobs(objective, figures)
    # No data is never a pass, whatever the metric (k6 #4283 is about a threshold that passed on none).
    if counted.arrived == counted.cancelled:
        of_group = "" if objective.group is None else f" of {objective.group}"
        why = f"no job{of_group} ended{since}" if result.counts.arrived else "no job arrived"
        return ObjectiveResult(objective, "inconclusive", None, why)
    if metric in TIMES:
        return _judge_time(objective, figures, since, confidence)
    if objective.is_of_jobs:
        return _judge_reported(objective, figures, since, confidence)
    if metric == "failure_ratio":
        return judge_fact(objective, find_failure_ratio(counted), f"no job ended{since}")
    if metric in ("cost", "cost_per_job"):
        amount = result.cost.total if metric == "cost" else result.cost.per_success
        missing = result.cost.problem or "no job completed"
        return judge_fact(objective, None if amount is None else float(amount), missing)
    return judge_fact(objective, getattr(result, metric), "the window is empty: no time passed after the warm-up")


def _count_jobs(objective: Objective, figures: Figures) -> Counts:
    """The jobs that count, or those of the group that it is about."""
    return figures.counted if objective.group is None else count_outcomes(_meters_of(objective, figures).counted)


def _meters_of(objective: Objective, figures: Figures) -> Meters:
    return figures.meters if objective.group is None else figures.meters_of(objective.group)


def _jobs_of(objective: Objective, figures: Figures) -> JobBatch | None:
    return figures.counted_jobs() if objective.group is None else figures.counted_of(objective.group)


def _judge_time(objective: Objective, figures: Figures, since: str, confidence: float) -> ObjectiveResult:
    metric, jobs = objective.figure, _jobs_of(objective, figures)
    if jobs is None:
        histogram = _meters_of(objective, figures).times[metric]
        at = look_up_histogram(histogram)
        return judge_time(objective, summarize_histogram(histogram), at, since, confidence=confidence)
    # Ranks of the sample itself: the confidence bounds of a quantile are two of its order statistics.
    lasted = measure_span(metric, jobs[jobs.was_served])
    timing = figures.times[metric] if objective.group is None else summarize_values(lasted)
    return judge_time(objective, timing, look_up_sorted(np.sort(lasted)), since, confidence=confidence)


def _judge_reported(objective: Objective, figures: Figures, since: str, confidence: float) -> ObjectiveResult:
    """A mark, by the time from the intended start; or a measure. Of the jobs that reported it: no data is never a pass."""
    schema = figures.spec.workload.schema
    measure = schema.amount(objective.figure)
    unit, name = (NS, "s") if measure is None else (measure.scale, measure.unit)
    since, jobs = f" and reported it{since}", _jobs_of(objective, figures)
    # What is of the run as a whole has no records.
    if jobs is None or measure in schema.run_measures:
        histogram = _meters_of(objective, figures).reported.get(objective.figure, LatencyHistogram())
        timing, at = summarize_histogram(histogram, unit), look_up_histogram(histogram, unit)
        return judge_time(objective, timing, at, since, name, confidence=confidence)
    values = measure_reports(jobs).get(objective.figure, np.empty(0, np.int64))
    timing, at = summarize_values(values, unit), look_up_sorted(np.sort(values), unit)
    return judge_time(objective, timing, at, since, name, confidence=confidence)
