"""What is scraped: there at 0 before it counts, of real runs only, without figures that do not exist, in one currency.

The runs are simulated, since their figures are the same each time; what they are *told* as is the test's choice.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from rich.console import Console

from aurea_engine import CostModel, Observer, Progress, RunResult, default_catalog, simulate, spec_from_dict
from aurea_engine.closed_sets import CAPACITY_STATUSES
from aurea_engine.costs import Component, Flat
from aurea_engine.costs.quantities import BilledTime
from aurea_engine.processes.messages import Bill, Snapshot, make_snapshot
from aurea_engine.processes.so_far import SoFar
from aurea_server.cli.run_document import RunDocument
from aurea_server.metrics.money_labels import CURRENCIES, billed_keys, spent_keys
from aurea_server.metrics.registry import BenchmarkMetrics, Registry, WithCreationTimes, exponents_to
from aurea_server.runner.messages import Figures, make_figures
from aurea_server.runs.active_run import ActiveRun
from aurea_server.runs.events import EventLog, Followers
from aurea_server.runs.finish import finish_without_result
from tests.server.so_far import group, judged, shard

STARTED_AT = 1_795_000_000.0
RUN = "benchmark-1795344267954"
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True)
class Started(CostModel):
    """A model of somebody else's, with a line of a known name in an unusual unit, and one of an unknown name."""

    currency: str = "USD"

    def components(self) -> Iterator[Component]:
        yield Component("time", BilledTime().times(Fraction(1, 3600)), Flat("7"), "Hours")
        yield Component("wishes", BilledTime(), Flat("0.25"), "Wishes")


CATALOG = default_catalog()
OWN = CATALOG.add("cost_models", "started", Started)


class Told(Observer):
    """Tells metrics of a run as the runner does."""

    def __init__(self, metrics: BenchmarkMetrics, model: str) -> None:
        self.metrics, self.model, self.last = metrics, model, Snapshot()

    def on_progress(self, progress: Progress) -> None:
        self.last = make_snapshot(progress, self.model)
        self.metrics.update_run(self.last)


def tell(metrics: BenchmarkMetrics, clock: str = "real", **spec: Any) -> RunResult:
    """A run of ``spec`` from its start to its end, as one of that clock."""
    spec = {
        "workload": {"job": {"kind": "sleep", "duration": 0.05}, "jobs": 200},
        "seed": 1,
        **spec,
        "clock": "virtual",
    }
    made = spec_from_dict(spec, OWN)
    model = OWN.kind_of(made.cost)
    metrics.start_run(RUN, clock)
    result = simulate(made, [Told(metrics, model)])
    metrics.finish_run(make_figures(result, model, "", ""))
    return result


def fresh(longest: float = 900.0) -> BenchmarkMetrics:
    return BenchmarkMetrics("none", longest, lambda: STARTED_AT)


def as_text(metrics: BenchmarkMetrics) -> str:
    return generate_latest(Registry(metrics)).decode()


def as_openmetrics(metrics: BenchmarkMetrics) -> str:
    return str(openmetrics.generate_latest(WithCreationTimes(Registry(metrics))).decode())


def series(metrics: BenchmarkMetrics) -> Series:
    """Every series of ours in the text format."""
    found: Series = {}
    for family in parse_text(as_text(metrics)):
        for sample in family.samples:
            if sample.name.startswith("benchmark_"):
                found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def get(metrics: BenchmarkMetrics, name: str, **labels: str) -> float | None:
    return series(metrics).get((name, tuple(sorted(labels.items()))))


def grown(before: Series, after: Series, name: str) -> Fraction:
    """By how much all series of a counter grew that were there before: what ``increase()`` can see."""
    return sum((Fraction(after[key]) - Fraction(value) for key, value in before.items() if key[0] == name), Fraction(0))


