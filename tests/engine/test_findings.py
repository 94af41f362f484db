"""Every finding is raised by the run that deserves it, and not by its quiet neighbour."""

from __future__ import annotations

import asyncio
import gc
import math
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import pytest

import aurea_engine
from aurea_engine import (
    FINDING_CODES,
    Access,
    AllAtOnce,
    Arrivals,
    Bell,
    CallbackPool,
    Chat,
    Closed,
    Constant,
    ConstantRate,
    CostModel,
    Exponential,
    Faulty,
    Fifo,
    Finding,
    GammaArrivals,
    Job,
    JobSetup,
    Mixture,
    Objective,
    Observer,
    Outcome,
    Pareto,
    PerSecond,
    Poisson,
    PoolState,
    Progress,
    Replay,
    RunResult,
    RunSpec,
    Severity,
    Shard,
    Sleep,
    Stop,
    Thresholds,
    Trace,
    Weighted,
    Workload,
    simulate,
)
from aurea_engine.costs import Sheet
from aurea_engine.engine import execute
from aurea_engine.results.arrival_fit import find_poisson_misfits
from aurea_engine.results.summarize import summarize
from aurea_engine.run import job_columns
from aurea_engine.run.shard_facts import ProcessFacts
from aurea_engine.shards import coordinator
from aurea_engine.shards.coordinator import Coordinator
from aurea_engine.shards.split import prepare_spec
from aurea_engine.studies.repeat import repeat
from aurea_engine.studies.runner import RunHere
from aurea_engine.targets.chat.columns import MEASURES
from aurea_engine.targets.chat.simulated import SimulatedChat
from aurea_engine.testing import FakeConnections, FakeRequests, JumpingLoop, ManualClock, run_jumping
from aurea_engine.workload.streams import derive_seed
from tests.engine.shards.fake_shards import FakeShard
from tests.planned_chat import PlannedChat

STEADY = Workload(Sleep(0.001), ConstantRate(1000), duration=1)


def codes(result: RunResult) -> set[str]:
    return {finding.code for finding in result.findings}


def held_up(spec: RunSpec, *seconds: float, observers: Sequence[Observer] = ()) -> RunResult:
    """In real time by a clock that leaps over so many seconds at once, again and again, until the run is over."""

    async def main() -> RunResult:
        clock = ManualClock()
        running = asyncio.create_task(aurea_engine.run(spec, observers, clock=clock))
        for leap in seconds:
            await clock.advance(leap, at_once=True)
        while not running.done():
            await clock.advance(0.01)
        return running.result()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main())


class BusyClock:
    """Time passes by being looked at, and never by waiting: a generator that is at work all the time."""

    def __init__(self, step: int) -> None:
        self._ns, self._step = 0, step

    def now(self) -> int:
        self._ns += self._step
        return self._ns

    async def wait(self, until: int, bell: Bell, exact: bool) -> None:
        await asyncio.sleep(0)


def saturated(spec: RunSpec, observers: Sequence[Observer] = ()) -> RunResult:
    with asyncio.Runner() as runner:
        return runner.run(aurea_engine.run(spec, observers, clock=BusyClock(20_000)))


@dataclass(frozen=True)
class Littering(Job):
    """Sets off a garbage collection, of the youngest objects, since those of the whole session take long."""

    async def run(self, demand: float) -> None:
        gc.collect(0)


class Broken(CostModel):
    """Cannot be priced."""

    def components(self) -> tuple[()]:
        raise RuntimeError("no price today")


def stopped(spec: RunSpec) -> RunResult:
    stop = Stop()
    stop.now()
    return simulate(spec, stop=stop)


def served(arrivals: Arrivals, service: float, *, jobs: int = 3000) -> RunResult:
    return simulate(RunSpec(Workload(Sleep(Exponential(service)), arrivals, jobs=jobs), Fifo(2), seed=3))


def littered(limit: float) -> RunResult:
    return run_jumping(RunSpec(Workload(Littering(), jobs=3), seed=0, thresholds=Thresholds(gc_pause=limit)))


def traced(start: Callable[[Any], None] | None, job: Job) -> RunResult:
    """While ``start`` has told Python of a function that looks on, and nothing else does: coverage may measure this test."""
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        if start is not None:
            start(lambda *_: None)
        return run_jumping(RunSpec(Workload(job, jobs=3), seed=0))
    finally:
        sys.setprofile(profiler)
        sys.settrace(tracer)


