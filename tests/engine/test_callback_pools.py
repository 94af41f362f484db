"""Jobs that are done by callbacks of the event loop: the pool's contract, and what a run makes of what a pool says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine import (
    CallbackPool,
    Closed,
    ConstantRate,
    Distribution,
    Empirical,
    Exponential,
    Faulty,
    Fifo,
    Job,
    JobSource,
    Lifo,
    Limited,
    Measure,
    Mix,
    Outcome,
    PoolState,
    RunResult,
    RunSpec,
    Sleep,
    SpecError,
    Stop,
    StrategyError,
    Workload,
    simulate,
)
from aurea_engine.records.batch import NS
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.testing import (
    FakeConnections,
    FakeRequests,
    check_callback_pool,
    check_job,
    check_result,
    run_jumping,
)

Compare = Callable[[RunResult, RunResult], None]


class LoopTimers(CallbackPool):
    """One `call_later` for each job, which is stopped by its limit or its deadline."""

    def __init__(self) -> None:
        self.begun: dict[int, tuple[int, asyncio.TimerHandle]] = {}

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        began = self.now()
        service = round(demand * NS)
        most = min(
            [ns for ns in (limit, None if deadline is None else deadline - began) if ns is not None], default=service
        )
        outcome = Outcome.TIMED_OUT if most < service else Outcome.COMPLETED
        loop = asyncio.get_running_loop()
        self.begun[job] = began, loop.call_at(loop.time() + min(service, most) / NS, self.end, job, outcome)

    def end(self, job: int, outcome: Outcome) -> None:
        began, _ = self.begun.pop(job)
        self.done(job, began, self.now(), outcome)

    def cancel(self, job: int) -> int | None:
        began, timer = self.begun.pop(job)
        timer.cancel()
        return began


class AtOnce(CallbackPool):
    """Is done with each job before `start` returns."""

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        self.done(job, self.now(), self.now(), Outcome.COMPLETED)

    def cancel(self, job: int) -> int | None:
        raise NotImplementedError


class NeverFree(CallbackPool):
    """All of its connections are taken: no job ever starts."""

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        pass

    def cancel(self, job: int) -> int | None:
        return None


class Refuses(CallbackPool):
    """Cannot take a job."""

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        raise ConnectionRefusedError

    def cancel(self, job: int) -> int | None:
        raise NotImplementedError


@dataclass(frozen=True)
class Pooled(Job):
    """Jobs of a pool."""

    make: Callable[[], object] = LoopTimers
    duration: Distribution = field(default_factory=lambda: Exponential(0.1))
    executor = "callbacks"

    async def run(self, demand: float) -> None:
        raise NotImplementedError

    def demands(self, rng: np.random.Generator, first: int, n: int) -> np.ndarray:
        return np.round(self.duration.sample(rng, n), 9)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[object]:
        yield self.make()


def pooled(source: JobSource) -> JobSource:
    """``source`` with the work of its leaves done by pools."""
    if isinstance(source, Faulty | Limited):
        return replace(source, job=pooled(source.job))
    if isinstance(source, Mix):
        return Mix(tuple(replace(branch, job=pooled(branch.job)) for branch in source.of))
    return Pooled(LoopTimers, source.duration if isinstance(source, Sleep) else Empirical((0.0, 0.1, 0.1, 0.3)))


@given(spec=st.from_type(RunSpec))
@settings(max_examples=60)
def test_callbacks_give_the_simulated_times(spec: RunSpec, same_jobs: Compare) -> None:
    """Every arrival process, scheduler, mix, fault and limit: the same jobs as in virtual time, to the nanosecond."""
    spec = replace(spec, workload=replace(spec.workload, job=pooled(spec.workload.job)))
    same_jobs(simulate(spec), run_jumping(spec))


def test_a_deadline_is_handed_to_the_pool(same_jobs: Compare) -> None:
    """As an instant: the pool stops the job then, and it is timed out."""
    spec = RunSpec(Workload(Pooled(), ConstantRate(80), jobs=500, deadline=0.2), Lifo(6), seed=3)
    virtual, real = simulate(spec), run_jumping(spec)
    same_jobs(virtual, real)
    assert real.counts.timed_out > 0
    assert real.counts.rejected > 0


def test_ends_within_start_do_not_nest() -> None:
    """100,000 jobs of one user, each done before its `start` returns: the stack does not grow, and each is counted."""
    result = run_jumping(RunSpec(Workload(Pooled(AtOnce), Closed(1), jobs=100_000), seed=0))
    assert result.counts.completed == 100_000
    check_result(result)


def test_injected_failures_are_of_no_class() -> None:
    """The pool did its work; that the workload lets it fail is counted as such."""
    result = run_jumping(RunSpec(Workload(Faulty(Pooled(AtOnce), 1.0), jobs=10), seed=0))
    assert result.failures == {"InjectedFailure": 10}


def test_what_start_raises_fails_the_job() -> None:
    """As for what a job raises that is a coroutine."""
    result = run_jumping(RunSpec(Workload(Pooled(Refuses), jobs=10), Fifo(2), seed=0))
    assert (result.counts.failed, result.failures) == (10, {"ConnectionRefusedError": 10})


def test_jobs_waiting_in_a_pool_never_started() -> None:
    """They hold slots, are in service at no time, and are cancelled at the end of the run without a start."""
    spec = RunSpec(Workload(Pooled(NeverFree), jobs=10, stop_at=1.0), Fifo(3), seed=0)
    result = run_jumping(spec)
    assert result.jobs is not None
    assert (result.counts.cancelled, result.concurrency.peak) == (10, 0)
    assert not result.jobs.was_started.any()


def test_cancelled_jobs_keep_their_start() -> None:
    """Two of five are in service when the run is stopped; their rows say since when."""
    stop = Stop()

    class Stops(LoopTimers):
        def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
            super().start(job, 3600.0, limit, deadline)
            asyncio.get_running_loop().call_later(1.0, stop.now)

    result = run_jumping(RunSpec(Workload(Pooled(Stops), jobs=5), Fifo(2), seed=0), stop=stop)
    assert result.jobs is not None
    assert result.jobs.started.tolist() == [0, 0, -1, -1, -1]
    assert (result.status, result.counts.cancelled) == ("cancelled", 5)


class Twice(AtOnce):
    """Says of each job twice that it is done."""

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        super().start(job, demand, limit, deadline)
        super().start(job, demand, limit, deadline)


class Backwards(AtOnce):
    """Ends jobs before they begin."""

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        self.done(job, self.now() + NS, self.now(), Outcome.COMPLETED)


class Rejects(AtOnce):
    """Gives outcomes that are the run's to give."""

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        self.done(job, self.now(), self.now(), Outcome.REJECTED)


