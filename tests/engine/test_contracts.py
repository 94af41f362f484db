"""Strategies of other people that answer odd things: a `StrategyError` that names the culprit, in either clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    Arrivals,
    Branch,
    Closed,
    Distribution,
    Exponential,
    Faulty,
    Fifo,
    Job,
    JobSource,
    Limited,
    LogNormal,
    Mix,
    Mixture,
    Moments,
    Poisson,
    Queue,
    RunResult,
    RunSpec,
    Scheduler,
    Sleep,
    SpecError,
    StrategyError,
    Weighted,
    Workload,
    simulate,
)
from aurea_engine.testing import run_jumping

CLOCKS = pytest.mark.parametrize("run", [simulate, run_jumping], ids=["virtual", "real"])
Runner = Callable[[RunSpec], RunResult]


@dataclass(frozen=True)
class Answers(Distribution):
    """Draws whatever ``make`` makes of the number that is asked for."""

    make: Callable[[int], Any]

    def sample(self, rng: np.random.Generator, n: int) -> Any:
        return self.make(n)

    def moments(self) -> Moments:
        return Moments(0.01, 0.0)


ODD = [
    pytest.param(lambda n: np.full((n, 2), 0.01), "gave 4096 × 2", id="two dimensions"),
    pytest.param(lambda _: 0.01, "gave a single one", id="a scalar"),
    pytest.param(lambda n: np.full(n - 1, 0.01), "gave 4095", id="too few"),
    pytest.param(lambda n: ["soon"] * n, "gave list", id="words"),
    pytest.param(lambda n: [[0.1], [0.1, 0.2]] * n, "gave list", id="ragged"),
]
WRONG = [
    pytest.param(lambda n: np.full(n, -1.0), "not negative, got -1", id="negative"),
    pytest.param(lambda n: np.full(n, np.nan), "not negative, got nan", id="not a number"),
]


@CLOCKS
@pytest.mark.parametrize(("make", "says"), ODD + WRONG)
def test_a_distribution_draws_durations(make: Callable[[int], Any], says: str, run: Runner) -> None:
    """Service times and think times alike, alone or in a mixture; a NaN is not a sleep that takes no time."""
    odd = Answers(make)
    for workload in (
        Workload(Sleep(odd), jobs=3),
        Workload(Sleep(0.01), Closed(2, odd), jobs=3),
    ):
        with pytest.raises(StrategyError, match=f"Answers.sample .*{says}"):
            run(RunSpec(workload, Fifo(2), seed=0))
    with pytest.raises(StrategyError, match=r"Answers\.sample"):
        run(RunSpec(Workload(Sleep(Mixture((Weighted(1, odd), Weighted(1, Exponential(1))))), jobs=3), seed=0))


class Demanding(Job):
    """A job whose demands are odd."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        object.__setattr__(self, "make", make)

    async def run(self, demand: float) -> None: ...

    def demands(self, rng: np.random.Generator, first: int, n: int) -> Any:
        return self.make(n)  # type: ignore[attr-defined]


@CLOCKS
@pytest.mark.parametrize(("make", "says"), ODD)
def test_demands_are_one_number_for_each_job(make: Callable[[int], Any], says: str, run: Runner) -> None:
    """Whatever is wrapped around the job."""
    job = Demanding(make)
    for source in (job, Faulty(job, 0.1), Limited(job, 1.0), Mix((Branch(1, job), Branch(1, Sleep())))):
        with pytest.raises(StrategyError, match=f"Demanding.demands .*{says}"):
            run(RunSpec(Workload(source, jobs=3), seed=0))


@CLOCKS
@pytest.mark.parametrize("demand", [-1.0, np.inf])
def test_demands_are_times(demand: float, run: Runner) -> None:
    """And the error names the job."""
    with pytest.raises(StrategyError, match="Demanding demands a service time of"):
        run(RunSpec(Workload(Demanding(lambda n: np.full(n, demand)), jobs=3), seed=0))


@dataclass(frozen=True)
class Timed(Sleep):
    """Only lets its demand pass, and says of one job that it does not know it."""

    def demands(self, rng: np.random.Generator, first: int, n: int) -> Any:
        return np.where(np.arange(n) == 1, np.nan, 0.01)


@CLOCKS
def test_a_timer_has_a_time(run: Runner) -> None:
    """In real time it would count as a job that took none."""
    with pytest.raises(StrategyError, match="Timed only lets its demand pass"):
        run(RunSpec(Workload(Timed(), jobs=3), seed=0))


@dataclass(frozen=True)
class Coming(Arrivals):
    """Yields what it is given, as instants or as think times."""

    instant: Any = None
    thought: Any = None

    def instants(self, rng: np.random.Generator) -> Any:
        return iter([np.zeros(2, np.int64)]) if self.instant is None else self.instant()

    def think_times(self, rng: np.random.Generator) -> Any:
        return None if self.thought is None else self.thought()


def ever(block: object) -> Callable[[], Iterator[object]]:
    return lambda: iter([block] * 3)


BLOCKS = [
    pytest.param(ever(np.zeros((2, 2), np.int64)), "not 2-D int64", id="two dimensions"),
    pytest.param(ever(np.zeros(2)), "not 1-D float64", id="floats"),
    pytest.param(ever(0), "not int", id="no array"),
    pytest.param(lambda: 3, "gave int", id="no blocks"),
]


@CLOCKS
@pytest.mark.parametrize(
    ("make", "says"), [*BLOCKS, pytest.param(ever(np.array([-5])), "out of order or negative", id="negative")]
)
def test_instants_are_columns_of_whole_nanoseconds(make: Callable[[], Any], says: str, run: Runner) -> None:
    """In order."""
    with pytest.raises(StrategyError, match=rf"Coming\.instants .*{says}"):
        run(RunSpec(Workload(Sleep(0.01), Coming(instant=make), jobs=9), seed=0))


