"""The deployment files, read and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


METRICS = frozenset(
    [
        "benchmark_build_info",
        "benchmark_capacity_jobs_per_second",
        "benchmark_capacity_slots",
        "benchmark_job_failures_total",
        "benchmark_search_outcomes_total",
        "benchmark_searches_in_progress",
        "benchmark_searches_total",
        "benchmark_target_busy_connections",
        "benchmark_target_connections_opened_total",
        "benchmark_target_failed_dials_total",
        "benchmark_target_open_connections",
        "benchmark_target_pool_full_seconds_total",
        "benchmark_target_received_bytes_total",
        "benchmark_target_requests_total",
        "benchmark_target_sent_bytes_total",
        "benchmark_target_tokens_total",
        "benchmark_target_waited_jobs_total",
        "benchmark_target_waiting_jobs",
        "benchmark_cost_total",
        "benchmark_billed_quantity_total",
        "benchmark_cost_usd_total",
        "benchmark_findings_total",
        "benchmark_group_jobs_total",
        "benchmark_group_response_time_p50_seconds",
        "benchmark_group_response_time_p99_seconds",
        "benchmark_objective_outcome",
        "benchmark_run_verdict",
        "benchmark_shard_jobs",
        "benchmark_shard_up",
        "benchmark_shard_worst_lag_seconds",
        "benchmark_simulated_objective_outcome",
        "benchmark_simulated_run_verdict",
        "benchmark_in_flight_jobs",
        "benchmark_job_duration_seconds",
        "benchmark_job_outcomes_total",
        "benchmark_jobs_total",
        "benchmark_lag_seconds",
        "benchmark_last_run_cost_usd_per_job",
        "benchmark_mean_latency_seconds",
        "benchmark_objectives_total",
        "benchmark_offered_rate_jobs_per_second",
        "benchmark_price_sheet_info",
        "benchmark_queue_length_jobs",
        "benchmark_response_time_seconds",
        "benchmark_run_outcomes_total",
        "benchmark_runs_in_progress",
        "benchmark_runs_queued",
        "benchmark_runs_total",
        "benchmark_throughput_jobs_per_second",
        "benchmark_utilization_ratio",
        "benchmark_verdicts_total",
        "benchmark_waiting_time_seconds",
        "benchmark_run_cost",
        "benchmark_cost_by_currency_total",
        "benchmark_run_start_time_seconds",
        "benchmark_run_end_time_seconds",
        "benchmark_simulated_cost_usd_total",
        "benchmark_simulated_findings_total",
        "benchmark_simulated_in_flight_jobs",
        "benchmark_simulated_job_duration_seconds",
        "benchmark_simulated_job_outcomes_total",
        "benchmark_simulated_jobs_total",
        "benchmark_simulated_mean_latency_seconds",
        "benchmark_simulated_objectives_total",
        "benchmark_simulated_offered_rate_jobs_per_second",
        "benchmark_simulated_queue_length_jobs",
        "benchmark_simulated_response_time_seconds",
        "benchmark_simulated_run_cost",
        "benchmark_simulated_run_end_time_seconds",
        "benchmark_simulated_run_outcomes_total",
        "benchmark_simulated_run_start_time_seconds",
        "benchmark_simulated_runs_in_progress",
        "benchmark_simulated_runs_total",
        "benchmark_simulated_throughput_jobs_per_second",
        "benchmark_simulated_utilization_ratio",
        "benchmark_simulated_verdicts_total",
        "benchmark_simulated_waiting_time_seconds",
    ]
)


@pytest.fixture(scope="session")
def deploy() -> Path:
    return ROOT / "deploy"


@pytest.fixture(scope="session", autouse=True)
def programs_beside_python() -> Iterator[None]:
    """``require`` looks on the PATH; the linters that pip installs lie beside the Python that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def passes(require: Callable[..., str]) -> Callable[..., str]:
    """``passes("prometheus", "promtool", "check", ...)`` runs a component's program, wants exit code 0, gives its output."""

    def run(component: str, program: str, *arguments: object) -> str:
        command = [require(component, program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def importable() -> Callable[[str], Any]:
    """``require`` for a module: the module, or a test that is skipped, or failed where AUREA_REQUIRE names it."""

    def find(name: str) -> Any:
        if name in os.environ.get("AUREA_REQUIRE", "").replace(",", " ").split():
            return __import__(name)
        return pytest.importorskip(name)

    return find


@pytest.fixture(scope="session")
def read_yaml(importable: Callable[[str], Any]) -> Callable[[Path], Any]:
    """The only document of a YAML file."""
    yaml = importable("yaml")

    def read(path: Path) -> Any:
        return yaml.safe_load(path.read_text(encoding="utf-8"))

    return read


@pytest.fixture(scope="session")
def metrics() -> frozenset[str]:
    """All that the server says of benchmarks; test_live_prometheus.py holds this list against a running server."""
    return METRICS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: Any = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
    with urllib.request.urlopen(request, timeout=240) as response:
        return bytes(response.read())


def until(truth: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if truth():
                return
        except (OSError, ValueError):  # nobody answers yet, or there is no such series
            pass
        time.sleep(0.1)
    pytest.fail(f"no {what} within {seconds} s")


@contextmanager
def running(command: list[str], log: Path, ready: str) -> Iterator[None]:
    """A program, from the first 200 at ``ready`` to the end of the block."""
    environment = {**os.environ, "XDG_DATA_HOME": str(log.parent), "PYTHONPATH": os.pathsep.join(sys.path)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=log.parent)
        try:
            until(lambda: process.poll() is not None or bool(ask(ready)), f"answer from {ready}")
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            try:
                process.wait(120)
            finally:
                process.kill()


class Prometheus(NamedTuple):
    url: str
    at: float | None = None

    def ask(self, path: str) -> bytes:
        return ask(self.url + path)

    def query(self, expression: str) -> list[dict[str, Any]]:
        fields = {"query": expression} | ({"time": f"{self.at:.3f}"} if self.at is not None else {})
        answer = json.loads(ask(f"{self.url}/api/v1/query?{urllib.parse.urlencode(fields)}"))
        assert answer["status"] == "success"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def values(self, expression: str) -> dict[str, float]:
        """By the labels that tell the series apart: ``{"outcome=completed": 3.0}``, or ``{"": 3.0}``."""
        return {name(series["metric"]): float(series["value"][1]) for series in self.query(expression)}

    def value(self, expression: str) -> float:
        ((_, value),) = self.values(expression).items()
        return value


def name(labels: dict[str, str]) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(labels.items()) if k not in {"__name__", "job", "instance"})


def committed_configuration(deploy: Path, folder: Path, target: str) -> Path:
    """The committed files with another target, and one second where they wait longer."""
    shutil.copytree(deploy / "prometheus", folder)
    for file in [folder / "prometheus.yml", *(folder / "rules").iterdir()]:
        text = file.read_text().replace("localhost:5000", target)
        file.write_text(re.sub(r"(scrape_interval|evaluation_interval|scrape_timeout| interval): \w+", r"\1: 1s", text))
    return folder / "prometheus.yml"


class Scraped(NamedTuple):
    """A server of its own, and a real Prometheus that has scraped it at least twice and goes on once a second."""

    url: str
    prometheus: Prometheus
    restart: Callable[[], None]
    until = staticmethod(until)

    def ask(self, path: str, body: Any = None) -> bytes:
        return ask(self.url + path, body)

    def await_scrape(self) -> float:
        """Until Prometheus has seen all there is now; the instant of that scrape.

        Runs are counted when they start: a scrape that came in the middle has the count, and not yet the whole run.
        """
        now = time.time()
        self.until(lambda: self.prometheus.value("timestamp(benchmark_runs_total)") > now, "scrape after the run")
        return self.prometheus.value("timestamp(benchmark_runs_total)")


@pytest.fixture(scope="session")
def scraped_server(deploy: Path, require: Callable[..., str]) -> Callable[..., AbstractContextManager[Scraped]]:
    """Starts a server under the committed configuration: a context manager for a folder, and the server's arguments."""
    program = require("prometheus")

    @contextmanager
    def start(folder: Path, *arguments: str) -> Iterator[Scraped]:
        server, prometheus = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        config = committed_configuration(deploy, folder / "prometheus", server.removeprefix("http://"))
        serve = [sys.executable, "-m", "aurea_server", "--port", server.rpartition(":")[2], *arguments]
        watch = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={prometheus.removeprefix('http://')}",
            "--enable-feature=exemplar-storage" + (",native-histograms" if "--native-histograms" in arguments else ""),
        ]
        with ExitStack() as serving, running(watch, folder / "prometheus.log", f"{prometheus}/-/ready"):

            def restart() -> None:
                serving.close()
                serving.enter_context(running(serve, folder / "server.log", f"{server}/health"))

            restart()
            scraped = Scraped(server, Prometheus(prometheus), restart)
            scraped.until(
                lambda: scraped.prometheus.value("count_over_time(benchmark_jobs_total[1m])") >= 2, "two scrapes"
            )
            yield scraped

    return start
