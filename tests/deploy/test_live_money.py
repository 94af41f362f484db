"""Money as a real Prometheus sees it: the first run of each cost model, shorter than a scrape interval, is counted in full.

``increase()`` reaches past the last sample, so it is asked for at the instant of one: there it is exact, since the counter
was seen at 0 before.
"""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

SHORT = {"num_jobs": 200, "job_duration_ms": 50}
COSTS: dict[str, dict[str, Any]] = {
    "per_second": {"kind": "per_second", "price": "1"},
    "serverless": {"kind": "serverless", "price": "1", "request_price": "1"},
    "sheet": {"kind": "sheet", "name": "example-functions", "memory_mb": 1024},
    "composite": {
        "kind": "composite",
        "of": [{"kind": "per_job", "price": "1"}, {"kind": "flat_period", "price": "1"}],
    },
    "discounts": {"kind": "discounts", "of": {"kind": "per_job", "price": "1"}, "discounts": [{"share": "0.5"}]},
}


@pytest.fixture(scope="module")
def scraped(scraped_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with scraped_server(tmp_path_factory.mktemp("money")) as found:
        yield found


def run(scraped: Any, **spec: Any) -> dict[str, Any]:
    """A run, once Prometheus has seen all of it."""
    result: dict[str, Any] = json.loads(scraped.ask("/benchmark/run", {**SHORT, **spec}))
    scraped.await_scrape()
    return result


def at_a_sample(scraped: Any) -> Any:
    """Prometheus at the instant of its latest sample, where a window ends with it."""
    return scraped.prometheus._replace(at=scraped.prometheus.value("timestamp(benchmark_runs_total)"))


@pytest.mark.parametrize("kind", COSTS)
def test_a_short_first_run_is_spent_in_full(scraped: Any, kind: str) -> None:
    """10.00 for the README's run at 1 a second, then 201.30 for functions: of each component, and billed alike."""
    result = run(scraped, cost=COSTS[kind])
    then = at_a_sample(scraped)
    total = result["total_cost"]
    assert total > 0
    spent = then.value(f'sum(increase(benchmark_cost_usd_total{{model="{kind}"}}[1m]))')
    assert spent == pytest.approx(total, rel=1e-9)
    for line in result["cost"]["lines"] if kind in ("per_second", "serverless") else []:
        billed = f'benchmark_billed_quantity_total{{component="{line["name"]}", unit="{line["unit"]}"}}'
        assert then.value(f"increase({billed}[1m])") == pytest.approx(float(line["quantity"]), rel=1e-9), (
            "of this run alone"
        )
    by_currency = then.value('benchmark_cost_by_currency_total{currency="USD"}')
    assert by_currency == pytest.approx(then.value("sum(benchmark_cost_usd_total)"), rel=1e-9)


def test_neither_euros_nor_simulations_are_dollars(scraped: Any) -> None:
    """What the rules and the dashboard ask of real runs stays as it was."""
    before = at_a_sample(scraped).value("sum(benchmark_cost_usd_total)")
    euros = run(scraped, cost={"kind": "per_second", "price": "1", "currency": "EUR"})
    run(scraped, clock="virtual", cost={"kind": "per_second", "price": "1"})
    then = at_a_sample(scraped)
    assert then.value("sum(benchmark_cost_usd_total)") == before
    assert then.value('increase(benchmark_cost_by_currency_total{currency="EUR"}[1m])') == pytest.approx(
        euros["total_cost"], rel=1e-9
    )
    assert then.value("benchmark_simulated_cost_usd_total") == pytest.approx(10, rel=1e-9)
    assert then.query("benchmark_cost_total") == [], "the last real run cost euros"


def test_a_failed_run_has_no_latency(scraped: Any) -> None:
    """A run in which everything failed is not the fastest."""
    spec = {
        "workload": {
            "job": {"kind": "faulty", "failure_rate": 1, "job": {"kind": "sleep", "duration": 0.01}},
            "jobs": 20,
        }
    }
    result = json.loads(scraped.ask("/benchmark/run", spec))
    assert result["mean_latency"] is None
    scraped.until(lambda: not scraped.prometheus.query("benchmark_mean_latency_seconds"), "sample that went away")
    assert scraped.prometheus.query("benchmark_utilization_ratio") == []


def test_a_point_names_its_run(scraped: Any) -> None:
    """Prometheus stores the exemplars, of counters and of buckets."""
    result = run(scraped, cost=COSTS["per_second"])
    now = time.time()
    for query in ("benchmark_cost_usd_total", "benchmark_response_time_seconds_bucket", "benchmark_run_outcomes_total"):
        window = urllib.parse.urlencode({"query": query, "start": now - 60, "end": now + 5})
        path = f"/api/v1/query_exemplars?{window}"

        def names(path: str = path) -> set[str]:
            found = json.loads(scraped.prometheus.ask(path))["data"]
            return {each["labels"]["run_id"] for series in found for each in series["exemplars"]}

        scraped.until(lambda names=names: result["benchmark_id"] in names(), f"exemplar of {query}")


def test_a_run_is_marked_where_it_started_and_ended(scraped: Any) -> None:
    """The values are time stamps: where the annotations of the dashboard stand."""
    started = time.time()
    run(scraped)
    ended = time.time()
    then = at_a_sample(scraped)
    start, end = (then.value(f"benchmark_run_{each}_time_seconds") for each in ("start", "end"))
    assert started <= start < end <= ended
    assert end - start > 0.05


def test_a_restart_loses_no_money(scraped_server: Callable[..., Any], tmp_path: Path) -> None:
    """A server that starts again counts from 0, and Prometheus adds what it counts from there."""
    with scraped_server(tmp_path) as scraped:
        total = run(scraped, cost=COSTS["per_second"])["total_cost"]
        scraped.restart()
        scraped.until(lambda: scraped.prometheus.value("benchmark_runs_total") == 0, "scrape of the new server")
        total += run(scraped, cost=COSTS["serverless"])["total_cost"]
        spent = at_a_sample(scraped).value("sum(increase(benchmark_cost_usd_total[2m]))")
        assert spent == pytest.approx(total, rel=1e-9)
