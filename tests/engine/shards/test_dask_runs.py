"""Runs on a real `LocalCluster` of two worker processes over TLS: one result, the same as by processes of this machine."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from aurea_engine import (
    Exponential,
    Job,
    Objective,
    Observer,
    PerJob,
    PerSecond,
    Poisson,
    Progress,
    RunResult,
    RunSpec,
    Sleep,
    SpecError,
    Stop,
    Workload,
    price,
)
from aurea_engine.costs import measure
from aurea_engine.errors import ClusterRefused
from aurea_engine.shards.dask_shard import run_on_dask
from aurea_engine.shards.local import run_sharded
from aurea_engine.shards.split import Sharding
from tests.engine.shards.dask_cluster import Cluster, list_below, start_local_cluster, wait_until

pytestmark = pytest.mark.service

SEED_RUN = RunSpec(Workload(Sleep(0.1), jobs=100), seed=7)
OPEN = RunSpec(Workload(Sleep(Exponential(0.02)), Poisson(200), jobs=300), cost=PerJob("0.001"), seed=7)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_local_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are tested elsewhere; on a machine that is busy nothing may be heard for a while."""
    monkeypatch.setattr("aurea_engine.shards.dask_link.PATIENCE", 60.0)


def bill_shards(result: RunResult) -> Fraction:
    """What the jobs of each shard cost by themselves, added up."""
    assert result.jobs is not None
    total = Fraction(0)
    for k in range(len(result.shards)):
        cost = price(
            measure(result.jobs[k :: len(result.shards)], result.usage.run, result.spec.cost), result.spec.cost
        )
        assert cost.total is not None
        total += cost.total
    return total


@pytest.mark.parametrize("spec", [SEED_RUN, OPEN], ids=["all at once", "poisson"])
async def test_same_as_two_processes_here(cluster: Cluster, spec: RunSpec) -> None:
    """The counts, the jobs and what they cost by the job. By seconds, the bill is the sum over the shards, and the price of
    the merged records: to the last digit.
    """
    spec = replace(spec, cost=PerJob("0.001") + PerSecond("0.001", step=0.05))
    there, here = await run_on_dask(spec, cluster.address), await run_sharded(spec, 2)
    assert (there.status, there.counts) == ("completed", here.counts)
    assert [(shard.shard, shard.jobs) for shard in there.shards] == [(shard.shard, shard.jobs) for shard in here.shards]
    assert there.jobs is not None
    assert here.jobs is not None
    assert there.jobs.intended.tolist() == here.jobs.intended.tolist()
    assert (
        dict(there.cost.by_component)["jobs"]
        == dict(here.cost.by_component)["jobs"]
        == here.counts.arrived * Fraction(1, 1000)
    )
    assert there.cost.total == bill_shards(there)
    assert there.cost.total == price(measure(there.jobs, there.usage.run, spec.cost), spec.cost).total
    check_clocks(there)


def check_clocks(result: RunResult) -> None:
    """Processes of one machine share a clock, so its offset is none at all; each begins at the one instant or after it."""
    assert [(shard.clock_offset, shard.clock_bound) for shard in result.shards] == [(0, 0), (0, 0)]
    assert len({shard.process for shard in result.shards}) == 2
    assert all(shard.start_skew >= 0 for shard in result.shards)
    assert (result.environment["processes"], result.environment["on_loss"]) == (2, "fail")
    assert "clock_uncertain" not in {finding.code for finding in result.findings}


class Watcher(Observer):
    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def on_progress(self, progress: Progress) -> None:
        self.seen.append(progress)


async def test_progress_and_stop_are_of_the_whole(cluster: Cluster) -> None:
    """A run of a minute that is stopped once both shards have reported: it ends with what there is, and nothing is left."""
    spec = RunSpec(Workload(Sleep(0.01), Poisson(100), duration=60), seed=3)
    watcher, stop, before = Watcher(), Stop(), count_held()
    running = asyncio.create_task(run_on_dask(spec, cluster.address, Sharding(2, "continue"), [watcher], stop=stop))
    while not (watcher.seen and watcher.seen[-1].arrived > 50):
        assert not running.done(), running.result()
        await asyncio.sleep(0.02)
    stop.now("cancelled")
    result = await running
    assert (result.status, result.reason and result.reason.code) == ("cancelled", "stop_requested")
    assert result.counts.arrived == sum(shard.jobs for shard in result.shards) > 50
    assert result.environment["on_loss"] == "continue"
    assert [shard.status for shard in result.shards] == ["cancelled", "cancelled"]
    await wait_until(lambda: not [pid for worker in cluster.workers for pid in list_below(worker)])
    await wait_until(lambda: count_held() == before)


def count_held() -> tuple[int, int, int]:
    """Open files, tasks and processes of this process."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks()), len(list_below(os.getpid()))


async def test_lost_objective_ends_all_shards(cluster: Cluster) -> None:
    """Judged by the coordinator, on what the machines report."""
    objective = Objective("response_time", quantile=0.5, at_most=0.001, abort=True)
    spec = RunSpec(Workload(Sleep(0.02), Poisson(100), jobs=300), seed=3, objectives=(objective,))
    result = await run_on_dask(spec, cluster.address)
    assert (result.status, result.reason and result.reason.code) == ("aborted", "objective_lost")
    assert result.counts.arrived < 300


async def test_more_shards_than_there_is_room_for(cluster: Cluster) -> None:
    with pytest.raises(SpecError, match="processes: must be <= 2 on this cluster, which has 2 workers with 2 threads"):
        await run_on_dask(OPEN, cluster.address, Sharding(3))


async def test_what_nobody_else_knows_is_refused(cluster: Cluster) -> None:
    """A class of this program is not installed over there."""

    class Own(Job):
        async def run(self) -> None: ...

    with pytest.raises(ClusterRefused, match=r"no package offers the kind .*, nor here"):
        await run_on_dask(replace(OPEN, workload=replace(OPEN.workload, job=Own())), cluster.address)
