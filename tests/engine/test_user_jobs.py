"""Jobs that people write: whatever one does is its outcome, and nothing that it does ends or bends the run."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
import pytest

import aurea_engine
from aurea_engine import (
    Branch,
    Closed,
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    Job,
    Limited,
    Mix,
    NotSimulable,
    Objective,
    Outcome,
    Plan,
    Replay,
    RunResult,
    RunSpec,
    ShortestFirst,
    Sleep,
    Stop,
    StrategyError,
    Streams,
    Workload,
    simulate,
)
from aurea_engine.testing import check_job, run_jumping


@dataclass(frozen=True)
class Does(Job):
    """Does what it is given."""

    work: Callable[[], object] = field(default=lambda: None)

    async def run(self, demand: float) -> object:
        made = self.work()
        return await made if asyncio.iscoroutine(made) else made


def raising(error: BaseException) -> Callable[[], object]:
    def work() -> object:
        raise error

    return work


class Odd(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(), TimeoutError(), Odd(),
     MemoryError(), RecursionError(), StrategyError("mine")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_a_job_raises_is_counted(error: BaseException) -> None:
    """The run goes on to its end."""
    result = run_jumping(RunSpec(Workload(Does(raising(error)), ConstantRate(10), jobs=5), seed=0))
    assert (result.status, result.counts.arrived, result.counts.failed) == ("completed", 5, 5)
    # A coroutine may not raise StopIteration: Python makes a RuntimeError of it.
    assert {"RuntimeError" if isinstance(error, StopIteration) else type(error).__name__: 5} == result.failures


def test_a_job_that_exits_the_program_does_not() -> None:
    """`sys.exit` is an exception like any other."""
    result = run_jumping(RunSpec(Workload(Does(sys.exit), jobs=2), seed=0))
    assert result.failures == {"SystemExit": 2}


def test_failure_times_are_kept_apart() -> None:
    """Two kinds of jobs: 0.1 s that succeeds, 0.5 s that fails."""

    async def fail() -> None:
        await asyncio.sleep(0.5)
        raise OSError

    mix = Mix((Branch(1, Does(lambda: asyncio.sleep(0.1))), Branch(1, Does(fail))))
    result = run_jumping(RunSpec(Workload(mix, ConstantRate(10), jobs=60), seed=0))
    assert result.counts.completed + result.counts.failed == 60
    assert (result.service_time.min, result.service_time.max) == (0.1, 0.1)
    assert (result.failure_time.min, result.failure_time.max) == (0.5, 0.5)
    assert result.failure_time.count == result.counts.failed > 0


def test_hanging_job_holds_its_slot_to_limit() -> None:
    """One slot, 0.2 s each: three of them take 0.6 s."""
    job = Limited(Does(lambda: asyncio.sleep(3600)), 0.2)
    result = run_jumping(RunSpec(Workload(job, jobs=3), Fifo(1), seed=0))
    assert (result.counts.timed_out, result.duration) == (3, 0.6)
    assert result.failures == {"timeout": 3}


def test_ignored_limit_still_times_out() -> None:
    """It swallows the cancellation and returns 0.3 s later as if nothing had happened: that is no success."""

    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0.3)

    result = run_jumping(RunSpec(Workload(Limited(Does(stubborn), 0.2), jobs=2), Fifo(1), seed=0))
    assert (result.counts.completed, result.counts.timed_out) == (0, 2)
    assert result.duration == 1.0


def test_a_timeout_of_the_job_s_own_is_a_failure() -> None:
    """Only the limit that the workload set makes a job timed out."""

    async def own() -> None:
        async with asyncio.timeout(0.1):
            await asyncio.sleep(1)

    result = run_jumping(RunSpec(Workload(Limited(Does(own), 5.0), jobs=2), seed=0))
    assert (result.failures, result.counts.timed_out) == ({"TimeoutError": 2}, 0)


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


async def is_cancelled_by_its_child() -> None:
    parent = asyncio.current_task()
    assert parent is not None

    async def child() -> None:
        parent.cancel()

    await asyncio.gather(asyncio.create_task(child()), asyncio.sleep(1))


async def raises_in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(1))
        raise asyncio.CancelledError


async def awaits_a_cancelled_future() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def cancels_itself_within_a_timeout() -> None:
    async with asyncio.timeout(60):
        await cancels_itself()


@pytest.mark.parametrize("limit", [None, 5.0], ids=["no limit", "limit"])
@pytest.mark.parametrize(
    "work",
    [
        raising(asyncio.CancelledError()),
        cancels_itself,
        is_cancelled_by_its_child,
        raises_in_a_group,
        awaits_a_cancelled_future,
        cancels_itself_within_a_timeout,
    ],
)
def test_own_cancellation_is_a_failure(work: Callable[[], object], limit: float | None) -> None:
    """Cancelled means that the run was being stopped; a failure ratio of 0 must not hide such jobs."""
    job = Does(work) if limit is None else Limited(Does(work), limit)
    objective = Objective("failure_ratio", at_most=0.1)
    result = run_jumping(RunSpec(Workload(job, jobs=2), seed=0, objectives=(objective,)))
    assert (result.status, result.counts.failed, result.counts.cancelled) == ("completed", 2, 0)
    assert result.failures == {"CancelledError": 2}
    assert result.objectives[0].outcome == "missed"


def test_swallowed_cancellation_goes_on() -> None:
    """It asked for it, and completes; a limit that comes later still times it out."""

    async def swallows(then: float) -> None:
        with suppress(asyncio.CancelledError):
            await cancels_itself()
        await asyncio.sleep(then)

    for then, outcome in ((0.1, Outcome.COMPLETED), (60.0, Outcome.TIMED_OUT)):
        job = Limited(Does(functools.partial(swallows, then)), 5.0)
        result = run_jumping(RunSpec(Workload(job, jobs=2), seed=0))
        assert result.jobs is not None
        assert result.jobs.outcome.tolist() == [outcome] * 2


def test_last_acts_of_stopped_jobs_not_counted() -> None:
    """It is cancelled at the stop, whether it then ends, fails, or takes its time."""
    stop = Stop()

    async def obeys_in_its_own_way(last: BaseException | float) -> None:
        asyncio.get_running_loop().call_later(1.0, stop.now)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if isinstance(last, BaseException):
                raise last from None
            await asyncio.sleep(last)

    ways = (Does(functools.partial(obeys_in_its_own_way, last)) for last in (ValueError(), 0.0, 0.5, SystemExit(1)))
    job = Mix(tuple(Branch(1, each) for each in ways))
    result = run_jumping(RunSpec(Workload(job, jobs=20), seed=0), stop=stop)
    assert (result.counts.cancelled, result.failures, result.duration) == (20, {}, 1.0)


def test_a_cancellation_while_opening_is_no_stop() -> None:
    """Nobody had cancelled the run: its caller is told whose it was."""

    class Opens(Does):
        @asynccontextmanager
        async def opened(self) -> AsyncIterator[Callable[[float], object]]:
            raise asyncio.CancelledError
            yield

    with pytest.raises(StrategyError, match="Opens"):
        run_jumping(RunSpec(Workload(Opens(), jobs=1), seed=0))


def test_stopped_run_counts_every_job() -> None:
    """Two in service end at the stop, the others never start."""
    stop = Stop()

    async def work() -> None:
        asyncio.get_running_loop().call_later(1.0, stop.now)
        await asyncio.sleep(3600)

    result = run_jumping(RunSpec(Workload(Does(work), jobs=5), Fifo(2), seed=0), stop=stop)
    assert (result.status, result.counts.cancelled) == ("cancelled", 5)
    assert result.jobs is not None
    assert result.jobs.was_started.tolist() == [True, True, False, False, False]
    assert {"not_drained"} <= {finding.code for finding in result.findings}
    assert 1.0 <= result.duration <= 1.11


def test_uncancellable_job_is_left_behind() -> None:
    """It is cancelled at the stop; after two seconds of grace the run ends without it."""
    stop = Stop()

    async def immortal() -> None:
        asyncio.get_running_loop().call_later(1.0, stop.now, "timed_out")
        until = asyncio.get_running_loop().time() + 60
        while asyncio.get_running_loop().time() < until:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue

    result = run_jumping(RunSpec(Workload(Does(immortal), jobs=2), seed=0), stop=stop)
    assert (result.status, result.counts.cancelled) == ("timed_out", 2)
    assert result.duration == 1.0


def test_the_first_reason_to_stop_stands() -> None:
    """Later ones change nothing."""
    stop = Stop()
    stop.now("interrupted")
    stop.now("aborted")
    assert run_jumping(RunSpec(Workload(Sleep(9.0), jobs=2), seed=0), stop=stop).status == "interrupted"


@pytest.mark.parametrize("job", [Sleep(3600.0), Does(lambda: asyncio.sleep(3600))], ids=["timers", "tasks"])
def test_cancelling_the_run_leaves_nothing_behind(job: Job, jumping: Callable[..., object]) -> None:
    """No result, and no task of a job."""

    async def main() -> set[str]:
        running = asyncio.create_task(aurea_engine.run(RunSpec(Workload(job, jobs=5), Fifo(2), seed=0)))
        await asyncio.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return {task.get_name() for task in asyncio.all_tasks()} - {asyncio.current_task().get_name()}  # type: ignore[union-attr]

    assert set() == jumping(main())


async def test_cancelling_a_virtual_run_ends_its_thread() -> None:
    """It would go on for ever otherwise."""
    spec = RunSpec(Workload(Sleep(Exponential(0.01)), ConstantRate(1000), duration=1e9), Fifo(4), clock="virtual",
                   seed=0, keep_jobs=False)  # fmt: skip
    running = asyncio.create_task(aurea_engine.run(spec))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_virtual_run_can_be_stopped() -> None:
    """Its result is of the part that ran."""
    stop = Stop()
    spec = RunSpec(Workload(Sleep(Exponential(0.01)), ConstantRate(1000), duration=1e9), ShortestFirst(20),
                   clock="virtual", seed=0)  # fmt: skip
    running = asyncio.create_task(aurea_engine.run(spec, stop=stop))
    await asyncio.sleep(0.01)
    stop.now()
    result = await running
    assert result.status == "cancelled"
    counts = result.counts
    assert counts.arrived == counts.completed + counts.cancelled


@dataclass(frozen=True)
class Shares(Job):
    """What a whole run shares is opened once before it, and closed after it."""

    log: list[str] = field(default_factory=list)

    async def run(self, demand: float) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Callable[[float], object]]:
        self.log.append("open")

        async def one(demand: float) -> None:
            self.log.append("job")

        yield one
        self.log.append("close")


def test_what_a_run_shares_is_opened_once() -> None:
    """Before the first job, and closed after the last."""
    job = Shares()
    run_jumping(RunSpec(Workload(job, jobs=3), Fifo(1), seed=0))
    assert job.log == ["open", "job", "job", "job", "close"]


def test_unopenable_run_does_not_begin() -> None:
    """The error is the caller's, since no job has run."""

    class Unopened(Job):
        async def run(self, demand: float) -> None:
            pass

        @asynccontextmanager
        async def opened(self) -> AsyncIterator[Callable[[float], object]]:
            raise ConnectionRefusedError
            yield

    with pytest.raises(ConnectionRefusedError):
        run_jumping(RunSpec(Workload(Unopened(), jobs=3), seed=0))