def settling(*waits: float) -> RunResult:
    return simulate(RunSpec(Workload(Replay(waits), ConstantRate(1), jobs=len(waits)), seed=0, warmup="auto"))


def turned_away(think: float, *, keep: bool = True, jobs: int = 1000) -> RunResult:
    """Five users for one place: the field case, and with a pause of a tenth of a service time."""
    workload = Workload(Sleep(0.1), Closed(5, Constant(think)), jobs=jobs)
    return simulate(RunSpec(workload, Fifo(1, queue_limit=0), seed=1, keep_jobs=keep))


def on_connections(job: Job) -> RunResult:
    """Ten seconds of 100 jobs a second, each of which takes a tenth of a second on a connection."""
    return run_jumping(RunSpec(Workload(job, ConstantRate(100), duration=10), seed=0))


class Idle(FakeRequests):
    """Each is answered at once, so that no connection ever has anything to do."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        class AtOnce(FakeConnections):
            def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
                self.done(job, self.now(), self.now(), Outcome.COMPLETED)

        yield AtOnce(self.connections)


class Fails(FakeRequests):
    """One job in a hundred fails by ``error``."""

    error: ClassVar[str] = "local"

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        error = self.error

        class Failing(FakeConnections):
            def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
                if job % 100:
                    super().start(job, demand, limit, deadline)
                else:
                    self.done(job, self.now(), self.now(), Outcome.FAILED, error=error)

        yield Failing(self.connections)


class LosesConnections(FakeRequests):
    """One request was sent on a connection that was closed."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        class Losing(FakeConnections):
            def state(self) -> PoolState:
                return replace(super().state(), lost_kept=1)

        yield Losing(self.connections)


class FailsElsewhere(Fails):
    error = "refused"


@dataclass(frozen=True)
class FakeChat(Chat):
    """Answers at once, in two frames each. Every other one tells of its ``tokens``, and that ``asked`` were asked for."""

    tokens: ClassVar[int] = -1
    asked: ClassVar[int] = -1

    @asynccontextmanager
    async def opened_in(self, setup: JobSetup) -> AsyncIterator[CallbackPool]:
        told = {"frames": 2, "input_tokens": self.tokens, "output_tokens": self.tokens, "asked_output": self.asked}

        class Answering(FakeConnections):
            def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
                reported = [told.get(measure.name, -1) if job % 2 else 2 for measure in MEASURES]
                self.done(job, self.now(), self.now(), Outcome.COMPLETED, measures=reported)

        yield Answering(1)


class ChatWithTokens(FakeChat):
    tokens = 2


class ChatOfOtherLength(ChatWithTokens):
    asked = 20


SIMULATED_CHAT = Chat("http://127.0.0.1:1", simulated=SimulatedChat(Constant(1), Constant(0.1)))


@dataclass(frozen=True)
class Rows(Sleep):
    """As many jobs as rows."""

    rows: int = 50

    def supply(self) -> int | None:
        return self.rows


class Paced(FakeRequests):
    """Asks the ceiling of the run for leave."""

    @asynccontextmanager
    async def opened_in(self, setup: JobSetup) -> AsyncIterator[CallbackPool]:  # type: ignore[override]
        assert setup.pacer is not None
        pacer = setup.pacer

        class Asking(FakeConnections):
            def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
                pacer.reserve(self.now())
                super().start(job, demand, limit, deadline)

        yield Asking(self.connections)


def run_paced(most_rate: float) -> RunResult:
    spec = RunSpec(Workload(Paced(), ConstantRate(10), jobs=100), seed=0)
    return run_jumping(spec, access=Access(most_rate=most_rate))


def divided(slots: int | None, observers: Iterable[Observer] = ()) -> RunResult:
    """Two shards; the first is observed."""
    spec = steady(1000, 200, scheduler=Fifo(slots, divided=True), clock="virtual")
    first = execute(spec, Shard(0, 2), observers)
    return summarize(spec, first.merge(execute(spec, Shard(1, 2))))


