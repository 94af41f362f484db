"""Jobs that burn processor time, in worker processes; few and short."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

import aurea_engine
from aurea_engine import Cpu, Fifo, Limited, RunSpec, Sleep, Stop, Workload, simulate
from aurea_engine.testing import check_job
from aurea_engine.workload.cpu_workers import CpuWorkers, burn


async def test_cpu_jobs_take_the_time_they_burn() -> None:
    """Off the loop, which stays free: none measures less than it burns."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    result = await aurea_engine.run(RunSpec(Workload(Cpu(0.02), jobs=4), Fifo(2), seed=0))
    ticking.cancel()
    assert result.counts.completed == 4
    assert (result.service_time.min or 0) >= 0.02
    assert ticks > 10


def test_burning_counts_the_own_thread_only() -> None:
    """What was spent is told, and is what was asked for or more."""
    before = time.thread_time()
    spent = burn(0.01)
    assert 0.01 <= spent <= time.thread_time() - before


async def test_no_worker_outlives_its_run() -> None:
    """Also when it is stopped in the middle."""
    stop = Stop()
    asyncio.get_running_loop().call_later(0.2, stop.now)
    result = await aurea_engine.run(RunSpec(Workload(Cpu(60.0), jobs=2), seed=0), stop=stop)
    assert (result.status, result.counts.cancelled) == ("cancelled", 2)
    children = [path for path in Path("/proc/self/task").glob("*/children") if b"_cpu" in _commands(path)]
    assert children == []


def _commands(children: Path) -> bytes:
    return b" ".join(
        Path(f"/proc/{child}/cmdline").read_bytes()
        for child in children.read_text().split()
        if Path(f"/proc/{child}").exists()
    )


async def test_limit_replaces_the_worker() -> None:
    """Two jobs of a minute, stopped after 50 ms each, on one worker."""
    async with CpuWorkers(1) as workers:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(workers.burn(60.0), 0.05)
        await workers.burn(0.001)


async def test_dead_worker_is_replaced() -> None:
    """Killed from outside."""
    async with CpuWorkers(1) as workers:
        victim = workers._all[0].pid
        asyncio.get_running_loop().call_later(0.05, os.kill, victim, signal.SIGKILL)
        with pytest.raises(ChildProcessError, match="worker process"):
            await workers.burn(60.0)
        await workers.burn(0.001)
        assert victim not in {worker.pid for worker in workers._all}


async def test_limited_cpu_jobs_time_out() -> None:
    """In a whole run."""
    result = await aurea_engine.run(RunSpec(Workload(Limited(Cpu(60.0), 0.05), jobs=2), Fifo(1), seed=0))
    assert result.counts.timed_out == 2


def test_cpu_jobs_can_be_simulated() -> None:
    """As if there were a core for every slot."""
    assert simulate(RunSpec(Workload(Cpu(0.1), jobs=4), Fifo(2), seed=0)).duration == pytest.approx(0.2)


@pytest.mark.parametrize("job", [Cpu(0.001), Sleep(0.001)], ids=["cpu", "sleep"])
def test_built_in_jobs_pass_the_check(job: Cpu | Sleep) -> None:
    """With a job really done."""
    check_job(job)


async def test_two_slots_burn_at_once() -> None:
    """Each worker is a process of its own: the second job begins before the first has ended, and burns its own time.

    How much faster that is depends on the cores that are free.
    """
    for seconds in (0.2, 2.0, 10.0):  # on a busy machine the first may have burnt a little before the second has begun
        result = await aurea_engine.run(RunSpec(Workload(Cpu(seconds), jobs=2), Fifo(2), seed=0))
        assert result.jobs is not None
        assert (result.service_time.min or 0) >= seconds
        if result.jobs.started.max() < result.jobs.finished.min():
            break
    assert result.jobs.started.max() < result.jobs.finished.min()
