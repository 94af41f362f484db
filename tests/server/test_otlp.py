"""Metrics in OTLP, read back by the messages that OpenTelemetry itself generates from its protocol's definition."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from google.protobuf import json_format
from hypothesis import given
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aurea_engine import RunResult, default_catalog, simulate, spec_from_dict
from aurea_engine.closed_sets import Outcome
from aurea_engine.processes.messages import Snapshot
from aurea_engine.processes.snapshot_observer import SnapshotObserver
from aurea_server.metrics.native_histograms import SCHEMA
from aurea_server.metrics.otlp_protobuf import Answer, read_answer
from aurea_server.metrics.otlp_run import RunMetricsEncoder, Standing
from aurea_server.metrics.registry import BenchmarkMetrics, Registry
from aurea_server.runner.messages import Figures, make_figures

BEGUN = 1_800_000_000 * 10**9
UNITS = {"s": "seconds", "By": "bytes", "1": "", "": ""}


def simulated() -> tuple[RunResult, Snapshot, Figures]:
    """A run of which much is known: it fails at times, waits, costs, and has an objective."""
    document = {
        "workload": {
            "job": {
                "kind": "faulty",
                "failure_rate": 0.1,
                "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.06}},
            },
            "arrivals": {"kind": "poisson", "rate": 55},
            "jobs": 2000,
        },
        "scheduler": {"kind": "fifo", "slots": 4},
        "clock": "virtual",
        "seed": 7,
        "objectives": [{"metric": "response_time", "quantile": 0.99, "at_most": 5}],
    }
    observer = SnapshotObserver(default_catalog())
    result = simulate(spec_from_dict(document), [observer])
    return result, observer.last, make_figures(result, "per_second", "", "")


@pytest.fixture(scope="module")
def ended() -> tuple[RunResult, Snapshot, Figures]:
    return simulated()


def encode(snapshot: Snapshot, figures: Figures | None = None, *, clock: str = "real", is_json: bool = False) -> bytes:
    encoder = RunMetricsEncoder(clock, BEGUN, {"service.name": "aurea", "benchmark.id": "b-1"}, is_json=is_json)
    return encoder.encode(Standing(BEGUN + 10**9, snapshot, figures))


def decode(content: bytes) -> ExportMetricsServiceRequest:
    return ExportMetricsServiceRequest.FromString(content)


def metrics_of(request: ExportMetricsServiceRequest) -> dict[str, Metric]:
    (of_resource,) = request.resource_metrics
    (of_scope,) = of_resource.scope_metrics
    found = {metric.name: metric for metric in of_scope.metrics}
    assert len(found) == len(of_scope.metrics)
    return found


def numbers_of(metric: Metric) -> dict[str, float]:
    """Values of the labels, in the order of their names → number."""
    points = getattr(metric, metric.WhichOneof("data")).data_points
    labels = [{each.key: each.value.string_value for each in point.attributes} for point in points]
    return {join_labels(of): point.as_double for of, point in zip(labels, points, strict=True)}


def join_labels(labels: dict[str, str]) -> str:
    return "/".join(labels[name] for name in sorted(labels))


def list_times(result: RunResult) -> list[float]:
    """Response times of completed jobs, s."""
    assert result.jobs is not None
    completed = result.jobs.only(result.jobs.outcome == Outcome.COMPLETED)
    return [ns / 10**9 for ns in completed.response_ns.tolist()]


# --- Both forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_both_forms_are_the_same_message(ended: tuple[RunResult, Snapshot, Figures], clock: str) -> None:
    """Google's own parser of the JSON form, and the one of the binary form, come to one message."""
    _, snapshot, figures = ended
    binary = decode(encode(snapshot, figures, clock=clock))
    written = encode(snapshot, figures, clock=clock, is_json=True)
    assert json_format.Parse(written, ExportMetricsServiceRequest()) == binary
    # The numbers of 64 bits are text there, as the mapping of protocol buffers has it.
    assert f'"timeUnixNano":"{BEGUN + 10**9}"'.encode() in written


def test_resource_and_scope_say_what_is_measured(ended: tuple[RunResult, Snapshot, Figures]) -> None:
    (of_resource,) = decode(encode(ended[1])).resource_metrics
    attributes = {each.key: each.value.string_value for each in of_resource.resource.attributes}
    assert attributes == {"service.name": "aurea", "benchmark.id": "b-1"}
    assert of_resource.scope_metrics[0].scope.name == "aurea"


