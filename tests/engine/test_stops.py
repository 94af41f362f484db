"""A run that ends early ends at one instant, and the same way whatever path and whatever clock ran it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Closed,
    ConstantRate,
    Distribution,
    Empirical,
    Exponential,
    Faulty,
    Fifo,
    JobBatch,
    Lifo,
    Objective,
    Observer,
    Outcome,
    PerJob,
    Poisson,
    Priority,
    Progress,
    RunResult,
    RunSpec,
    Scheduler,
    ShortestFirst,
    Sleep,
    SpecError,
    Stop,
    Streams,
    Trace,
    Workload,
    simulate,
)
from aurea_engine.codec.results import result_to_dict
from aurea_engine.costs import Metering
from aurea_engine.run.context import RunContext
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.driver import Driver, pick_driver, step_to_end
from aurea_engine.run.event_heap import EventHeap
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import Recorder
from aurea_engine.run.stop_conditions import StopConditions
from aurea_engine.testing import check_result, run_jumping

NS = 1_000_000_000
DISCIPLINES = (Fifo, Lifo, ShortestFirst, Priority)
Compare = Callable[[RunResult, RunResult], None]

some = st.integers(1, 30).map(lambda n: n / 100)
objectives = st.sampled_from(
    [
        (),
        (Objective("failure_ratio", at_most=0.2, abort=True),),
        (Objective("response_time", at_most=0.1, quantile=0.5, abort=True),),
        (Objective("waiting_time", at_most=0.0, quantile=0.5, abort=True),),
        (Objective("cost", at_most=0.0005, abort=True), Objective("failure_ratio", at_most=0.0, abort=True)),
    ]
)


@st.composite
def ending_specs(draw: st.DrawFn) -> RunSpec:
    """Any run, which may end early and whose jobs may leave."""
    spec: RunSpec = draw(st.from_type(RunSpec))
    workload = replace(
        spec.workload,
        patience=draw(st.none() | st.from_type(Distribution)),
        deadline=draw(st.none() | some),
        drain=draw(st.none() | st.sampled_from([0.0, 0.1, 0.25])),
        stop_at=draw(st.none() | some),
    )
    return replace(spec, workload=workload, objectives=draw(objectives))


@given(spec=ending_specs())
@settings(max_examples=40)
@example(spec=RunSpec(Workload(Sleep(0.1), Closed(4), jobs=9, duration=0.25, drain=0.05), Fifo(1), seed=1))
@example(spec=RunSpec(Workload(Sleep(0.1), AllAtOnce(), jobs=9, patience=Empirical((0.1, 0.2))), Lifo(1), seed=1))
@example(spec=RunSpec(Workload(Sleep(0.1), AllAtOnce(), jobs=9, deadline=0.3), Fifo(2), seed=1))
def test_both_clocks_end_alike(spec: RunSpec, same_jobs: Compare) -> None:
    """Every limit, alone and together: the same jobs at the same instants, the same status, counts and bill."""
    virtual, real = simulate(spec), run_jumping(spec)
    same_jobs(virtual, real)
    assert (virtual.status, virtual.counts) == (real.status, real.counts)
    assert (virtual.cost.total, virtual.window, virtual.duration) == (real.cost.total, real.window, real.duration)
    assert virtual.concurrency.peak == real.concurrency.peak
    check_result(virtual)


def driven(
    spec: RunSpec, watch: Callable[[int], bool] = lambda _: False, *, driver: Driver | None = None
) -> tuple[JobBatch, int | None, Dispatcher]:
    """Records, the instant at which it was stopped, and what the dispatcher saw."""
    assert spec.seed is not None
    spec = replace(spec, clock="virtual")
    recorder = Recorder(spec, Metering(spec.cost), live=True)
    dispatcher = Dispatcher(spec.scheduler)
    plan = JobPlan(spec.workload, Streams(spec.seed), simulated=True)
    conditions = StopConditions.of(spec, plan, dispatcher, recorder, watch)
    step_to_end((driver or pick_driver(spec)).drive(RunContext(spec, plan, dispatcher, recorder, conditions)))
    assert dispatcher.conserved
    jobs = recorder.close()
    assert jobs is not None
    return jobs, plan.stopped_ns, dispatcher


def assert_equal(one: JobBatch, two: JobBatch) -> None:
    theirs = two.columns()
    for name, column in one.columns().items():
        np.testing.assert_array_equal(column, theirs[name], name)


@pytest.mark.parametrize("limit", [None, 100_000], ids=["no limit", "unused limit"])
@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_stop_is_the_same_for_every_discipline(discipline: type[Scheduler], limit: int | None) -> None:
    """1,000/s of 1 s on 1,500 slots, ended at 50 s: job i ends at i/1000 + 1, so 49,001 have and 999 have not."""
    spec = RunSpec(Workload(Sleep(1.0), ConstantRate(1000), stop_at=50.0), discipline(1500, limit), seed=1)
    result = simulate(spec)
    counts = result.counts
    assert (counts.arrived, counts.completed, counts.cancelled) == (50_000, 49_001, 999)
    assert result.jobs is not None
    assert set(result.jobs.finished[result.jobs.outcome == Outcome.CANCELLED].tolist()) == {50 * NS}
    assert (result.status, result.duration, result.window, result.offered_rate) == ("completed", 50, (0, 50), 1000)


LONG = Workload(Sleep(Exponential(0.02)), Poisson(1000), jobs=80_000)


@pytest.mark.parametrize(
    "spec",
    [
        *(pytest.param(RunSpec(LONG, kind(slots), seed=2), id=f"{kind.__name__}({slots})")
          for kind, slots in itertools.product(DISCIPLINES, (19, 25))),
        pytest.param(RunSpec(LONG, Fifo(25, 100_000), seed=2), id="general"),
        pytest.param(RunSpec(replace(LONG, job=Faulty(Sleep(0.02), 0.5)), Fifo(25), seed=2), id="faulty"),
        pytest.param(RunSpec(replace(LONG, arrivals=Closed(30, 0.01)), Fifo(25), seed=2), id="closed"),
        pytest.param(RunSpec(replace(LONG, job=Sleep(0.0), arrivals=Closed(30, 0.01)), Fifo(9), seed=2), id="no time"),
    ],
)  # fmt: skip
def test_a_stop_from_outside_is_a_stop_at(spec: RunSpec) -> None:
    """On every path it takes effect at one instant: the same run ended then by ``stop_at`` has the same records."""
    looks = iter(range(10**9))
    jobs, cut, dispatcher = driven(spec, lambda _: next(looks) > 2 or dispatcher_is_general(spec))
    assert cut is not None
    assert len(jobs) == dispatcher.arrived < 80_000
    ended = replace(spec, workload=replace(spec.workload, stop_at=cut / NS))
    again, at, _ = driven(ended)
    assert at == cut
    assert_equal(jobs, again)


def dispatcher_is_general(spec: RunSpec) -> bool:
    """The general loops look once in 65,536 jobs: the first look must do."""
    return isinstance(pick_driver(replace(spec, clock="virtual")), EventHeap)


def test_a_stop_lets_the_ends_of_its_instant_happen() -> None:
    """And no arrival: at 2 s one job ends, one is half done, one waits, and the one of 2 s has not come."""
    workload = Workload(Sleep(2.0), Trace((0.0, 1.0, 1.5, 2.0)), stop_at=2.0)
    jobs = simulate(RunSpec(workload, Fifo(2), seed=0)).jobs
    assert jobs is not None
    assert jobs.outcome.tolist() == [Outcome.COMPLETED, Outcome.CANCELLED, Outcome.CANCELLED]
    assert jobs.started.tolist() == [0, NS, -1]
    assert jobs.finished.tolist() == [2 * NS, 2 * NS, -1]


def test_a_run_that_ends_before_its_stop_is_whole() -> None:
    """A stop that is never reached changes nothing but the specification."""
    spec = RunSpec(Workload(Sleep(0.1), Closed(3, 0.1), jobs=20), Fifo(2), seed=0)
    with_stop = simulate(replace(spec, workload=replace(spec.workload, stop_at=100.0)))
    plain = simulate(spec)
    assert with_stop.window == plain.window
    assert (with_stop.counts, with_stop.findings) == (plain.counts, plain.findings)


def test_the_drain_ends_with_its_time() -> None:
    """20/s for 2 s of 1 s jobs on one slot: the last comes at 1.95 s, and 6 have ended 5 s later instead of 40 in 40 s."""
    result = simulate(RunSpec(Workload(Sleep(1.0), ConstantRate(20), duration=2, drain=5.0), Fifo(1), seed=0))
    assert (result.counts.arrived, result.counts.completed, result.counts.cancelled) == (40, 6, 34)
    assert (result.status, result.duration, result.offered_rate) == ("completed", 6.95, 20.0)
    (finding,) = [finding for finding in result.findings if finding.code == "not_drained"]
    assert "34" in finding.detail


def test_a_drain_that_suffices_says_nothing() -> None:
    """All jobs ended in time: no finding."""
    result = simulate(RunSpec(Workload(Sleep(1.0), ConstantRate(20), duration=2, drain=1.0), Fifo(40), seed=0))
    assert result.counts.completed == 40
    assert "not_drained" not in {finding.code for finding in result.findings}


def test_the_closed_drain_waits_for_the_duration() -> None:
    """Users who think when the duration is over send nothing more; until then nobody knows which job is the last."""
    workload = Workload(Sleep(0.4), Closed(2, 10.0), duration=5.0, drain=0.1)
    result = simulate(RunSpec(workload, Fifo(2), seed=0))
    assert (result.counts.completed, result.counts.cancelled) == (2, 0)
    busy = simulate(RunSpec(replace(workload, arrivals=Closed(2, 0.0)), Fifo(1), seed=0))
    assert (busy.counts.completed, busy.counts.cancelled, busy.duration) == (12, 2, 5.0)


class Jumps:
    """A monotonic clock on which time flies, however fast the machine is."""

    def __init__(self, step: int) -> None:
        self.now, self._step = 0, step

    def __call__(self) -> int:
        self.now += self._step
        return self.now


class Watching(Observer):
    def on_progress(self, progress: Progress) -> None:
        """Looks at what it is shown."""


def figures(result: RunResult) -> bytes:
    """All of the result as JSON, but for its name, the time of day and the machine."""
    body = result_to_dict(result)
    for name in ("benchmark_id", "start_time", "end_time", "environment"):
        del body[name]
    del body["usage"]["run"]["started_at"]
    for job in body["jobs"]:
        del job["job_id"], job["timestamp"]
    return msgspec.json.encode(body)


@pytest.fixture
def both_cores_busy() -> Iterator[None]:
    """Processes that burn every core, and one to spare."""
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range((os.cpu_count() or 1) + 1)]
    yield
    for process in burning:
        process.kill()
        process.wait()


def aborting_run(seed: int) -> RunResult:
    """One that an objective ends among some hundred thousand jobs: more than one look, digest and report long."""
    workload = Workload(Faulty(Sleep(Exponential(0.02)), 0.1), Poisson(190), jobs=200_000)
    objectives = (Objective("cost", at_most=1.0, abort=True), Objective("response_time", at_most=0.5, quantile=0.5))
    return simulate(RunSpec(workload, Fifo(4), cost=PerJob("0.00001"), seed=seed, objectives=objectives), [Watching()])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_load_decides_nothing(seed: int, request: pytest.FixtureRequest) -> None:
    """A watched run that an objective ends: byte by byte the same on a quiet machine and with every core taken."""
    quiet = aborting_run(seed)
    request.getfixturevalue("both_cores_busy")
    loaded = aborting_run(seed)
    assert quiet.status == loaded.status == "aborted"
    assert quiet.counts.arrived > 100_000
    assert figures(quiet) == figures(loaded)


@pytest.mark.parametrize("keep", [True, False], ids=["records", "no records"])
@pytest.mark.parametrize(
    "limits",
    [{}, {"abort": True}, {"patience": Exponential(0.02)}, {"stop_at": 20.0}],
    ids=["plain", "abort", "patience", "stop_at"],
)
def test_no_clock_decides_a_virtual_run(limits: dict[str, object], keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watched or not, on a clock that stands and on one that leaps between any two looks: the same, whatever it is."""
    abort = bool(limits.get("abort"))
    workload = Workload(Faulty(Sleep(Exponential(0.02)), 0.1), Poisson(200), jobs=6_000,
                        **{name: limit for name, limit in limits.items() if name != "abort"})  # type: ignore[arg-type]  # fmt: skip
    spec = RunSpec(workload, Fifo(4), cost=PerJob("0.01"), seed=7, clock="virtual", keep_jobs=keep,
                   objectives=(Objective("cost", at_most=30.0, abort=abort),))  # fmt: skip
    results = []
    for observers, step in (([], 0), ([Watching()], 0), ([Watching()], NS)):
        clock = Jumps(step)
        monkeypatch.setattr("aurea_engine.engine.perf_counter_ns", clock)
        result = simulate(spec, observers)
        assert result.status == ("aborted" if abort else "completed")
        results.append(figures(result))
    assert results[0] == results[1] == results[2]


