"""Objectives are met, missed or inconclusive."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    ConstantRate,
    Faulty,
    Fifo,
    Free,
    JobSource,
    Objective,
    PerJob,
    Replay,
    RunSpec,
    Sleep,
    SpecError,
    Stop,
    Trace,
    Uniform,
    Workload,
    simulate,
)
from aurea_engine.costs import (
    FlatPeriod,
    PerSecond,
)
from aurea_engine.results.objectives import judge_time
from aurea_engine.results.statistics import Timing
from aurea_engine.spec import TIMES
from aurea_engine.testing import run_jumping

RATIOS = ("failure_ratio", "throughput", "goodput", "cost_per_job", "cost")


def judged(objective: Objective, job: JobSource, **changes: Any) -> str:
    """The outcome for 5,000 jobs at 100/s."""
    settings: dict[str, Any] = {"jobs": 5000, "scheduler": Fifo(), "keep_jobs": True, "cost": PerJob("0.01"), **changes}
    spec = RunSpec(
        Workload(job, ConstantRate(100), jobs=settings.pop("jobs")), seed=1, objectives=(objective,), **settings
    )
    (verdict,) = simulate(spec).objectives
    assert objective is verdict.objective
    return verdict.outcome


EVEN = Sleep(Uniform(0.0, 1.0))


@pytest.mark.parametrize("keep", [True, False], ids=["records", "histogram"])
@pytest.mark.parametrize(
    ("objective", "outcome"),
    [
        pytest.param(Objective("response_time", at_most=0.96, quantile=0.9), "met", id="p90 of 0.9 clearly under"),
        pytest.param(Objective("response_time", at_most=0.85, quantile=0.9), "missed", id="p90 clearly over"),
        pytest.param(Objective("response_time", at_most=0.9005, quantile=0.9), "inconclusive", id="p90 too close to say"),
        pytest.param(Objective("response_time", at_least=0.85, quantile=0.9), "met", id="p90 at least, clearly"),
        pytest.param(Objective("response_time", at_least=0.96, quantile=0.9), "missed", id="p90 at least, not"),
        pytest.param(Objective("response_time", at_least=0.9005, quantile=0.9), "inconclusive", id="p90 at least, close"),
        pytest.param(Objective("service_time", at_most=0.55), "met", id="mean of 0.5 clearly under"),
        pytest.param(Objective("service_time", at_most=0.45), "missed", id="mean clearly over"),
        pytest.param(Objective("service_time", at_most=0.5), "inconclusive", id="mean too close to say"),
        pytest.param(Objective("waiting_time", at_most=0.0), "met", id="nobody waits"),
        pytest.param(Objective("throughput", at_least=90), "met", id="throughput reached"),
        pytest.param(Objective("throughput", at_least=101), "missed", id="throughput not reached"),
        pytest.param(Objective("goodput", at_least=90), "met", id="goodput without a bound on jobs is throughput"),
        pytest.param(Objective("failure_ratio", at_most=0.0), "met", id="no failure"),
        pytest.param(Objective("cost_per_job", at_most=0.01), "met", id="cost at its bound"),
        pytest.param(Objective("cost_per_job", at_most=0.0099), "missed", id="cost over its bound"),
        pytest.param(Objective("cost", at_most=50.0), "met", id="whole cost"),
        pytest.param(Objective("cost", at_least=51.0), "missed", id="whole cost, at least"),
    ],
)  # fmt: skip
def test_objectives_by_confidence_bounds(objective: Objective, outcome: str, keep: bool) -> None:
    """Times by one-sided 95 % bounds, facts as they are; service is uniform on (0, 1)."""
    assert outcome == judged(objective, EVEN, keep_jobs=keep)


@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(Objective("response_time", at_most=1.0, quantile=0.99), id="a quantile"),
        pytest.param(Objective("response_time", at_most=1.0), id="a mean"),
        pytest.param(Objective("cost_per_job", at_most=1.0), id="cost of a success"),
    ],
)
def test_no_data_is_never_a_pass(objective: Objective) -> None:
    """Every job fails, so there are no response times of completed jobs."""
    assert judged(objective, Faulty(Sleep(0.1), 1.0)) == "inconclusive"


EVERY = [
    *(Objective(metric, at_most=1.0, quantile=q) for metric in TIMES for q in (None, 0.5)),
    *(Objective(metric, at_most=1.0) for metric in RATIOS),
    *(Objective(metric, at_least=0.0) for metric in (*TIMES, *RATIOS)),
]
"""On each metric, both ways, with bounds that nothing at all would keep."""


@pytest.mark.parametrize("keep", [True, False], ids=["records kept", "no records"])
@pytest.mark.parametrize(
    ("workload", "warmup", "why"),
    [
        pytest.param(Workload(Sleep(), Trace((5.0,)), duration=1), 0, "no job arrived", id="none arrived"),
        pytest.param(Workload(Sleep(), Trace((0.5,)), duration=3), 2, "no job ended after", id="only in the warm-up"),
        pytest.param(Workload(Sleep(9), Trace((0.0, 8.0)), duration=9), 8.5, "no job ended after", id="ends later"),
    ],
)
def test_no_job_leaves_everything_undecided(workload: Workload, warmup: float, why: str, keep: bool) -> None:
    """Whatever the metric, the bound and the bill: a flat fee is due all the same, and says nothing of the jobs."""
    for model in (PerSecond("1"), Free(), FlatPeriod("1000")):
        spec = RunSpec(workload, warmup=warmup, objectives=tuple(EVERY), cost=model, keep_jobs=keep)
        for each in simulate(spec).objectives:
            assert (each.outcome, each.observed) == ("inconclusive", None), each
            assert each.detail.startswith(why)


def test_cancelled_jobs_decide_nothing() -> None:
    """They arrived, and none of them ended of itself."""
    stop = Stop()
    stop.now()
    spec = RunSpec(Workload(Sleep(10), jobs=3), objectives=tuple(EVERY))
    result = run_jumping(spec, stop=stop)
    assert result.counts.cancelled == result.counts.arrived
    assert {each.outcome for each in result.objectives} == {"inconclusive"}


def test_too_few_jobs_for_a_quantile() -> None:
    """298 jobs do not carry a p99, however fast they were."""
    spec = RunSpec(
        Workload(Sleep(0.001), ConstantRate(100), jobs=298),
        objectives=(Objective("response_time", at_most=9, quantile=0.99),),
    )
    (verdict,) = simulate(spec).objectives
    assert (verdict.outcome, verdict.observed) == ("inconclusive", None)
    assert verdict.detail == "p99 needs 299 jobs, 298 completed"


@pytest.mark.parametrize(
    ("limit", "outcome"), [(0.35, "met"), (0.05, "missed"), (0.15, "inconclusive")], ids=["all", "none", "some"]
)
def test_few_jobs_are_judged_by_cantelli(limit: float, outcome: str) -> None:
    """Too few for batch means. Mean 0.2, deviation 0.0853: Cantelli's bounds are 0.0927 and 0.3073."""
    assert outcome == judged(Objective("service_time", at_most=limit), Replay((0.1, 0.2, 0.3)), jobs=12)


