"""What a run says as a trial of a search: the objectives held, or did not, or the generator was the limit.

A late generator never flatters: its lag is part of the response time. So a trial that passed although the generator was late
did pass. One that failed may have failed by the generator's own fault, and then it says nothing of the system. Where the
generator did not offer the rate at all, it says nothing either way.
"""

from __future__ import annotations

from aurea_engine.closed_sets import TrialOutcome
from aurea_engine.results.capacity import Trial
from aurea_engine.results.result import ObjectiveResult, RunResult
from aurea_engine.spec import TIMES
from aurea_engine.studies.trial_requests import TrialRequest

NOT_OFFERED = ("rate_shortfall", "client_limited", "cpu_saturated", "target_rate_limited", "shard_lost")
"""Findings with which another rate was offered than the trial is about."""

LATE = ("late_releases", "loop_lag", "gc_pause", "local_failures")
"""Findings that may be why a trial failed."""

LAG_SHARE, LAG = 0.1, 0.001
"""A lag is noticed in an objective on a time from this share of its bound on, and from so many seconds on."""


def judge_trial(request: TrialRequest, result: RunResult) -> Trial:
    """The trial that ``result`` is of."""
    outcome, problem = _find_outcome(request, result)
    good, arrived = result.usage.run.good, result.counts.arrived
    return Trial(
        request.value,
        request.seed,
        arrived,
        request.phase,
        outcome,
        tuple(judged.observed for judged in result.objectives),
        throughput=result.throughput,
        p99=result.response_time.p99,
        utilization=result.utilization,
        # Without an objective on single jobs, all that complete are good.
        good_share=(result.counts.completed if good is None else good) / arrived if arrived else None,
        cost=result.cost.total,
        users=None if request.users is None else getattr(result.spec.workload.arrivals, "users", request.users),
        run_id=result.benchmark_id,
        problem=problem,
    )


def _find_outcome(request: TrialRequest, result: RunResult) -> tuple[TrialOutcome, str | None]:
    if request.users is not None and request.users > 1:
        return "measured", None
    if result.status not in ("completed", "aborted"):
        return "limited", f"the run ended as {result.status}" + (f": {result.reason.detail}" if result.reason else "")
    judged = result.objectives if request.users is None else tuple(filter(is_of_floor, result.objectives))
    held = result.status == "completed" and all(holds(each) for each in judged)
    growing = [finding.detail for finding in result.findings if finding.code == "queue_growing"]
    passed = held and not (growing and request.users is None)
    problem = _find_limit(result, passed=passed)
    if problem is not None and (request.users is None or not passed):
        return "limited", problem
    return ("passed", None) if passed else ("failed", growing[0] if held else None)


def holds(judged: ObjectiveResult) -> bool:
    """Whether what was observed is within the objective. No data is never a pass."""
    objective, observed = judged.objective, judged.observed
    if observed is None:
        return False
    return observed <= objective.at_most if objective.at_most is not None else observed >= (objective.at_least or 0)


def is_of_floor(judged: ObjectiveResult) -> bool:
    """Whether one job alone shows that no rate and no slots can meet the objective: a time has its service time in it."""
    objective = judged.objective
    return objective.at_most is not None and objective.figure in TIMES and objective.figure != "waiting_time"


def _find_limit(result: RunResult, *, passed: bool) -> str | None:
    """Why the run says nothing of the system, None if it does."""
    codes = NOT_OFFERED if passed else (*NOT_OFFERED, *LATE)
    for finding in result.findings:
        if finding.code in codes:
            return f"{finding.code}: {finding.detail}"
    if result.verdict == "invalid":
        return "the measurement is invalid: " + result.findings[0].detail
    # A share of the objective that the usual threshold of a lag does not see.
    bounds = [each.objective.at_most for each in result.objectives if each.objective.figure in TIMES]
    tightest = min((each for each in bounds if each is not None), default=None)
    lag = result.lag.p99
    if passed or result.spec.clock == "virtual" or tightest is None or lag is None:
        return None
    noticed = max(LAG, LAG_SHARE * tightest)
    return f"the p99 of the lag was {lag:.3g} s, of a bound of {tightest:g} s" if lag > noticed else None