def test_a_stop_needs_no_other_end() -> None:
    """It is one; and a warm-up beyond it leaves nothing to measure."""
    assert Workload(Sleep(0.1), Poisson(10), stop_at=1.0).stop_at == 1.0
    with pytest.raises(SpecError, match="stop_at"):
        Workload(Sleep(0.1), Poisson(10))
    with pytest.raises(SpecError, match="jobs"):
        Workload(Sleep(0.1), AllAtOnce(), stop_at=1.0)
    with pytest.raises(SpecError, match=r"shorter than workload\.stop_at"):
        RunSpec(Workload(Sleep(0.1), Poisson(10), duration=9, stop_at=1.0), warmup=1.0)


class StopsSoon(Observer):
    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def on_start(self, spec: RunSpec) -> None:
        self.stop.now("interrupted")


@pytest.mark.parametrize("scheduler", [Fifo(4), Lifo(4), Fifo(4, 9)], ids=str)
def test_a_stopped_run_keeps_its_identities(scheduler: Scheduler) -> None:
    """Its status says who stopped it, and its duration is the instant of the stop."""
    stop = Stop()
    result = simulate(RunSpec(LONG, scheduler, seed=1), [StopsSoon(stop)], stop=stop)
    assert result.status == "interrupted"
    assert result.jobs is not None
    assert result.jobs.finished.max() <= round(result.duration * NS)
    check_result(result)


def test_the_last_point_shows_what_was_left() -> None:
    """200/s on one slot of 10 ms: half of what came is left, in service or waiting, when the run is ended."""
    result = simulate(RunSpec(Workload(Sleep(0.01), ConstantRate(200), stop_at=5.0), Fifo(1), seed=0))
    assert [point.in_system for point in result.series] == [100, 200, 300, 400, 500]
    assert result.counts.cancelled == 500


def test_a_stop_while_all_users_think_is_the_end() -> None:
    """Two users, one job of 0.1 s each, then a thought of an hour: the run is two jobs in the 5 s that were asked for."""
    spec = RunSpec(Workload(Sleep(0.1), Closed(2, 3600.0), stop_at=5.0), Fifo(2), seed=0)
    for result in (simulate(spec), run_jumping(spec)):
        assert (result.window, result.throughput, result.offered_rate) == ((0.0, 5.0), 0.4, 0.4)
        assert (result.counts.completed, result.counts.cancelled, result.findings[0].code) == (2, 0, "too_few_samples")
