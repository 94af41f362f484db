"""All drivers that accept a specification give the same run: columns, counts, meters, peak and cost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Closed,
    Constant,
    ConstantRate,
    Distribution,
    Empirical,
    Exponential,
    Faulty,
    Fifo,
    JobBatch,
    Lifo,
    Limited,
    Objective,
    Outcome,
    PerJob,
    PerSecond,
    Poisson,
    Priority,
    Replay,
    RunParts,
    RunSpec,
    Scheduler,
    Shard,
    ShortestFirst,
    Sleep,
    Trace,
    Workload,
    simulate,
)
from aurea_engine.costs import InstanceBusy, Packed
from aurea_engine.run import event_heap, plan
from aurea_engine.run.context import DriverStats, RunContext
from aurea_engine.run.driver import DRIVERS, Driver, pick_driver, step_to_end
from aurea_engine.run.event_heap import EventHeap
from aurea_engine.run.execution import Execution
from aurea_engine.run.kernels import FifoKernel, KeyedKernel
from aurea_engine.run.realtime import RealTimeDriver
from aurea_engine.testing import run_jumping

NS = 1_000_000_000
DISCIPLINES = (Fifo, Lifo, ShortestFirst, Priority)
Watch = Callable[[int], bool]


def never(_elapsed_ns: int) -> bool:
    return False


def drive(spec: RunSpec, driver: Driver, watch: Watch = never, *, live: bool = False) -> tuple[RunParts, int | None]:
    """What ``driver`` measured, and the instant at which the run was stopped."""
    execution = Execution(spec, Shard(), lambda _, elapsed: watch(elapsed), live=live)
    step_to_end(driver.drive(execution.context))
    assert execution.context.dispatcher.conserved
    return execution.close("completed"), execution.context.plan.stopped_ns


def comparable(parts: RunParts) -> bytes:
    """All of it but the time of day, the machine, and whether records were kept."""
    reports = tuple(
        replace(report, timeline=replace(report.timeline, started_at=EPOCH), environment={}) for report in parts.shards
    )
    return replace(parts, shards=reports, records=None).to_bytes()


EPOCH = simulate(RunSpec(Workload(Sleep(0.0), jobs=1), seed=0)).started_at


def accepting(spec: RunSpec) -> list[Driver]:
    found = [driver for driver in DRIVERS if driver.accepts(spec)]
    assert found
    return found


def assert_same_rows(one: JobBatch | None, two: JobBatch | None) -> None:
    assert one is not None
    assert two is not None
    theirs = two.columns()
    assert one.schema == two.schema
    for name, column in one.columns().items():
        np.testing.assert_array_equal(column, theirs[name], name)


def assert_all_alike(spec: RunSpec) -> RunParts:
    """Every driver that accepts ``spec``, watched and unwatched, with and without records."""
    whole, stopped = drive(spec, EventHeap())
    for driver, live, keep in itertools.product(accepting(spec), (False, True), (True, False)):
        parts, at = drive(replace(spec, keep_jobs=keep), driver, live=live)
        assert at == stopped
        assert comparable(parts) == comparable(whole)
        if keep:
            assert_same_rows(parts.records, whole.records)
        else:
            assert parts.records is None
    return whole


some = st.integers(1, 30).map(lambda n: n / 100)
aborting = st.sampled_from(
    [
        (Objective("failure_ratio", at_most=0.2, abort=True),),
        (Objective("response_time", at_most=0.1, quantile=0.5, abort=True),),
        (Objective("cost", at_most=0.0005, abort=True), Objective("failure_ratio", at_most=0.0, abort=True)),
    ]
)
costs = st.sampled_from(
    [PerSecond("0.001"), PerJob(1), InstanceBusy(price="0.5", concurrency=2), Packed(price="0.1", concurrency=2)]
)


@st.composite
def specs(draw: st.DrawFn, *, plain: bool = False) -> RunSpec:
    """Any run in virtual time. Half of them are ``plain``, so that the kernels accept many of them."""
    spec: RunSpec = draw(st.from_type(RunSpec))
    stop_at, drain = draw(st.none() | some), draw(st.none() | st.sampled_from([0.0, 0.1, 0.25]))
    spec = replace(spec, cost=draw(costs), workload=replace(spec.workload, stop_at=stop_at, drain=drain))
    if plain or draw(st.booleans()):
        return replace(spec, scheduler=replace(spec.scheduler, queue_limit=None))
    patience, deadline = draw(st.none() | st.from_type(Distribution)), draw(st.none() | some)
    workload = replace(spec.workload, patience=patience, deadline=deadline)
    return replace(spec, workload=workload, objectives=draw(st.just(()) | aborting))


@given(spec=specs())
@settings(max_examples=60)
@example(spec=RunSpec(Workload(Sleep(0.0), AllAtOnce(), jobs=5), Fifo(2), seed=0, clock="virtual"))
@example(spec=RunSpec(Workload(Replay((0.0, 0.1, 0.0, 0.0)), AllAtOnce(), jobs=9), Lifo(3), seed=0, clock="virtual"))
@example(
    spec=RunSpec(
        Workload(Replay((0.1, 0.0)), Trace((0.0, 0.1, 0.1, 0.2)), stop_at=0.1), Fifo(1), seed=0, clock="virtual"
    )
)
@example(
    spec=RunSpec(Workload(Sleep(0.1), Trace((0.0, 0.1, 0.1, 0.2)), drain=0.1), Priority(1), seed=0, clock="virtual")
)
@example(spec=RunSpec(Workload(Sleep(0.1), AllAtOnce(), jobs=9, drain=0.0), Fifo(2), seed=0, clock="virtual"))
def test_all_drivers_are_alike(spec: RunSpec) -> None:
    """Open and closed, every discipline, limits, faults, stops, drains, patience, deadlines and aborting objectives."""
    assert_all_alike(spec)


def stopping(look: int) -> Watch:
    """Says stop from look number ``look`` on."""
    looks = itertools.count()
    return lambda _: next(looks) >= look


@given(spec=specs(), look=st.integers(0, 12), live=st.booleans(), keep=st.booleans(), block=st.sampled_from([1, 3, 8]))
@settings(max_examples=60)
def test_an_outside_stop_is_a_stop_at(spec: RunSpec, look: int, live: bool, keep: bool, block: int) -> None:
    """Stopped at any look, each driver gives what all give for a ``stop_at`` of the instant at which it did.

    Blocks of arrivals and turns between looks are made small, so that looks fall everywhere, also between two arrivals of
    one instant. Not the same are users who do not think (they may come back at the very instant of the look), and whoever
    waits for the last arrival: a drain, or objectives that depend on how many jobs there are.
    """
    arrivals = spec.workload.arrivals
    assume(not isinstance(arrivals, Closed) or arrivals.think_time == Constant(0.25))
    objectives = tuple(objective for objective in spec.objectives if objective.metric == "cost")
    spec = replace(spec, keep_jobs=keep, objectives=objectives)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plan, "BLOCK", block)
        patched.setattr(event_heap, "LOOK", block)
        for driver in accepting(spec):
            parts, stopped = drive(spec, driver, stopping(look), live=live)
            _, natural = drive(spec, driver)
            if (
                not stopped or stopped == natural
            ):  # it ended before, of itself, or at the very instant at which it began
                continue
            ended = replace(spec, workload=replace(spec.workload, stop_at=stopped / NS, drain=None))
            for other in accepting(ended):
                again, at = drive(ended, other)
                # With nobody left and no arrival before it, a ``stop_at`` that is ahead stops nothing.
                assert at == stopped or (at is None and not parts.meters.counts[Outcome.CANCELLED])
                assert (again.meters, again.metered) == (parts.meters, parts.metered)
                assert again.shards[0].totals == parts.shards[0].totals
                if keep:
                    assert_same_rows(again.records, parts.records)


LONG = Workload(Sleep(Exponential(0.01)), Poisson(320), jobs=20_000)


@pytest.mark.parametrize("scheduler", [kind(slots) for kind in DISCIPLINES for slots in (4, 700)], ids=str)
@pytest.mark.parametrize(
    "workload",
    [
        pytest.param(LONG, id="M/M/4"),
        pytest.param(Workload(Sleep(0.01), ConstantRate(100), jobs=9_000), id="always full"),
        pytest.param(Workload(Sleep(0.5), ConstantRate(1000), stop_at=8.0), id="stopped"),
        pytest.param(Workload(Sleep(0.0), AllAtOnce(), jobs=9_000), id="no time at all"),
        pytest.param(
            Workload(Limited(Faulty(Sleep(Exponential(0.1)), 0.5), 0.1), Poisson(90), jobs=9_000), id="faults"
        ),
        pytest.param(Workload(Sleep(Exponential(0.01)), Poisson(320), duration=20.0, drain=0.02), id="drained"),
    ],
)
def test_long_runs_are_alike(workload: Workload, scheduler: Scheduler) -> None:
    """More jobs than one block of 4,096 holds, so that work is carried from block to block."""
    assert_all_alike(RunSpec(workload, scheduler, seed=1, clock="virtual"))


def test_each_driver_takes_what_it_can() -> None:
    """A subclass may do anything, and whoever is rejected or leaves is more than a kernel knows."""

    class Mine(Fifo):
        pass

    spec = RunSpec(Workload(Sleep(0.1), jobs=3), clock="virtual")

    def picked(scheduler: Scheduler, **limits: object) -> type[Driver]:
        workload = replace(spec.workload, **limits)  # type: ignore[arg-type]
        return type(pick_driver(replace(spec, workload=workload, scheduler=scheduler)))

    assert picked(Fifo(2)) is picked(Fifo(2), stop_at=1.0) is picked(Fifo(2), drain=1.0) is FifoKernel
    assert {picked(kind(2)) for kind in (Lifo, ShortestFirst, Priority)} == {KeyedKernel}
    assert picked(Fifo(2), arrivals=Closed(3)) is picked(Fifo(2), patience=Constant(1.0)) is EventHeap
    assert (
        picked(Mine(2))
        is picked(Fifo())
        is picked(Fifo(2, queue_limit=3))
        is picked(Fifo(2), deadline=1.0)
        is EventHeap
    )
    assert type(pick_driver(replace(spec, clock="real"))) is RealTimeDriver


@given(spec=st.from_type(RunSpec))
def test_somebody_accepts_everything(spec: RunSpec) -> None:
    """The last driver of each clock does."""
    heap, real = DRIVERS[-2:]
    assert heap.accepts(spec)
    assert real.accepts(replace(spec, clock="real"))
    assert not real.accepts(spec)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_stop_has_the_same_counts(discipline: type[Scheduler]) -> None:
    """1,000/s of 1 s on 1,500 slots, ended at 50 s: job i ends at i/1000 + 1, so 49,001 have and 999 have not."""
    spec = RunSpec(Workload(Sleep(1.0), ConstantRate(1000), stop_at=50.0), discipline(1500), seed=1, clock="virtual")
    assert len(accepting(spec)) == 2
    for driver in accepting(spec):
        parts, at = drive(spec, driver)
        assert (at, parts.shards[0].totals.arrived) == (50 * NS, 50_000)
        assert parts.meters.counts == {Outcome.COMPLETED: 49_001, Outcome.CANCELLED: 999}
        assert parts.records is not None
        assert set(parts.records.finished[parts.records.outcome == Outcome.CANCELLED].tolist()) == {50 * NS}


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_real_time_stops_alike(discipline: type[Scheduler]) -> None:
    """The same on a loop whose time jumps: job by job what virtual time gives."""
    spec = RunSpec(Workload(Sleep(1.0), ConstantRate(1000), stop_at=50.0), discipline(1500), seed=1)
    virtual, real = simulate(spec), run_jumping(spec)
    assert (real.counts.arrived, real.counts.completed, real.counts.cancelled) == (50_000, 49_001, 999)
    assert virtual.counts == real.counts
    assert virtual.concurrency.peak == real.concurrency.peak
    assert_same_rows(virtual.jobs, real.jobs)


def test_a_look_comes_without_any_end() -> None:
    """One long job on one slot, and arrivals without end that are rejected: it can be stopped all the same."""
    spec = RunSpec(Workload(Sleep(1e6), Poisson(1000), duration=1e5), Fifo(1, 0), seed=1, clock="virtual")
    parts, stopped = drive(spec, EventHeap(), stopping(3))
    assert stopped is not None
    assert 0 < parts.shards[0].totals.arrived < 50_000


def test_users_who_come_back_at_once_are_stopped() -> None:
    """They are rejected and return at the same instant: it would never pass, and the run is stopped within it."""
    spec = RunSpec(Workload(Sleep(1.0), Closed(3), jobs=900_000), Fifo(1, 0), seed=1, clock="virtual")
    parts, stopped = drive(spec, EventHeap(), stopping(3))
    assert stopped == 1
    assert parts.shards[0].totals.arrived < 50_000


def test_a_driver_of_virtual_time_may_not_wait() -> None:
    """`step_to_end` says so, instead of a run that never ends."""

    class Waits:
        def accepts(self, spec: RunSpec) -> bool:
            return True

        async def drive(self, run: RunContext) -> DriverStats:
            await asyncio.sleep(0)
            return run.stats

    with pytest.raises(AssertionError, match="waited for something"):
        drive(RunSpec(Workload(Sleep(0.1), jobs=1), seed=0, clock="virtual"), Waits())


def test_no_patience_at_all_is_alike() -> None:
    """Jobs that leave at the instant at which they come, on both clocks."""
    workload = Workload(Sleep(0.1), AllAtOnce(), jobs=9, patience=Empirical((0.0, 0.1)))
    spec = RunSpec(workload, Lifo(1), seed=1)
    assert_same_rows(simulate(spec).jobs, run_jumping(spec).jobs)
