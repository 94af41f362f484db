"""The metrics of the server's own requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aurea_server.http.operations import OPERATIONS
from aurea_server.metrics.http_metrics import BOUNDS, LABELS, MOST_SERIES, NAME, OTHER_METHOD, OTHER_ROUTE, HttpMetrics

Key = tuple[str, ...]


async def read_counts(client: Any) -> dict[Key, float]:
    """Route, method, status → requests; each with buckets that rise to that number."""
    (family,) = [each for each in parse_text(await (await client.get("/metrics")).text()) if each.name == NAME]
    found: dict[Key, list[float]] = {}
    for sample in family.samples:
        if sample.name.endswith("_bucket"):
            found.setdefault(tuple(sample.labels[name] for name in LABELS), []).append(sample.value)
    assert all(len(buckets) == len(BOUNDS) + 1 and buckets == sorted(buckets) for buckets in found.values())
    return {key: buckets[-1] for key, buckets in found.items()}


async def test_each_answer_counts_with_route_and_status(client: Any, post: Callable[..., Awaitable[Any]]) -> None:
    _, run = await post(client, {"num_jobs": 1, "job_duration_ms": 1})
    await post(client, {"num_jobs": -1})
    for path in (
        f"/benchmark/runs/{run['benchmark_id']}",
        "/benchmark/runs/benchmark-1",
        "/nowhere",
        "/health",
        "/health",
    ):
        await client.get(path)
    await client.put("/health")
    await client.request("PURGE", "/health")
    assert await read_counts(client) == {
        ("/benchmark/run", "POST", "200"): 1,
        ("/benchmark/run", "POST", "400"): 1,
        ("/benchmark/runs/{run_id}", "GET", "200"): 1,
        ("/benchmark/runs/{run_id}", "GET", "404"): 1,
        (OTHER_ROUTE, "GET", "404"): 1,
        ("/health", "GET", "200"): 2,
        (OTHER_ROUTE, "PUT", "405"): 1,
        (OTHER_ROUTE, OTHER_METHOD, "405"): 1,
    }


async def test_routes_have_no_base_path(serve: Callable[..., Awaitable[Any]]) -> None:
    client = await serve(base_path="/bench")
    await client.get("/bench/health")
    await client.get("/health")
    assert await read_counts(client) == {("/health", "GET", "200"): 2}


async def test_refusals_count(serve: Callable[..., Awaitable[Any]]) -> None:
    client = await serve(token="a-token-of-twenty-letters")
    await client.get("/benchmark/runs")
    await client.get("/health", headers={"Host": "elsewhere.example"})
    headers = {"Authorization": "Bearer a-token-of-twenty-letters"}
    text = await (await client.get("/metrics", headers=headers)).text()
    assert 'http_route="/benchmark/runs",' in text
    assert 'http_response_status_code="401"' in text
    assert 'http_response_status_code="403"' in text


def test_series_are_bounded() -> None:
    metrics = HttpMetrics()
    for operation in OPERATIONS:
        for status in range(400, 450):
            metrics.record(operation.path, operation.method, status, 0.1)
    (family,) = metrics.collect()
    keys = {tuple(sample.labels[name] for name in LABELS) for sample in family.samples}
    assert len(keys) == MOST_SERIES + 1
    assert sum(s.value for s in family.samples if s.name.endswith("_count")) == 50 * len(OPERATIONS)


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.005, 0), (0.0051, 1), (10.0, 13), (11.0, 14)])
def test_bounds_are_inclusive(seconds: float, bucket: int) -> None:
    metrics = HttpMetrics()
    metrics.record("/health", "GET", 200, seconds)
    (family,) = metrics.collect()
    values = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
    assert values.index(1) == bucket
