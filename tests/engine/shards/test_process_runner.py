"""The runs of a study over processes: the same results as here, side by side, with reasons, stops and nothing left over."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from aurea_engine import (
    Exponential,
    Fifo,
    Observer,
    Poisson,
    Progress,
    RunParts,
    RunSpec,
    Sleep,
    SpecError,
    Stop,
    Workload,
    encode_json,
    result_to_dict,
)
from aurea_engine.processes.supervisor import ProcessFailed
from aurea_engine.results.result import RunResult
from aurea_engine.shards.process_runner import _ProcessRunner, open_runner
from aurea_engine.studies.runner import RunHere, Runner

VIRTUAL = RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(80), jobs=2000), Fifo(1), clock="virtual", seed=7)
# Hours of work for a simulator: it ends by a stop, a death, or not at all.
ENDLESS = replace(VIRTUAL, workload=Workload(Sleep(Exponential(0.01)), Poisson(80), duration=1e9), keep_jobs=False)
REAL = RunSpec(Workload(Sleep(0.001), Poisson(400), jobs=40), seed=3)


def text_of(result: RunResult) -> bytes:
    """The whole result as JSON, at one instant: when a run was made is the one thing that differs."""
    usage = replace(result.usage, run=replace(result.usage.run, started_at=None))
    at = result.started_at.replace(year=2026, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return encode_json(result_to_dict(replace(result, benchmark_id="one", started_at=at, usage=usage)))


async def run_all(runner: Runner, specs: Iterable[RunSpec]) -> list[bytes]:
    return [text_of(result) for result in await asyncio.gather(*(runner.run(spec) for spec in specs))]


def pids(runner: Runner) -> list[int]:
    """Of the workers that there are."""
    assert isinstance(runner, _ProcessRunner)
    return [seat._starting.result()._process.pid for seat in runner._seats if seat._starting is not None]


async def gone(pid: int) -> bool:
    """Whether the process has ended; waited for patiently."""
    for _ in range(1200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_one_process_is_this_one() -> None:
    """So a specification of classes that only this program knows runs, too."""

    @dataclass(frozen=True)
    class Mine(Sleep):
        pass

    async with open_runner(1) as runner:
        assert isinstance(runner, RunHere)
        assert runner.width == 1
        result = await runner.run(replace(VIRTUAL, workload=replace(VIRTUAL.workload, job=Mine(0.01))))
    assert result.counts.completed == 2000


@pytest.mark.parametrize("wanted", [0, -1, "all", True, 257])
async def test_number_of_processes_is_checked(wanted: object) -> None:
    with pytest.raises(SpecError, match="processes: must be"):
        async with open_runner(wanted):  # type: ignore[arg-type]
            pass


@pytest.mark.service
async def test_results_are_equal_in_one_and_two_processes() -> None:
    """Byte by byte, five runs of five seeds."""
    specs = [replace(VIRTUAL, seed=seed) for seed in range(5)]
    async with open_runner(1) as one, open_runner(2) as two:
        assert two.width == 2
        assert await run_all(one, specs) == await run_all(two, specs)
        assert len(set(pids(two))) == 2


@pytest.mark.service
async def test_runs_go_side_by_side_and_end_with_the_block() -> None:
    """Two endless runs are under way at once; leaving the block ends both, and their processes."""
    begun = [asyncio.Event(), asyncio.Event()]

    class Begun(Observer):
        def __init__(self, event: asyncio.Event) -> None:
            self.event = event

        def on_parts(self, parts: RunParts) -> None:
            if parts.arrived:
                self.event.set()

    async with open_runner(2) as runner:
        running = [asyncio.ensure_future(runner.run(ENDLESS, [Begun(event)])) for event in begun]
        async with asyncio.timeout(60):
            await asyncio.gather(*(event.wait() for event in begun))
        started = pids(runner)
    assert len(started) == 2
    assert all([await gone(pid) for pid in started])
    ends = await asyncio.gather(*running, return_exceptions=True)
    assert [type(end) for end in ends] == [ProcessFailed, ProcessFailed]


@pytest.mark.service
async def test_stop_ends_a_run_with_what_it_has() -> None:
    stop = Stop()

    class StopWhenBegun(Observer):
        def on_progress(self, progress: Progress) -> None:
            if progress.arrived:
                stop.now("timed_out")

    async with open_runner(2) as runner, asyncio.timeout(60):
        result = await runner.run(ENDLESS, [StopWhenBegun()], stop=stop)
    assert result.status == "timed_out"
    assert result.counts.arrived > 0


@pytest.mark.service
async def test_dead_worker_is_replaced() -> None:
    """Its own run fails with the reason; the next one has a new process."""
    async with open_runner(2) as runner:
        await runner.run(VIRTUAL)
        (first,) = pids(runner)

        class Kill(Observer):
            def on_parts(self, parts: RunParts) -> None:
                with suppress(ProcessLookupError):
                    os.kill(first, signal.SIGKILL)

        with pytest.raises(ProcessFailed, match="SIGKILL"):
            await runner.run(ENDLESS, [Kill()])
        assert (await runner.run(VIRTUAL)).status == "completed"
        assert first not in pids(runner)


@pytest.mark.service
async def test_cancelled_run_leaves_the_others_alone() -> None:
    """Whether it waits for a process that starts, or is under way."""
    async with open_runner(2) as runner:
        early = asyncio.ensure_future(runner.run(ENDLESS))
        await asyncio.sleep(0)
        early.cancel()
        with pytest.raises(asyncio.CancelledError):
            await early
        assert await run_all(runner, [VIRTUAL]) == await run_all(RunHere(), [VIRTUAL])
        late = asyncio.ensure_future(runner.run(ENDLESS))
        other = asyncio.ensure_future(runner.run(VIRTUAL))
        await other
        late.cancel()
        assert (await runner.run(VIRTUAL)).counts == other.result().counts


@pytest.mark.service
async def test_observers_are_told_as_by_a_run_here() -> None:
    heard: list[str] = []

    class Listen(Observer):
        def on_start(self, spec: RunSpec) -> None:
            heard.append(f"start {spec.seed}")

        def on_progress(self, progress: Progress) -> None:
            if progress.fraction_done == 1:
                heard.append(f"end {progress.ended}")

    async with open_runner(2) as runner:
        await runner.run(VIRTUAL, [Listen()])
    assert heard == ["start 7", "end 2000"]


@pytest.mark.service
async def test_real_runs_follow_each_other_in_shards() -> None:
    """Each over both processes; the second begins when the first has ended."""
    async with open_runner(2) as runner:
        first, second = await asyncio.gather(runner.run(REAL), runner.run(replace(REAL, seed=4)))
    assert [len(each.shards) for each in (first, second)] == [2, 2]
    assert [each.counts.completed for each in (first, second)] == [40, 40]
    assert second.started_at >= first.ended_at


@pytest.mark.service
async def test_class_of_this_program_is_refused() -> None:
    """It cannot be written down for a process; there is no traceback of one."""

    @dataclass(frozen=True)
    class Mine(Sleep):
        pass

    async with open_runner(2) as runner:
        with pytest.raises(SpecError):
            await runner.run(replace(VIRTUAL, workload=replace(VIRTUAL.workload, job=Mine(0.01))))
