"""The short cut for first come, first served equals the general path: job by job, and in its peak concurrency."""

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
    Limited,
    Poisson,
    Replay,
    RunSpec,
    Sleep,
    Streams,
    Trace,
    Workload,
)
from aurea_engine._dispatcher import Dispatcher
from aurea_engine._recorder import Recorder
from aurea_engine._release import Release
from aurea_engine._virtual import run_virtual
from aurea_engine.costs import Metering


def driven(spec: RunSpec, *, short_cut: bool) -> tuple[JobBatch, int, int]:
    """Records, peak concurrency, and jobs that the dispatcher saw."""
    assert spec.seed is not None
    recorder = Recorder(spec, Metering(spec.cost), live=False)
    dispatcher = Dispatcher(spec.scheduler)
    release = Release(spec.workload, Streams(spec.seed), simulated=True)
    run_virtual(release, dispatcher, recorder, lambda _: False, short_cut=short_cut)
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
    st.builds(Fifo, st.sampled_from([1, 2, 3, 7, 100])),
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
    """More jobs than one block of 4,096 holds."""
    assert_same(spec)


def test_the_short_cut_is_for_nothing_but_plain_first_come_first_served() -> None:
    """A subclass may do anything, and a queue limit rejects."""

    class Mine(Fifo):
        pass

    assert Dispatcher(Fifo(2)).in_order
    assert not Dispatcher(Mine(2)).in_order
    assert not Dispatcher(Fifo(2, queue_limit=3)).in_order
    assert not Dispatcher(Fifo()).in_order
    assert replace(Fifo(2), slots=3) == Fifo(3)