def test_simulation_names_job_without_demand() -> None:
    """With what to do about it."""
    with pytest.raises(NotSimulable, match=r"workload.job: .*Does.* has no demand .* set clock to") as caught:
        simulate(RunSpec(Workload(Mix((Branch(1, Sleep()), Branch(1, Does()))), jobs=50), seed=0))
    assert caught.value.problems[0].path == "workload.job"


def test_unknown_demand_goes_last() -> None:
    """In real time, where they may run."""
    mix = Mix((Branch(1, Sleep(0.1)), Branch(1, Does(lambda: asyncio.sleep(0.2)))))
    jobs = run_jumping(RunSpec(Workload(mix, jobs=20), ShortestFirst(1), seed=0)).jobs
    assert jobs is not None
    ordered = jobs.service_ns[np.argsort(jobs.started)]
    assert (np.diff(ordered) >= 0).all()


def test_faulty_fails_at_its_rate() -> None:
    """Binomial: 2,500 ± 4·√(10,000·¼·¾) of 10,000; their time is a failure's."""
    result = simulate(RunSpec(Workload(Faulty(Sleep(0.1), 0.25), ConstantRate(100), jobs=10_000), seed=4))
    assert abs(result.counts.failed - 2500) <= 4 * (10_000 * 0.25 * 0.75) ** 0.5
    assert {"InjectedFailure": result.counts.failed} == result.failures
    assert result.failure_time.min == 0.1


