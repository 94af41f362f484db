"""What is scraped of targets: closed labels, every series from the start, live and final, whatever a runner says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from aurea_engine.closed_sets import FAILURE_CLASSES, OTHER, STATUS_CLASSES
from aurea_engine.processes.messages import Snapshot, check_snapshot
from aurea_engine.processes.traffic import Traffic
from aurea_server.metrics.registry import BenchmarkMetrics, Registry
from aurea_server.runner.messages import Figures

SOME = Traffic(
    statuses={"2xx": 7, "5xx": 2, "none": 1},
    failures={"status": 2, "reset": 1, "ValueError": 3},
    tokens={"input": 70, "cached": 50, "output": 30, "made up": 9},
    bytes_sent=1000,
    bytes_received=2**62,
    open=5,
    busy=4,
    waiting=3,
    waited=2,
    full_ns=1_500_000_000,
    opened=6,
    failed_dials=1,
)


def read(metrics: BenchmarkMetrics) -> dict[str, float]:
    """Series of targets and failures → value."""
    text = generate_latest(Registry(metrics)).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        "/".join([sample.name.removeprefix("benchmark_"), *sample.labels.values()]): sample.value
        for sample in samples
        if sample.name.startswith(("benchmark_target_", "benchmark_job_failures"))
    }


@pytest.fixture
def metrics() -> BenchmarkMetrics:
    return BenchmarkMetrics("none", now=lambda: 1.0)


def test_every_series_is_there_at_zero(metrics: BenchmarkMetrics) -> None:
    found = read(metrics)
    assert set(found.values()) == {0}
    requests = {name for name in found if name.startswith("target_requests_total")}
    assert requests == {f"target_requests_total/{name}" for name in STATUS_CLASSES}
    failures = {name for name in found if name.startswith("job_failures_total")}
    assert failures == {f"job_failures_total/{name}" for name in (*FAILURE_CLASSES, OTHER)}


def test_figures_move_and_stay_after_a_run(metrics: BenchmarkMetrics) -> None:
    """Counters keep what the run came to; its connections are gone."""
    before = read(metrics)
    metrics.start_run("benchmark-1")
    metrics.update_run(Snapshot(traffic=msgspec.structs.replace(SOME, bytes_sent=1)))
    metrics.update_run(Snapshot(traffic=SOME))
    wanted = {
        "target_requests_total/2xx": 7, "target_requests_total/5xx": 2, "target_requests_total/none": 1,
        "job_failures_total/status": 2, "job_failures_total/reset": 1, "job_failures_total/other": 3,
        "target_tokens_total/input": 70, "target_tokens_total/cached": 50, "target_tokens_total/output": 30,
        "target_sent_bytes_total": 1000, "target_received_bytes_total": 2**62, "target_waited_jobs_total": 2,
        "target_pool_full_seconds_total": 1.5, "target_connections_opened_total": 6, "target_failed_dials_total": 1,
        "target_open_connections": 5, "target_busy_connections": 4, "target_waiting_jobs": 3,
    }  # fmt: skip
    assert read(metrics) == before | wanted
    metrics.finish_run(Figures(status="completed"))
    gauges = ("target_open_connections", "target_busy_connections", "target_waiting_jobs")
    after = before | wanted | dict.fromkeys(gauges, 0)
    assert read(metrics) == after
    metrics.start_run("benchmark-2")
    metrics.update_run(Snapshot(traffic=Traffic(statuses={"2xx": 1})))
    metrics.fail_run("failed")
    assert read(metrics) == after | {"target_requests_total/2xx": 8}


def test_other_runs_leave_them_alone(metrics: BenchmarkMetrics) -> None:
    """Simulated runs send nothing, so whatever one says of that is no figure of ours."""
    metrics.start_run("benchmark-1", "virtual")
    metrics.update_run(Snapshot(traffic=SOME))
    metrics.finish_run(Figures(status="completed"))
    assert set(read(metrics).values()) == {0}


def test_names_from_a_job_are_no_labels(metrics: BenchmarkMetrics) -> None:
    """A job may write what it likes into its process's socket: the number of series stays what it was."""
    before = read(metrics)
    metrics.start_run("benchmark-1")
    evil = {f'x"}} 1\nevil{number}': 1 for number in range(100)}
    metrics.update_run(Snapshot(traffic=Traffic(statuses=evil, failures=evil)))
    after = read(metrics)
    assert after.keys() == before.keys()
    assert after["job_failures_total/other"] == after["target_requests_total/other"] == 100


@pytest.mark.parametrize(
    "traffic",
    [
        {"open": -1}, {"bytes_sent": 1.5}, {"bytes_sent": "1"}, {"busy": True}, {"busy": 2**63}, {"unknown": 1},
        {"statuses": {"2xx": -1}}, {"statuses": [1]}, {"failures": {"a": None}},
        {"failures": {str(i): 1 for i in range(101)}}, None, [], "x",
    ],
)  # fmt: skip
def test_impossible_traffic_is_refused(traffic: Any) -> None:
    """It is read from a process in which a job runs, strictly: then the run fails, and not the server."""
    with pytest.raises((msgspec.ValidationError, ValueError)):
        check_snapshot(msgspec.convert({"traffic": traffic}, Snapshot))


def test_traffic_is_read_as_it_was_sent() -> None:
    sent = msgspec.msgpack.encode(Snapshot(traffic=SOME))
    assert check_snapshot(msgspec.msgpack.decode(sent, type=Snapshot)).traffic == SOME
