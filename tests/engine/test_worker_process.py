"""A worker process: the same parts as here, with progress, a stop, and a reason where it dies. Real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import (
    Exponential,
    Fifo,
    Job,
    Poisson,
    RunParts,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    Stop,
    Workload,
    execute,
    result_to_dict,
    summarize,
)
from aurea_engine.processes.supervisor import ProcessFailed
from aurea_engine.processes.worker_process import WorkerProcess, open_worker

pytestmark = pytest.mark.service

VIRTUAL = RunSpec(Workload(Sleep(Exponential(0.06)), Poisson(55), jobs=3000), Fifo(), clock="virtual", seed=7)
LONG = RunSpec(Workload(Sleep(600), jobs=3), seed=1)
BUSY_OR_NOT = (1.6, 16)
"""Seconds of a run in which something is reported: on a busy machine it may take the longer one."""


@pytest.fixture
async def worker() -> AsyncIterator[WorkerProcess]:
    async with open_worker() as worker:
        yield worker


def figures(spec: RunSpec, parts: RunParts) -> dict[str, Any]:
    """The result but for what differs from one execution to the next: when it was, and where."""
    result = result_to_dict(summarize(spec, parts, benchmark_id="benchmark-1"))
    del result["usage"]["run"]["started_at"]
    result["jobs"] = [{name: value for name, value in job.items() if name != "timestamp"} for job in result["jobs"]]
    return {name: value for name, value in result.items() if name not in ("start_time", "end_time", "environment")}


async def ended(pid: int, seconds: float = 120) -> bool:
    """Whether a process is gone, or waits to be reaped by whoever adopted it; waited for a while."""
    until = time.monotonic() + seconds
    while True:
        try:
            if (Path(f"/proc/{pid}/stat")).read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "spec",
    [VIRTUAL, replace(VIRTUAL, scheduler=Fifo(slots=4)), replace(VIRTUAL, keep_jobs=False)],
    ids=["no limit", "four slots", "no records"],
)
async def test_parts_equal_those_of_here(worker: WorkerProcess, spec: RunSpec) -> None:
    """In virtual time a run is the same wherever it is executed; a second one in the same process too."""
    here = figures(spec, execute(spec))
    for _ in range(2):
        assert figures(spec, await worker.execute(spec)) == here


async def test_shards_of_workers_merge_to_the_run() -> None:
    async with open_worker() as one, open_worker() as other:
        cut = await asyncio.gather(one.execute(VIRTUAL, Shard(0, 2)), other.execute(VIRTUAL, Shard(1, 2)))
    whole = execute(VIRTUAL)
    merged = cut[1].merge(cut[0])
    assert merged.records is not None
    assert whole.records is not None
    assert merged.records.started.tolist() == whole.records.started.tolist()
    assert merged.records.finished.tolist() == whole.records.finished.tolist()
    assert merged.meters.counts == whole.meters.counts


async def test_progress_is_parts_without_records(worker: WorkerProcess) -> None:
    seen: list[RunParts] = []
    for seconds in BUSY_OR_NOT:
        spec = RunSpec(Workload(Sleep(0.01), Poisson(200), duration=seconds), seed=3)
        parts = await worker.execute(spec, on_progress=seen.append)
        if seen:
            break
    assert seen
    assert all(each.records is None and each.status is None for each in seen)
    arrived = [each.arrived for each in (*seen, parts)]
    assert arrived == sorted(arrived)
    assert 0 < arrived[0] < arrived[-1]


async def test_watcher_that_raises_is_dropped(worker: WorkerProcess) -> None:
    calls = []

    def watch(parts: RunParts) -> None:
        calls.append(parts)
        raise ValueError("not the worker's fault")

    for seconds in BUSY_OR_NOT:
        spec = RunSpec(Workload(Sleep(0.01), Poisson(200), duration=seconds), seed=3)
        assert (await worker.execute(spec, on_progress=watch)).status == "completed"
        if calls:
            break
    assert len(calls) == 1


async def test_stop_ends_a_run_with_what_it_has(worker: WorkerProcess) -> None:
    stop = Stop()

    def stop_once_begun(parts: RunParts) -> None:
        if parts.arrived:
            stop.now("timed_out")

    parts = await worker.execute(LONG, on_progress=stop_once_begun, stop=stop)
    assert (parts.status, parts.arrived) == ("timed_out", 3)
    assert parts.elapsed_ns < 300 * 10**9
    assert (await worker.execute(VIRTUAL)).status == "completed"


@pytest.mark.parametrize("name", ["aurea-runner", "aurea-guard", "aurea-keeper"])
async def test_killed_process_gives_a_reason(worker: WorkerProcess, name: str) -> None:
    """Whichever of the three it is."""
    pid = find_process(worker, name)
    asyncio.get_running_loop().call_later(0.3, os.kill, pid, signal.SIGKILL)
    with pytest.raises(ProcessFailed) as caught:
        await worker.execute(LONG)
    assert caught.value.reason.code == "runner_died"
    assert "SIGKILL" in caught.value.reason.detail
    assert not worker.alive


def find_process(worker: WorkerProcess, name: str) -> int:
    """One of the three processes of a worker, by its name, below the one that was started."""
    known = {worker._process.pid}
    names: dict[int, str] = {}
    for _ in range(3):
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):  # others' processes come and go
                before, _, after = (folder / "stat").read_text().rpartition(")")
                if int(folder.name) in known or int(after.split()[1]) in known:
                    known.add(int(folder.name))
                    names[int(folder.name)] = before.partition("(")[2]
    (found,) = (pid for pid, each in names.items() if each == name)
    return found


async def test_stopped_process_does_not_obey(worker: WorkerProcess) -> None:
    """One that is put to sleep climbs the whole ladder, and is killed."""
    stop = Stop()
    os.kill(find_process(worker, "aurea-runner"), signal.SIGSTOP)
    asyncio.get_running_loop().call_later(0.1, stop.now)
    began = time.monotonic()
    with pytest.raises(ProcessFailed):
        await worker.execute(LONG, stop=stop)
    assert time.monotonic() - began < 300


async def test_too_little_memory_is_a_reason() -> None:
    with pytest.raises(ProcessFailed) as caught:
        await WorkerProcess.start(memory=1024**2)
    assert caught.value.reason.code == "memory"


async def test_cancelling_ends_the_process(worker: WorkerProcess) -> None:
    pid = find_process(worker, "aurea-runner")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await worker.execute(LONG)
    assert not worker.alive
    assert await ended(pid)


async def test_closing_leaves_nothing_behind() -> None:
    async with open_worker() as worker:
        pids = [find_process(worker, name) for name in ("aurea-runner", "aurea-guard", "aurea-keeper")]
    for pid in pids:
        assert await ended(pid)


async def test_secrets_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cret")
    async with open_worker(secrets=["MY_SECRET"]) as worker:
        environment = Path(f"/proc/{find_process(worker, 'aurea-runner')}/environ").read_bytes()
    assert b"s3cret" not in environment
    assert b"OPENBLAS_NUM_THREADS=1" in environment


@dataclass(frozen=True)
class OnlyHere(Job):
    async def run(self, demand: float) -> None:
        """Nothing."""


async def test_what_cannot_be_sent_is_refused(worker: WorkerProcess) -> None:
    """As it would be here; the worker goes on."""
    with pytest.raises(SpecError):
        await worker.execute(RunSpec(Workload(OnlyHere(), jobs=1)))
    with pytest.raises(SpecError):
        await worker.execute(replace(VIRTUAL, scheduler=Fifo(slots=4)), Shard(0, 2))
    assert (await worker.execute(VIRTUAL)).status == "completed"


async def test_impossible_run_leaves_the_worker(worker: WorkerProcess) -> None:
    """What only shows when it is run is a failure of that run alone, and the same error as here."""
    endless = RunSpec(Workload(Sleep(1), Poisson(1e-12), jobs=3), clock="virtual", seed=1)
    with pytest.raises(SpecError) as here:
        execute(endless)
    with pytest.raises(SpecError) as there:
        await worker.execute(endless)
    assert there.value.problems == here.value.problems
    assert worker.alive


SUPERVISOR = """
import os, sys, time
from aurea_engine.processes.spawn import Command, start_process
os.environ["PYTHONPATH"] = os.pathsep.join(sys.argv[1:])
print(start_process(Command()).process.pid, flush=True)
time.sleep(60)
"""


async def test_death_while_loading_leaves_nothing(tmp_path: Path) -> None:
    """Nobody watches a process that has not loaded yet, and on a busy machine that takes seconds: here a minute."""
    (tmp_path / "msgspec.py").write_text("import time\ntime.sleep(60)\n")
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        await asyncio.sleep(0.5)
        assert not await ended(pid, 0)
        supervisor.kill()
    assert await ended(pid)