def test_limited_cuts_what_is_longer() -> None:
    """0.1 completes, 0.3 is stopped at 0.2; exactly 0.2 is in time."""
    jobs = simulate(RunSpec(Workload(Limited(Replay((0.1, 0.2, 0.3)), 0.2), jobs=3), seed=0)).jobs
    assert jobs is not None
    assert jobs.outcome.tolist() == [Outcome.COMPLETED, Outcome.COMPLETED, Outcome.TIMED_OUT]
    assert (jobs.service_ns // 100_000_000).tolist() == [1, 2, 2]


def test_the_tighter_of_two_limits_holds() -> None:
    """In either order of wrapping."""
    for job in (Limited(Limited(Sleep(1.0), 0.1), 0.3), Limited(Limited(Sleep(1.0), 0.3), 0.1)):
        assert simulate(RunSpec(Workload(job, jobs=1), seed=0)).duration == 0.1


def test_mix_has_shares_and_priorities() -> None:
    """Weights 1 : 3 of 10,000 jobs, within 4 standard deviations; a branch's priority replaces the job's own."""
    inner = Mix((Branch(1, Sleep(0.2), priority=7),))
    plan = Mix((Branch(1, Sleep(0.1), priority=-2), Branch(3, inner))).plan(Streams(5), 0, 10_000)
    few = plan.demand == 0.1
    assert abs(int(few.sum()) - 2500) <= 4 * (10_000 * 0.25 * 0.75) ** 0.5
    assert {-2} == set(plan.priority[few].tolist())
    assert {7} == set(plan.priority[~few].tolist())
    assert {(0.1, 0), (0.2, 1)} == set(zip(plan.demand.tolist(), plan.leaf.tolist(), strict=True))


def test_branches_are_independent() -> None:
    """Job number i of a branch asks for the same whatever the weights: common random numbers."""
    one, two = (
        Mix((Branch(weight, Sleep(Exponential(0.1))), Branch(1, Sleep(9.0)))).plan(Streams(5), 0, 4096)
        for weight in (1, 5)
    )
    both = (one.leaf == 0) & (two.leaf == 0)
    np.testing.assert_array_equal(one.demand[both], two.demand[both])
    assert both.any()


class Planned(Sleep):
    """A plan with something wrong in it."""

    def __init__(self, change: Callable[[Plan], None]) -> None:
        super().__init__(0.1)
        object.__setattr__(self, "change", change)

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        plan = super().plan(streams, first, n)
        self.change(plan)  # type: ignore[attr-defined]
        return plan


def cut(plan: Plan) -> None:
    plan.demand = plan.demand[:-1]


def negative(plan: Plan) -> None:
    plan.demand[3] = -1


def endless(plan: Plan) -> None:
    plan.demand[3] = np.inf


@pytest.mark.parametrize("change", [cut, negative, endless])
def test_bad_plan_is_a_strategy_error(change: Callable[[Plan], None]) -> None:
    """In either clock, before anything has run; the conformance check finds the first two as well."""
    spec = RunSpec(Workload(Planned(change), jobs=5), seed=0)
    for runner in (simulate, run_jumping):
        with pytest.raises(StrategyError, match="Planned"):
            runner(spec)
    if change is not endless:
        with pytest.raises(AssertionError):
            check_job(Planned(change))


def test_a_closed_run_of_failing_jobs_goes_on() -> None:
    """A user whose job failed or was rejected thinks and comes again."""
    result: RunResult = run_jumping(
        RunSpec(Workload(Limited(Faulty(Sleep(0.2), 1.0), 0.1), Closed(4, 0.1), duration=2.0), Fifo(1, 1), seed=0)
    )
    counts = result.counts
    assert counts.timed_out > 10
    assert counts.rejected > 10
    assert counts.arrived == counts.timed_out + counts.rejected