class Forgets(AtOnce):
    """Is never done with every second job."""

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        if job % 2:
            super().start(job, demand, limit, deadline)


@pytest.mark.parametrize("pool", [LoopTimers, AtOnce], ids=lambda pool: pool.__name__)
def test_pools_that_keep_the_contract_pass(pool: type[CallbackPool]) -> None:
    check_job(Pooled(pool, Exponential(0.001)))


@pytest.mark.parametrize(
    ("pool", "match"),
    [(Twice, "once for each job"), (Backwards, "ends after its start"), (Rejects, "completed, failed or timed out"),
     (int, "yields a CallbackPool")],
)  # fmt: skip
def test_pools_that_break_it_are_found(pool: Callable[[], object], match: str) -> None:
    """By the check that ships for other people's jobs."""
    with pytest.raises(AssertionError, match=match):
        check_job(Pooled(pool))


async def test_a_pool_that_forgets_a_job_is_found() -> None:
    """It is waited for only so long."""
    with pytest.raises(AssertionError, match="not done with 10 jobs"):
        await check_callback_pool(Forgets(), patience=0.01)


@pytest.mark.parametrize("pool", [Twice, Backwards, Rejects], ids=lambda pool: pool.__name__)
@pytest.mark.parametrize("later", [False, True], ids=["within start", "by a callback"])
def test_a_pool_that_breaks_it_ends_the_run(pool: type[CallbackPool], later: bool) -> None:
    """Its figures would be of nothing. Whoever runs it is told, though a callback's exception is only logged by the loop."""

    class Breaks(pool):  # type: ignore[misc, valid-type]
        def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
            if not later:
                super().start(job, demand, limit, deadline)
            else:
                asyncio.get_running_loop().set_exception_handler(lambda *_: None)
                asyncio.get_running_loop().call_later(0.1, super().start, job, demand, limit, deadline)

        def cancel(self, job: int) -> int | None:
            return None

    with pytest.raises(StrategyError, match="Breaks"):
        run_jumping(RunSpec(Workload(Pooled(Breaks), jobs=4), seed=0))


