"""Jobs that are tasks run their first step as they start, where the interpreter can. Nothing else may differ."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

import aurea_engine
from aurea_engine import (
    Bell,
    Closed,
    Fifo,
    Job,
    Limited,
    Outcome,
    RunResult,
    RunSpec,
    Sleep,
    Stop,
    Workload,
    loop_factory,
)
from aurea_engine.run.executors.tasks import find_eager_start
from aurea_engine.testing import check_result, run_jumping

EAGER = sys.version_info >= (3, 12)

LOOPS = {"asyncio": asyncio.new_event_loop, "fastest": loop_factory()}

Work = Callable[[float], Coroutine[Any, Any, object]]


@dataclass(frozen=True)
class Does(Job):
    """Does what it is given."""

    work: Work

    async def run(self, demand: float) -> object:
        return await self.work(demand)


class NeverEager(asyncio.SelectorEventLoop):
    """A loop that makes its tasks in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options))


class AllEager(asyncio.SelectorEventLoop):
    """A loop whose own tasks are eager, where there are any."""

    def __init__(self) -> None:
        super().__init__()

        def make(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
            options = {key: value for key, value in options.items() if key in ("name", "context")}
            if EAGER and loop.is_running():
                options["eager_start"] = True
            return asyncio.Task(coro, loop=loop, **options)

        self.set_task_factory(make)


@pytest.fixture(params=["asyncio", "fastest", "own tasks", "own eager tasks"])
def do_all(request: pytest.FixtureRequest) -> Callable[..., RunResult]:
    """Runs jobs of ``work`` on every kind of loop there is."""
    factory = {**LOOPS, "own tasks": NeverEager, "own eager tasks": AllEager}[request.param]

    def run(work: Work, *, users: int = 5, jobs: int = 20, stop: Stop | None = None) -> RunResult:
        spec = RunSpec(Workload(Does(work), Closed(users), jobs=jobs), seed=0)
        with asyncio.Runner(loop_factory=factory) as runner:
            result = runner.run(aurea_engine.run(spec, stop=stop))
        check_result(result)
        return result

    return run


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS)
def test_tasks_are_eager_where_python_can(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """From 3.12 on, by asyncio's loop and by the fastest one: what the speed of user jobs rests on."""

    async def main() -> bool:
        return find_eager_start(asyncio.get_running_loop()) is not None

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(main()) is EAGER


async def test_a_loop_with_a_task_factory_keeps_it() -> None:
    """Its tasks may be of another class, or be watched by it."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options))
    assert find_eager_start(loop) is None


def test_a_first_step_has_its_own_task(do_all: Callable[..., RunResult]) -> None:
    """Not the pump's, nor that of another job; it is among all tasks, and the same after a wait."""
    seen: list[asyncio.Task[Any]] = []

    async def work(_: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert task in asyncio.all_tasks()
        assert task not in seen
        seen.append(task)
        await asyncio.sleep(0)
        assert asyncio.current_task() is task

    assert do_all(work).counts.completed == 20 == len(seen)


def test_the_caller_keeps_its_current_task(do_all: Callable[..., RunResult]) -> None:
    """Whoever awaits the run has the current task that it had."""

    async def work(_: float) -> None:
        await asyncio.sleep(0.001)

    async def main() -> None:
        mine = asyncio.current_task()
        await aurea_engine.run(RunSpec(Workload(Does(work), Closed(3), jobs=9), seed=0))
        assert asyncio.current_task() is mine

    asyncio.run(main())
    assert do_all(work).failures == {}


def test_timeouts_and_groups_in_the_first_step(do_all: Callable[..., RunResult]) -> None:
    """Both need the current task; here before anything was awaited."""

    async def work(_: float) -> None:
        done: list[int] = []

        async def child(number: int) -> None:
            await asyncio.sleep(0)
            done.append(number)

        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(child(number))
        assert sorted(done) == [0, 1, 2]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(10)

    assert do_all(work, jobs=10).counts.completed == 10


def test_context_variables_do_not_leak(do_all: Callable[..., RunResult]) -> None:
    """Neither from job to job, nor into whoever runs them; what was set before is seen by all."""
    given = contextvars.ContextVar[str]("given")
    own = contextvars.ContextVar[int]("own", default=0)

    async def work(_: float) -> None:
        assert (given.get(), own.get()) == ("outside", 0)
        own.set(7)
        await asyncio.sleep(0)
        assert own.get() == 7

    async def at_once(_: float) -> None:
        assert own.get() == 0
        own.set(9)

    token = given.set("outside")
    try:
        for each in (work, at_once):
            assert do_all(each).failures == {}
            assert own.get() == 0
    finally:
        given.reset(token)


class Odd(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize("late", [False, True], ids=["first step", "later step"])
@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, Odd]
)
def test_what_a_step_raises_stays_inside(
    do_all: Callable[..., RunResult], error: type[BaseException], late: bool
) -> None:
    """The job failed, under that class; the loop, the pump and the program go on."""

    async def work(_: float) -> None:
        if late:
            await asyncio.sleep(0)
        raise error

    result = do_all(work)
    assert (result.status, result.counts.failed, result.failures) == ("completed", 20, {error.__name__: 20})


def test_a_first_step_may_cancel_its_job(do_all: Callable[..., RunResult]) -> None:
    """A failure, as the cancellation is its own; one that ends before it takes effect has completed."""

    async def and_waits(_: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def and_returns(_: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    assert do_all(and_waits).failures == {"CancelledError": 20}
    assert do_all(and_returns).counts.completed == 20


def test_starts_do_not_nest(do_all: Callable[..., RunResult]) -> None:
    """One user's jobs follow each other without a wait: the stack is no deeper at the last than at the first."""
    depths: list[int] = []

    async def work(_: float) -> None:
        depths.append(len(traceback.extract_stack()))

    assert do_all(work, users=1, jobs=3000).counts.completed == 3000
    assert len(set(depths[1:])) == 1


def test_jobs_that_never_wait_let_others_run() -> None:
    """A closed loop that always has something due lets the event loop go round: a timer of 10 ms fires, and stops it."""
    stop = Stop()

    async def work(_: float) -> None:
        pass

    async def main() -> RunResult:
        asyncio.get_running_loop().call_later(0.01, stop.now)
        return await aurea_engine.run(RunSpec(Workload(Does(work), Closed(5), duration=60), seed=0), stop=stop)

    for factory in LOOPS.values():
        with asyncio.Runner(loop_factory=factory) as runner:
            result = runner.run(main())
        assert result.status == "cancelled"
        assert result.duration < 50
        stop = Stop()


def test_a_stop_cancels_jobs_with_their_start() -> None:
    """The stamps of jobs in service when the run stops: each since it began, at the stop; those that waited have none."""

    async def work(_: float) -> None:
        await asyncio.sleep(3600)

    spec = RunSpec(Workload(Does(work), jobs=5, stop_at=1.0), Fifo(2), seed=0)
    jobs = run_jumping(spec).jobs
    assert jobs is not None
    assert jobs.outcome.tolist() == [Outcome.CANCELLED] * 5
    assert jobs.started.tolist() == [0, 0, -1, -1, -1]
    assert jobs.finished.tolist() == [1_000_000_000] * 2 + [-1] * 3


def test_limits_hold_from_the_first_step() -> None:
    """With and without one in the same run: those that have it are stopped, the others are not."""

    async def work(_: float) -> None:
        await asyncio.sleep(0.2)

    spec = RunSpec(Workload(Limited(Does(work), 0.1), jobs=5), seed=0)
    assert run_jumping(spec).counts.timed_out == 5
    assert run_jumping(RunSpec(Workload(Does(work), jobs=5), seed=0)).counts.completed == 5
    assert run_jumping(RunSpec(Workload(Does(work), jobs=5, deadline=0.1), seed=0)).counts.timed_out == 5


class StandsStill:
    """A clock that only jobs move, and waits."""

    def __init__(self) -> None:
        self.ns = 0

    def now(self) -> int:
        return self.ns

    async def wait(self, until: int, bell: Bell, exact: bool) -> None:
        self.ns = max(self.ns, until)
        await asyncio.sleep(0)


@pytest.mark.parametrize("waits", [False, True], ids=["ends at once", "waits then"])
@pytest.mark.skipif(not EAGER, reason="the first step of a job is not the pump's here")
async def test_a_first_step_that_blocks_is_noticed(waits: bool) -> None:
    """One of ten holds the event loop, and with it the pump, for 0.2 s: the finding says so, to the nanosecond."""
    clock = StandsStill()

    async def work(_: float) -> None:
        clock.ns += 200_000_000 if len(seen) == 4 else 1_000_000
        seen.append(clock.ns)
        if waits:
            await asyncio.sleep(0)

    seen: list[int] = []
    spec = RunSpec(Workload(Does(work), jobs=10), seed=0)
    result = await aurea_engine.run(spec, clock=clock)
    found = {finding.code: finding.detail for finding in result.findings}
    assert found["loop_lag"] == "the event loop was blocked for 0.2 s"


@pytest.mark.skipif(not EAGER, reason="the clock of this test reaches the stop before the first step")
async def test_ends_after_a_stop_are_cancelled_at_it() -> None:
    """The pump notices the stop at 0.1 s only after the jobs have ended: 60 ms each, one after the other, in one turn. What
    was in service then is cancelled then, as in virtual time; what had begun after it lasted for no time.
    """
    clock = StandsStill()

    async def work(_: float) -> None:
        clock.ns += 60_000_000

    spec = RunSpec(Workload(Does(work), jobs=3, stop_at=0.1), seed=0)
    jobs = (await aurea_engine.run(spec, clock=clock)).jobs
    assert jobs is not None
    assert jobs.outcome.tolist() == [Outcome.COMPLETED, Outcome.CANCELLED, Outcome.CANCELLED]
    assert jobs.started.tolist() == [0, 60_000_000, 120_000_000]
    assert jobs.finished.tolist() == [60_000_000, 100_000_000, 120_000_000]


async def test_timers_of_one_turn_share_their_stamps() -> None:
    """Three thousand equal sleeps at once, more than one batch: they start at one instant, and end at one."""
    clock = Ticking()
    spec = RunSpec(Workload(Sleep(0.1), jobs=3000), seed=0)
    jobs = (await aurea_engine.run(spec, clock=clock)).jobs
    assert jobs is not None
    assert len(set(jobs.started.tolist())) == 1
    assert len(set(jobs.finished.tolist())) == 1


class Ticking(StandsStill):
    """A clock on which every look takes a microsecond, so that two stamps are two instants."""

    def now(self) -> int:
        self.ns += 1_000
        return self.ns
