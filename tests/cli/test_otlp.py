"""``aurea run --otlp``: a run on this machine pushes its metrics, and no collector can hurt it."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.targets.recording_server import Received, RecordingServer, reply

PLANTED = "Pl4nted"
RAN = (0, 6)
"""Exit codes of a run without objectives: on a busy machine it may be invalid, and have done all its jobs."""

PROGRAM = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"

Aurea = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a collector. Two reports of a run are half a second apart: each is pushed."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")


def decode(received: Received) -> ExportMetricsServiceRequest:
    body = gzip.decompress(received.body) if received.header("Content-Encoding") == "gzip" else received.body
    return ExportMetricsServiceRequest.FromString(body)


def read_sums(request: ExportMetricsServiceRequest) -> dict[str, float]:
    """Name and label of each counter → what it counts."""
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    return {
        "/".join([metric.name, *(value for _, value in sorted(labels_of(point)))]): point.as_double
        for metric in metrics
        if metric.WhichOneof("data") == "sum"
        for point in metric.sum.data_points
    }


def labels_of(point: Any) -> list[tuple[str, str]]:
    return [(each.key, each.value.string_value) for each in point.attributes]


def find(request: ExportMetricsServiceRequest, name: str) -> Metric:
    return next(each for each in request.resource_metrics[0].scope_metrics[0].metrics if each.name == name)


def attributes_of(request: ExportMetricsServiceRequest) -> dict[str, str]:
    return {each.key: each.value.string_value for each in request.resource_metrics[0].resource.attributes}


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A run of two seconds, in which some reports are made."""
    arrivals = {"kind": "constant", "rate": 50}
    document = {"workload": {"job": {"kind": "sleep", "duration": 0.01}, "arrivals": arrivals, "duration": 2}}
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({**document, "label": "nightly"}))
    return file


SHORT = ("--jobs", "20", "--duration-ms", "1", "--json")

# --- What is pushed --------------------------------------------------------------------------------------------------


@pytest.mark.service
def test_a_run_pushes_what_its_result_says(aurea: Aurea, target: RecordingServer, spec: Path) -> None:
    """Counters never fall, and end at what the result says, under the id that the result has."""
    code, out, err = aurea("run", spec, "--otlp", target.url(""), "--json")
    assert code in RAN, err
    result = json.loads(out)
    requests = [decode(each) for each in target.received]
    pushed = [read_sums(each) for each in requests]
    for before, after in pairwise(pushed):
        assert all(after[name] >= amount for name, amount in before.items())
    last = pushed[-1]
    assert last["benchmark_jobs"] == result["num_jobs"] == 100
    assert last["benchmark_job_outcomes/completed"] == result["completed_jobs"]
    assert last["benchmark_run_outcomes/completed"] == last["benchmark_runs"] == 1
    assert last[f"benchmark_verdicts/{result['verdict']}"] == 1
    (times,) = find(requests[-1], "benchmark_response_time_native_seconds").exponential_histogram.data_points
    assert times.count == result["completed_jobs"]
    (throughput,) = find(requests[-1], "benchmark_throughput_jobs_per_second").gauge.data_points
    assert throughput.as_double == result["throughput"]
    for request in requests:
        attributes = attributes_of(request)
        assert attributes["benchmark.id"] == result["benchmark_id"]
        assert (attributes["service.name"], attributes["benchmark.label"]) == ("aurea", "nightly")
    assert len({attributes_of(request)["service.instance.id"] for request in requests}) == 1
    assert err == f"aurea: metrics go to {target.url('/v1/metrics')}\n"


