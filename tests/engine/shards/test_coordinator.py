"""The coordinator by itself: any transport, no process. What it makes of shards that end, are lost, are stopped or fail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from aurea_engine import (
    ConstantRate,
    Faulty,
    Objective,
    Observer,
    Poisson,
    Progress,
    RunParts,
    RunResult,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    Stop,
    StrategyError,
    Workload,
    execute,
    result_from_dict,
    result_to_dict,
    summarize,
)
from aurea_engine.shards import coordinator
from aurea_engine.shards.coordinator import Coordinator
from aurea_engine.shards.split import OnLoss, prepare_spec
from aurea_engine.shards.transport import ShardLost
from tests.engine.shards.fake_shards import FakeShard

SPEC = RunSpec(Workload(Sleep(0.01), Poisson(100), jobs=300), seed=7)


def make(spec: RunSpec, of: int, **options: Any) -> list[FakeShard]:
    """``options``: of each shard by its index, where it has any."""
    shared = prepare_spec(spec, of)
    return [FakeShard(shared, Shard(k, of), **options.get(f"s{k}", {})) for k in range(of)]


async def drive(
    spec: RunSpec,
    shards: list[FakeShard],
    *,
    observers: tuple[Observer, ...] = (),
    stop: Stop | None = None,
    on_loss: OnLoss = "fail",
) -> RunResult:
    shared = prepare_spec(spec, len(shards))
    whole = Coordinator(spec, shared, shards, observers=observers, stop=stop, on_loss=on_loss)
    parts = await whole.run()
    return whole.report_end(parts, summarize(spec, parts))


def snapshot(spec: RunSpec, shard: Shard) -> RunParts:
    """What a shard reports under way: the parts of a run that goes on, without records."""
    parts = execute(replace(prepare_spec(spec, shard.of), clock="virtual"), shard)
    running = tuple(replace(report, status=None) for report in parts.shards)
    return replace(parts, shards=running, records=None, numbers=None)


@pytest.mark.parametrize("of", [1, 2, 3, 7])
async def test_merged_result_equals_the_whole_run(of: int) -> None:
    """Counts, times and bill are those of the run in one piece."""
    result = await drive(SPEC, make(SPEC, of))
    whole = summarize(SPEC, execute(replace(SPEC, clock="virtual")))
    assert (result.counts, result.response_time, result.cost) == (whole.counts, whole.response_time, whole.cost)
    assert result.jobs == whole.jobs
    assert result.status == "completed"
    assert result.environment["processes"] == of


async def test_all_shards_start_at_one_instant() -> None:
    """As far ahead as the slowest transport needs."""
    shards = make(SPEC, 3, s1={"lead_ns": 50_000_000})
    before = coordinator._now()
    await drive(SPEC, shards)
    assert len({shard.starts[0] for shard in shards}) == 1
    assert shards[0].starts[0] >= before + 50_000_000
    assert [len(shard.starts) for shard in shards] == [1, 1, 1]


async def test_every_shard_is_closed() -> None:
    shards = make(SPEC, 2)
    await drive(SPEC, shards)
    assert [shard.closed for shard in shards] == [1, 1]


@pytest.mark.parametrize("error", [SpecError("cannot be run"), StrategyError("a job broke its contract")])
async def test_failed_set_up_is_raised(error: Exception) -> None:
    """As a run in one process raises it; and nothing was started, and nothing is left."""
    shards = make(SPEC, 2, s1={"unprepared": error})
    with pytest.raises(type(error)):
        await drive(SPEC, shards)
    assert [shard.starts for shard in shards] == [[], []]
    assert all(shard.closed for shard in shards)


async def test_lost_shard_ends_the_run() -> None:
    """Failed, with what the others have; the lost one is named, and its jobs are in no figure."""
    forever = asyncio.Event()
    shards = make(SPEC, 3, s0={"holds": forever}, s1={"lost": "it was killed"}, s2={"holds": forever})
    result = await drive(SPEC, shards)
    assert (result.status, result.verdict) == ("failed", "invalid")
    assert result.reason is not None
    assert result.reason.code == "shard_lost"
    assert "shard 1" in result.reason.detail
    assert "it was killed" in result.reason.detail
    assert [shard.statuses for shard in shards] == [["cancelled"], ["cancelled"], ["cancelled"]]
    assert [each.shard for each in result.shards if each.loss is not None] == [1]


async def test_run_goes_on_without_a_lost_shard() -> None:
    """If asked: completed and invalid, with the jobs of the others, each as it would have been."""
    shards = make(SPEC, 4, s2={"lost": "it was killed"})
    result = await drive(SPEC, shards, on_loss="continue")
    assert (result.status, result.verdict) == ("completed", "invalid")
    assert result.counts.completed == 225
    found = next(finding for finding in result.findings if finding.code == "shard_lost")
    assert "25 % of the load was not offered" in found.detail
    whole = execute(replace(SPEC, clock="virtual")).records
    assert whole is not None
    assert result.jobs is not None
    kept = [job for job in range(300) if job % 4 != 2]
    assert result.jobs.intended.tolist() == whole.intended[kept].tolist()
    assert result.jobs.finished.tolist() == whole.finished[kept].tolist()
    assert not any(shard.statuses for shard in shards)


async def test_loss_says_what_had_been_reported() -> None:
    """Jobs that the lost shard had released are counted as missing, and stand in no figure."""
    shards = make(SPEC, 2, s1={"lost": "gone", "reports": (snapshot(SPEC, Shard(1, 2)),)})
    result = await drive(SPEC, shards, on_loss="continue")
    assert result.counts.arrived == 150
    lost = result.shards[0].loss
    assert lost is not None
    assert lost.reported == 150
    assert "150 jobs" in next(finding.detail for finding in result.findings if finding.code == "shard_lost")


async def test_loss_before_the_start_always_ends_it() -> None:
    """There is nothing to go on with."""
    shards = make(SPEC, 2, s0={"unprepared": ShardLost("it did not start")})
    result = await drive(SPEC, shards, on_loss="continue")
    assert (result.status, result.counts.arrived) == ("failed", 0)
    assert [shard.starts for shard in shards] == [[], []]


async def test_run_that_lost_all_shards_failed() -> None:
    shards = make(SPEC, 2, s0={"lost": "gone"}, s1={"lost": "gone too"})
    result = await drive(SPEC, shards, on_loss="continue")
    assert (result.status, result.counts.arrived) == ("failed", 0)


async def test_stop_reaches_every_shard_once() -> None:
    """With the status that was asked for."""
    stop, forever = Stop(), asyncio.Event()
    shards = make(SPEC, 2, s0={"holds": forever}, s1={"holds": forever})
    stop.now("timed_out")
    result = await drive(SPEC, shards, stop=stop)
    assert result.status == "timed_out"
    assert [shard.statuses for shard in shards] == [["timed_out"], ["timed_out"]]


async def test_shard_ended_in_its_set_up_is_no_loss() -> None:
    """It was told to end, did not obey, and was killed before it had released anything."""
    stop, shards = Stop(), make(SPEC, 2, s1={"unprepared": ShardLost("killed by SIGKILL"), "slow": True})
    stop.now("timed_out")
    result = await drive(SPEC, shards, stop=stop)
    assert (result.status, result.counts.arrived) == ("timed_out", 0)
    assert "shard_lost" not in {finding.code for finding in result.findings}


FAILING = RunSpec(
    Workload(Faulty(Sleep(0.01), 1.0), ConstantRate(100), jobs=300),
    seed=7,
    objectives=(Objective("throughput", at_least=1), Objective("failure_ratio", at_most=0.1, abort=True)),
)


async def test_objective_is_judged_over_all_shards() -> None:
    """Neither shard alone has lost it, both together have. The reason says how much further the run went."""
    spec = replace(FAILING, workload=replace(FAILING.workload, jobs=300))
    forever = asyncio.Event()
    # Each reports 20 failures of its 150 jobs: 13 %, but of the 300 jobs of the run 40 are more than a tenth, 20 are not.
    few = replace(spec, workload=replace(spec.workload, jobs=40))
    shards = make(spec, 2, **{f"s{k}": {"holds": forever, "reports": (snapshot(few, Shard(k, 2)),)} for k in range(2)})
    result = await drive(spec, shards)
    assert result.status == "aborted"
    assert result.reason is not None
    assert result.reason.code == "objective_lost"
    assert "failure ratio <= 0.1 could no longer be met" in result.reason.detail
    assert "more jobs" in result.reason.detail
    assert [shard.statuses for shard in shards] == [["aborted"], ["aborted"]]
    assert [judged.outcome for judged in result.objectives][1] == "missed"


async def test_objective_that_may_be_met_ends_nothing() -> None:
    """One shard has failed all of its jobs so far: a tenth of the run is more than that."""
    few = replace(FAILING, workload=replace(FAILING.workload, jobs=40))
    go = asyncio.Event()
    shards = make(FAILING, 2, s0={"holds": go, "reports": (snapshot(few, Shard(0, 2)),)}, s1={"holds": go})
    asyncio.get_running_loop().call_later(0.5, go.set)
    result = await drive(FAILING, shards)
    assert result.status == "completed"
    assert not any(shard.statuses for shard in shards)


class Watcher(Observer):
    def __init__(self) -> None:
        self.seen: list[Progress] = []
        self.seeds: list[int | None] = []

    def on_start(self, spec: RunSpec) -> None:
        self.seeds.append(spec.seed)

    def on_progress(self, progress: Progress) -> None:
        self.seen.append(progress)


async def test_observers_are_told_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """One report for all shards, and the last one is the result's."""
    monkeypatch.setattr(coordinator, "PROGRESS_NS", 0)
    go, watcher = asyncio.Event(), Watcher()
    shards = make(SPEC, 2, **{f"s{k}": {"holds": go, "reports": (snapshot(SPEC, Shard(k, 2)),)} for k in range(2)})
    asyncio.get_running_loop().call_later(0.2, go.set)
    result = await drive(SPEC, shards, observers=(watcher,))
    assert watcher.seeds == [7]
    assert watcher.seen[0].arrived == 300
    assert watcher.seen[-1].findings == result.findings
    assert watcher.seen[-1].counts == {**watcher.seen[0].counts}


async def test_shards_are_in_the_result_as_json() -> None:
    """And are read back as they were."""
    shards = make(SPEC, 3, s1={"lost": "gone"})
    result = await drive(SPEC, shards, on_loss="continue")
    again = result_from_dict(result_to_dict(result))
    assert again.shards == result.shards
    assert again.shards


async def test_stored_parts_keep_what_was_lost() -> None:
    """Read again from bytes, the parts give the same result."""
    result = await drive(SPEC, make(SPEC, 3, s1={"lost": "gone"}), on_loss="continue")
    assert result.parts is not None
    again = summarize(SPEC, RunParts.from_bytes(result.parts.to_bytes()), benchmark_id=result.benchmark_id)
    assert (again.findings, again.shards, again.status) == (result.findings, result.shards, "completed")