@pytest.mark.parametrize("keep", [True, False], ids=["records", "histogram"])
@pytest.mark.parametrize(("jobs", "outcome"), [(1, "inconclusive"), (9, "inconclusive"), (10, "met"), (59, "met")])
def test_a_mean_takes_ten_jobs(jobs: int, outcome: str, keep: bool) -> None:
    """One job is its own minimum and maximum, and proves nothing; ten that do not differ at all are judged sharply."""
    assert outcome == judged(Objective("service_time", at_most=0.1), Sleep(0.1), jobs=jobs, keep_jobs=keep)
    assert outcome == judged(Objective("service_time", at_least=0.1), Sleep(0.1), jobs=jobs, keep_jobs=keep)


SAMPLES = 3000
BY_CHANCE = 0.05 * SAMPLES + 4 * math.sqrt(0.05 * 0.95 * SAMPLES)
"""Most of `SAMPLES` that may be told wrong: 5 %, and four standard deviations of that count."""


def wrong(objective: Objective, samples: np.ndarray) -> int:
    """In how many rows of seconds an objective that does not hold is met all the same."""
    met = 0
    for row in np.sort(samples):
        timing = Timing(len(row), float(row.mean()), float(row.std(ddof=1)) if len(row) > 1 else 0.0)
        met += judge_time(objective, timing, lambda rank, row=row: float(row[rank - 1])).outcome == "met"  # type: ignore[misc]
    return met


@pytest.mark.parametrize("jobs", [1, 2, 5, 9, 10, 15, 30, 59])
def test_a_mean_is_not_met_by_chance(jobs: int) -> None:
    """Exponential times of mean 1, against bounds that are just missed: at most one in twenty is told wrong."""
    times = np.random.default_rng(jobs).exponential(1, (SAMPLES, jobs))
    assert wrong(Objective("response_time", at_most=0.999), times) <= BY_CHANCE
    assert wrong(Objective("response_time", at_least=1.001), times) <= BY_CHANCE