@pytest.mark.parametrize("executor", ["callbacks", "tasks", "threads"])
def test_a_leaf_opens_what_its_executor_needs(executor: str) -> None:
    """A pool for callbacks, a function for tasks; and the executor must be one of ours."""

    class Wrong(Pooled):
        pass

    Wrong.executor = executor  # type: ignore[assignment]
    make = LoopTimers if executor == "tasks" else int
    with pytest.raises(StrategyError, match=r"Wrong\.(opened must yield|executor must be one of)"):
        run_jumping(RunSpec(Workload(Wrong(make), jobs=1), seed=0))


@pytest.mark.parametrize(
    ("state", "match"),
    [(PoolState(open=1, busy=2, opened=2), "2 connections have a job"), (PoolState(waiting=30), "30 jobs wait"),
     (PoolState(open=2), "0 were ever opened"), (PoolState(waited=-1), "less than nothing"), ("fine", "PoolState or None")],
)  # fmt: skip
def test_states_are_checked_by_shipped_check(state: object, match: str) -> None:
    """What a pool says of its connections must be possible."""

    class Tells(AtOnce):
        def state(self) -> PoolState:
            return state  # type: ignore[return-value]

    with pytest.raises(AssertionError, match=match):
        check_job(Pooled(Tells))


GAP = Measure("gap", "s", 10**9)


@dataclass(frozen=True)
class TellsOfTheRun(FakeRequests):
    """Three gaps in all, the last of them when the run is over."""

    run_measures: ClassVar[tuple[Measure, ...]] = (GAP,)
    told: ClassVar[Any] = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        job, gaps = self, [1_000, 2_000, 3_000]

        class Telling(FakeConnections):
            def take_run_measures(self) -> Any:
                histogram = LatencyHistogram()
                histogram.record(np.array(gaps, np.int64))
                gaps.clear()
                return {"gap": histogram} if job.told is None else job.told

        yield Telling(4)


def test_what_is_of_the_run_is_a_measure_without_a_total() -> None:
    result = run_jumping(RunSpec(Workload(TellsOfTheRun(), jobs=4), seed=0))
    told = result.measures["gap"]
    assert (told.total, told.amounts.count, told.amounts.mean) == (None, 3, pytest.approx(2e-6))
    assert result.jobs is not None
    assert GAP not in result.jobs.measures


@pytest.mark.parametrize("told", [{"other": LatencyHistogram()}, {"gap": 5}, None, [LatencyHistogram()]])
def test_what_is_told_of_the_run_is_checked(told: Any) -> None:
    """An amount that was not declared, or that is no histogram, is the pool's failure and no figure."""
    kind = type("Tells", (TellsOfTheRun,), {"told": told if told is not None else 7})
    with pytest.raises(StrategyError, match="take_run_measures"):
        run_jumping(RunSpec(Workload(kind(), jobs=4), seed=0))


def test_one_name_is_one_thing() -> None:
    """Not a column of jobs, and an amount of the run."""
    kind = type("Twice", (TellsOfTheRun,), {"measures": (Measure("gap", "s"),)})
    with pytest.raises(SpecError, match="gap is declared"):
        Workload(kind(), jobs=1)
