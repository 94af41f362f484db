"""Results of many kinds, each made once."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    RunResult,
    encode_json,
    repeat_sync,
    result_from_dict,
    result_to_dict,
    simulate,
    spec_from_dict,
)
from aurea_engine.closed_sets import Severity
from aurea_engine.results.findings import Finding
from aurea_engine.results.floor import Floor
from aurea_engine.results.result import MarkTimes, MeasureAmounts
from aurea_engine.results.shard_figures import ShardLoss, ShardResult
from aurea_engine.results.statistics import Timing

OPEN: dict[str, Any] = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.06}},
        "arrivals": {"kind": "poisson", "rate": 55},
        "jobs": 6000,
    },
    "scheduler": {"kind": "fifo", "slots": 4},
    "clock": "virtual",
    "seed": 7,
    "warmup": 5,
    "label": "baseline",
    "objectives": [
        {"metric": "response_time", "quantile": 0.99, "at_most": 0.5},
        {"metric": "response_time", "quantile": 0.5, "at_most": 0.01},
        {"metric": "throughput", "at_least": 50},
        {"metric": "cost", "at_most": 2},
        {"metric": "response_time", "quantile": 0.99999, "at_most": 9},
    ],
}
MIXED: dict[str, Any] = {
    "workload": {
        "job": {"kind": "mix", "of": [
            {"weight": 3, "name": "read/all", "job": {"kind": "sleep", "duration": 0.02}},
            {"weight": 1, "name": "wri~te", "job": {"kind": "limited", "timeout": 0.15, "job": {"kind": "faulty",
             "failure_rate": 0.1, "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.08}}}}},
        ]},
        "arrivals": {"kind": "poisson", "rate": 100},
        "duration": 20,
        "stop_at": 19.5,
        "patience": {"kind": "exponential", "mean": 0.5},
    },
    "scheduler": {"kind": "fifo", "slots": 4, "queue_limit": 6},
    "cost": {"kind": "composite", "of": [{"kind": "per_job", "price": "1/3"}, {"kind": "packed", "price": "0.12",
             "concurrency": 2}]},
    "clock": "virtual",
    "seed": 1,
    "objectives": [{"metric": "group:read/all:response_time", "quantile": 0.9, "at_most": 0.2},
                   {"metric": "failure_ratio", "at_most": 0.2}, {"metric": "cost_per_job", "at_most": 0.2}],
}  # fmt: skip


VIRTUAL: dict[str, Any] = {"clock": "virtual", "seed": 1}
SHORT = {"job": {"kind": "sleep", "duration": 0}, "arrivals": {"kind": "constant", "rate": 20}, "duration": 10}
RARE = {"kind": "poisson", "rate": 0.001}
CLOSED: dict[str, Any] = VIRTUAL | {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.05},
        "arrivals": {"kind": "closed", "users": 3, "think_time": 0.1},
        "duration": 10,
    },
    "scheduler": {"kind": "fifo", "slots": 2},
    "cost": {"kind": "free"},
}


def _simulate(document: dict[str, Any]) -> RunResult:
    return simulate(spec_from_dict(document))


def _late() -> RunResult:
    """As if a run in real time had been held up for a quarter of a second, ten seconds after its beginning."""
    result = open_queue()
    assert result.jobs is not None
    lag = np.where((result.jobs.intended > 10e9) & (result.jobs.intended < 10.2e9), 250_000_000, 20_000)
    findings = (
        Finding("late_releases", Severity.DEGRADED, "0.2 % of the jobs were released late", "Keep it quiet.", 10.05),
        Finding("gc_pause", Severity.NOTE, "a pause", "Make fewer objects."),
    )
    jobs = replace(result.jobs, released=result.jobs.intended + lag)
    return replace(
        result,
        spec=replace(result.spec, clock="real"),
        jobs=jobs,
        findings=findings,
        theory=(),
        environment={"cpus": 2},
    )


@functools.cache
def open_queue() -> RunResult:
    return _simulate(OPEN)


def _without_records() -> RunResult:
    """As it is read from the JSON of a larger run: no records, no parts."""
    document = to_json(open_queue())
    return result_from_dict(document | {"jobs": document["jobs"][:10], "jobs_truncated": True})


def _repeated() -> RunResult:
    spec = spec_from_dict(OPEN | {"workload": OPEN["workload"] | {"jobs": 600}})
    return repeat_sync(spec, 4)


def _of_an_earlier_version() -> RunResult:
    document = to_json(open_queue())
    del document["histograms"]
    for point in document["series"]["points"]:
        del point["p90"]
    for each in (*document["objectives"], *document["findings"]):
        each.pop("interval", None)
        each.pop("at", None)
    return result_from_dict(document | {"jobs": [], "jobs_truncated": True})


def _everything() -> RunResult:
    """Parts that only runs with targets, shards, steps or price sheets have."""
    result = RESULTS["late"]()
    times = MarkTimes(result.response_time, result.service_time)
    amounts = MeasureAmounts("B", 1, 123_456_789, result.response_time)
    lost = ShardLoss(3.25, "it was <b>killed</b>", 17)
    shard = ShardResult(0, "a.example", 4711, "completed", 3000, 0.001, 0.25, 1.5, 0.25, 0.0001, -0.0003, 0.00002)
    return replace(
        result,
        marks={"first_byte": times},
        measures={"bytes_received": amounts, "status": MeasureAmounts("", 1, None, Timing(5))},
        statuses={"200": 5990, "503": 10},
        failures={"refused": 7, "a~b/c": 3},
        groups=(replace(RESULTS["mixed"]().groups[0], not_reached=4),),
        floor=Floor(9000.0, 4, result.service_time, result.response_time),
        shards=(shard, replace(shard, shard=1, status=None, late_share=None, worst_lag=None, loss=lost)),
    )


RESULTS: dict[str, Callable[[], RunResult]] = {
    "open": open_queue,
    "mixed": functools.cache(lambda: _simulate(MIXED)),
    "late": functools.cache(_late),
    "without records": functools.cache(_without_records),
    "earlier version": functools.cache(_of_an_earlier_version),
    "parts only": functools.cache(lambda: _simulate(OPEN | {"keep_jobs": False})),
    "seed form": functools.cache(lambda: _simulate(VIRTUAL | {"num_jobs": 5})),
    "nothing arrived": functools.cache(lambda: _simulate(VIRTUAL | {"workload": SHORT | {"arrivals": RARE}})),
    "no time": functools.cache(lambda: _simulate(VIRTUAL | {"workload": SHORT})),
    "everything": functools.cache(_everything),
    "repeated": functools.cache(_repeated),
    "closed": functools.cache(lambda: _simulate(CLOSED)),
}


def to_json(result: RunResult) -> dict[str, Any]:
    """The result as the API says it."""
    document: dict[str, Any] = json.loads(encode_json(result_to_dict(result)))
    return document


@pytest.fixture(params=sorted(RESULTS))
def result(request: pytest.FixtureRequest) -> RunResult:
    return RESULTS[request.param]()