@pytest.mark.service
def test_a_run_pushes_while_it_goes_on(target: RecordingServer, tmp_path: Path) -> None:
    """From 0 on: a run that is not stopped before jobs were seen, however slow the machine is."""
    spec = tmp_path / "spec.json"
    arrivals = {"kind": "constant", "rate": 50}
    spec.write_text(json.dumps({"workload": {"job": {"kind": "sleep"}, "arrivals": arrivals, "duration": 600}}))
    command = [sys.executable, "-c", PROGRAM, "run", str(spec), "--json", "--otlp", target.url("")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: bool(target.received) and read_sums(decode(target.received[-1]))["benchmark_jobs"] > 0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT, err
    pushed = [read_sums(decode(each)) for each in target.received]
    assert pushed[0]["benchmark_jobs"] == 0
    assert pushed[-2]["benchmark_run_outcomes/cancelled"] == 0
    assert pushed[-1]["benchmark_run_outcomes/cancelled"] == 1
    assert pushed[-1]["benchmark_jobs"] == json.loads(out)["num_jobs"]


@pytest.mark.service
def test_requests_are_those_of_the_protocol(
    aurea: Aurea, target: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path, the method and the headers; credentials from the variable, and in no output."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization=Bearer%20{PLANTED},x-tenant=7")
    code, out, err = aurea("run", *SHORT, "--otlp", target.url(""))
    assert code in RAN, err
    for received in target.received:
        assert (received.method, received.target) == ("POST", "/v1/metrics")
        assert received.header("Content-Type") == "application/x-protobuf"
        assert received.header("Authorization") == f"Bearer {PLANTED}"
        assert received.header("X-Tenant") == "7"
        assert (received.header("User-Agent") or "").startswith("aurea/")
    assert PLANTED not in out + err


@pytest.mark.service
def test_json_and_gzip_are_chosen_by_variables(
    aurea: Aurea, target: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    assert aurea("run", *SHORT, "--otlp", target.url(""))[0] in RAN
    last = target.received[-1]
    assert (last.header("Content-Type"), last.header("Content-Encoding")) == ("application/json", "gzip")
    document = json.loads(gzip.decompress(last.body))
    assert document["resourceMetrics"][0]["scopeMetrics"][0]["scope"]["name"] == "aurea"


@pytest.mark.service
@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"])
def test_a_variable_alone_is_enough(
    aurea: Aurea, target: RecordingServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, target.url("/in"))
    assert aurea("run", *SHORT)[0] in RAN
    assert {each.target for each in target.received} == {"/in" if "METRICS" in name else "/in/v1/metrics"}


@pytest.mark.service
def test_a_variable_that_is_for_others_only_warns(aurea: Aurea, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the option it is an error, since then pushes are asked for."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    code, _, err = aurea("run", *SHORT)
    assert code in RAN
    assert err.startswith(
        "aurea: metrics are not pushed: OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf or http/json"
    )
    code, _, err = aurea("run", *SHORT, "--otlp", "http://127.0.0.1:4318")
    assert (code, "OTEL_EXPORTER_OTLP_PROTOCOL: must be" in err) == (2, True)


@pytest.mark.service
def test_a_simulated_run_pushes_metrics_of_its_own(aurea: Aurea, target: RecordingServer, spec: Path) -> None:
    """What never happened is not added to what did."""
    assert aurea("run", spec, "--virtual", "--json", "--otlp", target.url(""))[0] == 0
    sums = read_sums(decode(target.received[-1]))
    assert sums["benchmark_simulated_jobs"] == 100
    assert all(name.startswith("benchmark_simulated_") for name in sums)


@pytest.mark.service
def test_a_run_in_processes_pushes_as_one(aurea: Aurea, target: RecordingServer, spec: Path) -> None:
    code, out, err = aurea("run", spec, "--processes", "2", "--json", "--otlp", target.url(""))
    assert code in RAN, err
    sums = read_sums(decode(target.received[-1]))
    assert sums["benchmark_jobs"] == json.loads(out)["num_jobs"] == 100
    assert attributes_of(decode(target.received[-1]))["benchmark.id"] == json.loads(out)["benchmark_id"]


@pytest.mark.service
def test_requests_to_a_target_are_pushed_too(aurea: Aurea, target: RecordingServer) -> None:
    """``aurea http`` has the option, and the traffic of its targets is among the metrics."""
    load = ("--jobs", "30", "--rate", "1000", "--json")
    code, _, err = aurea("http", target.url("/hello"), *load, "--otlp", target.url(""))
    assert code in RAN, err
    pushes = [each for each in target.received if each.method == "POST"]
    assert len([each for each in target.received if each.method == "GET"]) == 30
    assert read_sums(decode(pushes[-1]))["benchmark_target_requests/2xx"] == 30


@pytest.mark.service
def test_a_repeated_run_pushes_all_replications(aurea: Aurea, target: RecordingServer) -> None:
    code, _, err = aurea("run", *SHORT, "--repeat", "3", "--otlp", target.url(""))
    assert code in RAN, err
    assert read_sums(decode(target.received[-1]))["benchmark_jobs"] == 60


# --- Collectors that fail --------------------------------------------------------------------------------------------


@contextmanager
def silent() -> Iterator[str]:
    """Takes connections, and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def unused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.service
def test_an_absent_collector_costs_the_run_nothing(aurea: Aurea) -> None:
    """The same exit code, the same output, and two lines on stderr."""
    url = unused()
    code, out, err = aurea("run", *SHORT, "--otlp", url)
    assert code in RAN
    assert json.loads(out)["completed_jobs"] == 20
    goes, lost, end = err.splitlines()
    assert goes == f"aurea: metrics go to {url}/v1/metrics"
    assert lost == f"aurea: metrics were not delivered to {url}/v1/metrics: Connection refused; the run goes on"
    assert end.endswith(f"the end of the run was not delivered to {url}/v1/metrics: Connection refused")


@pytest.mark.service
def test_a_silent_collector_costs_the_run_nothing(aurea: Aurea, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "200")
    with silent() as url:
        code, out, err = aurea("run", *SHORT, "--otlp", url)
    assert code in RAN
    assert json.loads(out)["completed_jobs"] == 20
    assert "the end of the run was not delivered" in err


@pytest.mark.service
def test_a_busy_collector_is_asked_again(
    aurea: Aurea, target: RecordingServer, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took the start of the run, and refuses twice what comes at its end."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100000")
    refusals = [reply(status=503), reply("", 429, "Retry-After: 0")]
    target.answer = lambda each: refusals.pop(0) if refusals and read_ends(decode(each)) else reply()
    code, _, err = aurea("run", spec, "--json", "--otlp", target.url(""))
    assert code in RAN
    assert refusals == []
    assert read_sums(decode(target.received[-1]))["benchmark_jobs"] == 100
    assert err.endswith("failed; the end was delivered\n")


@pytest.mark.service
def test_rejected_points_are_shown(aurea: Aurea, target: RecordingServer) -> None:
    response = ExportMetricsServiceResponse()
    response.partial_success.rejected_data_points = 3
    response.partial_success.error_message = f"no \x1b[31m{PLANTED}"
    target.answer = lambda _: reply(response.SerializeToString(), 200, "Content-Type: application/x-protobuf")
    code, _, err = aurea("run", *SHORT, "--otlp", target.url(""))
    assert code in RAN
    assert f"aurea: the collector rejected 3 data points: no ?[31m{PLANTED}\n" in err
    assert err.splitlines()[-1] == f"aurea: the collector rejected {3 * len(target.received)} data points in all"


@pytest.mark.service
def test_a_redirect_is_not_followed(aurea: Aurea, target: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials would go along."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization={PLANTED}")
    target.answer = lambda _: reply("", 307, f"Location: {target.url('/elsewhere')}")
    _, _, err = aurea("run", *SHORT, "--otlp", target.url(""))
    assert "HTTP 307: it redirects, which is not followed" in err
    assert {each.target for each in target.received} == {"/v1/metrics"}


@pytest.mark.service
def test_a_run_that_fails_pushes_that(aurea: Aurea, target: RecordingServer, tmp_path: Path) -> None:
    """Here one that cannot be cut into shards."""
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"num_jobs": 1, "scheduler": {"kind": "fifo", "slots": 2}}))
    code, _, err = aurea("run", spec, "--processes", "2", "--otlp", target.url(""))
    assert code == 2, err
    assert read_sums(decode(target.received[-1]))["benchmark_run_outcomes/failed"] == 1


@pytest.mark.service
def test_tls_is_checked_by_the_certificates_of_the_system(
    aurea: Aurea, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secure_target: RecordingServer
) -> None:
    """OpenSSL reads those of SSL_CERT_FILE in their place."""
    code, _, err = aurea("run", *SHORT, "--otlp", secure_target.url(""))
    assert code in RAN
    assert "certificate verify failed" in err
    assert secure_target.received == []
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    code, _, err = aurea("run", *SHORT, "--otlp", secure_target.url(""))
    assert code in RAN
    assert read_sums(decode(secure_target.received[-1]))["benchmark_jobs"] == 20


@pytest.mark.service
def test_ctrl_c_pushes_the_end(saying: Any, target: RecordingServer) -> None:
    """The run ends with what it has; so do its metrics."""
    command = [sys.executable, "-c", PROGRAM, "run", str(saying.spec), "--json", "--otlp", target.url("")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=saying.environment)
    saying.begun(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT, err
    assert read_sums(decode(target.received[-1]))["benchmark_run_outcomes/cancelled"] == 1


@pytest.mark.service
def test_a_second_ctrl_c_does_not_wait_for_a_collector(saying: Any) -> None:
    """The first ends the run; the collector is silent, and the second ends the command at once."""
    with silent() as url:
        environment = {**saying.environment, "OTEL_EXPORTER_OTLP_TIMEOUT": "3600000"}
        command = [sys.executable, "-c", PROGRAM, "run", str(saying.spec), "--json", "--otlp", url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        saying.begun(process)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        process.stdout.readline()  # the result is written before anything is waited for
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT


# --- The option ------------------------------------------------------------------------------------------------------


def test_a_run_on_a_server_refuses_the_option(aurea: Aurea) -> None:
    code, _, err = aurea("run", *SHORT, "--otlp", "http://c", "--server", "http://127.0.0.1:1")
    assert (code, "--otlp: goes with a run on this machine" in err) == (2, True)


def test_a_wrong_url_is_refused_before_the_run(aurea: Aurea) -> None:
    code, out, err = aurea("run", *SHORT, "--otlp", "ftp://c")
    assert (code, out) == (2, "")
    assert "--otlp: must be a URL such as http://localhost:4318" in err


# --- A real collector ------------------------------------------------------------------------------------------------


@pytest.fixture
def collector(require: Callable[..., str], target: RecordingServer, tmp_path: Path) -> Iterator[str]:
    """The URL of a real collector, Rotel, which hands on to ``target`` what it has understood, in its own words."""
    found = importlib.util.find_spec("rotel")
    program = "rotel-agent" if found is None or found.origin is None else str(Path(found.origin).parent / "rotel-agent")
    ports = [unused().rpartition(":")[2] for _ in range(2)]
    target.answer = lambda _: reply("", 200, "Content-Type: application/x-protobuf")
    command = [require("rotel", program), "start", "--pid-file", str(tmp_path / "pid"), "--disable-batching"]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{ports[0]}", "--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}"]
    command += ["--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint", target.url("")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: is_open(int(ports[0])))
        yield f"http://127.0.0.1:{ports[0]}"
        process.terminate()


def is_open(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def test_a_real_collector_hands_on_what_was_pushed(
    aurea: Aurea, target: RecordingServer, collector: str, spec: Path
) -> None:
    """It decodes the metrics and encodes them anew: every figure of the result comes out of its other end."""
    code, out, err = aurea("run", spec, "--json", "--otlp", collector)
    assert code in RAN, err
    result = json.loads(out)
    wait_until(lambda: bool(target.received) and read_ends(decode(target.received[-1])) > 0)
    last = decode(target.received[-1])
    sums = read_sums(last)
    assert sums["benchmark_job_outcomes/completed"] == result["completed_jobs"] == 100
    assert sums["benchmark_cost_usd/time/per_second"] == pytest.approx(result["total_cost"])
    (times,) = find(last, "benchmark_response_time_native_seconds").exponential_histogram.data_points
    assert (times.count, sum(times.positive.bucket_counts) + times.zero_count) == (100, 100)
    assert times.sum / times.count == pytest.approx(result["response_time"]["mean"])
    (classic,) = find(last, "benchmark_response_time_seconds").histogram.data_points
    assert sum(classic.bucket_counts) == 100
    assert attributes_of(last)["benchmark.id"] == result["benchmark_id"]
    assert "failed" not in err


def read_ends(request: ExportMetricsServiceRequest) -> float:
    """Runs that have ended."""
    return sum(count for name, count in read_sums(request).items() if name.startswith("benchmark_run_outcomes/"))
