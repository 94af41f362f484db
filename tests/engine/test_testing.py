"""What ships for other people's tests: checks that pass what is right and name what is wrong, and clocks that obey."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter_ns

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aurea_engine
from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Bell,
    Branch,
    ConstantRate,
    Distribution,
    Exponential,
    Faulty,
    Fifo,
    Job,
    JobSource,
    Limited,
    Mark,
    Measure,
    Mix,
    Moments,
    PerSecond,
    Plan,
    Poisson,
    Queue,
    Replay,
    RunResult,
    RunSpec,
    Scheduler,
    Sleep,
    StrategyError,
    Streams,
    Workload,
    simulate,
)
from aurea_engine.testing import (
    JumpingLoop,
    LoopClock,
    ManualClock,
    ScriptedArrivals,
    check_arrivals,
    check_cost_model,
    check_distribution,
    check_job,
    check_result,
    check_scheduler,
    run_jumping,
)

Blocks = Iterator[np.ndarray]


class Made(Arrivals):
    """Arrivals of given blocks."""

    def __init__(self, *blocks: object, ends: str = "by itself") -> None:
        self.blocks = blocks
        self.ends = ends  # type: ignore[misc,assignment]

    def instants(self, rng: np.random.Generator) -> Blocks:
        return (block(rng) if callable(block) else block for block in self.blocks)  # type: ignore[misc]


class Stateful(Made):
    """Goes on where the last one stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    def instants(self, rng: np.random.Generator) -> Blocks:
        for _ in range(3):
            self.at += 1
            yield np.array([self.at])


class Endless(Made):
    def instants(self, rng: np.random.Generator) -> Blocks:
        while True:
            yield np.array([5])


class Late(Made):
    def span(self) -> float:
        return 1e-9


class Rateless(Made):
    def asked_rate(self) -> float:
        return 0.0


class BackwardThoughts(Made):
    def think_times(self, rng: np.random.Generator) -> Blocks:
        return iter([np.array([-1])])


one = np.array([1, 2])


@pytest.mark.parametrize(
    ("arrivals", "says"),
    [
        pytest.param(Made(np.array([2, 1])), "in order", id="out of order"),
        pytest.param(Made(np.array([5]), np.array([4])), "in order", id="out of order across blocks"),
        pytest.param(Made(np.array([-1])), "none is negative", id="negative"),
        pytest.param(Made([1, 2]), "yields numpy arrays, not list", id="lists"),
        pytest.param(Made(np.array([0.5])), "int64 nanoseconds, not float64", id="floats"),
        pytest.param(Made(np.array([[1]])), "one dimension", id="tables"),
        pytest.param(
            Made(lambda _: np.random.default_rng().integers(0, 10**9, 1)), "same generator", id="its own dice"
        ),
        pytest.param(Stateful(), "same generator|share state", id="state that is shared"),
        pytest.param(Endless(), "goes on after", id="an end that never comes"),
        pytest.param(Late(one), "after the span", id="later than it says"),
        pytest.param(Rateless(one), "asked_rate", id="a rate of 0"),
        pytest.param(BackwardThoughts(one), "no think time is negative", id="negative thoughts"),
    ],
)
def test_bad_arrivals_fail_the_check(arrivals: Arrivals, says: str) -> None:
    """In a sentence that names the rule."""
    with pytest.raises(AssertionError, match=says):
        check_arrivals(arrivals)


class MyQueue(Queue):
    """Somebody else's queue, correct: first come, first served."""

    def __init__(self) -> None:
        self.jobs: list[int] = []

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        self.jobs.append(job)

    def pop(self) -> int:
        return self.jobs.pop(0)

    def __len__(self) -> int:
        return len(self.jobs)


class LastFirst(MyQueue):
    def pop(self) -> int:
        return self.jobs.pop()


class Miscounting(MyQueue):
    def __len__(self) -> int:
        return len(self.jobs) + 1


class Inventing(MyQueue):
    def pop(self) -> int:
        return 10_000


class Hoarding(MyQueue):
    """Keeps one job for itself in the end."""

    def __len__(self) -> int:
        return max(len(self.jobs), 1) if self.jobs or getattr(self, "used", False) else 0

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        self.used = True
        super().push(job, intended, demand, priority)


def scheduler_with(make: Callable[[], Queue], slots: int | None = 2) -> Scheduler:
    class Mine(Scheduler):
        def queue(self) -> Queue:
            return make()

    return Mine(slots)


def test_a_scheduler_of_one_s_own_passes() -> None:
    """With any slots and limits."""
    for slots in (None, 1, 3):
        check_scheduler(scheduler_with(MyQueue, slots))
        check_scheduler(replace(scheduler_with(MyQueue, slots), queue_limit=2))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(LastFirst, "lowest number goes first", id="the wrong one among equals"),
        pytest.param(Miscounting, "len is the number of jobs that wait", id="miscounts"),
        pytest.param(Inventing, "gave out job 10000", id="invents"),
        pytest.param(Hoarding, "empty when every job was given back", id="never empty"),
    ],
)
def test_bad_schedulers_fail_the_check(make: Callable[[], Queue], says: str) -> None:
    """In a sentence that names the rule."""
    with pytest.raises(AssertionError, match=says):
        check_scheduler(scheduler_with(make))


