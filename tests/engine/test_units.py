"""Durations and rates with the units that people write: read exactly, and refused where they could mean something else."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    Closed,
    Empirical,
    Limited,
    Objective,
    Poisson,
    Problem,
    Replay,
    RunSpec,
    Sleep,
    SpecError,
    Stage,
    Thresholds,
    Trace,
    Uniform,
    Workload,
    parse_toml,
    simulate,
    spec_from_dict,
    spec_to_dict,
)
from aurea_engine.costs import PerSecond
from aurea_engine.fields.units import PER, UNITS, parse_duration, parse_rate

NUMBERS = st.decimals(0, 10**6, places=6, allow_nan=False, allow_infinity=False)


@given(NUMBERS, st.sampled_from(sorted(UNITS)))
def test_a_duration_is_read_exactly(number: Decimal, unit: str) -> None:
    """As a fraction of a second: no float on the way."""
    assert parse_duration(f"{number:f}{unit}") == Fraction(number) * UNITS[unit]


@given(NUMBERS, st.sampled_from(sorted(PER)))
def test_a_rate_is_read_exactly(number: Decimal, unit: str) -> None:
    """A third of a job per second is 20/m."""
    assert parse_rate(f"{number:f}/{unit}") == Fraction(number) / PER[unit]
    assert parse_rate("20/m") == Fraction(1, 3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("1.5h", 5400.0),
        ("2m", 120.0),
        ("5us", 5e-6),
        ("5\N{MICRO SIGN}s", 5e-6),
        ("5\N{GREEK SMALL LETTER MU}s", 5e-6),
        ("1ns", 1e-9),
        ("0s", 0.0),
        ("007s", 7.0),
        ("0.1s", 0.1),
        ("100h", 360_000.0),
    ],
)
def test_what_is_taken_for_a_duration(text: str, seconds: float) -> None:
    """Everywhere alike: a job's, a distribution's, a list's."""
    assert Sleep(text).duration.moments().mean == seconds  # type: ignore[arg-type]
    assert Empirical((text, 1)).values[0] == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1,5s", "1.5s"),
        (" 5 s", "5s"),
        ("5 s", "5s"),
        ("5s ", "5s"),
        ("5S", "5s"),
        ("5M", "5m"),
        ("5MS", "5ms"),
        ("5", "5s"),
        ("5min", "5m"),
        ("5 minutes", "5m"),
        ("3sec", "3s"),
        ("2hours", "2h"),
        ("+5s", "5s"),
        ("10\u00a0s", "10s"),
        ("-5s", ""),
        (".5s", ""),
        ("5.s", ""),
        ("1e3ms", ""),
        ("1h30m", ""),
        ("1_000s", ""),
        ("\N{FULLWIDTH DIGIT FIVE}s", ""),
        ("", ""),
        ("s", ""),
        ("5d", ""),
        ("5/s", ""),
        ("0x5s", ""),
        ("NaNs", ""),
        ("inf", ""),
        ("1" * 41 + "s", ""),
    ],
)
def test_what_is_refused_as_a_duration(text: str, meant: str) -> None:
    """With the member, examples, and what was meant where that is plain."""
    for make, path in ((lambda: Limited(Sleep(), text), "timeout"), (lambda: Sleep(text), "duration")):  # type: ignore[arg-type]
        with pytest.raises(SpecError) as caught:
            make()
        (problem,) = caught.value.problems
        assert problem.path == path
        assert '"250ms" (ns, us, ms, s, m, h)' in problem.problem
        assert (f'did you mean "{meant}"?' in problem.problem) is bool(meant)