MODELS: list[dict[str, Any]] = [
    {"kind": "per_second", "price": "1"},
    {"kind": "per_job", "price": "0.1"},
    {"kind": "serverless", "price": "1", "request_price": "1"},
    {"kind": "container_task", "vcpu": "1", "memory_gb": "2", "vcpu_price": "0.04", "memory_price": "0.004"},
    {"kind": "instance_busy", "price": "0.01", "concurrency": 4},
    {"kind": "packed", "price": "0.01", "concurrency": 4},
    {"kind": "fleet", "price": "3.6", "minimum": 0},
    {"kind": "egress", "price": "0.09", "bytes_per_job": 1000000, "unit": "GB"},
    {"kind": "egress", "price": "0.09", "bytes_per_job": 1000000, "unit": "GiB"},
    {"kind": "flat_period", "price": "5"},
    {"kind": "tiered", "mode": "graduated", "tiers": [{"price": "0.1"}]},
    {"kind": "tokens", "classes": [{"name": "thinking", "price": "3"}], "requests": [{"tokens": [1000]}]},
    {"kind": "composite", "of": [{"kind": "per_second", "price": "1"}, {"kind": "started"}]},
    {"kind": "discounts", "of": {"kind": "per_second", "price": "1"}, "discounts": [{"share": "0.2"}]},
    {"kind": "discounts", "of": {"kind": "per_job", "price": "1"}, "commitment": {"per_hour": "1", "discount": "0.1"}},
    {"kind": "sheet", "name": "example-functions", "memory_mb": 512},
    {"kind": "sheet", "name": "google-cloud-run-request-tier1", "memory_mb": 512, "vcpu": "1", "concurrency": 8},
    {"kind": "started"},
    {"kind": "free"},
]


@pytest.mark.parametrize("cost", MODELS, ids=lambda cost: cost["kind"])
def test_first_run_of_a_model_is_an_increase(cost: dict[str, Any]) -> None:
    """Every series that the run moves was there at 0, so all that it cost and all that it billed is seen to grow."""
    metrics = fresh()
    before = series(metrics)
    result = tell(metrics, cost=cost)
    after = series(metrics)
    assert result.cost.total is not None
    spent = grown(before, after, "benchmark_cost_usd_total")
    assert float(spent) == pytest.approx(float(result.cost.total), abs=1e-12)
    in_all = grown(before, after, "benchmark_cost_by_currency_total")
    assert float(in_all) == pytest.approx(float(result.cost.total), abs=1e-12)
    quantities = sum((line.quantity for line in result.cost.lines if line.basis != "credit"), Fraction(0))
    billed = grown(before, after, "benchmark_billed_quantity_total")
    assert float(billed) == pytest.approx(float(quantities), abs=1e-12)
    counters = {key for key in after if key[0].endswith(("_total", "_bucket", "_count", "_sum"))}
    assert counters - before.keys() == {("benchmark_cost_total", ())}, "a gauge in spite of its name"


def test_all_counters_are_0_before_they_count() -> None:
    """Of closed labels, too: an alert on the first failed run needs a 0 to rise from."""
    counters = {
        sample.name: sample.value
        for family in parse_text(as_text(fresh()))
        for sample in family.samples
        if family.name.startswith("benchmark_") and family.type in ("counter", "histogram")
    }
    assert set(counters.values()) == {0.0}
    assert {"benchmark_cost_usd_total", "benchmark_findings_total", "benchmark_lag_seconds_bucket"} <= counters.keys()


def test_quantities_of_two_units_are_never_added() -> None:
    """A line of a known name in an unusual unit keeps its unit: 10 s are 1/360 h, whoever billed them."""
    metrics = fresh()
    tell(metrics, cost={"kind": "started"})
    name = "benchmark_billed_quantity_total"
    assert get(metrics, name, component="other", unit="Hours") == pytest.approx(1 / 360)
    assert get(metrics, name, component="other", unit="other") == pytest.approx(10)
    assert get(metrics, name, component="time", unit="Seconds") == 0


def test_money_has_a_fixed_set_of_labels() -> None:
    """Whatever a runner tells, a bill adds no series: names fold, and what it came to still counts."""
    metrics = fresh()
    before = series(metrics)
    for model in ("sheet", "per_second", "composite", "x" * 200, ""):
        metrics.start_run(RUN)
        lines = [("y" * 99, "1/2"), ("memory", "1/4")]
        quantities = [("y" * 99, "GB", "2/1"), ("vcpu", "Bananas", "1/1")]
        bill = Bill(model=model, priced=True, monotone=True, lines=lines, quantities=quantities, currency="USD")
        metrics.finish_run(Figures(status="completed", bill=bill))
    after = series(metrics)
    assert after.keys() == before.keys() | {
        ("benchmark_run_end_time_seconds", ()),
        ("benchmark_run_start_time_seconds", ()),
    }
    assert grown(before, after, "benchmark_cost_usd_total") == Fraction(15, 4)
    assert grown(before, after, "benchmark_billed_quantity_total") == 15


