"""The dashboard: what Grafana's schema, its style guide and our own metrics ask of it.

No Grafana has loaded it here. What its panels answer is asked of a real Prometheus, in test_live_prometheus.py.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "deploy/grafana"
FILE = FOLDER / "dashboards/aurea.json"
DASHBOARD = json.loads(FILE.read_text(encoding="utf-8"))
# The panels of a folded row stand inside it.
ALL_PANELS = [each for panel in DASHBOARD["panels"] for each in (panel, *panel.get("panels", ()))]
PANELS = [panel for panel in ALL_PANELS if panel["type"] != "row"]
by_title = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])

PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
GONE_WHERE_NULL = {
    "benchmark_throughput_jobs_per_second",
    "benchmark_mean_latency_seconds",
    "benchmark_cost_total",
    "benchmark_run_cost",
    "benchmark_last_run_cost_usd_per_job",
    "benchmark_simulated_run_cost",
    "benchmark_run_verdict",
    "benchmark_objective_outcome",
    "benchmark_simulated_run_verdict",
    "benchmark_simulated_objective_outcome",
}
DOCUMENTED = [
    "benchmark_throughput_jobs_per_second",
    "benchmark_mean_latency_seconds",
    "benchmark_jobs_total",
    "histogram_quantile(0.95, rate(benchmark_job_duration_seconds_bucket[5m]))",
]


def expressions() -> Iterator[str]:
    for panel in PANELS:
        yield from (target["expr"] for target in panel["targets"])
    yield from (annotation["target"]["expr"] for annotation in DASHBOARD["annotations"]["list"])


def metrics_in(expression: str) -> set[str]:
    """The metrics that PromQL names: a histogram is named by its family."""
    names = re.findall(r"(?<![:\w])(?:benchmark|process|python)_\w+", expression)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def substituted(expression: str) -> str:
    return expression.replace("$__rate_interval", "20s").replace("$job", ".+").replace("$instance", ".+")


def test_the_committed_file_is_what_the_script_writes() -> None:
    """Edit the script and run it; an edit of the JSON would be lost at its next run."""
    spec = importlib.util.spec_from_file_location("build_dashboard", FOLDER / "build_dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "build_dashboard", script)
        spec.loader.exec_module(script)
    assert script.text() == FILE.read_text(encoding="utf-8")


def test_links_to_the_dashboard_stay_good() -> None:
    """Its address is made of the uid, a panel's of its id: neither may be left to Grafana to choose."""
    assert DASHBOARD["uid"] == "aurea-benchmark"
    assert "id" not in DASHBOARD, "the id belongs to one Grafana's database"
    ids = [panel["id"] for panel in ALL_PANELS]
    assert len(ids) == len(set(ids))


def test_grafana_11_reads_it_without_asking() -> None:
    """Grafana 11 and later read it without asking anything."""
    assert DASHBOARD["schemaVersion"] == 41
    assert DASHBOARD["editable"] is False, "it is provisioned from a file: edits could not be saved"
    assert "__inputs" not in DASHBOARD


def test_it_has_the_rows_that_a_person_looks_for() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    asked = ["Overview", "Latency", "Load", "Cost", "Simulated runs", "Server"]
    assert rows == [*asked, "The documented queries, on every server", "Targets", "Capacity", "Groups", "Shards"]
    folded = [panel["title"] for panel in DASHBOARD["panels"] if panel.get("collapsed")]
    assert folded == ["Targets", "Capacity", "Groups", "Shards"]


def test_panels_lie_on_the_grid_and_never_on_one_another() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in ALL_PANELS:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]


@by_title
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    """A title, a unit and a description that says what the figure means."""
    assert panel["title"]
    assert len(panel["description"]) > 10
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["type"] in {"stat", "timeseries", "heatmap"}


@by_title
def test_a_panel_asks_the_chosen_data_source(panel: dict[str, Any]) -> None:
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["datasource"] == wanted
    assert all(target["datasource"] == wanted for target in panel["targets"])
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])


@by_title
def test_panels_are_filtered_and_follow_zoom(panel: dict[str, Any]) -> None:
    """All but the documented queries, which stand as they are documented."""
    for target in panel["targets"]:
        if target["expr"] in DOCUMENTED:
            continue
        selectors = re.findall(r"(?:benchmark|process|python)_\w+(\{[^}]*\})?", target["expr"])
        assert set(selectors) == {'{job=~"$job", instance=~"$instance"}'}
        assert set(re.findall(r"\[([^]]+)]", target["expr"])) <= {"$__rate_interval"}


def test_variables_choose_the_data_source_the_job_and_the_server() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance"]
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    for name in ("job", "instance"):
        assert variables[name]["datasource"]["uid"] == "${datasource}"
        assert variables[name]["allValue"] == ".+"
        assert "benchmark_build_info" in variables[name]["query"]["query"], "a series that is always there"


@pytest.mark.parametrize("query", DOCUMENTED)
def test_the_documented_queries_are_panels_word_for_word(query: str) -> None:
    assert query in set(expressions())


