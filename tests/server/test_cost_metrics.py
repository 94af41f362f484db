"""Costs as counters: exact, never backwards, few labels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from prometheus_client import CollectorRegistry

from aurea_engine import Constant, CostModel, JobBatch, RunSpec, Sleep, Workload, simulate
from aurea_engine.costs import (
    Component,
    Discount,
    Discounts,
    FlatPeriod,
    Fleet,
    Line,
    Metering,
    PerJob,
    PerSecond,
    RunInfo,
    Serverless,
    Tier,
    Tiered,
    Usage,
)
from aurea_engine.processes.messages import Bill, Snapshot, make_bill
from aurea_engine.records.batch import NS
from aurea_server.metrics.registry import BenchmarkMetrics
from aurea_server.runner.messages import Figures, make_figures

TIERS = (Tier(1, 3), Tier("0.1"))


def bill(amount: str = "1/1000", **changes: object) -> Bill:
    given: dict[str, object] = {
        "model": "per_second",
        "priced": True,
        "monotone": True,
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
    metrics.start_run()
    for each in before:
        metrics.update_run(Snapshot(bill=each))
    metrics.finish_run(Figures(status="completed", bill=last))


def test_costs_end_at_the_exact_sum() -> None:
    """A million bills of 2.0833375e-9 dollars are 0.0020833375, which adding floats to a large counter would miss."""
    metrics = BenchmarkMetrics("none")
    metrics.start_run()
    metrics.update_run(Snapshot(bill=bill("1/4000")))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0.00025
    metrics.finish_run(Figures(status="completed", bill=bill("1/1000")))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0.001
    for _ in range(1000):
        run(metrics, bill("20833375/10000000000000000"))
    exact = 0.001 + 1000 * 2.0833375e-9
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == exact
    assert value(metrics, "benchmark_billed_quantity_total", component="time", unit="Seconds") == 1001


def test_a_counter_waits_where_a_bill_fell() -> None:
    """A counter that steps back looks like a restart to Prometheus, which would count the whole sum again."""
    metrics = BenchmarkMetrics("none")
    metrics.start_run()
    metrics.update_run(Snapshot(bill=bill("2/1000")))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0.002
    metrics.finish_run(Figures(status="completed", bill=bill("1/1000")))
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
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0
    assert value(metrics, "benchmark_billed_quantity_total", component="time", unit="Seconds") == 1.0
    assert value(metrics, "benchmark_last_run_cost_usd_per_job", per="attempt") is None


def test_an_unpriced_run_adds_no_money() -> None:
    """A missing price is never 0 in a sum: the counter does not move, and the finding says why."""
    metrics = BenchmarkMetrics("none")
    run(metrics, bill(priced=False))
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 0


def spent(metrics: BenchmarkMetrics) -> float:
    """Of all models and components."""
    registry = CollectorRegistry()
    registry.register(metrics)
    samples = [sample for family in registry.collect() for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == "benchmark_cost_usd_total")


def measured(metrics: BenchmarkMetrics, model: CostModel) -> tuple[list[float], Fraction]:
    """A run of four jobs of a second: what the counters came to after each, and the exact total."""
    metrics.start_run()
    metering, moved, start = Metering(model), [], np.zeros(1, np.int64)
    for number in range(4):
        metering.feed(JobBatch(start, start, start + number * NS, start + (number + 1) * NS, np.ones(1, np.uint8)))
        # A fifth of a second after the first: a fleet would need many.
        metrics.update_run(Snapshot(bill=make_bill(metering.bill_so_far(RunInfo(NS // 5 + number * NS)), "composite")))
        moved.append(spent(metrics))
    cost = metering.bill_so_far(RunInfo(4 * NS))
    assert cost is not None
    assert cost.total is not None
    metrics.finish_run(Figures(status="completed", bill=make_bill(cost, "composite")))
    return moved, cost.total


def test_counters_grow_by_exact_totals_with_credits() -> None:
    """Whatever was estimated while a run was on, after it the sum of all components is what all runs cost."""
    metrics, total = BenchmarkMetrics("none"), Fraction(0)
    for model in (
        Discounts(of=PerSecond(1) + PerJob(2), discounts=(Discount("0.2"), Discount("0.5", ("time",)))),
        Discounts(of=PerSecond("0.1"), round_to=0),
        Discounts(of=PerSecond("0.2") + PerJob("0.2"), round_to=0),
        Fleet(price=3600, minimum=0),
        Tiered(mode="cliff", tiers=TIERS),
        FlatPeriod(1) + PerSecond(),
        Serverless(price="0.00002"),
    ):
        moved, cost = measured(metrics, model)
        total += cost
        assert moved == sorted(moved)
        assert abs(spent(metrics) - float(total)) < 1e-9


def test_only_monotone_bills_move_during_a_run() -> None:
    """What can only grow moves during a run and estimates wait for its end."""
    ordinary = (
        PerSecond(1),
        PerJob(1),
        PerSecond("0.5") + PerJob("0.5"),
        Tiered(mode="graduated", tiers=(Tier(1),)),
        Discounts(of=PerJob(2), discounts=(Discount("0.5"),)),
    )
    for model in ordinary:
        assert measured(BenchmarkMetrics("none"), model)[0] == [1, 2, 3, 4]
    estimates = (
        Fleet(price=3600, minimum=0),
        FlatPeriod(1),
        Tiered(mode="cliff", tiers=TIERS),
        PerJob(1) + Fleet(price=1),
        Discounts(of=PerJob(1), round_to=0),
    )
    for model in estimates:
        assert measured(BenchmarkMetrics("none"), model)[0] == [0, 0, 0, 0]


def test_a_falling_component_is_balanced_by_others() -> None:
    """The sum is exact although no counter falls: what one shows too much, another waits for."""
    metrics = BenchmarkMetrics("none")
    metrics.start_run()
    metrics.update_run(Snapshot(bill=bill(lines=[("time", "3/1"), ("jobs", "0/1")])))
    assert spent(metrics) == 3
    metrics.finish_run(Figures(status="completed", bill=bill(lines=[("time", "-1/1"), ("jobs", "6/1")])))
    assert spent(metrics) == 5
    assert value(metrics, "benchmark_cost_usd_total", model="per_second", component="time") == 3


def test_a_run_without_result_keeps_its_certain_cost() -> None:
    """A run without a result keeps what was sure and swallows nothing of the next."""
    metrics = BenchmarkMetrics("none")
    metrics.start_run()
    metrics.update_run(Snapshot(bill=bill("2/1")))
    assert spent(metrics) == 2
    metrics.fail_run("failed")
    assert spent(metrics) == 2
    run(metrics, bill("1/1"))
    assert spent(metrics) == 3
    run(metrics, bill(priced=False, lines=[]), bill("4/1"))
    assert spent(metrics) == 7
    assert value(metrics, "benchmark_billed_quantity_total", component="time", unit="Seconds") == 3


class Odd(CostModel):
    """Bills what nobody can sum up or show."""

    def components(self) -> list[Component]:
        return []

    def lines(self, usage: Usage) -> list[Line]:
        return [Line(5, Fraction(10**400), None, Fraction(1))]  # type: ignore[arg-type]


def test_a_missing_bill_counts_as_unpriced() -> None:
    """A bill that is none is reported to metrics as unpriced."""
    spec = RunSpec(Workload(Sleep(Constant(0.01)), jobs=3), cost=Odd(), clock="virtual", seed=1)
    figures = make_figures(simulate(spec), "odd", "", "")
    assert (figures.total_cost, figures.bill) == (None, Bill(model="odd", sheets=[]))
    assert "cost_unpriced" in figures.findings
