"""Runs in several real processes: one result, the same jobs as in one process, stops and aborts of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aurea_engine import (
    Access,
    Branch,
    Closed,
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    Job,
    Mix,
    Objective,
    Observer,
    PerJob,
    PerSecond,
    Poisson,
    Progress,
    Ramp,
    RunSpec,
    Sine,
    Sleep,
    SpecError,
    Stage,
    Stages,
    Stop,
    Trace,
    Workload,
    execute,
    plan,
    price,
    result_from_dict,
    result_to_dict,
    summarize,
)
from aurea_engine.costs import measure
from aurea_engine.shards.local import run_sharded, run_sharded_sync

pytestmark = pytest.mark.service

SEED_RUN = RunSpec(Workload(Sleep(0.1), jobs=100), seed=7)
OPEN = RunSpec(Workload(Sleep(Exponential(0.02)), Poisson(300), jobs=600), cost=PerJob("0.001"), seed=7)


@pytest.mark.parametrize("processes", [1, 2, 3])
async def test_counts_and_bill_are_those_of_one_process(processes: int) -> None:
    """By jobs the bill is the same to the last digit; the planned columns are, too."""
    result = await run_sharded(OPEN, processes)
    whole = summarize(OPEN, execute(replace(OPEN, clock="virtual")))
    assert (result.status, result.counts, result.cost.total) == ("completed", whole.counts, whole.cost.total)
    assert result.jobs is not None
    assert whole.jobs is not None
    assert result.jobs.intended.tolist() == whole.jobs.intended.tolist()
    assert [shard.shard for shard in result.shards] == list(range(processes))
    assert sum(shard.jobs for shard in result.shards) == 600
    assert len({shard.process for shard in result.shards}) == processes


async def test_seeds_run_in_two_processes() -> None:
    """All at once: 100 jobs of 100 ms, in one table."""
    result = await run_sharded(SEED_RUN, 2)
    assert (result.counts.completed, result.status) == (100, "completed")
    assert result_from_dict(result_to_dict(result)).shards == result.shards


async def test_bill_by_time_is_that_of_its_records() -> None:
    """The sum over the shards, and the price of the merged records: equal to the last digit."""
    spec = replace(OPEN, cost=PerSecond("0.001", step=0.05))
    result = await run_sharded(spec, 2)
    assert result.jobs is not None
    again = price(measure(result.jobs, result.usage.run, spec.cost), spec.cost)
    assert result.cost.total == again.total
    assert result.cost.total is not None


@pytest.mark.parametrize(
    "arrivals",
    [
        ConstantRate(400),
        Poisson(400),
        Ramp(100, 700, over=1),
        Sine(mean=400, amplitude=200, period=1),
        Stages((Stage(duration=0.5, rate=200), Stage(duration=0.5, start=200, end=800))),
        Trace(tuple(sorted(i * 0.0025 for i in range(400)))),
    ],
    ids=lambda arrivals: type(arrivals).__name__,
)
async def test_jobs_are_those_of_the_one_plan(arrivals: object) -> None:
    """Over four processes no job is planned twice and none is missing, whatever the arrivals."""
    job = Mix((Branch(2, Faulty(Sleep(Exponential(0.002)), 0.1), name="a"), Branch(1, Sleep(0.001), name="b")))
    spec = RunSpec(Workload(job, arrivals, jobs=400), seed=11)  # type: ignore[arg-type]
    result = await run_sharded(spec, 4)
    planned = plan(spec)
    assert result.jobs is not None
    assert result.jobs.intended.tolist() == planned.intended.tolist()
    assert result.jobs.group is not None
    assert result.jobs.group.tolist() == planned.leaf.tolist()
    assert (result.jobs.outcome == planned.outcome).all()


async def test_poisson_over_four_processes() -> None:
    """Gaps are exponential (Kolmogorov–Smirnov), independent (lag 1), and counts as dispersed as Poisson's.

    Of the planned instants: how late a busy machine is says nothing of the cut.
    """
    spec = RunSpec(Workload(Sleep(0), Poisson(2000), jobs=4000), seed=5)
    result = await run_sharded(spec, 4)
    assert result.jobs is not None
    gaps = np.diff(result.jobs.intended)
    expected = 1 - np.exp(-np.sort(gaps) * 2000 / 1e9)
    steps = np.arange(len(gaps) + 1) / len(gaps)
    distance = max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max())
    assert distance * np.sqrt(len(gaps)) < 2.23  # exceeded by chance once in 10,000 (Kolmogorov 1933)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(len(gaps))
    counts = np.bincount(result.jobs.intended // 10**7)[:-1]
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / len(counts)))


async def test_users_are_divided_if_asked() -> None:
    spec = RunSpec(Workload(Sleep(0.01), Closed(5), duration=0.5), Fifo(divided=True), seed=3)
    result = await run_sharded(spec, 2)
    assert result.status == "completed"
    assert result.concurrency.peak == 5
    assert "divided" in {finding.code for finding in result.findings}


async def test_what_cannot_be_cut_is_refused() -> None:
    """Before any process is started, with the remedy."""
    with pytest.raises(SpecError, match=r"scheduler\.slots: cannot be used in a shard.*set divided to true"):
        await run_sharded(replace(OPEN, scheduler=Fifo(slots=4)), 2)


class OwnJob(Job):
    """Of this test alone: no other process can find it."""

    async def run(self, demand: float) -> None: ...


async def test_class_of_this_program_is_refused() -> None:
    with pytest.raises(SpecError, match="OwnJob"):
        await run_sharded(RunSpec(Workload(OwnJob(), jobs=3)), 2)


async def test_stop_ends_all_with_what_they_have() -> None:
    stop = Stop()

    class StopWhenBegun(Observer):
        def on_progress(self, progress: Progress) -> None:
            if progress.arrived > 50:
                stop.now("timed_out")

    spec = RunSpec(Workload(Sleep(0.05), ConstantRate(50), duration=600), seed=1)
    result = await run_sharded(spec, 2, [StopWhenBegun()], stop=stop)
    assert result.status == "timed_out"
    assert {shard.status for shard in result.shards} == {"timed_out"}
    assert result.duration < 300


async def test_stop_before_the_start_releases_nothing() -> None:
    """It came while processes were being started: no job was sent."""
    stop = Stop()
    stop.now()
    result = await run_sharded(OPEN, 2, stop=stop)
    assert (result.status, result.counts.arrived) == ("cancelled", 0)


async def test_lost_objective_ends_all_shards() -> None:
    """At most half a second late, and the result says by how much."""
    objective = Objective("failure_ratio", at_most=0.1, abort=True)
    spec = RunSpec(Workload(Faulty(Sleep(0.01), 0.9), ConstantRate(100), jobs=3000), seed=2, objectives=(objective,))
    result = await run_sharded(spec, 2)
    assert (result.status, result.objectives[0].outcome) == ("aborted", "missed")
    assert result.reason is not None
    assert "failure ratio <= 0.1 could no longer be met" in result.reason.detail
    assert result.counts.arrived < 3000
    assert result.spec.objectives == (objective,)


async def test_budget_ends_all_shards() -> None:
    objective = Objective("cost", at_most=0.5, abort=True)
    spec = replace(OPEN, workload=Workload(Sleep(0.01), ConstantRate(100), jobs=3000), objectives=(objective,))
    result = await run_sharded(spec, 2)
    assert result.status == "aborted"
    assert result.cost.total is not None
    assert 0.5 < result.cost.total < 3


class Watcher(Observer):
    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def on_progress(self, progress: Progress) -> None:
        self.seen.append(progress)


async def test_progress_is_of_the_whole() -> None:
    """Rises, and ends with the figures of the result."""
    for seconds in (2, 20):  # a busy machine may report too late for a short run
        watcher = Watcher()
        result = await run_sharded(RunSpec(Workload(Sleep(0.01), Poisson(200), duration=seconds), seed=3), 2, [watcher])
        arrived = [progress.arrived for progress in watcher.seen]
        if len(arrived) > 1:
            break
    assert len(arrived) > 1
    assert arrived == sorted(arrived)
    assert arrived[-1] == result.counts.arrived
    assert watcher.seen[-1].fraction_done == 1.0


async def test_run_without_records() -> None:
    """Quantiles come from merged histograms; what depends on the order of all jobs is not known."""
    spec = RunSpec(Workload(Sleep(0), ConstantRate(1000), jobs=500), seed=3, keep_jobs=False)
    result = await run_sharded(spec, 2)
    assert result.jobs is None
    assert (result.counts.completed, result.response_time.count) == (500, 500)
    assert result.concurrency.peak is None


def test_program_without_an_event_loop() -> None:
    result = run_sharded_sync(SEED_RUN, 2, access=Access())
    assert result.counts.completed == 100


async def test_running_loop_is_refused() -> None:
    with pytest.raises(SpecError, match="await run_sharded"):
        run_sharded_sync(SEED_RUN, 2)