def of_real_runs(metrics: BenchmarkMetrics) -> Series:
    return {key: value for key, value in series(metrics).items() if "simulated" not in key[0]}


def test_simulated_runs_move_no_real_metrics() -> None:
    """Not the jobs, not the money, not what alerts look at: its families are its own, and say the same of it."""
    metrics = fresh()
    tell(metrics, cost={"kind": "per_job", "price": "0.5"})
    real = of_real_runs(metrics)
    result = tell(
        metrics,
        "virtual",
        workload={
            "job": {"kind": "faulty", "failure_rate": 1, "job": {"kind": "sleep", "duration": 3600}},
            "jobs": 5000,
        },
        scheduler={"slots": 1, "queue_limit": 10},
        cost={"kind": "per_job", "price": "2"},
        objectives=[{"metric": "failure_ratio", "at_most": 0.01}],
    )
    assert of_real_runs(metrics) == real
    total = result.cost.total
    assert total is not None
    for name, labels, value in (
        ("runs_total", {}, 1),
        ("jobs_total", {}, 5000),
        ("job_outcomes_total", {"outcome": "failed"}, result.counts.failed),
        ("job_outcomes_total", {"outcome": "rejected"}, result.counts.rejected),
        ("cost_usd_total", {}, float(total)),
        ("objectives_total", {"result": "missed"}, 1),
        ("run_outcomes_total", {"status": "completed"}, 1),
        ("verdicts_total", {"verdict": result.verdict}, 1),
        ("runs_in_progress", {}, 0),
        ("job_duration_seconds_count", {}, 0),
    ):
        assert get(metrics, f"benchmark_simulated_{name}", **labels) == value, name


def test_a_broken_simulated_run_is_simulated_too() -> None:
    metrics = fresh()
    real = of_real_runs(metrics)
    metrics.start_run(RUN, "virtual")
    metrics.update_run(Snapshot(elapsed=9, arrived=3, counts={"completed": 3}, bill=Bill(priced=True, monotone=True)))
    metrics.fail_run("failed")
    assert of_real_runs(metrics) == real
    assert get(metrics, "benchmark_simulated_run_outcomes_total", status="failed") == 1
    assert get(metrics, "benchmark_simulated_jobs_total") == 3


FIGURES = {
    "benchmark_throughput_jobs_per_second",
    "benchmark_mean_latency_seconds",
    "benchmark_cost_total",
    "benchmark_offered_rate_jobs_per_second",
    "benchmark_utilization_ratio",
}


def shown(metrics: BenchmarkMetrics) -> set[str]:
    """Which figures of a run have a sample."""
    return FIGURES & {name for name, _ in series(metrics)}


def test_a_new_server_shows_no_figures() -> None:
    """0 s would be the best latency there is. The names and types are there all the same, also for `name[]`."""
    metrics = fresh()
    assert shown(metrics) == set()
    for name in FIGURES:
        assert f"# TYPE {name} gauge\n" in as_text(metrics)
    for name in ("benchmark_in_flight_jobs", "benchmark_queue_length_jobs", "benchmark_runs_in_progress"):
        assert get(metrics, name) == 0, "that none is in flight is a figure"


def test_a_run_without_ended_jobs_has_no_figures() -> None:
    metrics = fresh()
    tell(
        metrics,
        workload={"job": {"kind": "sleep", "duration": 0.05}, "arrivals": {"kind": "constant", "rate": 9}, "jobs": 9},
    )
    assert "benchmark_mean_latency_seconds" in shown(metrics)
    metrics.start_run(RUN)
    assert shown(metrics) == set(), "the last run's are not this one's"
    metrics.update_run(Snapshot(elapsed=0.5, arrived=3, in_flight=3))
    assert shown(metrics) == set()
    assert get(metrics, "benchmark_in_flight_jobs") == 3


