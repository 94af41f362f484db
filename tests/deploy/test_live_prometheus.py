"""A real Prometheus scrapes a real server during a run, and every panel and every rule must answer with the right value.

The oracle is the response of the run. What is a rate is known up to Prometheus' extrapolation: it reaches past the first
and the last sample by at most one scrape interval in all, beside six seconds of run. Quantiles are known to the bucket.
One run is looked at from all sides, so this file is one, too.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.realtime

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/aurea.json").read_text())
TARGETS = {
    (panel["title"], target["legendFormat"]): target["expr"]
    for row in DASHBOARD["panels"]
    for panel in (row, *row.get("panels", ()))
    for target in panel.get("targets", [])
}
RECORDED = re.findall(r"record: (\S+)", (ROOT / "deploy/prometheus/rules/recording.yml").read_text())
WINDOW = 20.0  # seconds in $__rate_interval: four scrapes of the committed five seconds
SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.02}},
        "arrivals": {"kind": "poisson", "rate": 200},
        "duration": 6,
    },
    "scheduler": {"kind": "fifo", "slots": 5},
    "cost": {"kind": "per_second", "price": "0.001"},
    "seed": 7,
    "objectives": [{"metric": "response_time", "quantile": 0.5, "at_most": 10}],
}
SIMULATED = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 60}},
        "arrivals": {"kind": "poisson", "rate": 0.05},
        "jobs": 20000,
    },
    "scheduler": {"kind": "fifo", "slots": 4},
    "cost": {"kind": "per_job", "price": "3"},
    "clock": "virtual",
    "seed": 7,
    "objectives": [{"metric": "response_time", "quantile": 0.5, "at_most": 0.001}],
}
"""Slow, dear and missing its objective: whatever it moved of the real run's figures, alerts and money would show."""


class Between(NamedTuple):
    """What a value may be."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def about(value: float, relative: float = 1e-6) -> Between:
    return Between(value - abs(value) * relative - 1e-12, value + abs(value) * relative + 1e-12)


def per_second(total: float, window: float = WINDOW) -> Between:
    """A rate over a window in which a counter went from 0 to ``total``."""
    return Between(total / window * (1 - 1e-9), total / window * 1.25)


def octave(quantile: float) -> Between:
    """The bucket of a quantile, or the two that meet near it: Prometheus ranks samples a little differently."""
    if quantile < 2.0**-20:
        return Between(0, 2.0**-20)
    return Between(2.0 ** math.floor(math.log2(quantile * 0.97)), 2.0 ** math.ceil(math.log2(quantile * 1.03)))


class Scene(NamedTuple):
    """What is left when the run is over; Prometheus is asked about one fixed instant after it."""

    server: Any
    prometheus: Any
    run: dict[str, Any]
    simulated: dict[str, Any]
    before: str
    after: str


def evaluated(prometheus: Any) -> list[float]:
    """When the latest point of each rule's series was made. Raises ValueError where one has none yet."""
    return [min(prometheus.values(f"timestamp({record})").values()) for record in RECORDED]


