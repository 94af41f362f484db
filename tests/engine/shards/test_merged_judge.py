"""Objectives that end a run, judged by merged snapshots. Oracle: the same run, left to run to its end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    Branch,
    ConstantRate,
    Exponential,
    Faulty,
    Mix,
    Objective,
    PerJob,
    PerSecond,
    Poisson,
    RunParts,
    RunSpec,
    Shard,
    Sleep,
    Workload,
    execute,
    summarize,
)
from aurea_engine.costs import Fleet
from aurea_engine.shards.merged_judge import MergedJudge

objectives = st.sampled_from(
    [
        Objective("failure_ratio", at_most=0.1, abort=True),
        Objective("failure_ratio", at_most=0.2, abort=True),
        Objective("response_time", at_most=0.02, quantile=0.5, abort=True),
        Objective("response_time", at_most=0.05, quantile=0.9, abort=True),
        Objective("service_time", at_most=0.03, quantile=0.9, abort=True),
        Objective("group:slow:response_time", at_most=0.05, quantile=0.5, abort=True),
        Objective("group:slow:failure_ratio", at_most=0.3, abort=True),
        Objective("cost", at_most=0.5, abort=True),
    ]
)
jobs = Mix(
    (
        Branch(3, Faulty(Sleep(Exponential(0.02)), 0.1), name="quick"),
        Branch(1, Faulty(Sleep(Exponential(0.06)), 0.3), name="slow"),
    )
)


def run_until(spec: RunSpec, at: float | None) -> RunParts:
    """The merged parts of three shards, each cut off at this instant."""
    cut = replace(spec, workload=replace(spec.workload, stop_at=at))
    cut = replace(cut, objectives=tuple(replace(each, abort=False) for each in spec.objectives))
    return RunParts.empty(cut).merge(*(execute(cut, Shard(k, 3)) for k in range(3)))


@given(objectives, st.integers(0, 2**32), st.floats(0.35, 1.2), st.sampled_from([0.0, 0.3]))
def test_what_is_lost_is_missed_in_the_end(objective: Objective, seed: int, at: float, warmup: float) -> None:
    """Whatever is called lost under way is missed, or not judged at all for want of jobs, by the whole run."""
    workload = Workload(jobs, Poisson(200), jobs=200)
    spec = RunSpec(workload, cost=PerJob("0.003"), seed=seed, clock="virtual", objectives=(objective,), warmup=warmup)
    lost = MergedJudge(spec).find_lost(run_until(spec, at))
    if lost is not None:
        whole = summarize(spec, run_until(spec, None))
        judged = whole.objectives[lost]
        assert judged.observed is not None
        assert judged.observed > objective.at_most  # type: ignore[operator]


@pytest.mark.parametrize(
    ("objective", "at"),
    [
        (Objective("failure_ratio", at_most=0.1, abort=True), 0.6),
        (Objective("response_time", at_most=0.005, quantile=0.5, abort=True), 1.6),
        (Objective("cost", at_most=0.1, abort=True), 0.6),
    ],
)
def test_lost_objective_is_found_early(objective: Objective, at: float) -> None:
    """Long before the end where it is clear: half of the jobs fail, take twice as long, or cost enough."""
    workload = Workload(Faulty(Sleep(0.01), 0.5), ConstantRate(100), jobs=200)
    spec = RunSpec(workload, cost=PerJob("0.01"), seed=3, clock="virtual", objectives=(objective,))
    assert MergedJudge(spec).find_lost(run_until(spec, 0.02)) is None
    assert MergedJudge(spec).find_lost(run_until(spec, at)) == 0


def test_number_of_jobs_must_be_known() -> None:
    """By a duration any number of good jobs may still come."""
    objective = Objective("failure_ratio", at_most=0.1, abort=True)
    workload = Workload(Faulty(Sleep(0.01), 0.9), ConstantRate(100), duration=2.0)
    spec = RunSpec(workload, seed=3, clock="virtual", objectives=(objective,))
    assert MergedJudge(spec).find_lost(run_until(spec, 1.5)) is None


def test_bill_that_may_fall_ends_nothing() -> None:
    """Machines that are shared are only known in the end: the parts say nothing of them."""
    objective = Objective("cost", at_most=0.000001, abort=True)
    workload = Workload(Sleep(0.01), ConstantRate(100), jobs=100)
    for cost, expected in ((PerSecond("1"), 0), (Fleet(price="1"), None)):
        spec = RunSpec(workload, cost=cost, seed=3, clock="virtual", objectives=(objective,))
        assert MergedJudge(spec).find_lost(run_until(spec, 0.8)) == expected


def test_judges_only_what_may_end_the_run() -> None:
    workload = Workload(Sleep(0.01), ConstantRate(100), jobs=100)
    kept = Objective("response_time", at_most=0.001, quantile=0.5)
    for more, expected in ((False, False), (True, True)):
        spec = RunSpec(workload, objectives=(kept, replace(kept, abort=more)))
        assert bool(MergedJudge(spec)) == expected
    spec = RunSpec(workload, seed=1, clock="virtual", objectives=(kept, replace(kept, abort=True)))
    assert MergedJudge(spec).find_lost(run_until(spec, None)) == 1