@pytest.mark.parametrize(
    "spec",
    [
        {"workload": {"job": {"kind": "faulty", "failure_rate": 1, "job": {"kind": "sleep"}}, "jobs": 20}},
        {"workload": {"job": {"kind": "sleep", "duration": 0}, "jobs": 3}},
        {"workload": {"job": {"kind": "sleep", "duration": 0.1}, "jobs": 20}, "scheduler": {"slots": 3}},
        {"workload": {"job": {"kind": "sleep"}, "arrivals": {"kind": "poisson", "rate": 0.001}, "duration": 1}},
        {"cost": {"kind": "per_second", "price": "1", "currency": "EUR"}},
    ],
    ids=["all_failed", "no_time", "all_at_once", "no_job", "euro"],
)
def test_null_in_the_result_is_no_sample(spec: dict[str, Any]) -> None:
    """And a number there is the sample: never 0 for what does not exist, never nothing for a 0."""
    metrics = fresh()
    result = tell(metrics, **spec)
    total = result.cost.total
    for name, value in (
        ("benchmark_throughput_jobs_per_second", result.throughput),
        ("benchmark_mean_latency_seconds", result.service_time.mean),
        ("benchmark_offered_rate_jobs_per_second", result.offered_rate),
        ("benchmark_utilization_ratio", result.utilization),
        ("benchmark_cost_total", None if total is None or result.cost.currency != "USD" else float(total)),
        *((("benchmark_throughput_jobs_per_second", result.throughput),)),
    ):
        assert get(metrics, name) == value, name
    shares = {"attempt": result.cost.per_attempt, "success": result.cost.per_success, "good": result.cost.per_good}
    for per, share in shares.items():
        wanted = None if share is None or result.cost.currency != "USD" else float(share)
        assert get(metrics, "benchmark_last_run_cost_usd_per_job", per=per) == wanted


def test_no_result_means_no_cost_per_job() -> None:
    """Those of the run before it would be taken for its own."""
    metrics = fresh()
    tell(metrics)
    assert get(metrics, "benchmark_last_run_cost_usd_per_job", per="attempt") is not None
    metrics.start_run(RUN)
    metrics.fail_run("failed")
    assert get(metrics, "benchmark_last_run_cost_usd_per_job", per="attempt") is None


@pytest.mark.parametrize(("currency", "label"), [("EUR", "EUR"), ("JPY", "JPY"), ("ISK", "ISK"), ("XYZ", "other")])
def test_another_currency_is_never_dollars(currency: str, label: str) -> None:
    """Each legal tender has a series of its own, from the start; three letters that are none are `other`."""
    metrics = fresh()
    before = series(metrics)
    result = tell(metrics, cost={"kind": "per_second", "price": "1", "currency": currency})
    after = series(metrics)
    assert result.cost.total == 10
    assert grown(before, after, "benchmark_cost_usd_total") == 0
    assert "benchmark_cost_total" not in {name for name, _ in after}
    assert get(metrics, "benchmark_run_cost", currency=label) == 10
    assert get(metrics, "benchmark_cost_by_currency_total", currency=label) == 10
    assert grown(before, after, "benchmark_cost_by_currency_total") == 10


def test_converted_costs_have_the_new_currency() -> None:
    """Converted costs are of the currency they became."""
    metrics = fresh()
    euros = {"kind": "per_second", "price": "1", "currency": "EUR"}
    tell(
        metrics, cost={"kind": "discounts", "of": euros, "convert": {"to": "USD", "rate": "1.5", "date": "2026-11-01"}}
    )
    assert get(metrics, "benchmark_cost_total") == 15
    assert get(metrics, "benchmark_cost_usd_total", model="discounts", component="time") == 15


@pytest.mark.parametrize("longest", [0.1, 60, 900, 1023, 1024, 86_400, 604_800])
def test_buckets_reach_the_longest_run(longest: float) -> None:
    """A quantile above the last bucket would be answered with its bound: 128 s for a run of a quarter of an hour."""
    metrics = fresh(longest)
    for name in ("job_duration", "response_time", "waiting_time", "lag"):
        bounds = [
            float(labels[0][1]) for (each, labels) in series(metrics) if each == f"benchmark_{name}_seconds_bucket"
        ]
        finite = max(bound for bound in bounds if math.isfinite(bound))
        assert finite > longest
        assert finite <= max(128, 2 * (longest + 10)), "and not much further"
        assert min(bounds) == 2.0**-20