def in_shards(lost: str | None, observers: Iterable[Observer] = ()) -> RunResult:
    """Two shards, the second of which is lost at once, or not."""
    spec = RunSpec(STEADY, seed=0)
    shared = prepare_spec(spec, 2)
    half = replace(shared, clock="virtual", workload=replace(STEADY, stop_at=0.5))
    first = execute(half, Shard(0, 2))
    running = replace(first, shards=(replace(first.shards[0], status=None),), records=None)

    async def main() -> RunResult:
        holds = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, holds.set)
        shards = [
            FakeShard(shared, Shard(0, 2), holds=holds, reports=(running,)),
            FakeShard(shared, Shard(1, 2), lost=lost),
        ]
        whole = Coordinator(spec, shared, shards, observers=observers, on_loss="continue")
        parts = await whole.run()
        return whole.report_end(parts, summarize(spec, parts))

    with patch.object(coordinator, "PROGRESS_NS", 0), asyncio.Runner() as runner:
        return runner.run(main())


def with_clocks(bound: float) -> RunResult:
    """Two shards; the clock of the second is known to ± ``bound`` s."""
    parts = []
    for k in range(2):
        shard = execute(replace(RunSpec(STEADY, seed=0), clock="virtual"), Shard(k, 2))
        facts = ProcessFacts("b", 7, clock_offset_ns=10**9, clock_bound_ns=int(bound * k * 1e9))
        parts.append(replace(shard, shards=(replace(shard.shards[0], process=facts),)))
    return summarize(RunSpec(STEADY, seed=0), parts[0].merge(parts[1]))


def replicated(service: float) -> RunResult:
    """Ten replications, in the fourth of which jobs take ``service`` s on average, and 0.01 s in the others."""
    spec = RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(50), jobs=500), Fifo(1), clock="virtual", seed=1)
    odd = derive_seed(1, "replication", 4)

    class Disturbed(RunHere):
        async def run(
            self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None
        ) -> RunResult:
            job = Sleep(Exponential(service if spec.seed == odd else 0.01))
            return await super().run(replace(spec, workload=replace(spec.workload, job=job)), observers, stop=stop)

    return asyncio.run(repeat(spec, 10, runner=Disturbed()))


def billed_by_tokens(stop_at: float | None) -> RunResult:
    """Requests of a second each: those in service at ``stop_at`` report no tokens."""
    workload = Workload(PlannedChat(Constant(1)), ConstantRate(100), jobs=200, stop_at=stop_at)
    return simulate(RunSpec(workload, cost=Sheet(name="example-model"), seed=0))