def test_sums_are_cumulative_and_begin_with_the_run(ended: tuple[RunResult, Snapshot, Figures]) -> None:
    result, snapshot, figures = ended
    metrics = metrics_of(decode(encode(snapshot, figures)))
    jobs = metrics["benchmark_jobs"]
    assert jobs.sum.is_monotonic
    assert jobs.sum.aggregation_temporality == 2
    (point,) = jobs.sum.data_points
    assert (point.start_time_unix_nano, point.time_unix_nano) == (BEGUN, BEGUN + 10**9)
    assert point.as_double == result.counts.arrived == 2000
    outcomes = numbers_of(metrics["benchmark_job_outcomes"])
    assert outcomes["completed"] == result.counts.completed
    assert outcomes["failed"] == result.counts.failed > 0
    assert outcomes["rejected"] == 0  # there from the start
    assert numbers_of(metrics["benchmark_objectives"])["met"] == 1
    cost = result.cost.total
    assert cost is not None
    assert numbers_of(metrics["benchmark_cost_usd"]) == {"time/per_second": float(cost)}


def test_gauges_have_no_start(ended: tuple[RunResult, Snapshot, Figures]) -> None:
    result, snapshot, figures = ended
    throughput = metrics_of(decode(encode(snapshot, figures)))["benchmark_throughput_jobs_per_second"]
    (point,) = throughput.gauge.data_points
    assert (point.start_time_unix_nano, point.as_double) == (0, result.throughput)


def test_exponential_buckets_hold_each_time(ended: tuple[RunResult, Snapshot, Figures]) -> None:
    """Number i is above 2^(i/16) s and at most 2^((i+1)/16) s: the same as that of the records, but for neighbours."""
    result, snapshot, _ = ended
    (point,) = metrics_of(decode(encode(snapshot)))[
        "benchmark_response_time_native_seconds"
    ].exponential_histogram.data_points
    times = list_times(result)
    assert point.count == len(times) == sum(point.positive.bucket_counts) + point.zero_count
    assert point.scale == SCHEMA == 4
    assert point.sum == pytest.approx(sum(times), rel=1e-9)
    assert point.positive.bucket_counts[0] > 0
    exact = sorted(math.ceil(math.log2(each) * 16) - 1 for each in times)
    pushed = [
        number for number, count in enumerate(point.positive.bucket_counts, point.positive.offset) for _ in range(count)
    ]
    # Ours are re-binned by their middles: at most one bucket away, and seldom.
    apart = [abs(one - there) for one, there in zip(exact, pushed, strict=True)]
    assert max(apart) <= 1
    assert sum(apart) < 0.15 * len(apart)


def test_histograms_by_bounds_count_what_is_in_each(ended: tuple[RunResult, Snapshot, Figures]) -> None:
    """Prometheus' buckets count all that is below them too; here each count is of its own."""
    result, snapshot, _ = ended
    (point,) = metrics_of(decode(encode(snapshot)))["benchmark_response_time_seconds"].histogram.data_points
    times = list_times(result)
    bounds = [0.0, *point.explicit_bounds, math.inf]
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    for (low, high), count in zip(pairwise(bounds), point.bucket_counts, strict=True):
        assert sum(low < each <= high for each in times) + (low == 0) * times.count(0) == count
    assert point.count == len(times)


# --- The same as /metrics --------------------------------------------------------------------------------------------


def prometheus_name(metric: Metric) -> str:
    """The name that Prometheus gives a metric from OTLP: ``_total`` behind counters, and the unit where no word of the name
    says it. Source: prometheus/otlptranslator, metric_namer.go.
    """
    words = metric.name.split("_")
    unit = UNITS[metric.unit]
    if unit and unit not in words:
        words.append(unit)
    kind = metric.WhichOneof("data")
    if kind == "sum":
        words = [word for word in words if word != "total"] + ["total"]
    if metric.unit == "1" and kind == "gauge":
        words = [word for word in words if word != "ratio"] + ["ratio"]
    return "_".join(words)


