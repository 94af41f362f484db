"""The short cuts of virtual time equal the general path: job by job, and in their peak concurrency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Closed,
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    JobBatch,
    JobSource,
    Lifo,
    Limited,
    Poisson,
    Priority,
    Replay,
    RunSpec,
    Scheduler,
    ShortestFirst,
    Sleep,
    Streams,
    Trace,
    Workload,
)
from aurea_engine.costs import Metering
from aurea_engine.run.context import RunContext
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.driver import Driver, pick_driver, step_to_end
from aurea_engine.run.event_heap import EventHeap
from aurea_engine.run.kernels import FifoKernel
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import Recorder
from aurea_engine.run.stop_conditions import StopConditions


def driven(
    spec: RunSpec, driver: Driver, watch: Callable[[int], bool] = lambda _: False
) -> tuple[JobBatch, Dispatcher]:
    """Records, and what the dispatcher counted."""
    assert spec.seed is not None
    recorder, dispatcher = Recorder(spec, Metering(spec.cost), live=False), Dispatcher(spec.scheduler)
    plan = JobPlan(spec.workload, Streams(spec.seed), simulated=True)
    conditions = StopConditions.of(spec, plan, dispatcher, recorder, watch)
    step_to_end(driver.drive(RunContext(spec, plan, dispatcher, recorder, conditions)))
    assert dispatcher.conserved
    jobs = recorder.close()
    assert jobs is not None
    return jobs, dispatcher


def assert_same(spec: RunSpec) -> None:
    spec = replace(spec, clock="virtual")
    (one, fast), (two, general) = driven(spec, pick_driver(spec)), driven(spec, EventHeap())
    theirs = two.columns()
    for name, column in one.columns().items():
        np.testing.assert_array_equal(theirs[name], column, name)
    assert (fast.arrived, fast.peak) == (general.arrived, general.peak)


open_arrivals = st.from_type(Arrivals).filter(lambda arrivals: not isinstance(arrivals, Closed))
specs = st.builds(
    RunSpec,
    st.builds(Workload, st.from_type(JobSource), open_arrivals, jobs=st.integers(1, 80)),
    st.sampled_from([Fifo, Lifo, Priority, ShortestFirst]).flatmap(
        lambda discipline: st.builds(discipline, st.sampled_from([1, 2, 3, 7, 100]))
    ),
    seed=st.integers(0, 2**32),
)


@given(specs)
@example(RunSpec(Workload(Sleep(0.0), AllAtOnce(), jobs=5), Fifo(2), seed=0))
@example(RunSpec(Workload(Replay((0.0, 0.1, 0.0, 0.0)), AllAtOnce(), jobs=9), Fifo(3), seed=0))
@example(RunSpec(Workload(Replay((0.1, 0.0)), Trace((0.0, 0.1, 0.1, 0.2)), jobs=4), Fifo(1), seed=0))
def test_the_short_cut_equals_the_general_path_job_by_job(spec: RunSpec) -> None:
    """Any open arrivals, jobs, faults and limits on any number of slots."""
    assert_same(spec)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(320), jobs=20_000), Fifo(4), seed=1), id="M/M/4"),
        pytest.param(RunSpec(Workload(Sleep(0.01), ConstantRate(100), jobs=12_289), Fifo(1), seed=1), id="always full"),
        pytest.param(RunSpec(Workload(Sleep(0.5), ConstantRate(1000), jobs=9_000), Fifo(700), seed=1), id="many slots"),
        pytest.param(RunSpec(Workload(Sleep(0.0), AllAtOnce(), jobs=9_000), Fifo(3), seed=1), id="no time at all"),
        pytest.param(
            RunSpec(Workload(Limited(Faulty(Sleep(Exponential(0.1)), 0.5), 0.1), Poisson(90), jobs=9_000), Fifo(8), seed=1),
            id="faults and limits",
        ),
        pytest.param(
            RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(320), duration=20.0), Fifo(4), seed=1), id="by duration"
        ),
    ],
)  # fmt: skip
def test_the_short_cut_equals_the_general_path_across_blocks(spec: RunSpec) -> None:
    """More jobs than one block of 4,096 holds, in every discipline."""
    for discipline in (Fifo, Lifo, Priority, ShortestFirst):
        assert_same(replace(spec, scheduler=discipline(spec.scheduler.slots)))


def test_the_short_cut_is_for_nothing_but_plain_first_come_first_served() -> None:
    """A subclass may do anything, and a queue limit rejects."""

    class Mine(Fifo):
        pass

    spec = RunSpec(Workload(Sleep(0.1), jobs=3), clock="virtual")

    def driver(scheduler: Scheduler) -> type[Driver]:
        return type(pick_driver(replace(spec, scheduler=scheduler)))

    assert driver(Fifo(2)) is FifoKernel
    assert driver(Mine(2)) is EventHeap
    assert driver(Fifo(2, queue_limit=3)) is EventHeap
    assert driver(Fifo()) is EventHeap


@pytest.mark.parametrize("discipline", [Fifo, Lifo, Priority, ShortestFirst])
def test_a_short_cut_that_is_stopped_accounts_for_every_job(discipline: type[Fifo]) -> None:
    """Whoever has started has ended, whoever waits is cancelled, and the counts add up."""
    spec = RunSpec(Workload(Sleep(1.0), ConstantRate(1000), jobs=20_000), discipline(2), seed=0)
    spec = replace(spec, clock="virtual")
    jobs, dispatcher = driven(spec, pick_driver(spec), lambda now: now > 5_000_000_000)
    assert len(jobs) == dispatcher.arrived < 20_000
    assert not (jobs.outcome == 0).any()
