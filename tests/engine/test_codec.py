"""JSON and TOML to specifications and back; every problem of a bad body is reported, with the member's path."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    FINAL,
    AllAtOnce,
    Arrivals,
    Catalog,
    ConstantRate,
    CostModel,
    Cpu,
    Empirical,
    Exponential,
    Faulty,
    Fifo,
    Free,
    Gamma,
    Job,
    JobBatch,
    JobSource,
    LogNormal,
    Mixture,
    Objective,
    Pareto,
    PerJob,
    PerSecond,
    Poisson,
    RunSpec,
    Scheduler,
    Severity,
    Sleep,
    SpecError,
    Uniform,
    Weighted,
    Workload,
    cost_from_dict,
    default_catalog,
    parse_json,
    parse_toml,
    result_to_dict,
    simulate,
    spec_from_dict,
    spec_to_dict,
)
from aurea_engine.workload.distributions import Constant, Distribution

GOOD: dict[str, Any] = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.06}},
        "arrivals": {"kind": "poisson", "rate": 55},
        "jobs": 60000,
        "duration": None,
    },
    "scheduler": {"kind": "fifo", "slots": 4, "queue_limit": None},
    "cost": {"kind": "per_second", "price": "0.001"},
    "clock": "real",
    "seed": 7,
    "warmup": 0,
    "objectives": [{"metric": "response_time", "quantile": 0.99, "at_most": 0.5}],
    "label": "baseline",
}


def problems(data: object) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        spec_from_dict(data)
    return {problem.path: f"{problem.problem} | {problem.got}" for problem in caught.value.problems}


def put(path: str, value: object) -> dict[str, Any]:
    """`GOOD` with ``value`` at ``path``; "…" alone removes the member."""
    body = json.loads(json.dumps(GOOD))
    *parents, last = path.split(".")
    inner = body
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return body


def test_the_full_form_is_read_as_it_stands() -> None:
    """The example of the wire format."""
    spec = spec_from_dict(GOOD)
    assert spec.workload == Workload(Sleep(Exponential(0.06)), spec.workload.arrivals, jobs=60_000)
    assert (Fifo(4), "real", 7, "baseline") == (spec.scheduler, spec.clock, spec.seed, spec.label)
    assert (Objective("response_time", at_most=0.5, quantile=0.99),) == spec.objectives


def test_the_seed_form_is_so_many_sleeps_at_once() -> None:
    """Truly parallel; 100 ms where nothing is said."""
    assert (
        Workload(Sleep(Constant(0.25)), AllAtOnce(), jobs=3)
        == spec_from_dict({"num_jobs": 3, "job_duration_ms": 250}).workload
    )
    spec = spec_from_dict({"num_jobs": 3})
    assert Workload(Sleep(Constant(0.1)), AllAtOnce(), jobs=3) == spec.workload
    assert (Fifo(), PerSecond("0.001")) == (spec.scheduler, spec.cost)


def test_seed_form_may_name_a_scheduler() -> None:
    """It stands in place of the workload only."""
    spec = spec_from_dict({"num_jobs": 3, "scheduler": {"slots": 2}, "clock": "virtual", "cost": {"kind": "free"}})
    assert (Fifo(2), "virtual", Free()) == (spec.scheduler, spec.clock, spec.cost)


def test_a_bare_number_is_a_constant_duration() -> None:
    """Seconds."""
    job = spec_from_dict({"workload": {"job": {"kind": "sleep", "duration": 0.3}, "jobs": 1}}).workload.job
    assert Sleep(Constant(0.3)) == job


@pytest.mark.parametrize(
    ("body", "path", "says"),
    [
        pytest.param([], "", "must be an object", id="an array"),
        pytest.param(None, "", "must be an object", id="null"),
        pytest.param("x", "", "must be an object", id="a text"),
        pytest.param({}, "workload", "is required, or num_jobs", id="nothing"),
        pytest.param({"job_duration_ms": 5}, "num_jobs", "is required", id="no num_jobs"),
        pytest.param({"num_jobs": 0}, "num_jobs", "must be a whole number >= 1", id="zero jobs"),
        pytest.param({"num_jobs": -1}, "num_jobs", ">= 1", id="negative jobs"),
        pytest.param({"num_jobs": 1.5}, "num_jobs", "a whole number", id="a fraction of a job"),
        pytest.param({"num_jobs": "5"}, "num_jobs", "a whole number", id="jobs as text"),
        pytest.param({"num_jobs": True}, "num_jobs", "a whole number", id="jobs as a boolean"),
        pytest.param({"num_jobs": None}, "num_jobs", "a whole number", id="jobs as null"),
        pytest.param({"num_jobs": [3]}, "num_jobs", "a whole number", id="jobs as a list"),
        pytest.param({"num_jobs": 10**10}, "num_jobs", "<= 1,000,000,000", id="too many jobs"),
        pytest.param({"num_jobs": 10**80}, "num_jobs", "an integer of 266 bits", id="absurdly many jobs"),
        pytest.param({"num_jobs": 1, "job_duration_ms": -1}, "job_duration_ms", ">= 0", id="negative duration"),
        pytest.param({"num_jobs": 1, "job_duration_ms": "1"}, "job_duration_ms", "a number", id="duration as text"),
        pytest.param({"num_jobs": 1, "job_duration_ms": 1e13}, "job_duration_ms", "<= 1,000,000,000,000", id="31,000 years"),
        pytest.param({"num_jobs": 1, "job_duration_ms": float("nan")}, "job_duration_ms", "finite", id="NaN"),
        pytest.param({"num_jobs": 1, "jobs": 1}, "jobs", 'did you mean "', id="a member of the workload outside"),
        pytest.param({"num_jobs": 1, "schedulers": {}}, "schedulers", 'did you mean "scheduler"?', id="a misspelt member"),
        pytest.param({**GOOD, "num_jobs": 1}, "num_jobs", "cannot stand beside workload", id="both forms"),
        pytest.param(put("workload", 5), "workload", "must be a Workload", id="a workload that is a number"),
        pytest.param(put("workload", []), "workload", "must be a Workload", id="a workload that is a list"),
        pytest.param(put("workload.job", ...), "workload.job", "is required", id="no job"),
        pytest.param(put("workload.job", "sleep"), "workload.job", "must be a JobSource", id="a job that is a text"),
        pytest.param(put("workload.job.kind", ...), "workload.job.kind", "is required: must be one of chat", id="no kind"),
        pytest.param(put("workload.job.kind", 3), "workload.job.kind", "must be a text", id="a kind that is a number"),
        pytest.param(put("workload.job.kind", "slep"), "workload.job.kind", 'did you mean "sleep"?', id="unknown kind"),
        pytest.param(put("workload.job.durations", 1), "workload.job.durations", 'did you mean "duration"?', id="misspelt"),
        pytest.param(
            put("workload.job.duration", "1"), "workload.job.duration", "must be seconds, or", id="duration as text"
        ),
        pytest.param(put("workload.job.duration", True), "workload.job.duration", "must be seconds", id="duration true"),
        pytest.param(put("workload.job.duration.mean", 0), "workload.job.duration.mean", "> 0", id="mean 0"),
        pytest.param(put("workload.job.duration", -1), "workload.job.duration.value", ">= 0", id="negative constant"),
        pytest.param(put("workload.arrivals.rate", 0), "workload.arrivals.rate", "> 0", id="rate 0"),
        pytest.param(put("workload.arrivals.rate", -5), "workload.arrivals.rate", "> 0", id="negative rate"),
        pytest.param(put("workload.arrivals.rate", 1e10), "workload.arrivals.rate", "<= 1,000,000,000", id="absurd rate"),
        pytest.param(put("workload.arrivals.rate", ...), "workload.arrivals.rate", "is required", id="no rate"),
        pytest.param(
            put("workload.arrivals", {"kind": "gamma", "rate": 5, "cv": -1}), "workload.arrivals.cv", ">= 0", id="cv < 0"
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "trace", "at": [0, 2, 1]}),
            "workload.arrivals.at[2]",
            "in order | 1 after 2",
            id="unsorted trace",
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "trace", "at": [-1, 2]}), "workload.arrivals.at[0]", ">= 0", id="trace < 0"
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "trace", "at": []}), "workload.arrivals.at", "at least one", id="empty trace"
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "stages", "stages": []}), "workload.arrivals.stages", "at least", id="none"
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "stages", "stages": [{"duration": 1, "rate": 0}]}),
            "workload.arrivals.stages",
            "nothing would ever arrive",
            id="stages of nothing",
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "stages", "stages": [{"duration": 1, "rate": 2, "end": 3}]}),
            "workload.arrivals.stages[0]",
            "either rate, or both start and end",
            id="a stage both steady and sloped",
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "stages", "stages": [{"duration": 1, "start": 3}]}),
            "workload.arrivals.stages[0]",
            "either rate, or both",
            id="a slope without its end",
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "ramp", "start": 0, "end": 0, "over": 1}),
            "workload.arrivals.end",
            "must not both be 0",
            id="a ramp of nothing",
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "sine", "mean": 1, "amplitude": 2, "period": 1}),
            "workload.arrivals.amplitude",
            "must be <= mean",
            id="a sine below 0",
        ),
        pytest.param(
            put("workload.arrivals", {"kind": "closed", "users": 0}), "workload.arrivals.users", ">= 1", id="no users"
        ),
        pytest.param(put("workload.jobs", ...), "workload.duration", "this workload would never end", id="endless"),
        pytest.param(
            {"workload": {"job": {"kind": "sleep"}, "duration": 5}}, "workload.jobs", "no end of their own", id="a batch"
        ),
        pytest.param(
            put("workload.job", {"kind": "mix", "of": [{"weight": 0, "job": {"kind": "sleep"}}]}),
            "workload.job.of",
            "weights must sum to more than 0",
            id="weights that sum to 0",
        ),
        pytest.param(
            put("workload.job", {"kind": "mix", "of": []}), "workload.job.of", "weights must sum", id="a mix of nothing"
        ),
        pytest.param(
            put("workload.job", {"kind": "mix", "of": [{"weight": -1, "job": {"kind": "sleep"}}]}),
            "workload.job.of[0].weight",
            ">= 0",
            id="negative weight",
        ),
        pytest.param(
            put("workload.job", {"kind": "faulty", "job": {"kind": "sleep"}, "failure_rate": 1.5}),
            "workload.job.failure_rate",
            "<= 1",
            id="failing more than always",
        ),
        pytest.param(
            put("workload.job", {"kind": "limited", "job": {"kind": "sleep"}, "timeout": 0}),
            "workload.job.timeout",
            "> 0",
            id="no time at all",
        ),
        pytest.param(
            put("workload.job.duration", {"kind": "mixture", "of": [{"weight": 0, "kind": "constant", "value": 1}]}),
            "workload.job.duration.of",
            "weights must sum",
            id="a mixture of nothing",
        ),
        pytest.param(
            put("workload.job.duration", {"kind": "pareto", "mean": 1, "shape": 1}),
            "workload.job.duration.shape",
            "has no mean",
            id="a mean that does not exist",
        ),
        pytest.param(
            put("workload.job.duration", {"kind": "uniform", "low": 2, "high": 1}),
            "workload.job.duration.high",
            ">= low",
            id="uniform upside down",
        ),
        pytest.param(
            put("workload.job.duration", {"kind": "empirical", "values": []}),
            "workload.job.duration.values",
            "at least one",
            id="no measured values",
        ),
        pytest.param(put("workload.job", {"kind": "replay", "durations": []}), "workload.job.durations", "at least one",
                     id="nothing to replay"),
        pytest.param(put("scheduler.slots", 0), "scheduler.slots", ">= 1", id="no slots"),
        pytest.param(put("scheduler.slots", 2.5), "scheduler.slots", "a whole number", id="half a slot"),
        pytest.param(put("scheduler.queue_limit", -1), "scheduler.queue_limit", ">= 0", id="queue_limit < 0"),
        pytest.param(put("scheduler.kind", "fast"), "scheduler.kind", "must be one of fifo", id="unknown discipline"),
        pytest.param(put("cost.price", -1), "cost.price", "", id="negative price"),
        pytest.param(put("cost.kind", "barter"), "cost.kind", "must be one of", id="unknown cost model"),
        pytest.param(put("clock", "fast"), "clock", "must be one of 'real', 'virtual'", id="unknown clock"),
        pytest.param(put("clock", []), "clock", "must be one of", id="a clock that is a list"),
        pytest.param(put("seed", -1), "seed", ">= 0", id="negative seed"),
        pytest.param(put("seed", 2**63), "seed", "<= 9,22", id="seed beyond 63 bits"),
        pytest.param(put("warmup", -1), "warmup", ">= 0", id="negative warm-up"),
        pytest.param(put("warmup", "manual"), "warmup", "must be", id="an unknown warm-up"),
        pytest.param({**put("workload.duration", 5), "warmup": 5}, "warmup", "shorter than workload", id="all warm-up"),
        pytest.param({**GOOD, "warmup": "auto", "keep_jobs": False}, "warmup", "needs keep_jobs", id="auto without records"),
        pytest.param(put("objectives", {}), "objectives", "must be a list", id="objectives that are no list"),
        pytest.param(put("objectives", [{}]), "objectives[0].metric", "is required", id="an objective without a metric"),
        pytest.param(
            put("objectives", [{"metric": "speed", "at_most": 1}]), "objectives[0].metric", "must be one", id="metric"
        ),
        pytest.param(put("label", 5), "label", "a text", id="a label that is a number"),
        pytest.param(put("label", "x" * 300), "label", "of at most 256 characters", id="a long label"),
        pytest.param({**GOOD, "keep_jobs": 1}, "keep_jobs", "true or false", id="a flag that is a number"),
        pytest.param({**GOOD, "thresholds": {"lag": -1}}, "thresholds.lag", ">= 0", id="negative threshold"),
        pytest.param({**GOOD, "thresholds": {"leg": 1}}, "thresholds.leg", 'did you mean "lag"?', id="misspelt threshold"),
    ],
)  # fmt: skip
def test_problems_name_the_member_s_path(body: object, path: str, says: str) -> None:
    """And what would be right, and what stood there."""
    found = problems(body)
    assert path in found
    assert says in found[path]


def test_all_problems_are_reported_at_once() -> None:
    """Of every member, also those deep inside; nothing hides behind the first."""
    body = {
        "workload": {
            "job": {
                "kind": "mix",
                "of": [{"weight": -1, "job": {"kind": "sleep", "duration": {"kind": "gama"}}}, {"job": 5}],
            },
            "arrivals": {"kind": "poisson", "rate": 0},
            "jobs": 0,
        },
        "scheduler": {"slots": 0, "queue_limit": -1, "lanes": 2},
        "clock": "fast",
        "seed": "x",
        "labl": "y",
    }
    assert {
        "workload.job.of[0].weight",
        "workload.job.of[0].job.duration.kind",
        "workload.job.of[1].weight",
        "workload.job.of[1].job",
        "workload.arrivals.rate",
        "workload.jobs",
        "scheduler.slots",
        "scheduler.queue_limit",
        "scheduler.lanes",
        "clock",
        "seed",
        "labl",
    } == set(problems(body))


def test_hostile_values_are_shown_short() -> None:
    """60 characters, one line, no control characters."""
    (shown,) = problems(put("label", ["\x1b[31m\n" * 1000])).values()
    assert shown.endswith("| a list of 1")
    (shown,) = problems(put("clock", "\x1b[31m\n" * 1000)).values()
    got = shown.partition(" | ")[2]
    assert len(got) <= 60
    assert got.isprintable()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(b"", "must be JSON", id="empty"),
        pytest.param(b"{", "must be JSON", id="cut off"),
        pytest.param(b'{"a": 1,}', "must be JSON", id="a comma too many"),
        pytest.param(b"{'a': 1}", "must be JSON", id="single quotes"),
        pytest.param(b'{"a": NaN}', "no NaN", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "no -Infinity", id="Infinity"),
        pytest.param(b'{"a": 1, "a": 2}', "a: must be given once", id="a member twice"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "5000 digits", id="5,000 digits"),
        pytest.param(b"[" * 100_000, "nested at most 16 deep", id="100,000 deep"),
        pytest.param(b'{"a":' * 100_000, "nested at most 16 deep", id="100,000 objects deep"),
        pytest.param(b'{"a": "\xff"}', "must be UTF-8", id="bad UTF-8"),
    ],
)
def test_text_that_is_no_strict_json_is_refused(text: bytes, says: str) -> None:
    """With a sentence, and never anything but SpecError."""
    with pytest.raises(SpecError, match=says):
        parse_json(text)


def test_brackets_within_texts_are_no_depth() -> None:
    """Escaped quotes do not end a text."""
    assert parse_json(r'{"a": "[[[[[[[[[[[[[[[[[[\"{{"}') == {"a": '[[[[[[[[[[[[[[[[[["{{'}


def test_number_beyond_floats_is_refused() -> None:
    """1e309 is JSON, but no finite number."""
    assert "finite" in problems(parse_json('{"num_jobs": 1, "job_duration_ms": 1e309}'))["job_duration_ms"]


def test_prices_are_read_as_exact_decimals() -> None:
    """0.1 in JSON is one tenth, and not the float beside it."""
    spec = spec_from_dict(parse_json('{"num_jobs": 1, "cost": {"kind": "per_job", "price": 0.1}}'))
    assert PerJob("0.1") == spec.cost


def test_toml_reads_as_json_does() -> None:
    """Fractions as exact decimals too."""
    text = (
        '[workload]\njobs = 5\n[workload.job]\nkind = "sleep"\nduration = 0.1\n[cost]\nkind = "per_job"\nprice = 0.1\n'
    )
    spec = spec_from_dict(parse_toml(text.encode()))
    assert (Workload(Sleep(0.1), jobs=5), PerJob("0.1")) == (spec.workload, spec.cost)


@pytest.mark.parametrize("text", [b"a = ", b"a = 1\na = 2", "a = " + "[" * 100_000, b"a = nan\nb ="], ids=range(4))
def test_text_that_is_no_toml_is_refused(text: bytes | str) -> None:
    """With SpecError."""
    with pytest.raises(SpecError, match="must be TOML"):
        parse_toml(text)


finite = st.floats(0.001, 1000.0, allow_nan=False)
wide: st.SearchStrategy[Distribution] = st.one_of(
    st.builds(Constant, finite),
    st.tuples(finite, finite).map(lambda pair: Uniform(min(pair), max(pair))),
    st.builds(Exponential, finite),
    st.builds(Gamma, finite, finite),
    st.builds(LogNormal, finite, finite),
    st.builds(Pareto, finite, st.floats(1.01, 10)),
    st.builds(Empirical, st.lists(finite, min_size=1, max_size=3).map(tuple)),
    st.builds(
        Mixture, st.lists(st.builds(Weighted, st.integers(1, 9), st.builds(Exponential, finite)), min_size=1).map(tuple)
    ),
)
sources: st.SearchStrategy[JobSource] = st.one_of(
    st.from_type(JobSource),
    st.builds(Sleep, wide),
    st.builds(Cpu, wide),
    st.builds(Faulty, st.builds(Sleep, wide), st.just(0.5)),
)
objectives = st.sampled_from(
    [Objective("response_time", at_most=0.5, quantile=0.99, abort=True), Objective("throughput", at_least=3)]
)


@given(
    st.builds(
        RunSpec,
        st.builds(Workload, sources, st.from_type(Arrivals), jobs=st.integers(1, 10**12), duration=st.none() | finite),
        st.from_type(Scheduler),
        st.sampled_from([Free(), PerJob("0.2"), PerSecond("0.001") + PerJob("0.0000002")]),
        clock=st.sampled_from(["real", "virtual"]),
        seed=st.none() | st.integers(0, 2**63 - 1),
        warmup=st.sampled_from([0.0, "auto"]),
        objectives=st.lists(objectives, max_size=2).map(tuple),
        label=st.none() | st.text(max_size=20),
    )
)
def test_specification_round_trips(known: Catalog, spec: RunSpec) -> None:
    """As strict JSON text, equal in every member, of every kind."""
    text = json.dumps(spec_to_dict(spec, known), allow_nan=False)
    assert spec == spec_from_dict(parse_json(text), known)


@pytest.mark.parametrize("group", ["jobs", "arrivals", "schedulers", "distributions"])
def test_every_kind_is_known_by_its_name(group: str) -> None:
    """What the catalog lists can be written: no kind is only half there."""
    catalog = default_catalog()
    for kind, cls in catalog.kinds[group].items():
        assert cls is catalog.find(group, kind)


def test_result_has_every_documented_member() -> None:
    """No NaN, no Infinity; the documented names."""
    spec = RunSpec(Workload(Sleep(0.1), ConstantRate(10), jobs=20), Fifo(1), clock="virtual", seed=0)
    body = json.loads(json.dumps(result_to_dict(simulate(spec)), allow_nan=False))
    assert {
        "benchmark_id", "num_jobs", "completed_jobs", "throughput", "mean_latency", "total_cost", "start_time", "end_time",
        "duration", "jobs", "status", "label", "spec", "clock", "counts", "offered_rate", "goodput", "utilization",
        "concurrency", "response_time", "waiting_time", "service_time", "lag", "cost", "objectives", "verdict", "findings",
        "environment", "jobs_truncated",
    } <= set(body)  # fmt: skip
    assert {"arrived", *(outcome.name.lower() for outcome in FINAL)} == set(body["counts"])
    for kind in ("response_time", "waiting_time", "service_time", "lag"):
        assert {"mean", "std", "min", "max", "p50", "p90", "p95", "p99", "p999"} <= set(body[kind])
    assert (body["num_jobs"], body["completed_jobs"], body["mean_latency"]) == (20, 20, 0.1)
    assert f"{body['benchmark_id']}-job-7" == body["jobs"][7]["job_id"]
    assert spec == spec_from_dict(body["spec"])


def test_judgements_are_written_as_objects() -> None:
    """Each as an object."""
    spec = RunSpec(
        Workload(Sleep(Exponential(0.01)), Poisson(50), jobs=600),
        Fifo(1),
        seed=0,
        objectives=(Objective("response_time", at_most=9, quantile=0.5),),
    )
    body = json.loads(json.dumps(result_to_dict(simulate(spec)), allow_nan=False))
    (objective,) = body["objectives"]
    assert (objective["objective"], objective["outcome"]) == ("p50 response time <= 9 s", "met")
    assert {"code": "too_few_samples", "severity": "note"}.items() <= body["findings"][0].items()
    assert {"M/M/1"} == {row["model"] for row in body["theory"]}
    assert {"p50", "p90", "p95", "mean"} <= set(body["response_time"]["intervals"])


def test_a_cost_model_can_be_read_on_its_own() -> None:
    """To price a stored run again."""
    assert PerJob("0.1") == cost_from_dict({"kind": "per_job", "price": "0.1"})
    for bad, path in ((5, "cost"), ({}, "cost.kind"), ({"kind": "per_job"}, "cost.price")):
        with pytest.raises(SpecError) as caught:
            cost_from_dict(bad)
        assert [path] == [problem.path for problem in caught.value.problems]


@dataclass(frozen=True)
class Tagged(Sleep):
    """A job with fields of many kinds."""

    tags: dict[str, Decimal] | None = None
    level: Any = None


def test_own_fields_are_written_as_json() -> None:
    """Mappings, decimals, enumerations."""
    spec = RunSpec(Workload(Tagged(0.1, {"a": Decimal("0.5")}, Severity.DEGRADED), jobs=1))
    job = spec_to_dict(spec, default_catalog().add("jobs", "tagged", Tagged))["workload"]["job"]
    assert job["tags"] == {"a": "0.5"}
    assert (job["kind"], job["level"]) == ("tagged", 1)


def test_a_run_can_be_repeated_from_its_result() -> None:
    """The seed that was drawn is in it."""
    first = simulate(RunSpec(Workload(Sleep(Exponential(0.1)), ConstantRate(10), jobs=50), Fifo(1)))
    again = simulate(spec_from_dict(result_to_dict(first)["spec"]))
    assert first.spec.seed is not None
    assert first.response_time == again.response_time


@pytest.mark.parametrize("shown", [0, 3, 50])
def test_no_more_jobs_are_shown_than_asked_for(shown: int) -> None:
    """And the body says when there are more."""
    body = result_to_dict(simulate(RunSpec(Workload(Sleep(0.1), jobs=20), seed=0)), jobs_shown=shown)
    assert min(shown, 20) == len(body["jobs"])
    assert (shown < 20) is body["jobs_truncated"]


def test_jobs_that_never_ran_have_no_times() -> None:
    """Null, and never 0."""
    body = result_to_dict(simulate(RunSpec(Workload(Sleep(1.0), jobs=3), Fifo(1, 0), seed=0)))
    served, *rejected = body["jobs"]
    assert (served["outcome"], served["latency"], served["response_time"]) == ("completed", 1.0, 1.0)
    assert all((job["outcome"], job["latency"], job["response_time"]) == ("rejected", None, None) for job in rejected)
    assert len(rejected) > 0


def test_unknown_strategy_is_written_by_path() -> None:
    """So that a reader sees what ran, though only Python can make it again."""

    class Mine(Job):
        async def run(self, demand: float) -> None:
            pass

    kind = spec_to_dict(RunSpec(Workload(Mine(), jobs=1)))["workload"]["job"]["kind"]
    assert kind.endswith(".Mine")
    assert ":" in kind


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["workload", "job", "kind", "num_jobs", "arrivals", "scheduler", "cost", "of", "x"]),
                        inner | st.sampled_from(["sleep", "poisson", "mix", "fifo", "sheet", "composite"]), max_size=5),
                    max_leaves=20))  # fmt: skip
def test_whatever_comes_in_is_read_or_refused(data: Any) -> None:
    """Never another error than SpecError, and every problem can be printed."""
    made: Callable[[], RunSpec] = lambda: spec_from_dict(data)  # noqa: E731
    try:
        assert isinstance(made(), RunSpec)
    except SpecError as error:
        printed = str(error)
        found = error.problems
    else:
        return
    assert found
    assert printed


class Broken(CostModel):
    """Its per-job costs fail, or are too few, or no numbers."""

    def __init__(self, costs: Callable[[JobBatch], Any]) -> None:
        self.costs = costs

    def components(self) -> tuple[()]:
        return ()

    def per_job(self, batch: JobBatch) -> Any:
        return self.costs(batch)


@pytest.mark.parametrize(
    "costs",
    [
        pytest.param(lambda _: 1 / 0, id="raises"),
        pytest.param(lambda batch: np.zeros(len(batch) - 1), id="too few"),
        pytest.param(lambda _: 5, id="one for all"),
        pytest.param(lambda batch: np.full(len(batch), np.nan), id="NaN"),
        pytest.param(lambda batch: np.full(len(batch), np.inf), id="infinite"),
    ],
)
def test_failing_job_costs_are_null(costs: Callable[[JobBatch], Any]) -> None:
    """Null, and the rest of the result stands."""
    body = result_to_dict(simulate(RunSpec(Workload(Sleep(0.1), jobs=3), cost=Broken(costs), seed=0)))
    assert [job["cost"] for job in body["jobs"]] == [None, None, None]
    json.dumps(body, allow_nan=False)
    assert [job["latency"] for job in body["jobs"]] == [0.1, 0.1, 0.1]
