"""Costs as counters: exact, never backwards, few labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from aurea_server.metrics import BenchmarkMetrics
from aurea_server.reports import Bill, Figures, Snapshot


def bill(amount: str = "1/1000", **changes: object) -> Bill:
    given: dict[str, object] = {
        "model": "per_second",
        "priced": True,
        "lines": [("time", amount)],
        "quantities": [("time", "Seconds", "1/1")],
        "per_job": {"attempt": 0.001},
    }
    return Bill(**{**given, **changes})  # type: ignore[arg-type]


def value(metrics: BenchmarkMetrics, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry.get_sample_value(name, labels)


def run(metrics: BenchmarkMetrics, last: Bill, *before: Bill) -> None:
    metrics.started()
    for each in before:
        metrics.progressed(Snapshot(bill=each))
    metrics.finished(Figures(status="completed", bill=last))


def test_costs_move_during_a_run_and_end_at_the_exact_sum() -> None:
    """A million bills of 2.0833375e-9 dollars are 0.0020833375, which adding floats to a large counter would miss."""
    metrics = BenchmarkMetrics("none")
    metrics.started()
    metrics.progressed(Snapshot(bill=bill("1/4000")))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0.00025
    metrics.finished(Figures(status="completed", bill=bill("1/1000")))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0.001
    for _ in range(1000):
        run(metrics, bill("20833375/10000000000000000"))
    exact = 0.001 + 1000 * 2.0833375e-9
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == exact
    assert value(metrics, "benchmark_billed_quantity_total", component="time", unit="Seconds") == 1001


def test_a_counter_waits_where_an_estimate_was_too_high() -> None:
    """A counter that steps back looks like a restart to Prometheus, which would count the whole sum again."""
    metrics = BenchmarkMetrics("none")
    metrics.started()
    metrics.progressed(Snapshot(bill=bill("2/1000")))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0.002
    metrics.finished(Figures(status="completed", bill=bill("1/1000")))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0.002
    run(metrics, bill("3/1000"))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0.004


def test_names_from_outside_make_no_series() -> None:
    """A model, a line and a unit that nobody knows are ``other``; another currency is no dollar, but its quantity counts."""
    metrics = BenchmarkMetrics("none")
    run(metrics, bill(model="evil", lines=[("x" * 99, "1/1")], quantities=[("y", "Bananas", "2/1")]))
    assert value(metrics, "benchmark_cost_usd_total", model="other", component="other") == 1.0
    assert value(metrics, "benchmark_billed_quantity_total", component="other", unit="other") == 2.0
    run(metrics, bill(currency="EUR"))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") is None
    assert value(metrics, "benchmark_billed_quantity_total", component="time", unit="Seconds") == 1.0
    assert value(metrics, "benchmark_last_run_cost_usd_per_job", per="attempt") is None


def test_an_unpriced_run_adds_no_money() -> None:
    """A missing price is never 0 in a sum: the counter does not move, and the finding says why."""
    metrics = BenchmarkMetrics("none")
    run(metrics, bill(priced=False))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") is None