CASES: dict[str, tuple[Callable[[], RunResult], Callable[[], RunResult]]] = {
    "arrivals_misfit": (
        lambda: held_up(RunSpec(Workload(Sleep(0.001), Poisson(1000), duration=1), seed=1), *[0.05] * 20),
        lambda: run_jumping(RunSpec(Workload(Sleep(0.001), Poisson(1000), duration=1), seed=1)),
    ),
    "below_floor": (
        lambda: run_jumping(RunSpec(Workload(Sleep(0.00001), ConstantRate(1000), duration=1), seed=0)),
        lambda: run_jumping(RunSpec(Workload(Sleep(0.0001), ConstantRate(1000), duration=1), seed=0)),
    ),
    "client_limited": (
        lambda: held_up(RunSpec(Workload(Idle(), ConstantRate(1000), duration=1), seed=0), 0.05),
        lambda: held_up(RunSpec(Workload(Idle(), ConstantRate(1000), duration=1), seed=0), 0.004),
    ),
    "clock_uncertain": (lambda: with_clocks(0.006), lambda: with_clocks(0.005)),
    "cost_unpriced": (
        lambda: simulate(RunSpec(STEADY, cost=Broken(), seed=0)),
        lambda: simulate(RunSpec(STEADY, cost=PerSecond("0.001"), seed=0)),
    ),
    "cpu_saturated": (
        lambda: saturated(RunSpec(Workload(Sleep(0.0), ConstantRate(30_000), jobs=12_000), Fifo(2), seed=0)),
        lambda: run_jumping(RunSpec(Workload(Sleep(0.0), ConstantRate(30_000), jobs=12_000), Fifo(2), seed=0)),
    ),
    "data_exhausted": (
        lambda: simulate(RunSpec(Workload(Rows(), ConstantRate(10), jobs=51), seed=0)),
        lambda: simulate(RunSpec(Workload(Rows(), ConstantRate(10), jobs=50), seed=0)),
    ),
    "divided": (lambda: divided(4), lambda: divided(None)),
    "gc_pause": (lambda: littered(0.0), lambda: littered(60.0)),
    "heavy_tail": (
        lambda: simulate(RunSpec(Workload(Sleep(Pareto(0.01, 1.9)), ConstantRate(10), jobs=300), seed=0)),
        lambda: simulate(RunSpec(Workload(Sleep(Pareto(0.01, 2.1)), ConstantRate(10), jobs=300), seed=0)),
    ),
    "kept_connections_lost": (
        lambda: on_connections(LosesConnections()),
        lambda: on_connections(FakeRequests(connections=10)),
    ),
    "late_releases": (
        lambda: held_up(RunSpec(STEADY, seed=0), 0.05),
        lambda: held_up(RunSpec(STEADY, seed=0), 0.004),
    ),
    "lengths_missed": (
        lambda: on_connections(ChatOfOtherLength("http://127.0.0.1:1")),
        lambda: on_connections(ChatWithTokens("http://127.0.0.1:1")),
    ),
    "local_failures": (lambda: on_connections(Fails()), lambda: on_connections(FailsElsewhere())),
    "loop_lag": (
        lambda: held_up(RunSpec(STEADY, seed=0), 0.2),
        lambda: held_up(RunSpec(STEADY, seed=0), 0.09),
    ),
    "no_steady_state": (
        lambda: settling(*[i / 100 for i in range(500)]),
        lambda: settling(*[(i * 37 % 100) / 100 for i in range(500)]),
    ),
    "not_drained": (lambda: stopped(RunSpec(STEADY, Fifo(1), seed=0)), lambda: simulate(RunSpec(STEADY, seed=0))),
    "pool_exhausted": (
        lambda: on_connections(FakeRequests(connections=9)),
        lambda: on_connections(FakeRequests(connections=10)),
    ),
    "queue_growing": (lambda: served(Poisson(300), 0.01), lambda: served(Poisson(150), 0.01)),
    "rate_shortfall": (
        lambda: held_up(RunSpec(STEADY, seed=0), 2.0),
        lambda: held_up(RunSpec(STEADY, seed=0), 0.01),
    ),
    "records_dropped": (
        lambda: simulate(RunSpec(Workload(Sleep(0.001), ConstantRate(1000), jobs=1_000_001), seed=0)),
        lambda: simulate(RunSpec(Workload(Sleep(0.001), ConstantRate(1000), jobs=10_000), seed=0, keep_jobs=False)),
    ),
    "replication_outlying": (lambda: replicated(0.03), lambda: replicated(0.01)),
    "retries_at_once": (lambda: turned_away(0.0), lambda: turned_away(0.01)),
    "shard_lost": (lambda: in_shards("it was killed"), lambda: in_shards(None)),
    "spend_unknown": (lambda: billed_by_tokens(stop_at=1.505), lambda: billed_by_tokens(stop_at=None)),
    "target_rate_limited": (lambda: run_paced(9.0), lambda: run_paced(11.0)),
    "too_few_samples": (
        lambda: simulate(RunSpec(Workload(Sleep(0.001), ConstantRate(1000), jobs=2994), seed=0)),
        lambda: simulate(RunSpec(Workload(Sleep(0.001), ConstantRate(1000), jobs=2995), seed=0)),
    ),
    "tokens_simulated": (
        lambda: simulate(RunSpec(Workload(SIMULATED_CHAT, Poisson(1), jobs=9), seed=0)),
        lambda: on_connections(ChatWithTokens("http://127.0.0.1:1")),
    ),
    "tokens_unknown": (
        lambda: on_connections(FakeChat("http://127.0.0.1:1")),
        lambda: on_connections(ChatWithTokens("http://127.0.0.1:1")),
    ),
    "tracer_active": (lambda: traced(sys.setprofile, Littering()), lambda: traced(None, Littering())),
}


def each(codes: Iterable[str]) -> list[Any]:
    """One test for each code. Records are dropped after a million jobs: seconds, and ten times that under a tracer."""
    return [pytest.param(code, marks=pytest.mark.long) if code == "records_dropped" else code for code in codes]


@pytest.mark.parametrize("code", each(CASES))
def test_a_finding_is_raised_where_it_is_deserved(code: str) -> None:
    """And says what was seen and what to try."""
    result = CASES[code][0]()
    found = [finding for finding in result.findings if finding.code == code]
    assert len(found) == 1
    assert found[0].detail
    assert found[0].advice.endswith(".")


@pytest.mark.parametrize("code", CASES)
def test_its_quiet_neighbour_does_not_raise_it(code: str) -> None:
    """The same run on the other side of the threshold."""
    assert code not in codes(CASES[code][1]())