@pytest.mark.parametrize(
    ("text", "rate"), [("500/s", 500.0), ("30000/m", 500.0), ("1/h", 1 / 3600), ("0.5/s", 0.5), ("20/m", 1 / 3)]
)
def test_what_is_taken_for_a_rate(text: str, rate: float) -> None:
    """Per second, minute, hour."""
    assert Poisson(text).rate == rate  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("500 / s", "500/s"),
        ("500/S", "500/s"),
        ("500/sec", "500/s"),
        ("500rps", "500/s"),
        ("6 per minute", "6/m"),
        ("1,5/s", "1.5/s"),
        ("500", ""),
        ("5s", ""),
        ("5/ms", ""),
        ("-5/s", ""),
        ("1e3/s", ""),
        ("/s", ""),
        ("5/", "5/s"),
    ],
)
def test_what_is_refused_as_a_rate(text: str, meant: str) -> None:
    """With examples, and what was meant where that is plain."""
    with pytest.raises(SpecError) as caught:
        Poisson(text)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert problem.path == "rate"
    assert '"500/s" (/s, /m, /h)' in problem.problem
    assert (f'did you mean "{meant}"?' in problem.problem) is bool(meant)


@pytest.mark.parametrize("text", ["0s", "0/s", "1000000000000h", "10000000000/s"])
def test_bounds_hold_for_what_has_a_unit(text: str) -> None:
    """And what was written is told, not what it came to."""
    with pytest.raises(SpecError) as caught:
        Limited(Sleep(), text) if "/" not in text else Poisson(text)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert "> 0 and <= 1,000,000,000" in problem.problem
    assert problem.got == repr(text)


def test_units_work_wherever_seconds_do() -> None:
    """Each member of a time or a rate, in JSON: the specification in the result has plain numbers."""
    data: dict[str, Any] = {
        "workload": {
            "job": {
                "kind": "limited",
                "timeout": "2m",
                "job": {
                    "kind": "sleep",
                    "duration": {
                        "kind": "mixture",
                        "of": [
                            {"weight": 1, "kind": "exponential", "mean": "5ms"},
                            {"weight": 1, "kind": "constant", "value": "1s"},
                            {"weight": 1, "kind": "uniform", "low": "1us", "high": "1h"},
                            {"weight": 1, "kind": "gamma", "mean": "1m", "cv": 1},
                            {"weight": 1, "kind": "lognormal", "mean": "1m", "cv": 1},
                            {"weight": 1, "kind": "pareto", "mean": "1m", "shape": 3},
                            {"weight": 1, "kind": "empirical", "values": ["1ms", 2]},
                        ],
                    },
                },
            },
            "arrivals": {
                "kind": "stages",
                "stages": [{"rate": "60/m", "duration": "1m"}, {"start": "0/s", "end": "1/s", "duration": "1s"}],
            },
            "duration": "1h",
        },
        "cost": {"kind": "per_second", "step": "100ms", "minimum": "1s"},
        "warmup": "10s",
        "thresholds": {"lag": "5ms", "gc_pause": "20ms"},
        "objectives": [
            {"metric": "response_time", "quantile": 0.99, "at_most": "250ms"},
            {"metric": "throughput", "at_least": "30000/m"},
        ],
    }
    spec = spec_from_dict(data)
    written = spec_to_dict(spec)
    assert written["warmup"] == 10.0
    assert written["workload"]["duration"] == 3600.0
    assert written["workload"]["job"]["timeout"] == 120.0
    assert written["workload"]["arrivals"]["stages"][0] == {"duration": 60.0, "rate": 1.0, "start": None, "end": None}
    assert written["workload"]["job"]["job"]["duration"]["of"][2] == {
        "weight": 1.0,
        "kind": "uniform",
        "low": 1e-6,
        "high": 3600.0,
    }
    assert [each["at_most"] or each["at_least"] for each in written["objectives"]] == [0.25, 500.0]
    assert (written["cost"]["step"], written["thresholds"]["lag"]) == (0.1, 0.005)
    assert spec_from_dict(written) == spec


