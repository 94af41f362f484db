"""The driver of real time, on a loop whose time jumps, gives what the virtual driver gives: job by job, in ns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import looptime
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import aurea_engine
from aurea_engine import (
    AllAtOnce,
    Closed,
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Faulty,
    Fifo,
    Job,
    JobSource,
    Lifo,
    Limited,
    Mix,
    Poisson,
    Priority,
    RunResult,
    RunSpec,
    Scheduler,
    ShortestFirst,
    Sleep,
    Workload,
    simulate,
)
from aurea_engine.testing import JumpingLoop, LoopClock, run_jumping

Compare = Callable[[RunResult, RunResult], None]


@given(spec=st.from_type(RunSpec))
@example(spec=RunSpec(Workload(Sleep(0.0), Closed(2), jobs=30), Fifo(1, 0), seed=1))
@example(spec=RunSpec(Workload(Sleep(0.0), Closed(3), jobs=30), Fifo(3), seed=1))
@example(spec=RunSpec(Workload(Sleep(0.0), Closed(3), jobs=2), Fifo(), seed=1))
@example(spec=RunSpec(Workload(Sleep(0.1), AllAtOnce(), jobs=40), Priority(3, 4), seed=1))
@example(spec=RunSpec(Workload(Sleep(0.1), Closed(3, Constant(0.1)), jobs=40), Lifo(1, 1), seed=1))
def test_both_clocks_give_the_same_times(spec: RunSpec, same_jobs: Compare) -> None:
    """Open, closed and all at once; every scheduler, slots and queue limits; faults, limits and mixes."""
    virtual, real = simulate(spec), run_jumping(spec)
    same_jobs(virtual, real)
    assert virtual.counts == real.counts
    assert virtual.cost.total == real.cost.total
    assert virtual.window == real.window


@dataclass(frozen=True)
class Nap(Job):
    """Sleeps by itself, so the driver makes a task of each; its demand is known, so virtual time can simulate it."""

    duration: Distribution

    async def run(self, demand: float) -> None:
        await asyncio.sleep(demand)

    def demands(self, rng: np.random.Generator, first: int, n: int) -> np.ndarray:
        return np.round(self.duration.sample(rng, n), 9)


def napping(source: JobSource) -> JobSource:
    """The same source with every sleep done by a task."""
    if isinstance(source, Faulty):
        return replace(source, job=napping(source.job))
    if isinstance(source, Limited):  # an end and a limit at the same instant are the event loop's to decide
        return Limited(napping(source.job), source.timeout + 0.005)
    if isinstance(source, Mix):
        return Mix(tuple(replace(branch, job=napping(branch.job)) for branch in source.of))
    return Nap(source.duration if isinstance(source, Sleep) else Empirical((0.0, 0.1, 0.1, 0.3)))


@given(spec=st.from_type(RunSpec))
@settings(max_examples=60)
def test_tasks_give_the_simulated_times(spec: RunSpec, same_jobs: Compare) -> None:
    """Tasks stamp their own start and end; their limits are the event loop's timeouts."""
    spec = replace(spec, workload=replace(spec.workload, job=napping(spec.workload.job)))
    same_jobs(simulate(spec), run_jumping(spec))


@pytest.mark.parametrize("scheduler", [Fifo(4), Lifo(4), ShortestFirst(4), Priority(4), Fifo(4, 2), Fifo()], ids=str)
def test_a_longer_run_agrees_to_the_last_job(scheduler: Scheduler, same_jobs: Compare) -> None:
    """5,000 jobs, so that more than one block of arrivals and many looks at the stop flag are among them."""
    spec = RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(320), jobs=5_000), scheduler, seed=3)
    same_jobs(simulate(spec), run_jumping(spec))


@pytest.mark.parametrize("think", [0.0, 0.5, Exponential(1.0)], ids=["no thought", "constant", "exponential"])
def test_the_closed_model_agrees_as_well(think: Distribution, same_jobs: Compare) -> None:
    """Where each arrival depends on an end, one nanosecond's difference would spread to everything after it."""
    spec = RunSpec(Workload(Sleep(Exponential(0.05)), Closed(10, think), jobs=3_000), Fifo(3), seed=3)
    same_jobs(simulate(spec), run_jumping(spec))


def test_any_loop_whose_time_jumps_will_do(same_jobs: Compare) -> None:
    """`LoopClock` reads whatever loop runs; here the one of the looptime package."""
    spec = RunSpec(Workload(Sleep(Exponential(0.05)), Poisson(30), jobs=300), Fifo(2), seed=5)

    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(resolution=1e-9)) as runner:
        same_jobs(simulate(spec), runner.run(aurea_engine.run(spec, clock=LoopClock())))


def test_an_hour_passes_in_no_time() -> None:
    """Ten jobs of a thousand seconds on three slots: four rounds."""
    spec = RunSpec(Workload(Sleep(1000.0), AllAtOnce(), jobs=10), Fifo(3), seed=0)
    assert run_jumping(spec).duration == 4000.0


def test_the_loop_raises_where_it_would_hang() -> None:
    """Nothing ready, no timer: an error, instead of a test that hangs."""
    loop = JumpingLoop(patience=0)
    try:
        with pytest.raises(RuntimeError, match="would wait for ever"):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()
