"""Judging the objectives of a run by its figures: which figure an objective is on, and what to say where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aurea_engine.results.figures import Figures
from aurea_engine.results.objectives import failure_ratio, judge_fact, judge_time, value_at, value_in
from aurea_engine.results.result import ObjectiveResult, RunResult
from aurea_engine.run.meters import measure_span
from aurea_engine.spec import TIMES, Objective


def judge_objective(objective: Objective, result: RunResult, figures: Figures, *, is_lost: bool) -> ObjectiveResult:
    """``is_lost``: it ended the run. That was certain: neither a histogram nor a confidence interval may doubt it."""
    judged = _judge(objective, result, figures)
    if not is_lost or judged.outcome == "missed":
        return judged
    return replace(judged, outcome="missed", detail=f"no longer to be met when the run was ended; {judged.detail}")


def _judge(objective: Objective, result: RunResult, figures: Figures) -> ObjectiveResult:
    metric, since = objective.metric, " after the warm-up" if figures.warmup_ns else ""
    counted = figures.counted
    # No data is never a pass, whatever the metric (k6 #4283 is about a threshold that passed on none).
    if counted.arrived == counted.cancelled:
        why = f"no job ended{since}" if result.counts.arrived else "no job arrived"
        return ObjectiveResult(objective, "inconclusive", None, why)
    if metric in TIMES:
        return _judge_time(objective, figures, since)
    if metric == "failure_ratio":
        return judge_fact(objective, failure_ratio(counted), f"no job ended{since}")
    if metric in ("cost", "cost_per_job"):
        amount = result.cost.total if metric == "cost" else result.cost.per_success
        missing = result.cost.problem or "no job completed"
        return judge_fact(objective, None if amount is None else float(amount), missing)
    return judge_fact(objective, getattr(result, metric), "the window is empty: no time passed after the warm-up")


def _judge_time(objective: Objective, figures: Figures, since: str) -> ObjectiveResult:
    metric, jobs = objective.metric, figures.counted_jobs()
    if jobs is None:
        return judge_time(objective, figures.times[metric], value_in(figures.meters.times[metric]), since)
    # Ranks of the sample itself: the confidence bounds of a quantile are two of its order statistics.
    lasted = np.sort(measure_span(metric, jobs[jobs.was_served]))
    return judge_time(objective, figures.times[metric], value_at(lasted), since)