@pytest.fixture(scope="module")
def scene(scraped_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scraped_server(tmp_path_factory.mktemp("live")) as scraped:
        now = scraped.prometheus
        before = scraped.ask("/metrics").decode()
        simulated = json.loads(scraped.ask("/benchmark/run", SIMULATED))
        run = json.loads(scraped.ask("/benchmark/run", SPEC))
        seen = scraped.await_scrape()
        # The rules are evaluated every second; on a busy machine, when there is time.
        scraped.until(lambda: min(evaluated(now)) > seen, "evaluation of the rules")
        time.sleep(1.5)
        after = scraped.ask("/metrics").decode()
        yield Scene(scraped, now._replace(at=time.time()), run, simulated, before, after)


# What the panels must answer


def expected(run: dict[str, Any]) -> dict[tuple[str, str], dict[str, Between]]:
    """Panel and legend → series → value. What a closed label may also say, and did not, is 0."""
    counts, jobs, costs = run["counts"], run["num_jobs"], run["cost"]
    total = run["total_cost"]
    outcomes = {f"outcome={name}": per_second(counts[name]) for name in counts if name != "arrived"}
    ended = dict.fromkeys(["completed", "failed", "cancelled", "timed_out", "interrupted"], 0) | {run["status"]: 1}
    verdicts = dict.fromkeys(["valid", "degraded", "invalid"], 0) | {run["verdict"]: 1}
    codes = [finding["code"] for finding in run["findings"]]
    latency = {
        "Response time": ("response_time", 50, 95, 99),
        "Service time": ("service_time", 50, 95, 99),
        "Waiting time": ("waiting_time", 50, 95, 99),
        "Lag": ("lag", 50, 99),
    }
    quantiles = {
        (panel, f"p{level}"): {"": octave(run[distribution][f"p{level}"])}
        for panel, (distribution, *levels) in latency.items()
        for level in levels
    }
    return quantiles | {
        ("Throughput", "{{instance}}"): {"": about(run["throughput"])},
        ("Mean latency", "{{instance}}"): {"": about(run["mean_latency"])},
        ("Cost of the run", "{{instance}}"): {"": about(total)},
        ("Jobs in flight", "{{instance}}"): {"": about(0)},
        ("Verdicts", "{{verdict}}"): {f"verdict={name}": about(n) for name, n in verdicts.items()},
        ("Jobs", "{{instance}}"): {"": about(jobs)},
        ("Runs", "{{instance}}"): {"": about(1)},
        ("Runs now", "in progress"): {"": about(0)},
        ("Runs now", "queued"): {"": about(0)},
        ("Objectives", "{{result}}"): {
            "result=met": about(1),
            "result=missed": about(0),
            "result=inconclusive": about(0),
        },
        ("Verdict of the run", "{{verdict}}"): {f"verdict={run['verdict']}": about(1)},
        ("Objectives of the run", "{{position}}: {{result}}"): {"position=1,result=met": about(1)},
        ("Means", "response"): {"": about(run["response_time"]["mean"], 1e-3)},
        ("Means", "waiting"): {"": about(run["waiting_time"]["mean"], 1e-3)},
        ("Means", "service"): {"": about(run["service_time"]["mean"], 1e-3)},
        ("Offered and served", "offered"): {"": about(run["offered_rate"], 0.1)},
        ("Offered and served", "served"): {"": per_second(jobs)},
        ("Outcomes", "{{outcome}}"): outcomes,
        ("Queue and service", "waiting"): {"": about(0)},
        ("Queue and service", "in flight"): {"": about(0)},
        ("Utilization", "{{instance}}"): {"": about(run["utilization"])},
        ("How runs ended", "{{status}}"): {f"status={name}": about(n) for name, n in ended.items()},
        ("Findings", "{{code}}"): {f"code={code}": about(codes.count(code)) for code in codes},
        ("Cost per hour at this rate", "{{model}}"): {"model=per_second": per_second(3600 * total)},
        ("Cost per million jobs", "per million"): {"": Between(0.8e6 * total / jobs, 1.25e6 * total / jobs)},
        ("Cost of one job, last run", "per {{per}}"): {
            f"per={per}": about(float(costs[f"per_{per}"])) for per in ("attempt", "success", "good")
        },
        ("Spent in all", "{{model}}"): {"model=per_second": about(total)},
        ("Spent by currency", "{{currency}}"): {"currency=USD": about(total)},
        ("Cost of the run, in its currency", "{{currency}} {{instance}}"): {"currency=USD": about(total)},
        ("Billed in all", "{{component}}, {{unit}}"): {"component=time,unit=Seconds": about(total / 0.001)},
        ("CPU", "{{instance}}"): {"": Between(0.001, 2)},
        ("Memory", "resident {{instance}}"): {"": Between(1e7, 1e9)},
        ("File descriptors", "{{instance}}"): {"": Between(1e-9, 0.5)},
        ("Up for", "{{instance}}"): {"": Between(6, 600)},
        ("benchmark_throughput_jobs_per_second", "{{instance}}"): {"": about(run["throughput"])},
        ("benchmark_mean_latency_seconds", "{{instance}}"): {"": about(run["mean_latency"])},
        ("benchmark_jobs_total", "{{instance}}"): {"": about(jobs)},
        ("p95 job duration", "{{instance}}"): {"": octave(run["service_time"]["p95"])},
    }


def expected_simulated(run: dict[str, Any]) -> dict[tuple[str, str], dict[str, Between]]:
    """The same for the row of simulated runs, of which there was one."""
    counts, total = run["counts"], run["total_cost"]
    instance, quantiles = "{{instance}}", ("response_time", "service_time", "waiting_time")
    return {
        ("Simulated: runs", instance): {"": about(1)},
        ("Simulated: now", "in progress"): {"": about(0)},
        ("Simulated: jobs", instance): {"": about(run["num_jobs"])},
        ("Simulated: cost", instance): {"": about(total)},
        ("Simulated: cost of the run", "{{currency}} {{instance}}"): {"currency=USD": about(total)},
        ("Simulated: latest run", "started"): {"": Between(1000 * (time.time() - 600), 1000 * time.time())},
        ("Simulated: latest run", "ended"): {"": Between(1000 * (time.time() - 600), 1000 * time.time())},
        ("Simulated: rates", "offered"): {"": about(run["offered_rate"])},
        ("Simulated: rates", "completed"): {"": about(run["throughput"])},
        ("Simulated: mean latency", instance): {"": about(run["mean_latency"])},
        ("Simulated: utilization", instance): {"": about(run["utilization"])},
        ("Simulated: queue and service", "waiting"): {"": about(0)},
        ("Simulated: queue and service", "in flight"): {"": about(0)},
        ("Simulated: outcomes", "{{outcome}}"): {
            f"outcome={name}": about(jobs) for name, jobs in counts.items() if jobs and name != "arrived"
        },
        ("Simulated: how runs ended", "{{status}}"): {"status=completed": about(1)},
        ("Simulated: verdict of the run", "{{verdict}}"): {f"verdict={run['verdict']}": about(1)},
        ("Simulated: objectives of the run", "{{position}}: {{result}}"): {"position=1,result=missed": about(1)},
        ("Simulated: verdicts", "{{verdict}}"): {f"verdict={run['verdict']}": about(1)},
        ("Simulated: objectives", "{{result}}"): {"result=missed": about(1)},
        ("Simulated: findings", "{{code}}"): {f"code={each['code']}": about(1) for each in run["findings"]},
    } | {
        (f"Simulated: {name.replace('_', ' ')}", f"p{level}"): {"": octave(run[name][f"p{level}"])}
        for name in quantiles
        for level in (50, 99)
    }


def untouched() -> dict[tuple[str, str], dict[str, Between]]:
    """Panels on targets, to which these runs sent nothing, on capacity, of which nothing was searched, and on groups and
    shards, of which there were none: all of their series are 0. `test_live_targets`, `test_live_capacity` and
    `test_live_composition` have others.
    """
    folded = [row for row in DASHBOARD["panels"] if row["title"] in ("Targets", "Capacity", "Groups", "Shards")]
    panels = [panel for row in folded for panel in row["panels"]]
    return {(panel["title"], target["legendFormat"]): {} for panel in panels for target in panel["targets"]}


# Their series have labels that no table can foretell; each has a test of its own below.
OWN_TEST = {
    ("Version", "{{version}} on Python {{python}}, {{loop}}"),
    ("Response times", "{{le}}"),
    ("Cost by component", "{{component}}"),
    ("Price sheet", "{{sheet}} {{version}}, {{currency}}, checked {{checked}}"),
}


def panel(title: str, legend: str) -> str:
    """A panel's expression as Grafana would send it."""
    expression = TARGETS[title, legend].replace("$__rate_interval", f"{WINDOW:.0f}s")
    return expression.replace("$job", ".+").replace("$instance", ".+")


@pytest.mark.parametrize(("title", "legend"), sorted(TARGETS.keys() - OWN_TEST))
def test_a_panel_shows_what_the_run_did(scene: Scene, title: str, legend: str) -> None:
    wanted = (expected(scene.run) | expected_simulated(scene.simulated) | untouched())[title, legend]
    found = scene.prometheus.values(panel(title, legend))
    zeros = {series for series, value in found.items() if value == 0}
    assert wanted.keys() <= found.keys()
    assert found.keys() - wanted.keys() <= zeros
    wrong = {series: (found[series], bounds) for series, bounds in wanted.items() if not bounds.holds(found[series])}
    assert wrong == {}


def test_every_panel_has_an_expected_value(scene: Scene) -> None:
    known = expected(scene.run).keys() | expected_simulated(scene.simulated).keys() | untouched().keys()
    assert known | OWN_TEST == TARGETS.keys()


def test_heatmap_holds_each_response_time(scene: Scene) -> None:
    """Octaves from 2^-20 s to 2^10 s, which is beyond the longest run; cumulative, as Grafana wants them."""
    found = scene.prometheus.values(panel("Response times", "{{le}}"))
    buckets = sorted((float(label.removeprefix("le=")), jobs) for label, jobs in found.items())
    assert [bound for bound, _ in buckets] == [*(2.0**k for k in range(-20, 11)), math.inf]
    assert [jobs for _, jobs in buckets] == sorted(jobs for _, jobs in buckets)
    assert per_second(scene.run["num_jobs"]).holds(buckets[-1][1] / WINDOW)


def test_components_add_up_to_the_cost(scene: Scene) -> None:
    found = scene.prometheus.values(panel("Cost by component", "{{component}}"))
    assert per_second(3600 * scene.run["total_cost"]).holds(sum(found.values()))


def test_the_version_is_the_one_that_is_installed(scene: Scene) -> None:
    aurea_engine = importlib.import_module("aurea_engine")
    (series,) = scene.prometheus.query(panel("Version", "{{version}} on Python {{python}}, {{loop}}"))
    assert series["value"][1] == "1"
    assert series["metric"]["version"] == aurea_engine.engine_version()
    assert series["metric"]["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert series["metric"]["loop"]


def test_the_price_sheet_panel_is_empty_or_says_which_sheet(scene: Scene) -> None:
    """This run took its price from its own specification."""
    ((key, _),) = [(key, value) for key, value in TARGETS.items() if key[0] == "Price sheet"]
    for series in scene.prometheus.query(panel(*key)):
        assert series["value"][1] == "1"
        assert {"sheet", "version", "sha256", "currency", "checked"} <= series["metric"].keys()


# What the rules must answer


def expected_records(run: dict[str, Any]) -> dict[str, dict[str, Between]]:
    counts, jobs, total = run["counts"], run["num_jobs"], run["total_cost"]
    quantile = {
        "instance:benchmark_response_time_seconds:p50_rate5m": run["response_time"]["p50"],
        "instance:benchmark_response_time_seconds:p95_rate5m": run["response_time"]["p95"],
        "instance:benchmark_response_time_seconds:p99_rate5m": run["response_time"]["p99"],
        "instance:benchmark_job_duration_seconds:p95_rate5m": run["service_time"]["p95"],
        "instance:benchmark_waiting_time_seconds:p99_rate5m": run["waiting_time"]["p99"],
        "instance:benchmark_lag_seconds:p99_rate5m": run["lag"]["p99"],
    }
    return {record: {"": octave(value)} for record, value in quantile.items()} | {
        "instance:benchmark_jobs:rate1m": {"": per_second(jobs, 60)},
        "instance_outcome:benchmark_job_outcomes:rate1m": {
            f"outcome={name}": per_second(counts[name], 60) for name in counts if name != "arrived"
        },
        "instance:benchmark_jobs_completed:ratio_rate5m": {"": about(counts["completed"] / jobs)},
        "instance:benchmark_response_time_seconds:mean_rate5m": {"": about(run["response_time"]["mean"], 1e-3)},
        "instance:benchmark_cost_usd_per_hour:rate5m": {"": per_second(3600 * total, 300)},
        "instance:benchmark_cost_usd_per_million_jobs:rate5m": {
            "": Between(0.8e6 * total / jobs, 1.25e6 * total / jobs)
        },
    }


@pytest.mark.parametrize("record", RECORDED)
def test_a_recording_rule_holds_what_the_run_did(scene: Scene, record: str) -> None:
    wanted = expected_records(scene.run)[record]
    found = scene.prometheus.values(record)
    assert found.keys() == wanted.keys()
    wrong = {series: (found[series], bounds) for series, bounds in wanted.items() if not bounds.holds(found[series])}
    assert wrong == {}


def test_only_alerts_that_the_run_deserves_fire(scene: Scene) -> None:
    """On a healthy machine none; on a machine too busy for a valid measurement, the one that says so."""
    deserved = {"AureaVerdictInvalid"} if scene.run["verdict"] == "invalid" else set()
    firing = {series["metric"]["alertname"] for series in scene.prometheus.query('ALERTS{alertstate="firing"}')}
    assert firing == deserved


# What the server must do for all this to work


def test_the_probes_of_kubernetes_are_answered(scene: Scene, deploy: Path) -> None:
    paths = set(re.findall(r"path: (/\S+)", (deploy / "kubernetes/deployment.yaml").read_text()))
    assert paths == {"/health/live", "/health/ready"}
    for path in sorted(paths):
        assert scene.server.ask(path)


def test_the_counter_of_jobs_grows_at_every_scrape_of_the_run(scene: Scene) -> None:
    ((series,),) = [scene.prometheus.query("benchmark_jobs_total[1m]")]
    seen = [float(value) for _, value in series["values"]]
    assert seen[0] == 0
    assert seen[-1] == scene.run["num_jobs"]
    during = seen[seen.index(0) + seen.count(0) - 1 : seen.index(seen[-1]) + 1]
    assert len(during) >= 6
    assert all(earlier < later for earlier, later in pairwise(during))


@pytest.mark.parametrize(
    "metric",
    [
        "benchmark_throughput_jobs_per_second",
        "benchmark_mean_latency_seconds",
        "benchmark_cost_total",
        "benchmark_offered_rate_jobs_per_second",
        "benchmark_in_flight_jobs",
        "benchmark_utilization_ratio",
        "benchmark_cost_usd_total",
    ],
)
def test_a_metric_moves_while_the_run_is_on(scene: Scene, metric: str) -> None:
    """It is not enough to be right at the end: graphs and alerts are about what is happening."""
    during = f"sum({metric}) and on () (sum(benchmark_runs_in_progress) == 1)"
    seen = [float(value) for series in scene.prometheus.query(f"({during})[1m:1s]") for _, value in series["values"]]
    assert max(seen, default=0) > 0


def test_the_metrics_say_what_the_response_says(scene: Scene) -> None:
    """``completed + failed + …`` is what arrived, in both, and histograms count the jobs that they are about."""
    counts = scene.run["counts"]
    outcomes = {name: counts[name] for name in counts if name != "arrived"}
    assert sum(outcomes.values()) == counts["arrived"]
    assert scene.prometheus.values("benchmark_job_outcomes_total") == {f"outcome={k}": v for k, v in outcomes.items()}
    for histogram in ("job_duration", "response_time", "waiting_time", "lag"):
        assert scene.prometheus.value(f"benchmark_{histogram}_seconds_count") == counts["arrived"], histogram
    assert scene.prometheus.value("benchmark_response_time_seconds_sum") == pytest.approx(
        scene.run["response_time"]["mean"] * counts["arrived"]
    )


def test_closed_labels_are_there_before_the_first_run(scene: Scene) -> None:
    """A counter that is born with its first event never increases, so an alert on its increase would miss that event."""
    for metric, label, closed in [
        ("benchmark_job_outcomes_total", "outcome", "completed failed timed_out rejected cancelled"),
        ("benchmark_run_outcomes_total", "status", "completed failed cancelled timed_out interrupted"),
        ("benchmark_verdicts_total", "verdict", "valid degraded invalid"),
        ("benchmark_objectives_total", "result", "met missed inconclusive"),
    ]:
        for value in closed.split():
            assert f'{metric}{{{label}="{value}"}} 0.0\n' in scene.before


def test_the_list_of_metrics_is_the_servers(scene: Scene, metrics: frozenset[str]) -> None:
    """What the dashboard, the rules and their tests may name is what a running server has, no more and no less."""
    families = set(re.findall(r"^# TYPE (benchmark_\w+) ", scene.after, re.MULTILINE))
    assert families | {"benchmark_price_sheet_info"} == metrics | {"benchmark_price_sheet_info"}


def test_server_stays_below_1000_series(scene: Scene) -> None:
    """The server stays below its promised number of series; those of its own requests come on top (docs/metrics.md)."""
    own = scene.prometheus.value('count({__name__=~"http_server_.*"})')
    assert scene.prometheus.value("scrape_samples_scraped") - own <= 1000


def test_promtool_complains_of_nothing_but_the_documented_gauge(scene: Scene, require: Callable[..., str]) -> None:
    command = [require("prometheus", "promtool"), "check", "metrics"]
    done = subprocess.run(command, input=scene.after, capture_output=True, text=True, check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("benchmark_")]
    assert complaints == ['benchmark_cost_total non-counter metrics should not have "_total" suffix']
