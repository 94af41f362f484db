"""Whatever a cost model of a user's own does, the run has its result, and the bill says what went wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    Constant,
    ConstantRate,
    Fifo,
    RunResult,
    RunSpec,
    Sleep,
    Workload,
    default_catalog,
    job_costs,
    result_to_dict,
    simulate,
    spec_from_dict,
)
from aurea_engine.codec import results
from aurea_engine.costs import Component, CostModel, Flat, Formula, Jobs, Line, Meter, MeterTotal, PerSecond, SheetRef
from aurea_engine.costs import job_costs as checked_job_costs
from aurea_engine.costs.meters import JobMeter, MeterState
from aurea_engine.records.batch import JobBatch

F = Fraction
WORK = Workload(Sleep(Constant(0.01)), ConstantRate(100), jobs=10)


class Own(CostModel):
    """Free of charge, until a test gives it another method."""

    def components(self) -> Iterator[Component]:
        yield from ()


def own(**methods: Any) -> CostModel:
    made = type("Own", (Own,), methods)()
    assert isinstance(made, CostModel)
    return made


def lines(*given: Any, **named: Any) -> CostModel:
    return own(lines=lambda *_: [Line(*given, **named)])


def result_of(model: CostModel, keep: bool = True) -> RunResult:
    """A run whose result can be written down."""
    result = simulate(RunSpec(WORK, Fifo(2), seed=1, cost=model, keep_jobs=keep))
    catalog = default_catalog().add("cost_models", "own", type(model))
    written = json.dumps(result_to_dict(result, catalog), allow_nan=False)
    written.encode()
    return result


def problem_of(model: CostModel, keep: bool = True) -> str:
    """What the bill says is wrong; everything else in the result is as with any other model."""
    result, usual = result_of(model, keep), result_of(PerSecond(), keep)
    for name in ("counts", "service_time", "response_time", "utilization", "series", "duration"):
        assert getattr(result, name) == getattr(usual, name)
    assert result.cost.total is None
    assert "cost_unpriced" in [finding.code for finding in result.findings]
    assert result.cost.problem is not None
    return result.cost.problem


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lines(5, F(1), "u", F(1)), "name of a line must be text"),
        (lines("x", F(1), None, F(1)), "unit of a line must be text"),
        (lines("x", F(1), "u", F(1), source=object()), "source of a line must be text"),
        (lines("x", F(1), "u", F(1), basis=object()), "basis must be one of"),
        (lines("x", F(1), "u", F(1), key=[]), "unhashable"),
        (lines("x", None, "u", F(1)), "must be exact"),
        (lines("x", 10**400, "u", 10**400), "at most 1e+100"),
        (lines("x", 10**309, "u", 1), "at most 1e+100"),
        (lines("x", F(1, 10**5000), "u", 1), "1000 digits"),
        (lines("x", F(1), "u", F(1), used=F(2)), "from 0 to the quantity"),
        (lines("x", F(1), "u", F(1), consumed=F(-1)), "from 0 to the quantity"),
        (own(lines=lambda *_: None), "not iterable"),
        (own(lines=lambda *_: sys.exit(3)), "SystemExit: 3"),
        (own(components=lambda *_: sys.exit(3)), "SystemExit: 3"),
        (own(sheets=lambda *_: (1,)), "SheetRef"),
        (own(sheets=lambda *_: None), "not iterable"),
        (own(sheets=lambda *_: (SheetRef("a", "b", "c", 4, "d"),)), "must be text"),  # type: ignore[arg-type]
        (own(currency=None), "currency must be text"),
        (own(currency=property(lambda _: 1 / 0)), "ZeroDivisionError"),
    ],
)
def test_wrong_bill_becomes_a_problem(model: CostModel, said: str) -> None:
    """What is no bill ends as a problem of the bill."""
    assert said in problem_of(model)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [Mute(), GeneratorExit(), BaseException("base"), ValueError("\ud800")])
def test_whatever_is_raised_is_told(error: BaseException) -> None:
    assert type(error).__name__ in problem_of(own(lines=raising(error)))


def test_ctrl_c_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        result_of(own(lines=raising(KeyboardInterrupt())))


def test_numpy_numbers_become_python_numbers() -> None:
    """A product of two numpy integers would overflow."""
    model = lines("x", np.int64(10**12), "u", np.int64(10**12))
    assert result_of(model).cost.total == 10**24
    assert result_of(lines("x\ud800", True, "u", 2)).cost.lines[0].name == "x?"


def test_odd_denominators_lose_no_run() -> None:
    """An exact sum of thousands of digits cannot be written; from JSON, so any client could ask for it."""
    primes = [10**29 + 2 * i + 1 for i in range(400)]
    of = [{"kind": "per_job", "price": f"1/{each}"} for each in primes]
    result = simulate(spec_from_dict({"num_jobs": 2, "clock": "virtual", "cost": {"kind": "composite", "of": of}}))
    json.dumps(result_to_dict(result), allow_nan=False)
    assert "1000 digits" in (result.cost.problem or "")


@dataclass(frozen=True)
class Writes(Formula):
    """Would make the jobs last no time at all."""

    def cost(self, jobs: JobBatch) -> np.ndarray:  # type: ignore[type-arg]
        jobs.finished[:] = jobs.started
        return np.zeros(len(jobs))


@pytest.mark.parametrize("keep", [True, False])
def test_models_get_read_only_columns(keep: bool) -> None:
    """A model cannot write to what it is shown."""
    assert "read-only" in problem_of(Writes(), keep)


def per_job(answer: Callable[[JobBatch], Any]) -> CostModel:
    return own(per_job=lambda _, batch: answer(batch))


def _write(batch: JobBatch) -> None:
    batch.finished[:] = batch.started


@pytest.mark.parametrize(
    "answer",
    [
        lambda batch: np.ones((len(batch), 1)),
        lambda batch: -np.ones(len(batch)),
        lambda batch: np.full(len(batch), np.inf),
        lambda _: None,
        lambda batch: ["x"] * len(batch),
        lambda _: np.ones(3),
        lambda _: 0.0,
        lambda _: sys.exit(3),
        _write,
    ],
)
def test_impossible_job_cost_is_null(answer: Callable[[JobBatch], Any]) -> None:
    """A jobs own cost that is none is null and the bill stands."""
    result = result_of(per_job(answer))
    assert result.cost.total == 0
    rows = result_to_dict(result, default_catalog().add("cost_models", "own", type(result.spec.cost)))["jobs"]
    assert [row["cost"] for row in rows] == [None] * 10
    assert [row["latency"] for row in rows] == [0.01] * 10


def test_there_is_one_way_to_the_costs_of_jobs() -> None:
    assert job_costs is checked_job_costs is results.job_costs


@dataclass(frozen=True)
class Counts(JobMeter):
    """Its state answers ``counts``, and its key is ``called``."""

    counts: Any
    called: Any = "counts"

    @property
    def key(self) -> str:
        return self.called  # type: ignore[no-any-return]

    def measure(self, jobs: JobBatch) -> np.ndarray:  # type: ignore[type-arg]
        return np.ones(len(jobs), np.int64)

    def state(self) -> MeterState:
        state = super().state()
        state.read_counts = lambda: self.counts  # type: ignore[method-assign]
        return state


@pytest.mark.parametrize(
    "meter",
    [
        Counts({"completed": 0.5}),
        Counts({1: 1}),
        Counts({"completed": -1}),
        Counts([]),
        Counts({}, 5),
        Counts({}, "\ud800"),
    ],
)
def test_meter_counting_nonsense_is_dropped(meter: Meter) -> None:
    assert isinstance(meter, Counts)
    assert "own" in problem_of(own(components=lambda *_: [Component("x", MeterTotal(meter), Flat(1), "u")])).lower()
    good = Counts({"completed": np.int64(7)})
    assert result_of(own(components=lambda *_: [Component("x", MeterTotal(good), Flat(1), "u")])).cost.total == 7
    assert result_of(own(components=lambda *_: [Component("x", Jobs(), Flat(1), "u")])).cost.total == 10
