"""10,000 sleeps of 100 ms, all at once."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from aurea_engine import Constant, RunSpec, Sleep, Workload, run_sync
from benchmarks.contest import AUREA, CORES, PROCESS, Bound, Contender, Figure, Figures, Row
from benchmarks.k6 import run_scenario

SLEEP = 0.1


def run_aurea(jobs: int) -> Figures:
    """The engine: from the call to the result."""
    # Arrivals are all at once where none are given, and there is no limit of slots.
    spec = RunSpec(Workload(Sleep(Constant(SLEEP)), jobs=jobs))
    began = time.perf_counter()
    result = run_sync(spec)
    wall = time.perf_counter() - began
    assert result.counts.completed == jobs
    mean, least = result.service_time.mean, result.service_time.min
    assert mean is not None
    assert least is not None
    return {"wall": wall, "run": result.duration, **_describe_sleeps(mean, least)}


def run_k6(jobs: int) -> Figures:
    """As many virtual users, one iteration each."""
    figures = run_scenario(
        {"executor": "per-vu-iterations", "vus": jobs, "iterations": 1, "maxDuration": "60s"}, "sleep(0.1);"
    )
    return {"wall": figures["wall"], "run": figures["run"], **_describe_sleeps(figures["mean"], figures["least"])}


def run_threads(jobs: int) -> Figures:
    """A pool with a thread a job."""
    # With the usual 8 MiB each, ten thousand threads would be refused by many machines.
    threading.stack_size(256 * 1024)

    def job(_: int) -> float:
        start = time.perf_counter()
        time.sleep(SLEEP)
        return time.perf_counter() - start

    began = time.perf_counter()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        took = list(pool.map(job, range(jobs)))
    wall = time.perf_counter() - began
    return {"wall": wall, "run": wall, **_describe_sleeps(float(np.mean(took)), min(took))}


def run_gather(jobs: int) -> Figures:
    """A coroutine a job, on asyncio's own event loop."""

    async def job() -> float:
        start = time.perf_counter()
        await asyncio.sleep(SLEEP)
        return time.perf_counter() - start

    async def everything() -> list[float]:
        return await asyncio.gather(*(job() for _ in range(jobs)))

    began = time.perf_counter()
    took = asyncio.run(everything())
    wall = time.perf_counter() - began
    return {"wall": wall, "run": wall, **_describe_sleeps(float(np.mean(took)), min(took))}


def _describe_sleeps(mean: float, least: float) -> Figures:
    """Too long by how much on average, and the shortest sleep. ``short`` counts towards "none under 100 ms"."""
    return {"over": (mean / SLEEP - 1) * 100, "least": least}


_JOBS = {"jobs": 10_000}

ROWS = (
    Row(
        "sleeps_at_once",
        "10,000 sleeps of 100 ms at once",
        (
            Figure("wall", "from call to result", "s"),
            Figure("run", "its own window", "s"),
            Figure(PROCESS, "whole process", "s"),
            Figure("over", "mean sleep beyond 100 ms", "%"),
            Figure("least", "shortest sleep", "ms"),
            Figure(CORES, "cores used", "cores"),
        ),
        (
            Contender(
                AUREA,
                run_aurea,
                "A `Sleep` job is a timer of the engine: no task. All four instants kept.",
                _JOBS,
                _JOBS,
            ),
            Contender(
                "k6",
                run_k6,
                "10,000 virtual users, one iteration of `sleep(0.1)` each. Its window leaves out the seconds in which"
                " it makes the virtual users.",
                _JOBS,
                _JOBS,
            ),
            Contender(
                "threads",
                run_threads,
                "`ThreadPoolExecutor(10_000)` and `time.sleep`; latencies in a list.",
                _JOBS,
                _JOBS,
            ),
            Contender(
                "gather", run_gather, "`asyncio.gather` of 10,000 coroutines; latencies in a list.", _JOBS, _JOBS
            ),
        ),
        (
            Bound("wall", 0.25, better="less", prototype="0.21 s"),
            Bound("over", 1.0, better="less", prototype="0.7 %"),
            Bound("least", SLEEP, better="more"),
        ),
        "k6 cannot be called, so its time from call to result is that of its process.",
    ),
)
