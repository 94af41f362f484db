"""The deployment files, read and run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


METRICS = frozenset(
    [
        "benchmark_build_info",
        "benchmark_cost_total",
        "benchmark_billed_quantity_total",
        "benchmark_cost_usd_total",
        "benchmark_findings_total",
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
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
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