def test_without_a_limit_buckets_end_at_a_year() -> None:
    """Without a longest run buckets end at a year."""
    assert list(exponents_to(math.inf)) == list(range(-20, 26))
    assert exponents_to(1e300) == exponents_to(math.inf)


def test_a_minute_long_service_is_in_its_bucket() -> None:
    """Jobs of 131 s were beyond the last bucket."""
    metrics = fresh()
    tell(metrics, workload={"job": {"kind": "sleep", "duration": 131}, "jobs": 2})
    name = "benchmark_job_duration_seconds_bucket"
    assert (get(metrics, name, le="128.0"), get(metrics, name, le="256.0")) == (0, 2)


def test_exemplars_are_in_openmetrics_only() -> None:
    """Each counter and bucket that a run moved says which, with a value that belongs into the bucket."""
    metrics = fresh()
    result = tell(
        metrics, workload={"job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.05}}, "jobs": 200}
    )
    assert RUN not in as_text(metrics)
    found = {}
    for family in parse_openmetrics(as_openmetrics(metrics)):
        for sample in family.samples:
            if family.name.startswith("benchmark_") and family.type in ("counter", "histogram"):
                found[sample.name, tuple(sample.labels.values())] = sample
    named = {key: sample for key, sample in found.items() if sample.exemplar}
    for sample in named.values():
        assert sample.exemplar.labels == {"run_id": RUN}
        assert float(sample.exemplar.timestamp) == STARTED_AT
    assert {("benchmark_runs_total", ()), ("benchmark_job_outcomes_total", ("completed",))} <= named.keys()
    assert {
        ("benchmark_verdicts_total", (result.verdict,)),
        ("benchmark_cost_usd_total", ("time", "per_second")),
    } <= named.keys()
    bounds = sorted(float(labels[0]) for name, labels in found if name == "benchmark_job_duration_seconds_bucket")
    previous, count = 0.0, 0.0
    for bound in bounds:
        sample = found["benchmark_job_duration_seconds_bucket", (repr(bound) if math.isfinite(bound) else "+Inf",)]
        assert bool(sample.exemplar) == (sample.value > count), bound
        assert not sample.exemplar or previous < sample.exemplar.value <= bound
        previous, count = bound, sample.value


def test_series_of_the_last_run_name_the_last_run() -> None:
    """A run that moved a series gives its name to it; what it did not move keeps the name of the one that did."""
    metrics = fresh()
    tell(metrics)
    metrics.start_run("benchmark-2")
    metrics.update_run(Snapshot(elapsed=1, counts={"failed": 2}))
    metrics.fail_run("cancelled")
    named = {
        (sample.name, *sample.labels.values()): sample.exemplar.labels["run_id"]
        for family in parse_openmetrics(as_openmetrics(metrics))
        for sample in family.samples
        if sample.exemplar
    }
    assert named["benchmark_jobs_total",] == named["benchmark_job_outcomes_total", "failed"] == "benchmark-2"
    assert named["benchmark_run_outcomes_total", "cancelled"] == "benchmark-2"
    assert (
        named["benchmark_job_outcomes_total", "completed"] == named["benchmark_run_outcomes_total", "completed"] == RUN
    )


def test_openmetrics_has_creation_times() -> None:
    """The text format has no place for it: there it would be another gauge."""
    metrics = fresh()
    tell(metrics, cost={"kind": "per_second", "price": "1", "currency": "EUR"})
    assert "_created" not in as_text(metrics)
    created: dict[str, int] = {}
    for family in parse_openmetrics(as_openmetrics(metrics)):
        stamps = [sample for sample in family.samples if sample.name == f"{family.name}_created"]
        assert all(sample.value == STARTED_AT for sample in stamps)
        if family.name.startswith("benchmark_"):
            created[family.name] = len(stamps)
    assert created["benchmark_runs"] == created["benchmark_lag_seconds"] == created["benchmark_simulated_jobs"] == 1
    assert created["benchmark_cost_by_currency"] == 1, "of 157 currencies, the one that was spent"
    assert created["benchmark_job_outcomes"] == 1, "a series that was scraped at 0 increases without"
    assert created["benchmark_findings"] == created["benchmark_group_jobs"] == 0


def test_start_and_end_of_a_run_are_time_stamps() -> None:
    """Whatever way it ends. The end is that of the latest run that ended, so that a mark of it stays where it is."""
    now = [100.0]
    metrics = BenchmarkMetrics("none", 900, lambda: now[0])
    start, end = "benchmark_run_start_time_seconds", "benchmark_run_end_time_seconds"
    assert (get(metrics, start), get(metrics, end)) == (None, None)
    for number, status in enumerate(("failed", "cancelled", "interrupted")):
        metrics.start_run(f"benchmark-{number}")
        assert get(metrics, start) == now[0]
        assert get(metrics, end) == (None if number == 0 else now[0] - 1)
        now[0] += 5
        metrics.fail_run(status)
        assert (get(metrics, start), get(metrics, end)) == (now[0] - 5, now[0])
        now[0] += 1


def test_series_stay_below_their_promised_number() -> None:
    """In either format, with the longest runs that can be set, more price sheets than are shown, many currencies."""
    metrics = fresh(604_800)
    for number in range(30):
        metrics.start_run(f"benchmark-{number}", "virtual" if number % 3 else "real")
        bill = Bill(
            priced=True,
            currency=CURRENCIES[number],
            lines=[("time", "1/1")],
            per_job={"attempt": 1.0, "success": 1.0, "good": 1.0},
            sheets=[(f"sheet-{number}", "1", "USD", "2026-11-01")],
        )
        metrics.finish_run(Figures(status="completed", verdict="valid", bill=bill))
    for status in CAPACITY_STATUSES:
        metrics.searches.start_search("virtual", "rate")
        metrics.searches.finish_search("completed", {"status": status, "value": 2, "interval": {"low": 1, "high": 3}})
    crowded = SoFar(
        objectives=[judged("met")] * 100,
        groups=[group(name=str(number)) for number in range(16)],
        more_groups=100,
        shards=[shard(number) for number in range(32)],
    )
    metrics.start_run(RUN)
    metrics.update_run(Snapshot(counts=dict.fromkeys(["completed", "failed"], 10**6), so_far=crowded))
    metrics.finish_run(Figures(status="completed", verdict="valid", objectives=["met"] * 100))
    for text in (as_text(metrics), as_openmetrics(metrics)):
        assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 1000


def test_every_kind_of_cost_model_has_its_labels() -> None:
    """A kind that is added must be told to the sets of labels, or its first run goes into `other`."""
    kinds = CATALOG.kinds["cost_models"].keys() - {"free"}
    assert kinds <= {model for model, _ in spent_keys()}
    assert {cost["kind"] for cost in MODELS} >= kinds
    assert len(billed_keys()) == len(set(billed_keys()))


def test_an_infinite_bill_does_not_end_scrapes() -> None:
    """Each amount is a number, their sum is none: it is shown as infinite, and everything else as it is."""
    metrics = fresh()
    for _ in range(3):
        metrics.start_run(RUN)
        bill = Bill(model="per_job", priced=True, lines=[("jobs", f"{10**308}/1")])
        metrics.finish_run(Figures(status="completed", bill=bill))
    assert get(metrics, "benchmark_cost_usd_total", model="per_job", component="jobs") == math.inf
    assert get(metrics, "benchmark_runs_total") == 3


def test_a_snapshot_may_lack_a_rate() -> None:
    """The offered rate is for metrics; people see it in the result."""
    assert "offered_rate" not in json.loads(json.dumps(Snapshot(offered_rate=5.0).figures()))


def test_the_page_lists_every_metric() -> None:
    """And no other: each of ours is on the page, those of simulated runs without their prefix."""
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text("utf-8")
    simulated = page.partition("`benchmark_simulated_` stands before")[2].partition("\n\n")[0]
    names = set(re.findall(r"`(benchmark_[a-z0-9_]+[a-z])[`{]", page)) | {
        f"benchmark_simulated_{name}" for name in re.findall(r"`([a-z_]+)`", simulated)
    }
    served = re.findall(r"^# TYPE (benchmark_\S+)", as_text(fresh()), re.MULTILINE)
    native = {family.name for family in fresh().native_families()}
    assert {name for name in names if name not in native} == set(served)
    assert names & native


OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


async def scrape(client: Any, **headers: str) -> str:
    async with client.get("/metrics", headers=headers) as answer:
        assert answer.status == 200
        return str(await answer.text())


async def test_a_new_server_parses_in_both_forms(client: Any) -> None:
    """prometheus_client's parsers check what the formats demand: order, groups, types, exemplars."""
    text, open_ = await scrape(client), await scrape(client, **OPENMETRICS)
    as_parsed = [
        {family.name.removesuffix("_info") for family in families}
        for families in (parse_text(text), parse_openmetrics(open_))
    ]
    assert as_parsed[0] == as_parsed[1]
    assert "benchmark_runs_created " in open_
    assert "_created" not in text
    assert 'benchmark_job_duration_seconds_bucket{le="1024.0"} 0.0' in text
    assert "benchmark_mean_latency_seconds " not in text.replace("# HELP benchmark_mean_latency_seconds ", "").replace(
        "# TYPE benchmark_mean_latency_seconds ", ""
    )


async def test_buckets_follow_the_time_limit(serve: Any) -> None:
    """Buckets follow the setting of the longest run."""
    client = await serve(max_seconds=86_400.0)
    assert 'benchmark_response_time_seconds_bucket{le="131072.0"} 0.0' in await scrape(client)


@pytest.mark.service
async def test_runs_over_http_are_told_apart(client: Any, post: Any) -> None:
    """A failed one, a simulated one and one in euros: each is where it belongs, named, and listed in its currency."""
    failed = {"workload": {"job": {"kind": "faulty", "failure_rate": 1, "job": {"kind": "sleep"}}, "jobs": 20}}
    _, first = await post(client, failed)
    assert (first["mean_latency"], first["offered_rate"], first["utilization"]) == (None, None, None)
    samples = {line.split()[0] for line in (await scrape(client)).splitlines() if not line.startswith("#")}
    assert not samples & {f"benchmark_{name}" for name in ("mean_latency_seconds", "offered_rate_jobs_per_second")}
    _, simulated = await post(client, {"num_jobs": 50, "job_duration_ms": 3_600_000, "clock": "virtual"})
    euros = {"kind": "per_job", "price": "0.5", "currency": "EUR"}
    _, dear = await post(client, {"num_jobs": 4, "job_duration_ms": 1, "cost": euros})
    found = await scrape(client, **OPENMETRICS)
    for line in (
        f'benchmark_runs_total 2.0 # {{run_id="{dear["benchmark_id"]}"}} 1.0 ',
        f'benchmark_simulated_jobs_total 50.0 # {{run_id="{simulated["benchmark_id"]}"}} 50.0 ',
        f'benchmark_job_outcomes_total{{outcome="failed"}} 20.0 # {{run_id="{first["benchmark_id"]}"}} 20.0 ',
        f'benchmark_cost_by_currency_total{{currency="EUR"}} 2.0 # {{run_id="{dear["benchmark_id"]}"}} 2.0 ',
        'benchmark_run_cost{currency="EUR"} 2.0',
        'benchmark_cost_usd_total{component="jobs",model="per_job"} 0.0\n',
    ):
        assert line in found, line
    assert "\nbenchmark_cost_total " not in found
    async with client.get("/benchmark/runs") as answer:
        listed = (await answer.json())["runs"]
    assert [run["currency"] for run in listed] == ["EUR", "USD", "USD"]


async def test_no_result_keeps_the_currency() -> None:
    """What it had cost so far was shown in dollars."""
    last = Snapshot(cost="2/1", bill=Bill(currency="EUR", priced=True))
    run = ActiveRun(RUN, {"clock": "real"}, None, False, EventLog(Followers(1)), last=last)
    finish = finish_without_result(run, "failed", None)
    answer = json.loads(finish.answer.body)
    assert (answer["total_cost"], answer["currency"]) == (2.0, "EUR")
    assert "2.0000 EUR" in rendered(RunDocument.parse(finish.answer.body).render())


def rendered(table: Any) -> str:
    console = Console(width=100, file=io.StringIO())
    console.print(table)
    return str(console.file.getvalue())  # type: ignore[attr-defined]