def scraped(snapshot: Snapshot, figures: Figures, clock: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """What a server shows of the same run."""
    metrics = BenchmarkMetrics("")
    metrics.start_run(clock=clock)
    metrics.update_run(snapshot)
    metrics.finish_run(figures)
    own = "benchmark_simulated_" if clock == "virtual" else "benchmark_"
    for family in parse_text(generate_latest(Registry(metrics)).decode()):
        for sample in family.samples:
            server = ("benchmark_runs_queued", "benchmark_build", "benchmark_search", "benchmark_capacity")
            mine = sample.name.startswith(own) and not sample.name.startswith(server)
            if mine and (clock == "virtual" or not sample.name.startswith("benchmark_simulated_")):
                yield sample.name, sample.labels, sample.value


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_prometheus_gets_the_series_it_would_scrape(ended: tuple[RunResult, Snapshot, Figures], clock: str) -> None:
    """By name, label and value, for all but money that no run has spent."""
    _, snapshot, figures = ended
    pushed = {
        (prometheus_name(metric), label): number
        for metric in metrics_of(decode(encode(snapshot, figures, clock=clock))).values()
        if metric.WhichOneof("data") in ("sum", "gauge")
        for label, number in numbers_of(metric).items()
    }
    money = ("_cost_usd_total", "_cost_by_currency_total", "_billed_quantity_total")
    histograms = ("_bucket", "_sum", "_count")
    shown = {
        (name, join_labels(labels)): value
        for name, labels, value in scraped(snapshot, figures, clock)
        if not name.endswith(histograms) and (value or not name.endswith(money))
    }
    instants = {key for key in shown if "_time_seconds" in key[0] and "run_" in key[0]}
    assert {key: value for key, value in pushed.items() if key not in instants} == {
        key: value for key, value in shown.items() if key not in instants
    }
    assert instants <= pushed.keys()
    assert len(pushed) > (60 if clock == "real" else 40)


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_histograms_have_the_names_of_a_scrape(ended: tuple[RunResult, Snapshot, Figures], clock: str) -> None:
    _, snapshot, figures = ended
    metrics = metrics_of(decode(encode(snapshot, figures, clock=clock)))
    pushed = {prometheus_name(each) for each in metrics.values() if each.WhichOneof("data") == "histogram"}
    shown = {name.removesuffix("_count") for name, _, _ in scraped(snapshot, figures, clock) if name.endswith("_count")}
    assert pushed == shown
    native = {each.name for each in metrics.values() if each.WhichOneof("data") == "exponential_histogram"}
    assert native == {f"{name.removesuffix('_seconds')}_native_seconds" for name in pushed}


def test_each_push_counts_on(ended: tuple[RunResult, Snapshot, Figures]) -> None:
    """The end is counted once, whatever came before, and nothing falls."""
    result, snapshot, figures = ended
    encoder = RunMetricsEncoder("real", BEGUN, {})
    pushes = [
        metrics_of(decode(encoder.encode(standing)))
        for standing in (
            Standing(BEGUN, Snapshot()),
            Standing(BEGUN + 1, snapshot),
            Standing(BEGUN + 2, snapshot, figures),
        )
    ]
    assert [numbers_of(each["benchmark_jobs"])[""] for each in pushes] == [0, result.counts.arrived, 2000]
    assert [numbers_of(each["benchmark_run_outcomes"])["completed"] for each in pushes] == [0, 0, 1]
    assert [numbers_of(each["benchmark_runs_in_progress"])[""] for each in pushes] == [1, 1, 0]


def test_a_run_without_result_is_counted_as_failed() -> None:
    encoder = RunMetricsEncoder("real", BEGUN, {})
    metrics = metrics_of(decode(encoder.encode(Standing(BEGUN + 1, Snapshot(), failed="failed"))))
    assert numbers_of(metrics["benchmark_run_outcomes"])["failed"] == 1


def test_what_does_not_exist_is_not_pushed() -> None:
    """0 jobs per second would be the worst throughput there is."""
    metrics = metrics_of(decode(encode(Snapshot())))
    assert not {"benchmark_throughput_jobs_per_second", "benchmark_mean_latency_seconds"} & metrics.keys()
    assert not {"benchmark_cost_usd", "benchmark_cost_by_currency"} & metrics.keys()
    (point,) = metrics["benchmark_lag_native_seconds"].exponential_histogram.data_points
    assert (point.count, list(point.positive.bucket_counts)) == (0, [])


def test_encoding_rests_after_each_metric(ended: tuple[RunResult, Snapshot, Figures]) -> None:
    """The event loop of the run gets its turn: see `otlp_pusher.PAUSE`."""
    rests: list[None] = []
    encoder = RunMetricsEncoder("real", BEGUN, {})
    content = encoder.encode(Standing(BEGUN, ended[1], ended[2]), lambda: rests.append(None))
    assert len(rests) == len(metrics_of(decode(content)))


# --- Answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(("rejected", "text"), [(0, ""), (12, "too old, ü"), (0, "deprecated")])
def test_rejected_points_are_read(is_json: bool, rejected: int, text: str) -> None:
    response = ExportMetricsServiceResponse()
    if rejected or text:
        response.partial_success.rejected_data_points = rejected
        response.partial_success.error_message = text
    content = json_format.MessageToJson(response).encode() if is_json else response.SerializeToString()
    assert read_answer(content, accepted=True, is_json=is_json) == Answer(rejected, text)


def test_a_refusal_says_why() -> None:
    """``google.rpc.Status``: code 1, message 2."""
    assert read_answer(b"\x08\x03\x12\x03bad", accepted=False, is_json=False) == Answer(0, "bad")
    assert read_answer(json.dumps({"code": 3, "message": "bad"}).encode(), accepted=False, is_json=True).text == "bad"


@given(st.binary(max_size=60) | st.sampled_from([b"[" * 100_000, b"[]", b"1", b'{"partialSuccess":3}', b"\x0a\xff"]))
def test_any_answer_can_be_read(content: bytes) -> None:
    for is_json in (False, True):
        for accepted in (False, True):
            answer: Any = read_answer(content, accepted=accepted, is_json=is_json)
            assert answer.rejected >= 0 or is_json
            assert isinstance(answer.text, str)
