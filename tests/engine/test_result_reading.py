"""A result survives JSON: `result_from_dict` is the inverse of `result_to_dict`, and never trusts what it reads."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurea_engine import (
    Branch,
    Catalog,
    Closed,
    ConstantRate,
    CostModel,
    Exponential,
    Faulty,
    Fifo,
    LatencyHistogram,
    Mark,
    Measure,
    Mix,
    Objective,
    Observer,
    Poisson,
    Progress,
    RunResult,
    RunSpec,
    Sleep,
    SpecError,
    Stop,
    Workload,
    cost_from_dict,
    default_catalog,
    encode_json,
    parse_json,
    result_from_dict,
    result_to_dict,
    run_sync,
    simulate,
)
from aurea_engine.closed_sets import STATUSES
from aurea_engine.codec.histograms import histogram_from_dict, histogram_to_dict
from aurea_engine.errors import Problem

COSTS: list[dict[str, Any]] = [
    {"kind": "free"},
    {"kind": "per_second", "price": "0.0001", "step": 0.007, "minimum": 0.03},
    {"kind": "per_job", "price": "1/3"},
    {"kind": "serverless", "memory_mb": 300, "price": "0.0000166667", "request_price": "0.0000002"},
    {"kind": "packed", "concurrency": 3, "price": "0.00001"},
    {"kind": "tiered", "mode": "graduated", "tiers": [{"up_to": 7, "price": "1/7"}, {"price": "0.01"}]},
    {"kind": "discounts", "of": {"kind": "per_second", "price": "0.3"}, "discounts": [{"share": "0.125"}]},
]
"""One of each shape of bill: nothing, rounded, a third that has no end, several lines, kept ready, tiers, credits."""

OBJECTIVES = st.lists(
    st.sampled_from(
        [
            Objective("response_time", quantile=0.5, at_most=0.1),
            Objective("waiting_time", at_most=0.01),
            Objective("failure_ratio", at_most=0.1, abort=True),
            Objective("cost", at_most=0.0001),
            Objective("throughput", at_least=3.0),
        ]
    ),
    max_size=3,
).map(tuple)


def assert_same(result: RunResult, again: RunResult) -> None:
    """Field by field, so that a failure names it; and as a whole."""
    for field in dataclasses.fields(RunResult):
        if field.compare:
            assert getattr(result, field.name) == getattr(again, field.name), field.name
    assert result == again


def read_again(result: RunResult, catalog: Catalog | None = None) -> RunResult:
    """Through text, as a file or an answer holds it."""
    return result_from_dict(parse_json(encode_json(result_to_dict(result, catalog))), catalog)


@st.composite
def specs(draw: st.DrawFn) -> RunSpec:
    """Any workload, scheduler and objectives, with a bill of each shape, with and without records and warm-up."""
    spec = draw(st.from_type(RunSpec))
    keep = draw(st.booleans())
    return dataclasses.replace(
        spec,
        cost=draw(st.sampled_from([cost_from_dict(cost) for cost in COSTS])),
        objectives=draw(OBJECTIVES),
        warmup=draw(st.sampled_from([0, 0.05, "auto"] if keep else [0, 0.05])),
        keep_jobs=keep,
        label=draw(st.sampled_from([None, "a label", "größer ✓"])),
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(specs())
def test_every_result_reads_back(known: Catalog, spec: RunSpec) -> None:
    """All arrivals, jobs, schedulers and costs; also from the values themselves, without text between."""
    result = simulate(spec)
    assert_same(result, read_again(result, known))
    assert_same(result, result_from_dict(result_to_dict(result, known), known))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(specs())
def test_what_was_read_writes_the_same_json(known: Catalog, spec: RunSpec) -> None:
    """Also where the jobs were cut off: then only they are gone."""
    written = result_to_dict(simulate(spec), known, jobs_shown=3)
    again = result_to_dict(result_from_dict(written, known), known)
    if written["jobs_truncated"]:
        again |= {"jobs": written["jobs"]}
    assert encode_json(again) == encode_json(written)


def simulate_small(**changes: Any) -> RunResult:
    workload = Workload(Sleep(Exponential(0.05)), Poisson(50), jobs=400)
    return simulate(RunSpec(workload, Fifo(slots=3), **{"seed": 3, **changes}))


def test_a_result_in_real_time_reads_back() -> None:
    """Its jobs were released later than they were meant to be, and its environment is this machine's."""
    result = run_sync(RunSpec(Workload(Sleep(Exponential(0.001)), ConstantRate(2000), jobs=300), Fifo(slots=2), seed=1))
    assert result.jobs is not None
    assert (result.jobs.released > result.jobs.intended).any()
    assert_same(result, read_again(result))


