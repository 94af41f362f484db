"""Teaches hypothesis what each kind of strategy may be, small and full of ties: `st.from_type(Scheduler)` is any scheduler.

Durations and gaps are few and whole hundredths of a second, so that ends, arrivals and starts often share an instant: that
is where disciplines and drivers can differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Branch,
    Catalog,
    Closed,
    Constant,
    ConstantRate,
    Distribution,
    Empirical,
    Exponential,
    Faulty,
    Fifo,
    GammaArrivals,
    JobBatch,
    JobSource,
    Lifo,
    Limited,
    Mark,
    Measure,
    Mix,
    Poisson,
    Priority,
    Ramp,
    Replay,
    RunResult,
    RunSpec,
    Scheduler,
    ShortestFirst,
    Sine,
    Sleep,
    Stage,
    Stages,
    Trace,
    Workload,
    default_catalog,
)
from aurea_engine.workload.distributions import Floats

hundredths = st.integers(0, 30).map(lambda n: n / 100)
some = st.integers(1, 30).map(lambda n: n / 100)
rates = st.sampled_from([1.0, 5.0, 10.0, 50.0, 100.0])


def distributions() -> st.SearchStrategy[Distribution]:
    return st.one_of(
        st.builds(Constant, hundredths),
        st.builds(Empirical, st.lists(hundredths, min_size=1, max_size=4).map(tuple)),
        st.builds(Exponential, some),
    )


@dataclass(frozen=True)
class Reporting(Sleep):
    """Reports a mark somewhere in its service and an amount, each of them not always."""

    marks = (Mark("somewhere"),)
    measures = (Measure("amount", "things"),)

    def reports(self, rng: np.random.Generator, first: int, demand: Floats) -> dict[str, Floats]:
        n = len(demand)
        some_of = np.where(rng.random((2, n)) < 0.7, 1.0, np.nan)
        return {
            "somewhere": demand * rng.choice([0.0, 0.5, 1.0], n) * some_of[0],
            "amount": rng.integers(0, 5, n) * some_of[1],
        }


def jobs() -> st.SearchStrategy[JobSource]:
    plain = st.one_of(
        st.builds(Sleep, distributions()),
        st.builds(Reporting, distributions()),
        st.builds(Replay, st.lists(hundredths, min_size=1, max_size=5).map(tuple)),
    )
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.builds(Faulty, inner, st.sampled_from([0.0, 0.3, 1.0])),
            st.builds(Limited, inner, st.sampled_from([0.05, 0.1, 1.0])),
            st.builds(
                Mix,
                st.lists(
                    st.builds(Branch, st.integers(1, 3), inner, st.sampled_from([None, -1, 0, 5])),
                    min_size=1,
                    max_size=3,
                ).map(tuple),
            ),
        ),
        max_leaves=3,
    )


def arrivals() -> st.SearchStrategy[Arrivals]:
    stage = st.one_of(st.builds(Stage, some, rate=rates), st.builds(Stage, some, start=st.just(0.0), end=rates))
    return st.one_of(
        st.just(AllAtOnce()),
        st.builds(ConstantRate, rates),
        st.builds(Poisson, rates),
        st.builds(GammaArrivals, rates, st.sampled_from([0.0, 0.5, 2.0])),
        st.builds(Ramp, st.just(0.0), rates, some),
        st.builds(Sine, st.just(20.0), st.sampled_from([0.0, 20.0]), some),
        st.builds(Stages, st.lists(stage, min_size=1, max_size=3).map(tuple)),
        st.builds(Trace, st.lists(hundredths, min_size=1, max_size=40).map(sorted).map(tuple)),
        st.builds(Closed, st.integers(1, 6), distributions()),
    )


def schedulers() -> st.SearchStrategy[Scheduler]:
    return st.builds(
        lambda kind, slots, limit: kind(slots, limit),
        st.sampled_from([Fifo, Lifo, ShortestFirst, Priority]),
        st.sampled_from([None, 1, 1, 2, 3, 50]),
        st.sampled_from([None, None, 0, 1, 4]),
    )


st.register_type_strategy(Distribution, distributions())
st.register_type_strategy(JobSource, jobs())
st.register_type_strategy(Arrivals, arrivals())
st.register_type_strategy(Scheduler, schedulers())
st.register_type_strategy(
    Workload,
    st.builds(Workload, jobs(), arrivals(), jobs=st.integers(1, 60), duration=st.sampled_from([None, 0.2, 1.0])),
)
st.register_type_strategy(
    RunSpec,
    st.builds(RunSpec, st.from_type(Workload), schedulers(), seed=st.integers(0, 2**32), clock=st.just("virtual")),
)


@pytest.fixture(scope="session")
def same_jobs() -> Callable[[RunResult, RunResult], None]:
    """``same_jobs(a, b)``: every instant and outcome of every job is the same in both."""

    def compare(a: RunResult, b: RunResult) -> None:
        assert a.jobs is not None
        assert b.jobs is not None
        assert a.jobs.schema == b.jobs.schema
        theirs = b.jobs.columns()
        for name, column in a.jobs.columns().items():
            np.testing.assert_array_equal(column, theirs[name], name)

    return compare


@pytest.fixture(scope="session")
def known() -> Catalog:
    """The built-in kinds, and the job that only these tests have."""
    return default_catalog().add("jobs", "reporting", Reporting)


@pytest.fixture(scope="session")
def records() -> Callable[[RunResult], JobBatch]:
    """``records(result)``: its job records, which must have been kept."""

    def found(result: RunResult) -> JobBatch:
        assert result.jobs is not None
        return result.jobs

    return found


@pytest.fixture(scope="session")
def jumping() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """``jumping(main())``: runs a coroutine on a loop whose time jumps, so that its sleeps take no time."""
    from aurea_engine.testing import JumpingLoop

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            return runner.run(main)

    return run
