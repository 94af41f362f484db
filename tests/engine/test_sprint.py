"""The shortest closed loop has a driver of its own: its users take turns exactly as the general driver would let them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

import aurea_engine
from aurea_engine import (
    Bell,
    Closed,
    Faulty,
    Fifo,
    JobBatch,
    Observer,
    Outcome,
    Progress,
    RunResult,
    RunSpec,
    Sleep,
    Stop,
    Workload,
)
from aurea_engine.costs import Metering
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.idle_loop import Sprint, can_sprint
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.realtime import RealTime
from aurea_engine.run.recorder import Recorder
from aurea_engine.run.stop_conditions import StopConditions
from aurea_engine.workload.streams import Streams


class Ticking:
    """A clock on which every look takes a microsecond, so that all instants differ."""

    def __init__(self) -> None:
        self._ns = 5_000

    def now(self) -> int:
        self._ns += 1_000
        return self._ns

    async def wait(self, until: int, bell: Bell, exact: bool) -> None:
        self._ns = max(self._ns, until)
        await asyncio.sleep(0)


class Standing(Ticking):
    """A clock that never moves."""

    def now(self) -> int:
        return self._ns


def spec_of(users: int, *, jobs: int | None = None, duration: float | None = None, slots: int | None = None) -> RunSpec:
    return RunSpec(Workload(Sleep(0.0), Closed(users), jobs=jobs, duration=duration), Fifo(slots), seed=0)


def driven(spec: RunSpec, clock: Ticking, make: Callable[..., Sprint | RealTime]) -> tuple[JobBatch, Dispatcher]:
    recorder, dispatcher = Recorder(spec, Metering(spec.cost), live=False), Dispatcher(spec.scheduler)
    driver = make(JobPlan(spec.workload, Streams(0)), dispatcher, recorder, clock)
    _run(driver)
    jobs = recorder.close()
    assert jobs is not None
    return jobs, dispatcher


def _run(driver: Sprint | RealTime) -> None:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(driver.run())


def sprint(plan: JobPlan, dispatcher: Dispatcher, recorder: Recorder, clock: Ticking) -> Sprint:
    return Sprint(plan, dispatcher, recorder, clock, lambda _: False)


def general(plan: JobPlan, dispatcher: Dispatcher, recorder: Recorder, clock: Ticking) -> RealTime:
    conditions = StopConditions.of(spec_of(1, jobs=1), plan, dispatcher, recorder, lambda _: False)
    return RealTime(plan, dispatcher, recorder, [None], clock, conditions, exact=True)


@pytest.mark.parametrize(("users", "jobs"), [(1, 1), (1, 50), (7, 3), (7, 7), (7, 10_000), (50, 4096), (50, 4097)])
def test_users_take_turns_job_by_job(users: int, jobs: int) -> None:
    """Job k is meant to start when job k − users ended, on a clock on which no two instants are the same."""
    records, dispatcher = driven(spec_of(users, jobs=jobs), Ticking(), sprint)
    assert jobs == len(records) == dispatcher.arrived == dispatcher.ended
    assert not records.intended[:users].any()
    np.testing.assert_array_equal(records.intended[users:], records.finished[:-users] if jobs > users else [])
    assert (records.started >= records.intended).all()
    assert (records.finished > records.started).all()
    assert (np.diff(records.finished) > 0).all()
    assert (records.outcome == Outcome.COMPLETED).all()
    assert dispatcher.conserved


@pytest.mark.parametrize(("users", "jobs"), [(1, 50), (7, 3), (7, 100), (50, 5000)])
@pytest.mark.parametrize("slots", [None, 60])
def test_it_equals_the_general_driver_job_by_job(users: int, jobs: int, slots: int | None) -> None:
    """On a clock that stands still, where how often either looks makes no difference."""
    spec = spec_of(users, jobs=jobs, slots=slots)
    (one, first), (two, second) = driven(spec, Standing(), sprint), driven(spec, Standing(), general)
    for column in ("intended", "released", "started", "finished", "outcome"):
        np.testing.assert_array_equal(getattr(two, column), getattr(one, column))
    assert (second.arrived, second.ended, second.peak) == (first.arrived, first.ended, first.peak)


def test_it_stops_at_the_duration() -> None:
    """No job is meant to start at or after it."""
    records, dispatcher = driven(spec_of(5, duration=0.05), Ticking(), sprint)
    assert records.intended.max() < 50_000_000 <= records.finished.max() + 10_000
    assert len(records) == dispatcher.arrived
    assert dispatcher.conserved


class StopsAtOnce(Observer):
    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def on_start(self, spec: RunSpec) -> None:
        self.stop.now()

    def on_progress(self, progress: Progress) -> None:
        """Nothing."""


async def test_it_can_be_stopped() -> None:
    """With what it has done."""
    stop = Stop()
    result: RunResult = await aurea_engine.run(spec_of(5, duration=1e6), [StopsAtOnce(stop)], stop=stop)
    assert result.status == "cancelled"
    assert result.counts.completed == result.counts.arrived > 0


@pytest.mark.parametrize(
    ("spec", "whether"),
    [
        (spec_of(5, jobs=9), True),
        (spec_of(5, jobs=9, slots=5), True),
        (spec_of(5, jobs=9, slots=4), False),
        (RunSpec(Workload(Sleep(0.001), Closed(5), jobs=9)), False),
        (RunSpec(Workload(Sleep(0.0), Closed(5, 0.1), jobs=9)), False),
        (RunSpec(Workload(Faulty(Sleep(0.0), 0.5), Closed(5), jobs=9)), False),
        (RunSpec(Workload(Sleep(0.0), jobs=9)), False),
    ],
    ids=["users alone", "a slot for everyone", "a slot too few", "jobs take time", "users think", "faulty", "no users"],
)
def test_it_is_for_nothing_else(spec: RunSpec, whether: bool) -> None:
    """Everything else takes the general driver."""
    assert whether is can_sprint(spec)