def test_every_code_has_a_scenario() -> None:
    """Conservation has its own test below, since no run breaks it."""
    assert set(FINDING_CODES) == {*CASES, "conservation_broken"}


@pytest.mark.parametrize("lost", [0, 1])
def test_uncounted_job_makes_a_run_invalid(lost: int) -> None:
    """The dispatcher saw one more than the counts tell."""
    spec = RunSpec(Workload(Sleep(0.1), jobs=5), Fifo(1), seed=0)
    parts = execute(replace(spec, clock="virtual"))
    (report,) = parts.shards
    assert report.totals.arrived == 5
    told = replace(report, totals=replace(report.totals, arrived=5 + lost))
    found = summarize(spec, replace(parts, shards=(told,))).findings
    assert bool(lost) == any(finding.code == "conservation_broken" for finding in found)


def test_jobs_of_thirty_years_add_up() -> None:
    """Twenty times 1e18 ns leave 64 bits; the books still balance."""
    result = simulate(RunSpec(Workload(Sleep(1e9), jobs=20), Fifo(20), seed=0))
    assert "conservation_broken" not in codes(result)
    assert (result.utilization, result.concurrency.mean, result.response_time.mean) == (1.0, 20.0, 1e9)


def test_gravest_finding_is_the_verdict() -> None:
    """Valid with notes, degraded, invalid."""
    result = held_up(RunSpec(STEADY, seed=0), 2.0)
    severities = [finding.severity for finding in result.findings]
    assert severities == sorted(severities, reverse=True)
    assert result.verdict == "invalid"
    noted = simulate(RunSpec(Workload(Sleep(0.001), jobs=5), seed=0))
    assert {"too_few_samples"} == codes(noted)
    assert noted.verdict == "valid"


def test_a_finding_has_a_known_code() -> None:
    """The set is closed, since it labels a metric."""
    with pytest.raises(AssertionError):
        Finding("made_up", Severity.NOTE, "", "")


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    ("workload", "warmup", "says"),
    [
        pytest.param(Workload(Sleep(0.01), ConstantRate(100), jobs=100), 1000, "after the warm-up", id="all warm-up"),
        pytest.param(Workload(Sleep(0.01), Trace((5,)), duration=1), 0, "no job completed,", id="no job"),
        pytest.param(Workload(Faulty(Sleep(0.01), 1.0), jobs=100), 0, "no job completed,", id="all failed"),
    ],
)
def test_a_run_that_measured_nothing_is_not_valid(workload: Workload, warmup: float, says: str, keep: bool) -> None:
    """Nothing measured is nothing to trust; and what is said of an objective is what happened."""
    metrics: tuple[Any, ...] = ("response_time", "failure_ratio", "throughput")
    bounds = tuple(Objective(metric, at_most=1e-9) for metric in metrics)
    spec = RunSpec(workload, warmup=warmup, seed=0, objectives=bounds, keep_jobs=keep)
    result = simulate(spec)
    found = [finding for finding in result.findings if finding.code == "too_few_samples"]
    assert [finding.severity for finding in found] == [Severity.DEGRADED]
    assert says in found[0].detail
    assert result.verdict == "degraded"
    for judged in result.objectives:
        assert judged.outcome != "met" or judged.objective.metric == "throughput"
        assert ("no job arrived" in judged.detail) <= (result.counts.arrived == 0)


def test_auto_warmup_needs_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """MSER-5 needs the records, and a run that outgrows them has none."""
    monkeypatch.setattr(job_columns, "KEPT_JOBS", 4096)
    spec = RunSpec(Workload(Sleep(0.001), ConstantRate(1000), jobs=5000), seed=0, warmup="auto")
    (found,) = [finding for finding in simulate(spec).findings if finding.code == "no_steady_state"]
    assert "were not kept" in found.detail
    assert "1,000,000" in found.advice


@pytest.mark.parametrize("significance", [5e-324, 1e-300, 0.4999])
def test_any_significance_is_one(significance: float) -> None:
    """The smallest number there is halves to nothing, which has no logarithm."""
    released = np.cumsum(np.random.default_rng(0).exponential(1e7, 1000)).astype(np.int64)
    assert find_poisson_misfits(released, 100, significance) == [] or significance > 0.4
    assert find_poisson_misfits(np.arange(1000) * 10**7, 100, significance)