@CLOCKS
@pytest.mark.parametrize(
    ("make", "says"),
    [
        *BLOCKS,
        pytest.param(ever(np.array([-5])), "not negative", id="negative"),
        pytest.param(ever(np.empty(0, np.int64)), "some in each block", id="nothing in a block"),
        pytest.param(ever(np.array([5])), "came to an end", id="an end"),
    ],
)
def test_think_times_are_columns_of_whole_nanoseconds(make: Callable[[], Any], says: str, run: Runner) -> None:
    """For ever."""
    with pytest.raises(StrategyError, match=rf"Coming\.think_times .*{says}"):
        run(RunSpec(Workload(Sleep(0.01), Coming(thought=make), jobs=9), seed=0))


class NoInstants(Poisson):
    def instants(self, rng: np.random.Generator) -> Any:
        return None


def test_no_instants_at_all_are_a_strategy_error() -> None:
    """A forgotten ``yield`` gives None."""
    with pytest.raises(StrategyError, match=r"NoInstants\.instants .* gave NoneType"):
        simulate(RunSpec(Workload(Sleep(0.01), NoInstants(1.0), jobs=9), seed=0))


@CLOCKS
@pytest.mark.parametrize(
    ("workload", "says"),
    [
        pytest.param(
            Workload(Sleep(0.01), Closed(2, LogNormal(1e9, 3)), jobs=9),
            r"workload\.arrivals\.think_time: draws a time .* smaller mean or cv",
            id="think times",
        ),
        pytest.param(
            Workload(Sleep(LogNormal(1e9, 1000)), jobs=9),
            r"workload\.job: Sleep takes .* s, more than 146 years: .* smaller mean or cv",
            id="service times",
        ),
        pytest.param(
            Workload(Mix((Branch(1, Sleep()), Branch(1, Faulty(Sleep(LogNormal(1e9, 1000)), 0.1)))), jobs=9),
            r"workload\.job: Sleep takes",
            id="in a mix",
        ),
    ],
)
def test_times_that_no_clock_reaches_are_refused(workload: Workload, says: str, run: Runner) -> None:
    """A distribution that may be asked for can draw them; the message names the member, and what to do."""
    with pytest.raises(SpecError, match=says):
        run(RunSpec(workload, seed=0))


def test_a_timeout_makes_any_time_one_that_ends() -> None:
    """The job is stopped long before."""
    limited = Limited(Sleep(LogNormal(1e9, 1000)), 1.0)
    result = simulate(RunSpec(Workload(limited, jobs=500), seed=0))
    assert result.counts.timed_out + result.counts.completed == 500
    assert result.counts.timed_out > 400


class Odd(Queue):
    """Gives its jobs out in another form."""

    def __init__(self, form: Callable[[int], Any]) -> None:
        self._jobs: deque[int] = deque()
        self._form = form

    def push(self, job: int, intended: int, demand: float, priority: int) -> None:
        self._jobs.append(job)

    def pop(self) -> Any:
        return self._form(self._jobs.popleft())

    def __len__(self) -> int:
        return len(self._jobs)


@dataclass(frozen=True)
class Formed(Scheduler):
    form: Any = None

    def queue(self) -> Queue:
        return Odd(self.form)


@CLOCKS
@pytest.mark.parametrize("form", [float, lambda job: [job], lambda _: None, str])
def test_a_queue_gives_out_numbers(form: Callable[[int], Any], run: Runner) -> None:
    """Whole ones."""
    with pytest.raises(StrategyError, match=r"Formed gave out .* no job's number"):
        run(RunSpec(Workload(Sleep(0.01), jobs=3), Formed(1, form=form), seed=0))


@CLOCKS
def test_a_queue_may_give_out_numbers_of_numpy(run: Runner) -> None:
    """They are whole numbers too."""
    result = run(RunSpec(Workload(Sleep(0.01), jobs=3), Formed(1, form=np.int64), seed=0))
    assert result.counts.completed == 3


class Sourced(JobSource):
    """A plan with one column changed."""

    def __init__(self, column: str, value: Any) -> None:
        object.__setattr__(self, "change", (column, value))

    def plan(self, streams: Any, first: int, n: int) -> Any:
        plan = Sleep(0.01).plan(streams, first, n)
        column, value = self.change  # type: ignore[attr-defined]
        setattr(plan, column, value)
        return plan

    def leaves(self) -> tuple[Job, ...]:
        return (Sleep(0.01),)


@CLOCKS
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("demand", np.zeros((4096, 1))),
        ("limit", None),
        ("limit", np.full(4096, np.nan)),
        ("fails", np.zeros(4096)),
        ("priority", np.zeros(4096)),
        ("leaf", np.ones(4096, np.intp)),
        ("leaf", [0] * 4096),
    ],
)
def test_a_plan_is_columns_of_what_it_says(column: str, value: Any, run: Runner) -> None:
    """Also inside of others."""
    source = Sourced(column, value)
    for job in (source, Mix((Branch(1, Sleep()), Branch(1, source)))):
        with pytest.raises(StrategyError):
            run(RunSpec(Workload(job, jobs=3), seed=0))


class NoPlan(Sourced):
    def plan(self, streams: Any, first: int, n: int) -> Any:
        return None


def test_a_plan_is_a_plan() -> None:
    """And not nothing."""
    with pytest.raises(StrategyError, match=r"NoPlan\.plan must give a Plan, not NoneType"):
        simulate(RunSpec(Workload(NoPlan("demand", None), jobs=3), seed=0))
