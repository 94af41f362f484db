"""What cannot be run is refused when it is made, in Python as in JSON, with all problems by name and nothing half-run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NewType

import pytest

import aurea_engine
from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Branch,
    Closed,
    Constant,
    ConstantRate,
    Empirical,
    Exponential,
    Faulty,
    Fifo,
    Gamma,
    GammaArrivals,
    Job,
    Limited,
    Mix,
    Mixture,
    NotSimulable,
    Observer,
    Pareto,
    Poisson,
    Ramp,
    Replay,
    RunSpec,
    Sine,
    Sleep,
    SpecError,
    Stage,
    Stages,
    Thresholds,
    Trace,
    Uniform,
    Weighted,
    Workload,
    run_sync,
    simulate,
    spec_from_dict,
)

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "path", "says"),
    [
        pytest.param(lambda: Poisson(0), "rate", "> 0", id="rate 0"),
        pytest.param(lambda: Poisson(NAN), "rate", "finite", id="rate NaN"),
        pytest.param(lambda: Poisson(INF), "rate", "finite", id="rate infinite"),
        pytest.param(lambda: Poisson("5"), "rate", "a finite number|a number", id="rate as text"),
        pytest.param(lambda: Poisson(True), "rate", "a number", id="rate as boolean"),
        pytest.param(lambda: Poisson(10**400), "rate", "finite", id="rate beyond floats"),
        pytest.param(lambda: ConstantRate(-1), "rate", "> 0", id="negative rate"),
        pytest.param(lambda: GammaArrivals(1, -0.5), "cv", ">= 0", id="cv < 0"),
        pytest.param(lambda: Gamma(1, -0.5), "cv", ">= 0", id="cv < 0 of a duration"),
        pytest.param(lambda: Trace((0.0, 2.0, 1.0)), r"at\[2\]", "in order", id="unsorted trace"),
        pytest.param(lambda: Trace((-1.0,)), r"at\[0\]", ">= 0", id="negative trace"),
        pytest.param(lambda: Trace(()), "at", "at least one", id="empty trace"),
        pytest.param(lambda: Trace((0.0, NAN)), r"at\[1\]", "finite", id="NaN in a trace"),
        pytest.param(lambda: Ramp(0, 0, 1), "end", "not both be 0", id="a ramp of nothing"),
        pytest.param(lambda: Ramp(1, 2, 0), "over", "> 0", id="a ramp in no time"),
        pytest.param(lambda: Stage(1), "", "either rate", id="a stage without a rate"),
        pytest.param(lambda: Stages(()), "stages", "at least one", id="no stages"),
        pytest.param(lambda: Sine(1, 2, 1), "amplitude", "<= mean", id="a rate below 0"),
        pytest.param(lambda: Closed(0), "users", ">= 1", id="no users"),
        pytest.param(lambda: Closed(1.5), "users", "a whole number", id="half a user"),
        pytest.param(lambda: Fifo(0), "slots", ">= 1", id="no slots"),
        pytest.param(lambda: Fifo(1, -1), "queue_limit", ">= 0", id="queue_limit < 0"),
        pytest.param(lambda: Mix(()), "of", "more than 0", id="an empty mix"),
        pytest.param(lambda: Mix((Branch(0, Sleep()), Branch(0, Sleep()))), "of", "more than 0", id="weights sum to 0"),
        pytest.param(lambda: Mixture((Weighted(0, Constant(1)),)), "of", "more than 0", id="a mixture of nothing"),
        pytest.param(lambda: Branch(1, "sleep"), "job", "must be a JobSource", id="a job that is a text"),
        pytest.param(lambda: Faulty(Sleep(), -0.1), "failure_rate", ">= 0", id="negative failure rate"),
        pytest.param(lambda: Limited(Sleep(), 0), "timeout", "> 0", id="no time"),
        pytest.param(lambda: Replay(()), "durations", "at least one", id="nothing to replay"),
        pytest.param(lambda: Sleep("long"), "duration", "must be seconds", id="a duration that is a text"),
        pytest.param(lambda: Exponential(0), "mean", "> 0", id="mean 0"),
        pytest.param(lambda: Uniform(2, 1), "high", ">= low", id="uniform upside down"),
        pytest.param(lambda: Pareto(1, 1), "shape", "has no mean", id="a mean that does not exist"),
        pytest.param(lambda: Empirical(()), "values", "at least one", id="no values"),
        pytest.param(lambda: Workload(Sleep(), Poisson(1)), "duration", "never end", id="a workload that never ends"),
        pytest.param(lambda: Workload(Sleep(), Closed(1)), "duration", "never end", id="users that never end"),
        pytest.param(lambda: Workload(Sleep(), AllAtOnce(), duration=5), "jobs", "is required", id="an endless batch"),
        pytest.param(lambda: Workload(Sleep(), jobs=0), "jobs", ">= 1", id="no jobs"),
        pytest.param(lambda: Workload(Sleep(), jobs=1, duration=0), "duration", "> 0", id="no duration"),
        pytest.param(lambda: RunSpec(Workload(Sleep(), jobs=1), seed=-1), "seed", ">= 0", id="negative seed"),
        pytest.param(lambda: RunSpec(Workload(Sleep(), jobs=1), warmup="some"), "warmup", "must be", id="unknown warm-up"),
        pytest.param(
            lambda: RunSpec(Workload(Sleep(), jobs=1, duration=2), warmup=2), "warmup", "nothing would be", id="all warm-up"
        ),
        pytest.param(lambda: Thresholds(significance=0.5), "significance", "< 0.5", id="a test that is a coin"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused_by_name(make: Callable[[], object], path: str, says: str) -> None:
    """When the value is made, not when it is run."""
    import re

    with pytest.raises(SpecError) as caught:
        make()
    assert any(
        re.fullmatch(path, problem.path) and re.search(says, problem.problem) for problem in caught.value.problems
    )


def test_all_problems_are_reported_together() -> None:
    """Not only the first."""
    with pytest.raises(SpecError) as caught:
        Sine(0, -1, 0, "x")  # type: ignore[arg-type]
    assert [problem.path for problem in caught.value.problems] == ["mean", "amplitude", "period", "phase"]


class Watching(Observer):
    """Notes whether a run ever began."""

    began = False

    def on_start(self, spec: RunSpec) -> None:
        self.began = True


class Unknown(Job):
    """Nobody knows how long it takes."""

    ran = 0

    async def run(self, demand: float) -> None:
        Unknown.ran += 1


def test_job_without_demand_is_not_simulable() -> None:
    """The error names the member and the job, and says what to do."""
    spec = RunSpec(Workload(Unknown(), ConstantRate(1), jobs=5), clock="virtual")
    for run in (simulate, run_sync):
        with pytest.raises(NotSimulable, match=r"workload\.job: Unknown has no demand"):
            run(spec)
    assert Unknown.ran == 0


async def test_the_same_from_a_running_loop() -> None:
    """`run` takes a thread for virtual time; its error comes back."""
    with pytest.raises(NotSimulable, match=r"workload\.job"):
        await aurea_engine.run(RunSpec(Workload(Unknown(), jobs=5), clock="virtual"))


async def test_run_sync_in_a_loop_is_refused() -> None:
    """It would block the loop that it stands in."""
    with pytest.raises(SpecError, match=r"await aurea_engine.run\(spec\)"):
        run_sync(RunSpec(Workload(Sleep(), jobs=1)))


@pytest.mark.parametrize(("think", "served", "limit"), [(0.0, 0.0, None), (Constant(0.0), 0.0, None), (0.0, 0.01, 0)])
def test_endless_closed_model_is_noticed(think: Any, served: float, limit: int | None) -> None:
    """Jobs and thoughts that take no time, or users who are turned away, and only a duration to end them."""
    workload = Workload(Sleep(served), Closed(2, think), duration=1.0)
    spec = RunSpec(workload, Fifo(1, limit), clock="virtual", keep_jobs=False)
    with pytest.raises(SpecError, match=r"workload\.jobs: is required, or a think time: users who come back at once"):
        simulate(spec)


@pytest.mark.parametrize("limit", [None, 10_000], ids=["in order", "general path"])
def test_run_beyond_the_clock_is_refused(limit: int | None) -> None:
    """Three hundred years, one after the other: int64 nanoseconds end at 292."""
    spec = RunSpec(Workload(Sleep(1e9), jobs=10), Fifo(1, limit), seed=0)
    with pytest.raises(SpecError, match="more than 292 years"):
        simulate(spec)


@pytest.mark.parametrize("rate", [1e-9, 1e-12, 1e-300])
@pytest.mark.parametrize(
    "make", [Poisson, ConstantRate, lambda rate: GammaArrivals(rate, 2), lambda rate: Sine(rate, 0, 1)],
    ids=["Poisson", "constant", "gamma", "sine"],
)  # fmt: skip
def test_unreachable_arrivals_are_refused(make: Callable[[float], Arrivals], rate: float) -> None:
    """Twenty jobs, centuries apart; with a duration the few that come in time are run."""
    with pytest.raises(SpecError, match="285 years away"):
        simulate(RunSpec(Workload(Sleep(), make(rate), jobs=20), seed=0))
    assert simulate(RunSpec(Workload(Sleep(), make(rate), duration=1e9), seed=0)).counts.arrived <= 5


UserId = NewType("UserId", int)


@dataclass(frozen=True)
class Fields(Sleep):
    """Fields as people write them: generic, nested, of any kind."""

    headers: dict[str, str] | None = None
    tags: list[str] | None = None
    pair: tuple[str, int] = ("a", 1)
    nothing: tuple[()] = ()
    call: Callable[[], int] | None = None
    user: UserId = UserId(1)
    anything: Any = None
    flag: bool = False
    name: str = ""


def test_own_job_may_have_any_fields() -> None:
    """What the engine does not understand it leaves alone."""
    job = Fields(0.1, {"a": "b"}, ["x"], ("b", 2), (), len, UserId(4), object, True, "n")  # type: ignore[arg-type]
    assert (job.headers, job.tags, job.pair, job.user) == ({"a": "b"}, ["x"], ("b", 2), 4)
    assert Fields(0.1).pair == ("a", 1)


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"headers": []}, "headers"), ({"tags": {}}, "tags"), ({"pair": ("a",)}, "pair"), ({"pair": ("a", "b")}, "pair[1]"),
     ({"flag": 1}, "flag"), ({"call": 3}, "call")],
    ids=str,
)  # fmt: skip
def test_and_what_it_does_understand_it_checks(fields: dict[str, Any], path: str) -> None:
    """The container, at least."""
    with pytest.raises(SpecError) as caught:
        Fields(0.1, **fields)
    assert [path] == [problem.path for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"cost": {"kind": "composite", "of": []}}, "cost.of"),
        ({"cost": {"kind": "discounts", "of": {"kind": "composite", "of": []}}}, "cost.of.of"),
        ({"cost": {"kind": "per_job", "price": 1, "billed": []}}, "cost.billed"),
        ({"cost": {"kind": "tiered", "mode": "cliff", "tiers": []}}, "cost.tiers"),
        ({"cost": {"kind": "tokens", "classes": [], "requests": [{"tokens": []}]}}, "cost.classes"),
        ({"cost": {"kind": "tokens", "classes": [{"name": "in", "price": 1}], "requests": []}}, "cost.requests"),
        ({"workload": {"job": {"kind": "mix", "of": []}, "jobs": 1}}, "workload.job.of"),
        ({"workload": {"job": {"kind": "replay", "durations": []}, "jobs": 1}}, "workload.job.durations"),
        ({"workload": {"job": {"kind": "sleep"}, "arrivals": {"kind": "trace", "at": []}}}, "workload.arrivals.at"),
        (
            {"workload": {"job": {"kind": "sleep"}, "arrivals": {"kind": "stages", "stages": []}}},
            "workload.arrivals.stages",
        ),
        (
            {"workload": {"job": {"kind": "sleep", "duration": {"kind": "mixture", "of": []}}, "jobs": 1}},
            "workload.job.duration.of",
        ),
        (
            {"workload": {"job": {"kind": "sleep", "duration": {"kind": "empirical", "values": []}}, "jobs": 1}},
            "workload.job.duration.values",
        ),
    ],
)
def test_what_is_made_of_nothing_is_refused(data: dict[str, Any], path: str) -> None:
    """A bill of no models, a job of no branches: each says what it must hold."""
    with pytest.raises(SpecError) as caught:
        spec_from_dict({"num_jobs": 1, **data} if "workload" not in data else data)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert "at least one" in problem.problem
