"""Native histograms in a real Prometheus: finer quantiles while a run is on, and classic panels as before."""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_server.metrics.native_histograms import SCHEMA

pytestmark = pytest.mark.service

SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.02}},
        "arrivals": {"kind": "poisson", "rate": 500},
        "duration": 600,
    },
    "seed": 7,
}


def bucket_of(seconds: float) -> int:
    return math.ceil(math.log2(seconds) * 2**SCHEMA)


def test_quantiles_of_native_histograms(scraped_server: Callable[..., Any], tmp_path: Path) -> None:
    """While the run is on they are there, and near what they will be; at its end within one bucket of the exact ones.

    It is stopped when it has been seen: so it is on until then, however busy the machine is.
    """
    with scraped_server(tmp_path, "--native-histograms") as scraped:
        now = scraped.prometheus
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        request = urllib.request.Request(f"{scraped.url}/benchmark/run", json.dumps(SPEC).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            run_id = json.load(answer)["benchmark_id"]
        live = "histogram_count(benchmark_response_time_native_seconds) and on() benchmark_runs_in_progress == 1"
        scraped.until(lambda: max(now.values(live).values(), default=0) > 1000, "a scrape during the run")
        halfway = now.value("histogram_quantile(0.5, benchmark_response_time_native_seconds)")
        # A p99.9 needs 3,000 jobs.
        scraped.until(lambda: max(now.values(live).values(), default=0) > 5000, "enough jobs for a p99.9")
        scraped.ask(f"/benchmark/runs/{run_id}/cancel", {})
        scraped.until(lambda: now.values("benchmark_runs_in_progress") == {"": 0}, "scrape after the run")
        result = json.loads(scraped.ask(f"/benchmark/runs/{run_id}"))
        count = "histogram_count(benchmark_response_time_native_seconds)"
        scraped.until(
            lambda: now.values(count) == {"": result["counts"]["completed"]}, "the whole run in the native form"
        )
        for label, q in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
            found = now.value(f"histogram_quantile({q}, benchmark_response_time_native_seconds)")
            assert abs(bucket_of(found) - bucket_of(result["response_time"][label])) <= 1, label
        # Of 1,000 jobs and more the median is known to ±10 % (three standard errors of an exponential's).
        assert 0.85 < halfway / result["response_time"]["p50"] < 1.15
        classic = now.value("histogram_quantile(0.5, sum by (le) (benchmark_response_time_seconds_bucket))")
        assert 0.5 < classic / result["response_time"]["p50"] < 2
        assert now.value("benchmark_jobs_total") == result["num_jobs"]