def test_dashboards_name_existing_metrics(deploy: Path, metrics: frozenset[str]) -> None:
    """Panels rules and alerts name only metrics that the server has."""
    rules = [(deploy / "prometheus/rules" / name).read_text() for name in ("recording.yml", "alerts.yml")]
    queries = [*expressions(), *(line for text in rules for line in text.splitlines() if "record:" not in line)]
    assert set().union(*map(metrics_in, queries)) <= metrics | PROCESS


def test_alerts_name_only_series_that_are_recorded(deploy: Path) -> None:
    recorded = re.findall(r"record: (\S+)", (deploy / "prometheus/rules/recording.yml").read_text())
    used = re.findall(r"instance\w*:\S+", (deploy / "prometheus/rules/alerts.yml").read_text())
    assert used
    assert set(used) <= set(recorded)


def test_the_dashboard_shows_every_metric_of_the_benchmark(metrics: frozenset[str]) -> None:
    assert metrics - set().union(*map(metrics_in, expressions())) == set()


def test_every_expression_is_promql(tmp_path: Path, passes: Callable[..., str]) -> None:
    """Written as recording rules, because promtool checks those."""
    rules = [{"record": f"panel:{i}", "expr": substituted(expr)} for i, expr in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    passes("prometheus", "promtool", "check", "rules", "--lint=none", file)


def test_grafana_finds_the_dashboard_and_the_data_source(read_yaml: Callable[[Path], Any]) -> None:
    """The provisioned folders are those that compose mounts."""
    (source,) = read_yaml(FOLDER / "provisioning/datasources/prometheus.yaml")["datasources"]
    (provider,) = read_yaml(FOLDER / "provisioning/dashboards/aurea.yaml")["providers"]
    grafana = read_yaml(FOLDER.parents[1] / "compose.yaml")["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert source["url"] == "${PROMETHEUS_URL}"
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    assert provider["allowUiUpdates"] is False


def test_simulated_runs_are_in_their_row_only(deploy: Path) -> None:
    """Nothing else on the dashboard, no rule and no alert has anything of them."""
    for panel in PANELS:
        simulated = [
            metric for target in panel["targets"] for metric in metrics_in(target["expr"]) if "simulated" in metric
        ]
        assert bool(simulated) == panel["title"].startswith("Simulated: "), panel["title"]
    for name in ("recording.yml", "alerts.yml"):
        assert "simulated" not in (deploy / "prometheus/rules" / name).read_text()


def test_only_dollars_are_shown_as_dollars() -> None:
    """A panel's unit is of all its series, so what may be in another currency has none, but its currency in the legend."""
    for panel in PANELS:
        money = {m for target in panel["targets"] for m in metrics_in(target["expr"]) if "cost" in m}
        dollars = {metric for metric in money if "_usd" in metric or metric == "benchmark_cost_total"}
        assert (panel["fieldConfig"]["defaults"]["unit"] == "currencyUSD") == bool(dollars), panel["title"]
        assert not money - dollars or all("{{currency}}" in target["legendFormat"] for target in panel["targets"])


def test_figures_of_a_run_are_those_of_now() -> None:
    """A figure that went away is none: the last one in the window would be that of an earlier run."""
    for panel in PANELS:
        metrics = set().union(*(metrics_in(target["expr"]) for target in panel["targets"]))
        if panel["type"] == "stat" and metrics & GONE_WHERE_NULL:
            assert all(target["instant"] and not target["range"] for target in panel["targets"]), panel["title"]
            assert panel["fieldConfig"]["defaults"]["noValue"] == "none"


def test_points_of_counters_and_buckets_name_their_run() -> None:
    """Exemplars are asked for where Prometheus has them, and lead to the run."""
    asked = {panel["title"]: panel for panel in PANELS if any(target["exemplar"] for target in panel["targets"])}
    assert {"Response time", "Service time", "Waiting time", "Lag"} <= asked.keys()
    for panel in asked.values():
        assert all(re.search(r"_(bucket|total)\{", target["expr"]) for target in panel["targets"])
        assert panel["type"] == "timeseries"


def test_a_dot_leads_to_the_run_it_names(read_yaml: Callable[[Path], Any]) -> None:
    (source,) = read_yaml(FOLDER / "provisioning/datasources/prometheus.yaml")["datasources"]
    (destination,) = source["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] == "run_id"
    assert destination["url"].endswith("/benchmark/runs/$${__value.raw}"), (
        "one $ is a variable of Grafana's environment"
    )
    assert (
        "--enable-feature=exemplar-storage"
        in read_yaml(FOLDER.parents[1] / "compose.yaml")["services"]["prometheus"]["command"]
    )


def test_starts_and_ends_of_runs_are_marked() -> None:
    """By the value, which is the time stamp in milliseconds, and not by when it was scraped."""
    marks = {each["name"]: each for each in DASHBOARD["annotations"]["list"]}
    for name, metric in (
        ("Server starts", "process_start_time_seconds"),
        ("Run starts", "benchmark_run_start_time_seconds"),
        ("Run ends", "benchmark_run_end_time_seconds"),
    ):
        assert marks[name]["useValueForTime"] == "on"
        assert marks[name]["target"]["expr"].startswith(f"1000 * {metric}{{")