@pytest.mark.parametrize("start", [sys.settrace, sys.setprofile])
def test_a_tracer_matters_to_python_code(start: Callable[[Any], None]) -> None:
    """Of jobs that only let time pass it is a note: what it does to the generator, other checks see."""
    for job, severity in ((Littering(), Severity.DEGRADED), (Sleep(0.001), Severity.NOTE)):
        (found,) = [each for each in traced(start, job).findings if each.code == "tracer_active"]
        assert (found.severity, found.detail) == (
            severity,
            f"{__name__.partition('.')[0]} traced the process that ran the jobs",
        )


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="PEP 669 came with Python 3.12")
def test_a_monitoring_tool_is_a_tracer() -> None:
    """Coverage is one where it can be. A tool that takes another number, such as Hypothesis, is not."""
    monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    free = [kind for kind in (monitoring.PROFILER_ID, 4) if monitoring.get_tool(kind) is None]
    seen = {}
    for kind in free:
        monitoring.use_tool_id(kind, "watcher")
        try:
            seen[kind] = traced(None, Littering()).environment.get("tracer")
        finally:
            monitoring.free_tool_id(kind)
    assert seen.get(4) != "watcher"
    assert seen.get(monitoring.PROFILER_ID, "watcher") in {"watcher", monitoring.get_tool(monitoring.COVERAGE_ID)}


def test_a_simulation_may_be_traced() -> None:
    """Nothing in virtual time looks at the clock."""
    assert "tracer_active" not in codes(simulate(RunSpec(STEADY, seed=0)))


def test_a_saturated_closed_model_is_only_a_note() -> None:
    """There nobody asked for a rate: the generator's own speed is the figure."""
    result = saturated(RunSpec(Workload(Sleep(0.0), Closed(5), jobs=15_000), Fifo(5), seed=0))
    found = [finding for finding in result.findings if finding.code == "cpu_saturated"]
    assert [finding.severity for finding in found] == [Severity.NOTE]


def test_client_saturates_without_a_rate_too() -> None:
    """Its figures are the client's own, whoever asked for them; and what is said is said once."""
    spec = RunSpec(Workload(Idle(), Closed(5), jobs=15_000), Fifo(5), seed=0)
    (found,) = [finding for finding in saturated(spec).findings if finding.code in ("client_limited", "cpu_saturated")]
    assert (found.code, found.severity) == ("client_limited", Severity.DEGRADED)
    assert "busy for 100 %" in found.detail


@pytest.mark.parametrize(("arrivals", "is_late"), [(Closed(10, Constant(0.01)), True), (AllAtOnce(), False)])
def test_late_client_is_found_without_rate(arrivals: Arrivals, is_late: bool) -> None:
    """Users whose thoughts are over wait for the client; jobs that are all due at once cannot be on time."""
    spec = RunSpec(Workload(Idle(), arrivals, jobs=1000), seed=0)
    assert ("client_limited" in codes(held_up(spec, *[0.05] * 10))) == is_late


def test_start_of_run_is_no_saturated_client() -> None:
    """The first thousand requests keep any client busy."""
    assert "client_limited" not in codes(saturated(RunSpec(Workload(Idle(), Closed(5), jobs=900), seed=0)))


@pytest.mark.parametrize("arrivals", [ConstantRate(1000), GammaArrivals(1000, 3)], ids=["constant", "gamma"])
def test_fitting_arrivals_are_no_misfit(arrivals: Arrivals) -> None:
    """Even ones are even; for bursty ones there is no test, so nothing is said."""
    assert "arrivals_misfit" not in codes(run_jumping(RunSpec(Workload(Sleep(0.001), arrivals, duration=1), seed=0)))


@pytest.mark.parametrize("arrivals", [ConstantRate(1000), Poisson(1000)], ids=["constant", "poisson"])
def test_otherwise_late_shards_are_judged(arrivals: Arrivals) -> None:
    """Their releases are one process: instants that fall in the order of the jobs' numbers are no reason to fail."""
    spec = RunSpec(Workload(Sleep(0.001), arrivals, duration=1), seed=0)
    parts = run_jumping(spec).parts
    assert parts is not None
    assert parts.records is not None
    released = parts.records.released.copy()
    released[1::2] += 20_000_000
    late = replace(parts, records=replace(parts.records, released=released))
    assert (released[1:] < released[:-1]).any()
    assert summarize(spec, late).counts.arrived == len(released)