class StopAt(Observer):
    """Stops the run at the first progress report."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def on_progress(self, progress: Progress) -> None:
        self.stop.now()


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "completed"])
def test_a_run_that_did_not_complete_says_why(status: str) -> None:
    """`reason` stands beside `status`, and survives."""
    stop = Stop()
    stop.now(status)  # type: ignore[arg-type]
    result = simulate(RunSpec(Workload(Sleep(), Closed(3), duration=5)), stop=stop)
    assert result.status == status
    assert result.reason is not None
    assert result_to_dict(result)["reason"] == {"code": result.reason.code, "detail": result.reason.detail}
    assert_same(result, read_again(result))


def test_a_lost_objective_is_the_reason() -> None:
    """An aborted run names what could no longer be met."""
    result = simulate_small(objectives=(Objective("response_time", quantile=0.5, at_most=0.001, abort=True),))
    assert result.status == "aborted"
    assert result.reason is not None
    assert result.reason.code == "objective_lost"
    assert "p50 response time <= 0.001 s" in result.reason.detail
    assert_same(result, read_again(result))


def test_a_completed_run_has_no_reason() -> None:
    """Null, and not left out: the member is always there."""
    assert result_to_dict(simulate_small())["reason"] is None


def test_an_empty_run_reads_back() -> None:
    """No job, so no time, no rate and no histogram with a value."""
    workload = Workload(Sleep(), ConstantRate(0.1), duration=0.0001)
    result = simulate(RunSpec(workload, Fifo(), seed=1))
    assert_same(result, read_again(result))


def test_a_large_run_loses_only_its_jobs() -> None:
    """Beyond 10,000 jobs JSON has the first of them only, which must not pass for the whole."""
    result = simulate(RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(100), jobs=10_001), seed=1))
    again = read_again(result)
    assert again.jobs is None
    assert_same(dataclasses.replace(result, jobs=None), again)


def test_histograms_are_of_the_same_jobs_as_times() -> None:
    """With a warm-up that was found in the records, too: the meters could not know it."""
    for result in (simulate_small(), simulate_small(warmup=1), simulate_small(warmup="auto")):
        for name, histogram in result.histograms.items():
            timing = getattr(result, name)
            assert histogram.count == timing.count
            if timing.count:
                assert histogram.mean == pytest.approx(timing.mean)
                assert (histogram.minimum / 1e9, histogram.maximum / 1e9) == (timing.min, timing.max)


@dataclasses.dataclass(frozen=True)
class Unpriceable(CostModel):
    """A model of somebody's that fails."""

    def components(self) -> Any:
        raise RuntimeError("no price today")


def test_an_unpriced_cost_reads_back() -> None:
    """The total is null, and the problem says why."""
    catalog = default_catalog().add("cost_models", "unpriceable", Unpriceable)
    result = simulate_small(cost=Unpriceable())
    assert result.cost.total is None
    assert_same(result, read_again(result, catalog))


def test_a_bill_stands_where_the_model_changed() -> None:
    """What was billed then is what is shown, whatever the model would charge now."""
    written = result_to_dict(simulate_small(cost=cost_from_dict({"kind": "per_job", "price": "0.25"})))
    written["spec"]["cost"]["price"] = "1"
    again = result_from_dict(written)
    assert again.cost.total == 100
    assert [line.name for line in again.cost.lines] == ["jobs"]
    assert again.cost.per_success == result_from_dict(written).cost.per_success