@pytest.mark.parametrize(
    ("arrivals", "plain"),
    [
        ({"kind": "constant", "rate": "5/s"}, {"kind": "constant", "rate": 5}),
        ({"kind": "gamma", "rate": "5/s", "cv": 2}, {"kind": "gamma", "rate": 5, "cv": 2}),
        (
            {"kind": "ramp", "start": "0/s", "end": "1/m", "over": "1h"},
            {"kind": "ramp", "start": 0, "end": 1 / 60, "over": 3600},
        ),
        (
            {"kind": "sine", "mean": "5/s", "amplitude": "60/m", "period": "1m"},
            {"kind": "sine", "mean": 5, "amplitude": 1, "period": 60},
        ),
        ({"kind": "trace", "at": ["1ms", 2]}, {"kind": "trace", "at": [0.001, 2]}),
        ({"kind": "closed", "users": 2, "think_time": "1s"}, {"kind": "closed", "users": 2, "think_time": 1}),
    ],
)
def test_every_arrival_process_takes_units(arrivals: dict[str, Any], plain: dict[str, Any]) -> None:
    """The same specification as with plain numbers."""

    def spec(process: dict[str, Any]) -> RunSpec:
        return spec_from_dict({"workload": {"job": {"kind": "sleep"}, "arrivals": process, "jobs": 5}})

    assert spec(arrivals) == spec(plain)


def test_python_and_toml_take_units_too() -> None:
    """The same check reads them all."""
    spec = spec_from_dict(parse_toml('num_jobs = 3\nwarmup = "1ms"\n[thresholds]\nlag = "2ms"\n'))
    assert (spec.warmup, spec.thresholds) == (0.001, Thresholds(lag=0.002))
    assert Uniform("1ms", "2ms") == Uniform(0.001, 0.002)  # type: ignore[arg-type]
    assert Replay(("1ms", 2)) == Replay((0.001, 2.0))  # type: ignore[arg-type]
    assert Trace(("1ms", 2)) == Trace((0.001, 2.0))  # type: ignore[arg-type]
    assert Closed(1, "1s") == Closed(1, 1)  # type: ignore[arg-type]
    assert Stage("1m", rate="60/m") == Stage(60, rate=1)  # type: ignore[arg-type]
    assert PerSecond(step="1ms") == PerSecond(step=0.001)  # type: ignore[arg-type]
    assert simulate(RunSpec(Workload(Sleep("250ms"), jobs=1))).duration == 0.25  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric", "text", "right"),
    [
        ("response_time", "250ms", True),
        ("waiting_time", "0s", True),
        ("service_time", "1m", True),
        ("throughput", "500/s", True),
        ("goodput", "1/h", True),
        ("response_time", "5/s", False),
        ("throughput", "5s", False),
        ("goodput", "1h", False),
        ("failure_ratio", "1s", False),
        ("failure_ratio", "1/s", False),
        ("cost", "1s", False),
        ("cost_per_job", "1/s", False),
    ],
)
@pytest.mark.parametrize("bound", ["at_most", "at_least"])
def test_a_bound_has_the_unit_of_its_metric(metric: str, text: str, right: bool, bound: str) -> None:
    """A time a duration, a rate a rate, a share and money none; from JSON with the path of the member."""
    data = {"num_jobs": 1, "objectives": [{"metric": metric, bound: text}]}
    if right:
        assert isinstance(getattr(spec_from_dict(data).objectives[0], bound), float)
        return
    with pytest.raises(SpecError) as caught:
        spec_from_dict(data)
    (problem,) = caught.value.problems
    assert problem.path == f"objectives[0].{bound}"
    assert metric in problem.problem
    with pytest.raises(SpecError):
        Objective(metric, **{bound: text})  # type: ignore[arg-type]


def test_all_wrong_units_are_reported() -> None:
    """Each with the path of its member."""
    data = {
        "workload": {
            "job": {"kind": "limited", "timeout": "5 s", "job": {"kind": "sleep", "duration": "10"}},
            "arrivals": {"kind": "poisson", "rate": "5s"},
            "duration": "1d",
        },
        "warmup": "soon",
        "label": 3,
    }
    with pytest.raises(SpecError) as caught:
        spec_from_dict(data)
    told: list[Problem] = list(caught.value.problems)
    assert {each.path for each in told} == {
        "workload.job.timeout",
        "workload.job.job.duration",
        "workload.arrivals.rate",
        "workload.duration",
        "warmup",
        "label",
    }