@pytest.mark.parametrize(
    ("q", "jobs"), [(0.01, 5), (0.01, 299), (0.1, 10), (0.1, 29), (0.5, 5), (0.9, 29), (0.99, 299)]
)
def test_a_quantile_is_not_met_by_chance(q: float, jobs: int) -> None:
    """Uniform times, whose quantile q is q: the smallest of five jobs is no lower bound of their p1."""
    times = np.random.default_rng(jobs).random((SAMPLES, jobs))
    assert wrong(Objective("response_time", at_most=q - 1e-4, quantile=q), times) <= BY_CHANCE
    assert wrong(Objective("response_time", at_least=q + 1e-4, quantile=q), times) <= BY_CHANCE


def test_too_few_jobs_for_a_lower_bound_say_so() -> None:
    """Five jobs, all of them slow: the p1 may still be anything below the fastest. From 299 on the fastest bounds it."""
    objective = Objective("service_time", at_least=0.02, quantile=0.01)
    for jobs, outcome, detail in (
        (5, "inconclusive", "5 jobs are too few for a lower bound of p1"),
        (298, "inconclusive", "298 jobs are too few for a lower bound of p1"),
        (299, "met", "95 % bounds 1 s and 1 s"),
    ):
        spec = RunSpec(Workload(Sleep(1.0), jobs=jobs), seed=0, objectives=(objective,))
        (verdict,) = simulate(spec).objectives
        assert (verdict.outcome, verdict.detail) == (outcome, detail)


def test_failure_ratio_counts_all_failures() -> None:
    """Failed, timed out and rejected over all that arrived: 3 of 4 are rejected here."""
    spec = RunSpec(
        Workload(Sleep(1.0), jobs=4), Fifo(1, 0), objectives=(Objective("failure_ratio", at_most=0.5),), seed=0
    )
    (verdict,) = simulate(spec).objectives
    assert (verdict.outcome, verdict.observed) == ("missed", 0.75)


def test_goodput_counts_jobs_within_bounds() -> None:
    """Half of 100/s take at most 0.5 s."""
    spec = RunSpec(
        Workload(Replay((0.2, 0.8)), ConstantRate(100), duration=10),
        seed=0,
        objectives=(Objective("response_time", at_most=0.5, quantile=0.9), Objective("goodput", at_least=40)),
    )
    result = simulate(spec)
    assert result.good == 500
    assert result.objectives[0].outcome == "missed"
    assert result.goodput == pytest.approx(500 / result.window[1])
    assert result.objectives[1].outcome == "met"


def test_a_free_run_has_a_cost_of_nothing() -> None:
    """Zero is a figure, and not the lack of one."""
    assert judged(Objective("cost", at_most=0.0), Sleep(0.1), cost=Free()) == "met"


def test_judgements_leave_the_warmup_out() -> None:
    """The first second's jobs take 1.0, the others 0.1."""
    durations = tuple([1.0] * 100 + [0.1] * 900)
    objective = Objective("response_time", at_most=0.2, quantile=0.9)
    spec = RunSpec(
        Workload(Replay(durations), ConstantRate(100), jobs=1000), warmup=1.0, seed=0, objectives=(objective,)
    )
    result = simulate(spec)
    assert result.response_time.count == 900
    assert result.counts.completed == 1000
    assert result.response_time.max == 0.1
    assert result.objectives[0].outcome == "met"


@pytest.mark.parametrize(
    ("objective", "shown"),
    [
        (Objective("response_time", at_most=0.5, quantile=0.99), "p99 response time <= 0.5 s"),
        (Objective("waiting_time", at_most=0.5), "mean waiting time <= 0.5 s"),
        (Objective("throughput", at_least=100), "throughput >= 100"),
    ],
)
def test_an_objective_reads_as_a_sentence(objective: Objective, shown: str) -> None:
    """As tables show it."""
    assert shown == str(objective)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        pytest.param({"metric": "Speed", "at_most": 1}, "metric", id="unknown metric"),
        pytest.param({"metric": "throughput"}, "at_most", id="no bound"),
        pytest.param({"metric": "throughput", "at_most": 1, "at_least": 1}, "at_most", id="two bounds"),
        pytest.param({"metric": "throughput", "at_most": 1, "quantile": 0.5}, "quantile", id="quantile of a rate"),
        pytest.param({"metric": "response_time", "at_most": 1, "quantile": 99}, "quantile", id="a percentage"),
        pytest.param({"metric": "response_time", "at_most": -1}, "at_most", id="negative bound"),
    ],
)
def test_senseless_objective_is_refused(arguments: dict[str, Any], path: str) -> None:
    """With the member's name."""
    with pytest.raises(SpecError) as caught:
        Objective(**arguments)
    assert [path] == [problem.path for problem in caught.value.problems]