def test_a_constant_rate_in_bursts_is_a_misfit() -> None:
    """Twenty releases of fifty jobs are not a thousand evenly spaced ones."""
    result = held_up(RunSpec(STEADY, seed=0), *[0.05] * 20)
    assert "arrivals_misfit" in codes(result)


def test_a_batch_is_never_late() -> None:
    """Jobs that are all meant to start at once cannot: their response times say how long it took."""
    assert "late_releases" not in codes(saturated(RunSpec(Workload(Sleep(0.0), jobs=5000), Fifo(5), seed=0)))


class Watcher(Observer):
    """Remembers how many jobs had ended when each finding was told first."""

    def __init__(self) -> None:
        self.told: dict[str, int] = {}
        self.seen: list[Finding] = []
        self.rates: dict[str, float] = {}
        self.last: tuple[Finding, ...] = ()

    def on_progress(self, progress: Progress) -> None:
        self.last = progress.findings
        for finding in progress.findings:
            if finding.code not in self.told:
                self.told[finding.code] = progress.ended
                # How often it is told depends on the machine; it may be before any virtual time has gone by.
                self.rates[finding.code] = progress.arrived / progress.elapsed if progress.elapsed else math.inf
                self.seen.append(finding)


MILLISECOND = Sleep(0.001)


def steady(rate: float, seconds: float, job: Job = MILLISECOND, **more: Any) -> RunSpec:
    return RunSpec(Workload(job, ConstantRate(rate), duration=seconds), seed=0, **more)


UNDER_WAY: dict[str, Callable[[Watcher], RunResult]] = {
    "below_floor": lambda watcher: run_jumping(steady(1000, 3, Sleep(0.00001)), [watcher]),
    "client_limited": lambda watcher: held_up(steady(1000, 2, Idle()), 0.05, observers=[watcher]),
    "cost_unpriced": lambda watcher: simulate(steady(1000, 200, cost=Broken()), [watcher]),
    "cpu_saturated": lambda watcher: saturated(steady(20_000, 5, Sleep(0)), [watcher]),
    "divided": lambda watcher: divided(4, [watcher]),
    "data_exhausted": lambda watcher: run_jumping(steady(10, 6, Rows(Constant(9.0))), [watcher]),
    "gc_pause": lambda watcher: run_jumping(steady(10, 3, Littering(), thresholds=Thresholds(gc_pause=0)), [watcher]),
    "heavy_tail": lambda watcher: simulate(steady(1000, 200, Sleep(Pareto(0.01, 1.9))), [watcher]),
    "kept_connections_lost": lambda watcher: run_jumping(steady(100, 2, LosesConnections()), [watcher]),
    "late_releases": lambda watcher: held_up(steady(1000, 2), 0.05, observers=[watcher]),
    "local_failures": lambda watcher: run_jumping(steady(1000, 2, Fails(connections=200)), [watcher]),
    "loop_lag": lambda watcher: held_up(steady(1000, 2), 0.2, observers=[watcher]),
    "pool_exhausted": lambda watcher: run_jumping(steady(100, 2, FakeRequests(connections=9)), [watcher]),
    "rate_shortfall": lambda watcher: saturated(steady(40_000, 3, Sleep(0)), [watcher]),
    "records_dropped": lambda watcher: simulate(steady(1000, 1100), [watcher]),
    "shard_lost": lambda watcher: in_shards("it was killed", [watcher]),
    "target_rate_limited": lambda watcher: run_jumping(
        steady(100, 2, Paced(connections=100)), [watcher], access=Access(most_rate=50.0)
    ),
    "retries_at_once": lambda watcher: simulate(
        RunSpec(Workload(Sleep(0.1), Closed(5), jobs=100_000), Fifo(1, queue_limit=0), seed=1), [watcher]
    ),
    "lengths_missed": lambda watcher: run_jumping(
        RunSpec(Workload(ChatOfOtherLength("http://127.0.0.1:1"), ConstantRate(100), duration=10), seed=0), [watcher]
    ),
    "tokens_simulated": lambda watcher: simulate(
        RunSpec(Workload(SIMULATED_CHAT, Closed(5), jobs=100_000), Fifo(1, queue_limit=9), seed=1), [watcher]
    ),
    "tokens_unknown": lambda watcher: run_jumping(
        RunSpec(Workload(FakeChat("http://127.0.0.1:1"), ConstantRate(100), duration=10), seed=0), [watcher]
    ),
}
"""A run for every finding that can be told before the end."""

