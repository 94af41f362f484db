"""The short cuts of virtual time equal the general path: job by job, and in their peak concurrency."""

from __future__ import annotations

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
    ShortestFirst,
    Sleep,
    Streams,
    Trace,
    Workload,
)
from aurea_engine.costs import Metering
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.event_heap import run_virtual
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import Recorder


def driven(spec: RunSpec, *, short_cut: bool) -> tuple[JobBatch, int, int]:
    """Records, peak concurrency, and jobs that the dispatcher saw."""
    assert spec.seed is not None
    recorder = Recorder(spec, Metering(spec.cost), live=False)
    dispatcher = Dispatcher(spec.scheduler)
    plan = JobPlan(spec.workload, Streams(spec.seed), simulated=True)
    run_virtual(plan, dispatcher, recorder, lambda _: False, short_cut=short_cut)
    assert dispatcher.conserved
    jobs = recorder.close()
    assert jobs is not None
    return jobs, dispatcher.peak, dispatcher.arrived


def assert_same(spec: RunSpec) -> None:
    (one, peak, arrived), (two, general_peak, general_arrived) = (
        driven(spec, short_cut=True),
        driven(spec, short_cut=False),
    )
    for column in ("intended", "released", "started", "finished", "outcome"):
        np.testing.assert_array_equal(getattr(two, column), getattr(one, column), column)
    assert general_arrived == arrived
    assert general_peak == peak


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

    assert Dispatcher(Fifo(2)).discipline is Fifo
    assert Dispatcher(Mine(2)).discipline is None
    assert Dispatcher(Fifo(2, queue_limit=3)).discipline is None
    assert Dispatcher(Fifo()).discipline is None
    assert replace(Fifo(2), slots=3) == Fifo(3)


@pytest.mark.parametrize("discipline", [Fifo, Lifo, Priority, ShortestFirst])
def test_a_short_cut_that_is_stopped_accounts_for_every_job(discipline: type[Fifo]) -> None:
    """Whoever has started has ended, whoever waits is cancelled, and the counts add up."""
    spec = RunSpec(Workload(Sleep(1.0), ConstantRate(1000), jobs=20_000), discipline(2), seed=0)
    recorder, dispatcher = Recorder(spec, Metering(spec.cost), live=False), Dispatcher(spec.scheduler)
    plan = JobPlan(spec.workload, Streams(0), simulated=True)
    run_virtual(plan, dispatcher, recorder, lambda now: now > 5_000_000_000)
    assert dispatcher.conserved
    jobs = recorder.close()
    assert jobs is not None
    assert len(jobs) == dispatcher.arrived < 20_000
    assert not (jobs.outcome == 0).any()