@dataclasses.dataclass(frozen=True)
class Scan(Sleep):
    """Reports a mark at half of its time, as many rows as its number, and a score in eighths for every second job."""

    marks = (Mark("first_row"),)
    measures = (Measure("rows", "rows"), Measure("score", "points", 1000))

    def reports(self, rng: np.random.Generator, first: int, demand: Any) -> dict[str, Any]:
        numbers = np.arange(first, first + len(demand))
        return {"first_row": demand / 2, "rows": numbers, "score": np.where(numbers % 2, numbers / 8, np.nan)}


def scan(keep: bool = True) -> RunResult:
    """Two groups, one of which reports a mark and measures, and objectives on all of that."""
    job = Mix((Branch(2, Scan(Exponential(0.05)), name="scans"), Branch(1, Faulty(Sleep(0.02), 0.5))))
    objectives = (
        Objective("first_row", quantile=0.5, at_most=0.2),
        Objective("group:scans:rows", at_most=1000),
        Objective("group:faulty:failure_ratio", at_most=0.1),
    )
    workload = Workload(job, Poisson(30), jobs=500)
    return simulate(RunSpec(workload, Fifo(2), seed=5, objectives=objectives, keep_jobs=keep, warmup=1))


@pytest.mark.parametrize("keep", [True, False], ids=["records", "no records"])
def test_marks_measures_and_groups_read_back(keep: bool) -> None:
    """With their histograms and the columns of the jobs; also where the kind of job is not known."""
    catalog = default_catalog().add("jobs", "scan", Scan)
    result = scan(keep)
    assert {"first_row", "rows", "score"} <= set(result.histograms)
    assert_same(result, read_again(result, catalog))
    written = result_to_dict(result, catalog)
    again = result_from_dict(parse_json(encode_json(written)), keep_unknown=True)
    assert again.groups == result.groups
    assert again.histograms == result.histograms
    assert again.jobs == result.jobs
    assert encode_json(result_to_dict(again)) == encode_json(written)


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("workload.job", {"kind": "query", "statement": "select 1", "weights": [0.5, 1]}),
    ("workload.job", {"kind": "limited", "job": {"kind": "query"}, "timeout": 1.0}),
    ("workload.arrivals", {"kind": "tidal", "moon": 0.5}),
    ("workload.patience", {"kind": "weibull", "k": 2}),
    ("scheduler", {"kind": "fair", "slots": 3, "queue_limit": None, "classes": {"a": 1}}),
    ("cost", {"kind": "barter", "goats": "1/3"}),
]


@pytest.mark.parametrize(("place", "member"), KINDS, ids=[f"{place} {member['kind']}" for place, member in KINDS])
def test_kinds_from_elsewhere_are_kept(place: str, member: dict[str, Any]) -> None:
    """A result of a machine with other packages can be shown and written again; without being asked for, it is refused."""
    written = result_to_dict(simulate_small(cost=cost_from_dict({"kind": "per_job", "price": "0.25"})))
    inner = written["spec"]
    *parents, name = place.split(".")
    for parent in parents:
        inner = inner[parent]
    inner[name] = member
    assert {problem.path for problem in find_problems(written)} == {
        f"spec.{place}.job.kind" if member["kind"] == "limited" else f"spec.{place}.kind"
    }
    again = result_to_dict(result_from_dict(parse_json(encode_json(written)), keep_unknown=True))
    assert again["spec"] == written["spec"]
    assert again["cost"]["total"] == "100"
    assert again["counts"] == written["counts"]


OLDER = (
    "reason", "good", "histograms", "series", "theory", "environment", "failure_time", "failures", "statuses", "usage",
    "window",
)  # fmt: skip


def test_results_of_earlier_versions_are_read() -> None:
    """Members came one by one: each may be missing, and all of them."""
    written = result_to_dict(simulate_small())
    for job in written["jobs"]:
        del job["released"]
    del written["counts"]["abandoned"]
    for missing in ((), *((name,) for name in OLDER), OLDER):
        document = {name: member for name, member in written.items() if name not in missing}
        again = result_from_dict(document)
        assert again.counts.arrived == 400
        assert again.response_time.p50 == written["response_time"]["p50"]
        assert again.jobs is not None
        assert float(again.cost.total or 0) == pytest.approx(written["total_cost"])