AT_THE_END = {
    "arrivals_misfit", "clock_uncertain", "conservation_broken", "no_steady_state", "not_drained", "queue_growing",
    "replication_outlying", "spend_unknown", "too_few_samples", "tracer_active",
}  # fmt: skip


@pytest.mark.parametrize("code", each(UNDER_WAY))
def test_a_finding_is_told_as_soon_as_it_is_seen(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a report whenever one is possible, it comes before the last job has ended, and stays to the end."""
    monkeypatch.setattr("aurea_engine.engine.PROGRESS_NS", 0)
    watcher = Watcher()
    result = UNDER_WAY[code](watcher)
    assert code in codes(result)
    assert watcher.told[code] < result.counts.arrived


def test_what_is_not_told_under_way_needs_the_end() -> None:
    """Each code is in one of the two sets."""
    assert set(FINDING_CODES) == {*UNDER_WAY, *AT_THE_END}
    assert not AT_THE_END & set(UNDER_WAY)


@pytest.mark.parametrize("code", each(sorted(UNDER_WAY.keys() - {"divided"})))
def test_last_report_has_the_result_s_findings(code: str) -> None:
    """Also those that only the end shows. A shard has no result of its own, and so no last report."""
    watcher = Watcher()
    result = UNDER_WAY[code](watcher)
    assert watcher.last == result.findings


def test_first_jobs_do_not_judge_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that was late, of which nothing is left a second later, is not told."""
    monkeypatch.setattr("aurea_engine.engine.PROGRESS_NS", 0)
    watcher = Watcher()
    result = held_up(steady(1000, 20), 0.015, observers=[watcher])
    assert result.lag.max == 0.014
    assert "late_releases" not in {*codes(result), *watcher.told}


def test_shortfall_counts_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of jobs that all still run, none has ended: the rate is that of the releases all the same."""
    monkeypatch.setattr("aurea_engine.engine.PROGRESS_NS", 0)
    watcher = Watcher()
    mixture = Mixture((Weighted(1, Constant(0.0)), Weighted(9, Constant(20.0))))
    result = saturated(steady(60_000, 2, Sleep(mixture)), [watcher])
    assert "rate_shortfall" in codes(result)
    (told,) = [finding for finding in watcher.seen if finding.code == "rate_shortfall"]
    released = float(told.detail.split("at ")[1].split("/s")[0].replace(",", ""))
    assert released == pytest.approx(watcher.rates["rate_shortfall"], rel=0.05)


@pytest.mark.parametrize(
    ("users", "slots", "limit", "think", "raised"),
    [
        (2, 1, 0, Constant(0.0), True),
        (30, 4, 10, Constant(0.0), True),
        (30, 4, 10, Exponential(0.0001), True),
        (30, 4, 10, Exponential(0.01), False),
        (30, 4, 10, Mixture((Weighted(1, Constant(0.0)), Weighted(1, Constant(1.0)))), False),
        (14, 4, 10, Constant(0.0), False),
        (5, None, 0, Constant(0.0), False),
    ],
)
@pytest.mark.parametrize("keep", [True, False], ids=["records kept", "no records"])
def test_users_who_find_no_place_need_a_pause(
    users: int, slots: int | None, limit: int, think: Any, raised: bool, keep: bool
) -> None:
    """Whether somebody is rejected decides, and how soon they come again beside a service time."""
    spec = RunSpec(Workload(Sleep(0.1), Closed(users, think), jobs=500), Fifo(slots, limit), seed=1, keep_jobs=keep)
    result = simulate(spec)
    assert ("retries_at_once" in codes(result)) is raised
    assert not raised or result.verdict == "degraded"


def test_users_without_patience_spin_as_well() -> None:
    """Patience 0 is no place in the queue; with some, they wait before they come again."""
    for patience, raised in ((0.0, True), (0.02, False)):
        workload = Workload(Sleep(0.1), Closed(5), jobs=500, patience=Constant(patience))
        assert ("retries_at_once" in codes(simulate(RunSpec(workload, Fifo(1), seed=1)))) is raised


def test_retries_at_once_in_real_time() -> None:
    """Their attempts follow each other as fast as the engine goes."""
    workload = Workload(Sleep(0.1), Closed(5), jobs=300)
    assert "retries_at_once" in codes(run_jumping(RunSpec(workload, Fifo(1, queue_limit=0), seed=1)))
