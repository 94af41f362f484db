"""An objective that says ``abort`` ends a run at the first ended job at which it is lost, whatever the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    Closed,
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    Free,
    JobBatch,
    Lifo,
    Limited,
    Objective,
    Outcome,
    PerJob,
    Poisson,
    Replay,
    RunResult,
    RunSpec,
    Sleep,
    Trace,
    Workload,
    simulate,
)
from aurea_engine.costs import (
    BilledTime,
    Component,
    ContainerTask,
    CostModel,
    Discounts,
    Flat,
    Fleet,
    InstanceBusy,
    JobMeter,
    MeterTotal,
    Packed,
    PerSecond,
    RunInfo,
    Serverless,
    Sheet,
    Tier,
    Tiered,
    price,
)
from aurea_engine.costs.budget import Budget
from aurea_engine.costs.discounts import Discount
from aurea_engine.costs.repricing import measure
from aurea_engine.testing import run_jumping

NS = 1_000_000_000
Runner = Callable[[RunSpec], RunResult]
CLOCKS = pytest.mark.parametrize("run", [simulate, run_jumping], ids=["virtual", "real"])


@CLOCKS
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_failures_end_a_run_at_the_first_too_many(run: Runner, seed: int) -> None:
    """5,001 of 100,000 failed at 0.05; job 5,001 is in service then, and the one of 100.04 s has not come."""
    objective = Objective("failure_ratio", at_most=0.05, abort=True)
    workload = Workload(Faulty(Sleep(0.03), 1.0), ConstantRate(50), jobs=100_000)
    counts = run(RunSpec(workload, Fifo(100), seed=seed, objectives=(objective,))).counts
    assert (counts.failed, counts.cancelled, counts.arrived) == (5_001, 1, 5_002)


def test_the_known_answer_of_a_million_jobs() -> None:
    """50,001 failed, 1 cancelled, 50,002 arrived, always; and of 100 jobs it ends at the sixth."""
    objective = Objective("failure_ratio", at_most=0.05, abort=True)
    workload = Workload(Faulty(Sleep(0.03), 1.0), ConstantRate(50), jobs=1_000_000)
    spec = RunSpec(workload, Fifo(100), seed=1, objectives=(objective,), keep_jobs=False)
    result = simulate(spec)
    assert (result.counts.failed, result.counts.cancelled, result.counts.arrived) == (50_001, 1, 50_002)
    assert (result.status, result.duration, result.objectives[0].outcome) == ("aborted", 1000.03, "missed")
    few = simulate(replace(spec, workload=replace(workload, jobs=100)))
    assert (few.status, few.counts.failed, few.counts.cancelled) == ("aborted", 6, 1)


@CLOCKS
def test_a_quantile_ends_a_run_at_the_first_too_many(run: Runner) -> None:
    """Job i takes 0.01 + 0.005·i: all from number 9 on are above 0.05, and with number 2,009 2,001 of 200,000 are."""
    objective = Objective("response_time", at_most=0.05, quantile=0.99, abort=True)
    spec = RunSpec(Workload(Sleep(0.01), ConstantRate(200), jobs=200_000), Fifo(1), seed=1, objectives=(objective,))
    counts = run(spec).counts
    assert (counts.completed, counts.cancelled, counts.arrived) == (2_010, 2_010, 4_020)


def test_a_time_is_above_its_limit_by_a_nanosecond() -> None:
    """Of 1,000 jobs 100 may be above the p90: at 0.05 s exactly none is, and a nanosecond more ends the run."""
    objective = Objective("service_time", at_most=0.05, quantile=0.9, abort=True)
    for extra, status in ((0, "completed"), (1, "aborted")):
        job = Replay((0.05 + extra / NS,))
        assert simulate(RunSpec(Workload(job, jobs=1000), seed=0, objectives=(objective,))).status == status


WORKLOADS = {
    "faulty": Workload(Faulty(Sleep(Exponential(0.05)), 0.2), Poisson(60), jobs=1500),
    "limited": Workload(Limited(Sleep(Exponential(0.05)), 0.1), Poisson(60), jobs=1500),
    "closed": Workload(Faulty(Sleep(Exponential(0.05)), 0.2), Closed(8, 0.05), jobs=1500),
    "by time": Workload(Faulty(Sleep(Exponential(0.05)), 0.2), Poisson(60), duration=10.0),
    "by itself": Workload(Faulty(Sleep(Exponential(0.05)), 0.2), Trace(tuple(i / 60 for i in range(900)))),
}


def prefixes(result: RunResult) -> Iterator[tuple[int, int, JobBatch]]:
    """(instant, number that had arrived before it, those that had ended): at each ended job of a whole run, in order."""
    jobs = result.jobs
    assert jobs is not None
    ends = np.where(jobs.finished >= 0, jobs.finished, jobs.intended)
    order = np.lexsort((np.arange(len(jobs)), ends))
    for n, job in enumerate(order.tolist(), 1):
        yield int(ends[job]), int((jobs.intended < ends[job]).sum()), jobs[order[:n]]


def lost(objective: Objective, spec: RunSpec, all_jobs: int | None, ended: JobBatch, warm: int) -> bool:
    """By the definition: with every job that is still to come good and quick, is the objective missed?"""
    if all_jobs is None:
        return False
    counted = ended[ended.intended >= spec.warmup_ns]
    to_come = all_jobs - warm - len(counted)
    if not len(counted):
        return False
    assert objective.at_most is not None
    if objective.quantile is None:
        bad = int((counted.outcome != Outcome.COMPLETED).sum())
        return bad / (all_jobs - warm) > objective.at_most
    times = np.sort(np.concatenate([counted.response_ns[counted.was_served], np.zeros(to_come, np.int64)]))
    rank = -(-len(times) * Fraction(str(objective.quantile)) // 1)
    enough = int(counted.was_served.sum()) >= 29
    return enough and times[int(rank) - 1] / NS > objective.at_most


@pytest.mark.parametrize("warmup", [0.0, 2.0])
@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize(
    "objective",
    [
        Objective("failure_ratio", at_most=0.1, abort=True),
        Objective("response_time", at_most=0.06, quantile=0.9, abort=True),
    ],
    ids=["failures", "p90"],
)
def test_it_ends_when_no_rest_could_save_it(name: str, objective: Objective, warmup: float) -> None:
    """Against the definition, job by job, on the records of the same run without ``abort``."""
    spec = RunSpec(WORKLOADS[name], Fifo(8), seed=4, warmup=warmup, objectives=(objective,))
    whole = simulate(replace(spec, objectives=()))
    assert whole.jobs is not None
    warm = int((whole.jobs.intended < spec.warmup_ns).sum())
    total = whole.counts.arrived
    at = 0
    for at, arrived, ended in prefixes(whole):  # noqa: B007 - it ends where the run must
        known = spec.workload.jobs or (total if arrived == total else None)
        if lost(objective, spec, known, ended, warm):
            break
    else:
        assert simulate(spec).status == "completed"
        return
    result = simulate(spec)
    assert (result.status, round(result.duration * NS)) == ("aborted", at)
    assert result.counts.arrived == int((whole.jobs.intended < at).sum())
    same = run_jumping(spec)
    assert (same.status, same.counts) == ("aborted", result.counts)


@CLOCKS
def test_a_rejection_ends_a_run_as_well(run: Runner) -> None:
    """One slot, no queue: job 0 is in service for an hour, and job 11 is the eleventh of 100 that is turned away."""
    objective = Objective("failure_ratio", at_most=0.1, abort=True)
    spec = RunSpec(Workload(Sleep(3600.0), ConstantRate(1), jobs=100), Fifo(1, 0), seed=0, objectives=(objective,))
    result = run(spec)
    assert (result.counts.rejected, result.counts.cancelled, result.duration) == (11, 1, 11.0)
    batch = run(replace(spec, workload=Workload(Sleep(1.0), jobs=100)))
    assert (batch.counts.arrived, batch.counts.rejected, batch.counts.cancelled) == (12, 11, 1)


@pytest.mark.parametrize("endless", [{"duration": 100.0}, {"jobs": 10_000, "warmup": "auto"}], ids=["time", "warm-up"])
def test_what_may_still_be_made_up_for_is_not_lost(endless: dict[str, Any]) -> None:
    """Before the last arrival nobody knows how many come; with MSER any of them may turn out to be warm-up."""
    warmup = endless.pop("warmup", 0.0)
    for objective in (
        Objective("failure_ratio", at_most=0.5, abort=True),
        Objective("response_time", at_most=0.5, quantile=0.9, abort=True),
    ):
        spec = RunSpec(Workload(Faulty(Sleep(), 1.0), Poisson(100), **endless), objectives=(objective,), warmup=warmup)
        counts = simulate(spec).counts
        assert counts.arrived > 9_000


@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(Objective("failure_ratio", at_most=0.9, abort=True), id="failures within bounds"),
        pytest.param(Objective("response_time", at_most=1.0, quantile=0.9, abort=True), id="fast enough"),
        pytest.param(Objective("response_time", at_most=0.0, abort=True), id="a mean"),
        pytest.param(Objective("response_time", at_least=5.0, quantile=0.9, abort=True), id="from below"),
        pytest.param(Objective("throughput", at_least=1e9, abort=True), id="a rate"),
        pytest.param(Objective("cost_per_job", at_most=0.0, abort=True), id="per job"),
        pytest.param(Objective("failure_ratio", at_most=0.0), id="lost, but without abort"),
    ],
)
def test_a_run_with_hope_is_not_ended(objective: Objective) -> None:
    """It completes, in both clocks."""
    workload = Workload(Faulty(Sleep(Exponential(0.01)), 0.5), ConstantRate(100), jobs=500)
    for run in (simulate, run_jumping):
        assert run(RunSpec(workload, seed=0, objectives=(objective,))).status == "completed"


TIERS = (Tier("1", 10), Tier("0.01"))


@dataclass(frozen=True)
class Squares(JobMeter):
    """A meter of somebody else's: the square of the milliseconds."""

    def measure(self, jobs: JobBatch) -> np.ndarray:
        return (jobs.service_ns // 1_000_000) ** 2


@dataclass(frozen=True)
class Mine(CostModel):
    def components(self) -> Iterator[Component]:
        yield Component("squares", MeterTotal(Squares(), unit=10_000), Flat("0.1"), "Squares")
        yield Component("time", BilledTime(step=0.1), Flat("0.1"), "Seconds")


@dataclass(frozen=True)
class Bill(Mine):
    """It makes lines of its own, of which it says that they only grow."""

    def lines(self, usage: Any) -> list[Any]:
        return [*super().lines(usage)]

    @property
    def monotone(self) -> bool:
        return True


RISING = [
    PerSecond("1"),
    PerSecond("1", step=0.1, minimum=0.2),
    PerSecond("1", billed=("completed",)),
    PerJob("0.1"),
    Serverless(price="1", request_price="100000", memory_mb=512),
    ContainerTask(vcpu_price="3600", memory_price="3600"),
    Tiered(mode="graduated", tiers=TIERS),
    PerSecond("1") + PerJob("0.01"),
    Discounts(of=PerSecond("1"), discounts=(Discount(share="0.3"),)),
    Sheet(name="example-functions", memory_mb=256, as_of="2026-11-22"),
    Mine(),
    Bill(),
]
MAY_FALL = [
    Tiered(mode="cliff", tiers=TIERS),
    Fleet(price="1"),
    Packed(price="1", concurrency=2),
    InstanceBusy(price="1", concurrency=2),
    Discounts(of=PerSecond("1"), round_to=0),
    PerSecond("1") + Tiered(mode="cliff", tiers=TIERS),
]


def model_name(model: CostModel) -> str:
    return type(model).__name__


@pytest.mark.parametrize("scheduler", [Fifo(6), Lifo(6, 3)], ids=["fifo", "lifo"])
@pytest.mark.parametrize("model", RISING, ids=model_name)
def test_a_budget_ends_a_run_with_the_job_that_passes_it(model: CostModel, scheduler: Fifo) -> None:
    """At the very job at which the bill of all that have ended is above it; nothing but what was in service comes on top."""
    workload = Workload(Faulty(Sleep(Exponential(0.15)), 0.3), Poisson(60), jobs=200)
    whole = simulate(RunSpec(workload, scheduler, cost=model, seed=3))
    assert whole.jobs is not None
    assert whole.cost.total
    limit = float(whole.cost.total) / 3
    result = simulate(
        RunSpec(workload, scheduler, cost=model, seed=3, objectives=(Objective("cost", at_most=limit, abort=True),))
    )
    ends = np.where(whole.jobs.finished >= 0, whole.jobs.finished, -1)
    for at in np.unique(ends[ends >= 0]).tolist():
        over = whole.jobs[(whole.jobs.finished >= 0) & (whole.jobs.finished <= at)]
        spent = price(measure(over, RunInfo(at), model), model).total
        assert spent is not None
        if float(spent) > limit:
            break
    assert (result.status, round(result.duration * NS)) == ("aborted", at)
    assert result.counts.arrived == int((whole.jobs.intended < at).sum())


@CLOCKS
def test_a_budget_of_ten_buys_what_was_in_service(run: Runner) -> None:
    """At 1 a job on 10 slots: at most 10 and what was in service; and one job at a time, 11."""
    objective = Objective("cost", at_most=10, abort=True)
    for slots in (10, 1):
        spec = RunSpec(Workload(Sleep(0.01), jobs=2_000), Fifo(slots), PerJob(1), seed=0, objectives=(objective,))
        result = run(spec)
        assert result.status == "aborted"
        assert result.cost.total is not None
        assert 10 < result.cost.total <= 10 + slots


@pytest.mark.parametrize("model", [*MAY_FALL, Free()], ids=model_name)
def test_a_bill_that_may_fall_ends_no_run(model: CostModel) -> None:
    """A cliff makes the eleventh job cheaper than ten; a fleet is sized at the end."""
    objective = Objective("cost", at_most=0.0001, abort=True)
    workload = Workload(Sleep(1.0), ConstantRate(1), jobs=300)
    for run in (simulate, run_jumping):
        assert run(RunSpec(workload, seed=0, cost=model, objectives=(objective,))).status == "completed"


class Counted(PerJob):
    """How often its bill is made."""

    made = 0

    def components(self) -> Iterator[Component]:
        type(self).made += 1
        yield from super().components()


def test_a_budget_is_priced_some_dozens_of_times() -> None:
    """And is exact all the same: 100,000 jobs are within it, and one more is not."""
    budget = Budget(Counted("0.01"), 1000.0)
    before = Counted.made
    assert not any(budget.add_job(0, 1, Outcome.COMPLETED) for _ in range(100_000))
    assert budget.add_job(0, 1, Outcome.FAILED)
    assert Counted.made - before < 200


def test_a_model_that_fails_ends_no_run() -> None:
    """The bill says what went wrong, and the results stand."""

    @dataclass(frozen=True)
    class Broken(JobMeter):
        def measure(self, jobs: JobBatch) -> np.ndarray:
            raise SystemExit(3)

    @dataclass(frozen=True)
    class Fails(CostModel):
        def components(self) -> Iterator[Component]:
            yield Component("broken", MeterTotal(Broken()), Flat("1"), "Things")

    objective = Objective("cost", at_most=0.0, abort=True)
    result = simulate(RunSpec(Workload(Sleep(0.1), jobs=20), cost=Fails(), seed=0, objectives=(objective,)))
    assert (result.status, result.counts.completed) == ("completed", 20)
    assert "SystemExit" in (result.cost.problem or "")


@pytest.mark.parametrize("slow", [0.05 + k * 1e-9 for k in (1, 1000, 10_000, 100_000)])
def test_what_ended_a_run_is_missed(slow: float) -> None:
    """Without records times are in buckets, whose middle may be within the limit: what was lost for certain stays lost."""
    objective = Objective("service_time", at_most=0.05, quantile=0.9, abort=True)
    workload = Workload(Replay((0.01, slow)), jobs=2000)
    result = simulate(RunSpec(workload, Fifo(1), seed=0, objectives=(objective,), keep_jobs=False))
    assert (result.status, result.objectives[0].outcome) == ("aborted", "missed")
