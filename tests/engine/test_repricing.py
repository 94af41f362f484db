"""A stored result is priced again from its own JSON, by any model, as if it had been run under it."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    Exponential,
    Faulty,
    Fifo,
    JobBatch,
    Limited,
    Outcome,
    PerSecond,
    Poisson,
    Problem,
    RunResult,
    RunSpec,
    Sleep,
    SpecError,
    Usage,
    Workload,
    cost_from_dict,
    default_catalog,
    encode_json,
    parse_json,
    price,
    record_rows,
    records_from_rows,
    result_to_dict,
    simulate,
)
from aurea_engine.costs import complete

WORK = Workload(Faulty(Limited(Sleep(Exponential(0.0731)), 0.2), 0.1), Poisson(60), jobs=900)
SPEC = RunSpec(WORK, Fifo(4, queue_limit=5), seed=3)
MODELS: list[dict[str, Any]] = [
    {"kind": "free"},
    {"kind": "per_second", "price": "0.003", "step": 0.0007, "minimum": 0.0131},
    {"kind": "per_second", "price": "1/3", "billed": ["completed"], "step": "37ms"},
    {"kind": "per_job", "price": "0.1", "billed": ["failed", "timed_out"]},
    {
        "kind": "serverless",
        "memory_mb": 300,
        "price": "0.0000166667",
        "request_price": "0.0000002",
        "step": 0.013,
        "minimum": 0.05,
    },
    {
        "kind": "container_task",
        "vcpu": "0.25",
        "memory_gb": "0.5",
        "vcpu_price": "0.04048",
        "memory_price": "0.004445",
        "step": 7,
    },
    {"kind": "instance_busy", "price": "0.1", "concurrency": 3, "step": 0.07, "scope": "instance"},
    {"kind": "packed", "price": "0.1", "concurrency": 3, "step": 0.07},
    {"kind": "fleet", "price": "0.096", "slots": 3, "step": 17},
    {
        "kind": "tiered",
        "mode": "cliff",
        "quantity": "seconds",
        "step": 0.017,
        "tiers": [{"up_to": 20, "price": 1}, {"price": "0.5"}],
    },
    {"kind": "tokens", "classes": [{"name": "in", "price": 3}], "requests": [{"tokens": [700]}]},
    {"kind": "egress", "price": "0.09", "bytes_per_job": 12345, "unit": "GiB"},
    {"kind": "flat_period", "price": 100},
    {"kind": "sheet", "name": "aws-lambda-x86-us-east-1", "memory_mb": 300},
    {"kind": "discounts", "of": {"kind": "per_second", "step": 0.011}, "discounts": [{"share": "0.2"}]},
    {
        "kind": "composite",
        "of": [{"kind": "per_second", "step": 0.021}, {"kind": "packed", "price": 1, "concurrency": 5}],
    },
]


def stored(result: RunResult) -> Any:
    """Written and read back: nothing but the JSON is left."""
    return parse_json(encode_json(result_to_dict(result)))


def test_every_kind_of_model_is_tried() -> None:
    """Whoever adds one adds it here."""
    assert {each["kind"] for each in MODELS} == set(default_catalog().kinds["cost_models"])


@pytest.mark.parametrize("data", MODELS, ids=lambda data: data["kind"])
def test_repriced_is_as_run_under_the_model(data: dict[str, Any]) -> None:
    """To the last digit, line by line, of a run with every outcome but cancelled."""
    model = cost_from_dict(data)
    file = stored(simulate(SPEC))
    assert all(file["counts"][outcome] for outcome in ("completed", "failed", "timed_out", "rejected"))
    records = records_from_rows(file["jobs"])
    assert records is not None
    again = price(complete(Usage.from_dict(file["usage"]), records, model), model)
    fresh = simulate(replace(SPEC, cost=model)).cost
    assert again.to_dict() == fresh.to_dict()
    assert again.total is not None


@given(st.lists(st.integers(0, 2**62), min_size=3, max_size=3))
def test_instants_come_back_to_the_nanosecond(instants: list[int]) -> None:
    """Of any length up to 146 years; up to 26 days also for whoever multiplies floats."""
    intended, started, finished = sorted(instants)
    column = np.array([[intended, started, finished]], np.int64)
    batch = JobBatch(column[:, 0], column[:, 0], column[:, 1], column[:, 2], np.array([1], np.uint8))
    result = simulate(RunSpec(Workload(Sleep(), jobs=1)))
    rows = list(record_rows("benchmark-1", result.started_at, batch, [0.0]))
    back = records_from_rows(parse_json(encode_json(rows)))
    assert back is not None
    assert [int(each[0]) for each in (back.intended, back.started, back.finished)] == [intended, started, finished]
    if finished < 2**51:
        plain = json.loads(json.dumps(rows))[0]
        assert [round(plain[name] * 1e9) for name in ("intended", "started", "finished")] == sorted(instants)


def test_what_did_not_come_is_null() -> None:
    """A rejected job was intended, and neither started nor finished."""
    rows = result_to_dict(simulate(SPEC))["jobs"]
    rejected = next(row for row in rows if row["outcome"] == "rejected")
    assert rejected["intended"] > 0
    assert rejected["started"] is rejected["finished"] is None
    served = next(row for row in rows if row["outcome"] == "completed")
    assert served["finished"] - served["started"] == pytest.approx(served["latency"])
    assert served["finished"] - served["intended"] == pytest.approx(served["response_time"])


def test_records_are_the_ones_of_the_run() -> None:
    """Column by column."""
    result = simulate(SPEC)
    back = records_from_rows(stored(result)["jobs"])
    assert back is not None
    assert result.jobs is not None
    for name in ("intended", "started", "finished", "outcome"):
        assert np.array_equal(getattr(back, name), getattr(result.jobs, name)), name


def test_rows_of_older_results_have_no_instants() -> None:
    """Their meters are all there is."""
    assert records_from_rows([{"job_id": "a", "latency": 1, "outcome": "completed"}]) is None


ROW = {"outcome": "completed", "intended": 0, "started": 1, "finished": 2}


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ({}, "jobs"),
        ("rows", "jobs"),
        ([ROW | {"outcome": "pending"}], "jobs[0].outcome"),
        ([ROW | {"outcome": 1}], "jobs[0].outcome"),
        ([ROW, ROW | {"started": "1"}], "jobs[1].started"),
        ([ROW | {"finished": -1}], "jobs[0].finished"),
        ([ROW | {"finished": True}], "jobs[0].finished"),
        ([ROW | {"finished": float("nan")}], "jobs[0].finished"),
        ([ROW | {"finished": Decimal("1e400")}], "jobs[0].finished"),
        ([ROW | {"finished": 10**400}], "jobs[0].finished"),
        ([ROW | {"finished": 0.5}], "jobs[0]"),
        ([ROW | {"started": None}], "jobs[0]"),
        ([ROW | {"outcome": "abandoned", "intended": 3, "started": None}], "jobs[0]"),
        ([ROW, ROW | {"intended": None}], "jobs[1]"),
        ([ROW | {"started": None, "finished": None}], "jobs[0]"),
    ],
)
def test_rows_that_no_run_wrote_are_refused(rows: Any, path: str) -> None:
    """With the member, before anything is counted."""
    with pytest.raises(SpecError) as caught:
        records_from_rows(rows)
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    assert problem.path == path


def test_jobs_of_another_run_are_refused() -> None:
    """What the usage counted, the jobs must come to."""
    usage = simulate(SPEC).usage
    other = simulate(replace(SPEC, seed=4)).jobs
    assert other is not None
    with pytest.raises(ValueError, match="not of one run"):
        complete(usage, other, PerSecond())
    assert {Outcome(int(each)).name for each in other.outcome} >= {"COMPLETED", "FAILED", "REJECTED", "TIMED_OUT"}


def test_jobs_that_left_the_queue_come_back() -> None:
    """They have an end and no start; a stop and a drain leave some that have neither."""
    workload = Workload(Sleep(0.05), Poisson(60), jobs=300, patience=Exponential(0.3), deadline=0.15, stop_at=4)
    result = simulate(RunSpec(workload, Fifo(2), seed=5))
    assert result.counts.abandoned
    back = records_from_rows(stored(result)["jobs"])
    assert back is not None
    assert result.jobs is not None
    for name in ("intended", "started", "finished", "outcome"):
        assert np.array_equal(getattr(back, name), getattr(result.jobs, name)), name
    model = cost_from_dict({"kind": "per_second", "step": 0.0137})
    again = price(complete(result.usage, back, model), model)
    assert again.to_dict() == simulate(RunSpec(workload, Fifo(2), seed=5, cost=model)).cost.to_dict()