class Moody(MyQueue):
    """Its order depends on how many queues there were before it."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Moody.made += 1
        self.last = Moody.made % 2

    def pop(self) -> int:
        return self.jobs.pop(-1 if self.last else 0)


def test_a_scheduler_with_a_memory_is_told_so() -> None:
    """Two runs share nothing."""
    with pytest.raises(AssertionError, match="share nothing"):
        check_scheduler(scheduler_with(Moody))


@given(st.from_type(Scheduler))
def test_our_own_schedulers_pass(scheduler: Scheduler) -> None:
    """The check that is offered to everybody."""
    check_scheduler(scheduler, jobs=60)


class Works(Job):
    async def run(self, demand: float) -> None:
        await asyncio.sleep(0)


class Shifting(Works):
    """Plans something else each time."""

    def demands(self, rng: np.random.Generator, first: int, n: int) -> np.ndarray:
        return np.random.default_rng().random(n)


class Leafless(Works):
    def leaves(self) -> tuple[Job, ...]:
        return ()


class Misleading(Works):
    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        plan = super().plan(streams, first, n)
        plan.leaf += 1
        return plan


class Limitless(Works):
    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        plan = super().plan(streams, first, n)
        plan.limit[:] = 0
        return plan


@pytest.mark.parametrize(
    ("job", "says"),
    [
        pytest.param(Shifting(), "demand differs", id="its own dice"),
        pytest.param(Leafless(), "at least one leaf", id="nobody to do it"),
        pytest.param(Misleading(), "has a leaf that does it", id="the wrong leaf"),
        pytest.param(Limitless(), "a limit is more than nothing", id="no time"),
    ],
)
def test_bad_jobs_fail_the_check(job: JobSource, says: str) -> None:
    """In a sentence that names the rule."""
    with pytest.raises(AssertionError, match=says):
        check_job(job)


@pytest.mark.parametrize(
    "job", [Works(), Sleep(3600.0), Replay((1.0, 2.0)), Limited(Works(), 1), Mix((Branch(1, Works()), Branch(2, Sleep())))],
    ids=lambda job: type(job).__name__,
)  # fmt: skip
def test_a_job_that_keeps_its_contract_passes(job: JobSource) -> None:
    """Timers are not waited for."""
    check_job(job)


class Skewed(Exponential):
    def moments(self) -> Moments:
        return Moments(self.mean * 2, 1.0)


class Negative(Exponential):
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return -super().sample(rng, n)


class Short(Exponential):
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return super().sample(rng, n - 1)


@pytest.mark.parametrize(
    ("distribution", "says"),
    [(Skewed(1.0), "moments says"), (Negative(1.0), "negative"), (Short(1.0), "as many draws")],
    ids=["another mean", "negative", "too few"],
)
def test_bad_distributions_fail_the_check(distribution: Distribution, says: str) -> None:
    """In a sentence that names the rule."""
    with pytest.raises(AssertionError, match=says):
        check_distribution(distribution)


@given(st.from_type(RunSpec))
def test_simulated_results_pass_the_check(spec: RunSpec) -> None:
    """And so does the same run in real time."""
    check_result(simulate(spec))
    check_result(run_jumping(spec))


def changed(result: RunResult, **columns: Callable[[np.ndarray], np.ndarray]) -> RunResult:
    assert result.jobs is not None
    new = {name: change(getattr(result.jobs, name).copy()) for name, change in columns.items()}
    return replace(result, jobs=replace(result.jobs, **new))


def at(row: int, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(column: np.ndarray) -> np.ndarray:
        column[row] = value
        return column

    return change


def test_a_forged_result_is_found_out() -> None:
    """Each rule with the record that breaks it. Three jobs of 0.1 s on one slot with one place; the third is rejected."""
    result = simulate(RunSpec(Workload(Sleep(0.1), AllAtOnce(), jobs=3), Fifo(1, 1), seed=0))
    check_result(result)
    tenth = 100_000_000
    forged = {
        "3 arrived, 2 ended": replace(result, counts=replace(result.counts, rejected=0)),
        "has an outcome": changed(result, outcome=at(0, 0)),
        "before its intended": changed(result, intended=at(1, 2 * tenth)),
        "before it starts": changed(result, started=at(1, 3 * tenth)),
        "in service on 1 slots": changed(result, started=at(1, 0)),
        "while a slot was idle": changed(result, started=at(1, tenth + 5), finished=at(1, 2 * tenth + 5)),
        "peak is at least": replace(result, concurrency=replace(result.concurrency, peak=0)),
        "peak is not above": replace(result, concurrency=replace(result.concurrency, peak=2)),
        "jobs waited where 0 may": replace(result, spec=replace(result.spec, scheduler=Fifo(1, 0))),
        "rejected at 0 ns though": replace(result, spec=replace(result.spec, scheduler=Fifo(1, 5))),
    }
    for says, bad in forged.items():
        with pytest.raises(AssertionError, match=says):
            check_result(bad)


def test_checking_results_needs_records() -> None:
    """That is not the same as passing."""
    with pytest.raises(ValueError, match="kept none"):
        check_result(simulate(RunSpec(Workload(Sleep(0.1), jobs=3), keep_jobs=False)))


def test_the_check_of_cost_models_is_here_too() -> None:
    """One place to import from."""
    check_cost_model(PerSecond("0.001"))


def test_scripted_arrivals_follow_the_script() -> None:
    """In blocks of the size that it says."""
    script = ScriptedArrivals((0, 5, 5, 9), block=3)
    assert [block.tolist() for block in script.instants(np.random.default_rng())] == [[0, 5, 5], [9]]
    check_arrivals(script)
    check_arrivals(ScriptedArrivals((0, 0), thinks_ns=(1, 2)))


def test_scripted_think_times_close_the_model() -> None:
    """One user, service 0.1 s, thoughts of 0.1 and 0.3 s in turn."""
    spec = RunSpec(Workload(Sleep(0.1), ScriptedArrivals((0,), thinks_ns=(10**8, 3 * 10**8)), jobs=5), seed=0)
    jobs = simulate(spec).jobs
    assert jobs is not None
    assert (jobs.intended // 10**8).tolist() == [0, 2, 6, 8, 12]


@pytest.mark.parametrize("run", [simulate, run_jumping])
def test_a_script_out_of_order_is_a_strategy_error(run: Callable[[RunSpec], RunResult]) -> None:
    """In either clock."""
    with pytest.raises(StrategyError, match=r"ScriptedArrivals\.instants came out of order"):
        run(RunSpec(Workload(Sleep(0.1), ScriptedArrivals((5, 3))), seed=0))


class Floating(Poisson):
    def instants(self, rng: np.random.Generator) -> Blocks:
        yield np.array([0.5])


def test_float_instants_are_a_strategy_error() -> None:
    """Floats would lose nanoseconds in long runs."""
    with pytest.raises(StrategyError, match="must yield int64"):
        simulate(RunSpec(Workload(Sleep(0.1), Floating(1.0), jobs=3), seed=0))


async def test_a_manual_clock_moves_only_by_hand() -> None:
    """Nothing happens until it is advanced, and then exactly what is due."""
    clock = ManualClock()
    running = asyncio.create_task(
        aurea_engine.run(RunSpec(Workload(Sleep(0.25), ConstantRate(10), jobs=3), seed=0), clock=clock)
    )
    await clock.advance(0.0)
    assert (clock.now(), clock.waiting) == (0, 1)
    await clock.advance(0.44)
    assert not running.done()
    await clock.advance(0.01)
    result = await running
    assert (clock.now(), clock.waiting) == (450_000_000, 0)
    assert (result.duration, result.response_time.max, result.lag.max) == (0.45, 0.25, 0.0)


async def test_bell_wakes_waiters_of_manual_clock() -> None:
    """And one that was rung before is not waited for."""
    clock, bell = ManualClock(), Bell()
    waiting = asyncio.create_task(clock.wait(10**9, bell, exact=False))
    await asyncio.sleep(0)
    bell.ring()
    await waiting
    assert clock.now() == 0
    await clock.wait(10**9, bell, exact=False)
    await clock.wait(0, Bell(), exact=True)


def test_jumping_loop_follows_its_timers() -> None:
    """Whole nanoseconds from 0, and threads still answer."""

    async def main() -> tuple[int, int, str]:
        clock = LoopClock()
        before = clock.now()
        await asyncio.sleep(86_400)
        after = clock.now()
        return before, after, await asyncio.to_thread(lambda: "answer")

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        assert runner.run(main()) == (0, 86_400 * 10**9, "answer")


def test_instant_is_settled_before_the_next() -> None:
    """A job's end by its own timer and an arrival at the same instant: the slot is free for it."""

    class Nap(Job):
        async def run(self, demand: float) -> None:
            await asyncio.sleep(0.05)
            await asyncio.gather(asyncio.sleep(0.05), asyncio.sleep(0.05))

    spec = RunSpec(Workload(Nap(), ConstantRate(10), jobs=20), Fifo(1, 0), seed=0)
    assert run_jumping(spec).counts.completed == 20


def test_unopenable_leaf_fails_the_check() -> None:
    """With its own error."""

    class Shut(Works):
        @asynccontextmanager
        async def opened(self):
            raise ConnectionRefusedError
            yield

    with pytest.raises(ConnectionRefusedError):
        check_job(Faulty(Shut(), 0.5))


def test_a_job_that_reports_nonsense_is_found() -> None:
    """By one call of `run`, before any run: a wrong name, or a number that cannot be."""

    class Good(Job):
        marks = (Mark("first"),)
        measures = (Measure("rows", "rows"),)

        async def run(self, demand: float) -> object:
            return perf_counter_ns(), 5

    class Wrong(Good):
        async def run(self, demand: float) -> object:
            return {"rows": -5}

    check_job(Good())
    with pytest.raises(AssertionError, match=r"Wrong\.run reports what it declares"):
        check_job(Wrong())