def find_problems(document: object) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        result_from_dict(document)
    return list(caught.value.problems)


def test_all_problems_are_reported_at_once() -> None:
    """Each with its path, what is wrong, and what stood there."""
    written = result_to_dict(simulate_small())
    written["duration"] = "soon"
    written["response_time"]["p99"] = float("nan")
    written["findings"] = [{"code": "unheard_of", "severity": "note"}]
    written["histograms"]["lag"] = {"count": 10**70}
    del written["counts"]
    found = {problem.path: problem for problem in find_problems(written)}
    assert {"duration", "response_time.p99", "findings[0].code", "histograms.lag.count", "counts"} <= set(found)
    assert found["duration"].got == "'soon'"


@pytest.mark.parametrize("change", [{"used": "9" * 400}, {"quantity": "1e-2000"}, {"consumed": "-1"}])
def test_unwieldy_lines_of_a_bill_are_refused(change: dict[str, str]) -> None:
    """A bill that its model does not confirm is read as it is written, but within the bounds of any other bill: the result
    could not be written again, since no float holds its utilization.
    """
    written = result_to_dict(simulate_small())
    written["cost"]["lines"][0].update(change)
    assert find_problems(written)[0].path.startswith("cost.lines")


@pytest.mark.parametrize("document", [None, [], "x", 5, {}, {"spec": {}}, {"spec": {"num_jobs": 1}}])
def test_what_is_no_result_is_refused(document: object) -> None:
    """With a problem, never with another exception."""
    assert find_problems(document)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-5, 5), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
DOCUMENTS = [
    result_to_dict(simulate_small(objectives=(Objective("response_time", at_most=1),))),
    result_to_dict(scan(), default_catalog().add("jobs", "scan", Scan)),
]


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], junk: object) -> Any:
    """``value`` with ``junk`` at ``path``, and copied only along it."""
    if not path:
        return junk
    changed = copy.copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], junk)
    return changed


PLACES = [
    (document, place) for document in DOCUMENTS for place in places({**document, "jobs": document["jobs"][:2]}) if place
]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(PLACES), JUNK)
def test_a_damaged_document_is_refused_or_read(where: tuple[dict[str, Any], tuple[Any, ...]], junk: object) -> None:
    """Whatever stands in the place of any member: a result that can be written again, or SpecError, and nothing else."""
    document = put(*where, junk)
    try:
        result = result_from_dict(document, keep_unknown=True)
    except SpecError as error:
        assert error.problems  # noqa: PT017 - it may be raised or not
        return
    json.loads(encode_json(result_to_dict(result)))


@given(st.lists(st.integers(0, 10**12), max_size=30))
def test_histograms_read_back(values: list[int]) -> None:
    """Bucket by bucket, with every sum; whatever was recorded first."""
    histogram, problems = LatencyHistogram(), list[Problem]()
    histogram.record(np.array(values, np.int64))
    assert histogram_from_dict(parse_json(encode_json(histogram_to_dict(histogram))), "h", problems) == histogram
    backwards = LatencyHistogram()
    backwards.record(np.array(values[::-1], np.int64))
    assert backwards == histogram
    assert problems == []


@pytest.mark.parametrize(
    "change",
    [
        {"buckets": ""},
        {"buckets": "5:1 4:1"},
        {"buckets": "99999:2"},
        {"buckets": "x" * 1_000_000},
        {"buckets": [1, 2]},
        {"count": 3},
        {"min_ns": 2**70},
        {"min_ns": 10**10},
        {"total_ns": "-1"},
        {"squares": "-5"},
        {"count": True},
        {"total_ns": "9" * 5000},
    ],
)
def test_contradictory_histogram_is_refused(change: dict[str, Any]) -> None:
    """Figures made of it would be nonsense."""
    histogram, problems = LatencyHistogram(), list[Problem]()
    histogram.record(np.array([1000, 5000], np.int64))
    histogram_from_dict({**(histogram_to_dict(histogram) or {}), **change}, "h", problems)
    assert problems
