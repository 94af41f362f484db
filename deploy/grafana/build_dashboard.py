"""Write ``dashboards/aurea.json``: ``python deploy/grafana/build_dashboard.py``.

The dashboard is the table ``ROWS`` below, which is half of this file; the rest adds what Grafana wants around it:
ids, places, the datasource, the filter by job and instance. It needs only the standard library and writes the same
bytes every time; a test compares them with the committed file. The classic dashboard model, schema version 41, is
read by Grafana 11 and later.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "dashboards" / "aurea.json"
UID = "aurea-benchmark"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
FILTER = 'job=~"$job", instance=~"$instance"'
HEIGHT = 8
STAT_HEIGHT = 4

Json = dict[str, Any]

GOOD, WARN, BAD = "green", "orange", "red"
VERDICT_COLOURS = {"valid": GOOD, "degraded": WARN, "invalid": BAD}
OBJECTIVE_COLOURS = {"met": GOOD, "inconclusive": WARN, "missed": BAD}
OUTCOME_COLOURS = {"completed": GOOD, "failed": BAD, "timed_out": WARN, "rejected": "purple", "abandoned": "yellow",
                   "cancelled": "blue"}  # fmt: skip
STATUS_COLOURS = {"2xx": GOOD, "3xx": "blue", "4xx": WARN, "5xx": BAD, "none": "purple"}
RUN_COLOURS = {"completed": GOOD, "failed": BAD, "timed_out": WARN, "cancelled": "blue", "interrupted": "purple"}


@dataclass(frozen=True)
class Panel:
    """One panel: what it asks (legend -> PromQL), how it is drawn, and what it means to a reader."""

    title: str
    unit: str
    queries: dict[str, str]
    description: str
    width: int
    kind: str = "timeseries"
    decimals: int | None = None
    colours: dict[str, str] = field(default_factory=dict)
    stacked: bool = False
    shows_label: bool = False  # a stat that shows the legend (a label's value) rather than the number
    exemplars: bool = False  # dots that name the run; Prometheus has them for buckets and counters
    instant: bool = (
        False  # what there is now: a figure that went away must not be stood in for by that of an earlier run
    )


def one(metric: str) -> str:
    """The series of ``metric`` on the chosen servers."""
    return f"{metric}{{{FILTER}}}"


def rate(metric: str) -> str:
    return f"rate({one(metric)}[$__rate_interval])"


def quantiles(histogram: str, *levels: str) -> dict[str, str]:
    """``{"p95": ...}``: quantiles over all chosen servers; buckets may be added, quantiles may not."""
    buckets = f"sum by (le) ({rate(histogram + '_bucket')})"
    return {f"p{level[2:].ljust(2, '0')}": f"histogram_quantile({level}, {buckets})" for level in levels}


def mean(histogram: str) -> str:
    return f"sum({rate(histogram + '_sum')}) / sum({rate(histogram + '_count')})"


def by(label: str, metric: str) -> str:
    """The sum of ``metric`` over the chosen servers by ``label``, of what was counted at all: every series starts at 0."""
    return f"sum by ({label}) ({one(metric)}) > 0"


def holds(gauge: str) -> str:
    """The series of a one-hot ``gauge`` that is 1: the word that holds is its label."""
    return f"{one(gauge)} == 1"


COST_RATE = rate("benchmark_cost_usd_total")
OCTAVES = "Buckets are powers of two, so a quantile is certain to its bucket and interpolated inside it."
DOTS = " A dot names the run."

# fmt: off
ROWS: dict[str, list[Panel]] = {
    "Overview": [
        Panel("Throughput", "suffix: jobs/s", {"{{instance}}": one("benchmark_throughput_jobs_per_second")},
              "Completed jobs per second of the measured window, of the current or the last run.", 4, "stat", 1,
              instant=True),
        Panel("Mean latency", "s", {"{{instance}}": one("benchmark_mean_latency_seconds")},
              "Mean execution (service) time of a job, of the current or the last run. Waiting is not in it: see the "
              "row Latency for response times.", 4, "stat", 4, instant=True),
        Panel("Cost of the run", "currencyUSD", {"{{instance}}": one("benchmark_cost_total")},
              "What the current or the last run cost in US dollars, under the cost model of its specification. None where "
              "its currency is another: see the row Cost.", 4, "stat", 6, instant=True),
        Panel("Jobs in flight", "suffix: jobs", {"{{instance}}": one("benchmark_in_flight_jobs")},
              "Jobs in service now.", 4, "stat", 0),
        Panel("Verdicts", "suffix: runs", {"{{verdict}}": f"sum by (verdict) ({one('benchmark_verdicts_total')})"},
              "Can the measurements be trusted? Runs by verdict since the server started: the figures of an invalid "
              "run must not be used.", 8, "stat", 0, VERDICT_COLOURS),
        Panel("Jobs", "suffix: jobs", {"{{instance}}": one("benchmark_jobs_total")},
              "Jobs that reached an outcome since the server started.", 4, "stat", 0),
        Panel("Runs", "suffix: runs", {"{{instance}}": one("benchmark_runs_total")},
              "Runs in real time since the server started. Simulated runs have a row of their own.", 4, "stat", 0),
        Panel("Runs now", "suffix: runs", {"in progress": f"sum({one('benchmark_runs_in_progress')})",
                                           "queued": f"sum({one('benchmark_runs_queued')})"},
              "Runs in progress and in the queue. One run at a time is the default: a second one would measure the "
              "first.", 4, "stat", 0),
        Panel("Objectives", "suffix: objectives",
              {"{{result}}": f"sum by (result) ({one('benchmark_objectives_total')})"},
              "Objectives of the runs since the server started. Inconclusive: too few jobs to tell.", 8, "stat", 0,
              OBJECTIVE_COLOURS),
        Panel("Version", "none", {"{{version}} on Python {{python}}, {{loop}}": one("benchmark_build_info")},
              "Version of Aurea, of Python, and the event loop that it runs on.", 4, "stat", shows_label=True),
        Panel("Verdict of the run", "none", {"{{verdict}}": holds("benchmark_run_verdict")},
              "Can the figures of the last run be trusted? None while a run is active, which has no verdict yet.", 8, "stat",
              shows_label=True),
        Panel("Objectives of the run", "none", {"{{position}}: {{result}}": holds("benchmark_objective_outcome")},
              "The objectives of the current run so far, or of the last, by their position in the specification; the first "
              "8.", 16, "stat", shows_label=True),
    ],
    "Latency": [
        Panel("Response time", "s", quantiles("benchmark_response_time_seconds", "0.50", "0.95", "0.99"),
              "From the instant a job was meant to start until it finished: waiting and service. " + OCTAVES + DOTS, 8,
              exemplars=True),
        Panel("Service time", "s", quantiles("benchmark_job_duration_seconds", "0.50", "0.95", "0.99"),
              "From start to finish of a job. " + OCTAVES + DOTS, 8, exemplars=True),
        Panel("Waiting time", "s", quantiles("benchmark_waiting_time_seconds", "0.50", "0.95", "0.99"),
              "From the instant a job was meant to start until it started. " + OCTAVES + DOTS, 8, exemplars=True),
        Panel("Response times", "s",
              {"{{le}}": "sum by (le) (increase("
                         f"{one('benchmark_response_time_seconds_bucket')}[$__rate_interval]))"},
              "How many jobs had which response time, over time: two bands mean two kinds of jobs, which no quantile "
              "shows.", 12, "heatmap"),
        Panel("Means", "s", {"response": mean("benchmark_response_time_seconds"),
                             "waiting": mean("benchmark_waiting_time_seconds"),
                             "service": mean("benchmark_job_duration_seconds")},
              "Exact means, from sums and counts. Response is waiting plus service.", 6),
        Panel("Lag", "s", quantiles("benchmark_lag_seconds", "0.50", "0.99"),
              "How late the generator itself released jobs. If this is not small beside the response time, the "
              "generator is the bottleneck and the run is not valid. " + OCTAVES + DOTS, 6, exemplars=True),
    ],
    "Load": [
        Panel("Offered and served", "suffix: jobs/s",
              {"offered": f"sum({one('benchmark_offered_rate_jobs_per_second')})",
               "served": f"sum({rate('benchmark_jobs_total')})"},
              "Jobs that the workload sends per second, and jobs that reach an outcome per second. Where they part, "
              "a queue grows.", 8),
        Panel("Outcomes", "suffix: jobs/s",
              {"{{outcome}}": f"sum by (outcome) ({rate('benchmark_job_outcomes_total')})"},
              "Jobs per second by outcome. Every job that arrived is in exactly one of them.", 8,
              colours=OUTCOME_COLOURS, stacked=True),
        Panel("Queue and service", "suffix: jobs", {"waiting": f"sum({one('benchmark_queue_length_jobs')})",
                                                    "in flight": f"sum({one('benchmark_in_flight_jobs')})"},
              "Jobs that wait for a slot, and jobs in service.", 8),
        Panel("Utilization", "percentunit", {"{{instance}}": one("benchmark_utilization_ratio")},
              "Busy slot-seconds over the slots' capacity. Near 100 % waiting grows without bound; a run without a "
              "slot limit has no utilization.", 8),
        Panel("How runs ended", "suffix: runs",
              {"{{status}}": f"sum by (status) ({one('benchmark_run_outcomes_total')})"},
              "Runs since the server started, by how they ended.", 8, colours=RUN_COLOURS),
        Panel("Findings", "suffix: findings", {"{{code}}": f"sum by (code) ({one('benchmark_findings_total')})"},
              "Remarks on the measurements since the server started. Each result explains its own and says what to "
              "change.", 8),
    ],
    "Cost": [
        Panel("Cost per hour at this rate", "currencyUSD", {"{{model}}": f"3600 * sum by (model) ({COST_RATE}) > 0"},
              "What an hour of this load would cost, by cost model. Tiers, free allowances and commitments are not in "
              "it: a projection has them.", 8, decimals=4),
        Panel("Cost per million jobs", "currencyUSD",
              {"per million": f"1e6 * sum({COST_RATE}) / sum({rate('benchmark_jobs_total')})"},
              "Money spent over jobs that reached an outcome, times a million.", 8, decimals=4),
        Panel("Cost by component", "currencyUSD", {"{{component}}": f"3600 * sum by (component) ({COST_RATE}) > 0"},
              "The cost per hour at this rate, by what is paid for.", 8, decimals=4, stacked=True),
        Panel("Cost of one job, last run", "currencyUSD",
              {"per {{per}}": f"sum by (per) ({one('benchmark_last_run_cost_usd_per_job')})"},
              "Cost of the last run per attempt, per completed job, and per job within the objectives.", 8, "stat", 9,
              instant=True),
        Panel("Spent in all", "currencyUSD", {"{{model}}": by("model", "benchmark_cost_usd_total")},
              "Cost in US dollars of all jobs since the server started, by cost model.", 8, decimals=4, exemplars=True),
        Panel("Spent by currency", "none", {"{{currency}}": by("currency", "benchmark_cost_by_currency_total")},
              "Cost of all jobs since the server started, in the currency of each run's cost model: nothing is converted.",
              8, decimals=4),
        Panel("Cost of the run, in its currency", "none", {"{{currency}} {{instance}}": one("benchmark_run_cost")},
              "What the current or the last run cost, in the currency of its cost model.", 8, "stat", 6, instant=True),
        Panel("Price sheet", "none", {"{{sheet}} {{version}}, {{currency}}, checked {{checked}}":
                                      one("benchmark_price_sheet_info")},
              "The price sheets in use, with the day on which their figures were last compared with the vendor's.", 8,
              "stat", shows_label=True),
        Panel("Billed in all", "none",
              {"{{component}}, {{unit}}": by("component, unit", "benchmark_billed_quantity_total")},
              "What was billed since the server started, by component and the unit of its price: multiply it by a price "
              "of your own to see what it would have cost there.", 24),
    ],
    "Simulated runs": [
        Panel("Simulated: runs", "suffix: runs", {"{{instance}}": one("benchmark_simulated_runs_total")},
              "Runs in virtual time since the server started. Nothing of them is in the other rows.", 4, "stat", 0),
        Panel("Simulated: now", "suffix: runs", {"in progress": f"sum({one('benchmark_simulated_runs_in_progress')})"},
              "Simulated runs in progress.", 4, "stat", 0),
        Panel("Simulated: jobs", "suffix: jobs", {"{{instance}}": one("benchmark_simulated_jobs_total")},
              "Simulated jobs that reached an outcome since the server started.", 4, "stat", 0),
        Panel("Simulated: cost", "currencyUSD", {"{{instance}}": one("benchmark_simulated_cost_usd_total")},
              "What the simulated runs would have cost in US dollars. Nobody has to pay it.", 4, "stat", 4),
        Panel("Simulated: cost of the run", "none", {"{{currency}} {{instance}}": one("benchmark_simulated_run_cost")},
              "What the current or the last simulated run would have cost, in its own currency.", 4, "stat", 6,
              instant=True),
        Panel("Simulated: latest run", "dateTimeFromNow",
              {"started": f"1000 * max({one('benchmark_simulated_run_start_time_seconds')})",
               "ended": f"1000 * max({one('benchmark_simulated_run_end_time_seconds')})"},
              "When the latest simulated run started, and when the latest that has ended did.", 4, "stat"),
        Panel("Simulated: rates", "suffix: jobs/s",
              {"offered": f"sum({one('benchmark_simulated_offered_rate_jobs_per_second')})",
               "completed": f"sum({one('benchmark_simulated_throughput_jobs_per_second')})"},
              "Jobs that arrive and that complete per second of virtual time, of the current or the last simulated run.", 8),
        Panel("Simulated: mean latency", "s", {"{{instance}}": one("benchmark_simulated_mean_latency_seconds")},
              "Mean execution (service) time of a job, of the current or the last simulated run.", 8),
        Panel("Simulated: utilization", "percentunit", {"{{instance}}": one("benchmark_simulated_utilization_ratio")},
              "Busy slot-seconds over the slots' capacity, in virtual time.", 8),
        Panel("Simulated: response time", "s", quantiles("benchmark_simulated_response_time_seconds", "0.50", "0.99"),
              "From the instant a job was meant to start until it finished, in virtual time. " + OCTAVES + DOTS, 8,
              exemplars=True),
        Panel("Simulated: service time", "s", quantiles("benchmark_simulated_job_duration_seconds", "0.50", "0.99"),
              "From start to finish of a job, in virtual time. " + OCTAVES + DOTS, 8, exemplars=True),
        Panel("Simulated: waiting time", "s", quantiles("benchmark_simulated_waiting_time_seconds", "0.50", "0.99"),
              "From the instant a job was meant to start until it started, in virtual time. " + OCTAVES + DOTS, 8,
              exemplars=True),
        Panel("Simulated: queue and service", "suffix: jobs",
              {"waiting": f"sum({one('benchmark_simulated_queue_length_jobs')})",
               "in flight": f"sum({one('benchmark_simulated_in_flight_jobs')})"},
              "Jobs that wait for a slot, and jobs in service, at the latest report.", 8),
        Panel("Simulated: outcomes", "suffix: jobs",
              {"{{outcome}}": by("outcome", "benchmark_simulated_job_outcomes_total")},
              "Simulated jobs by outcome since the server started.", 8, colours=OUTCOME_COLOURS, stacked=True),
        Panel("Simulated: how runs ended", "suffix: runs",
              {"{{status}}": by("status", "benchmark_simulated_run_outcomes_total")},
              "Simulated runs since the server started, by how they ended.", 8, colours=RUN_COLOURS),
        Panel("Simulated: verdicts", "suffix: runs", {"{{verdict}}": by("verdict", "benchmark_simulated_verdicts_total")},
              "Simulated runs by verdict since the server started.", 8, colours=VERDICT_COLOURS),
        Panel("Simulated: objectives", "suffix: objectives",
              {"{{result}}": by("result", "benchmark_simulated_objectives_total")},
              "Objectives of the simulated runs since the server started.", 8, colours=OBJECTIVE_COLOURS),
        Panel("Simulated: findings", "suffix: findings", {"{{code}}": by("code", "benchmark_simulated_findings_total")},
              "Remarks on simulated runs since the server started.", 8),
        Panel("Simulated: verdict of the run", "none", {"{{verdict}}": holds("benchmark_simulated_run_verdict")},
              "The verdict on the last simulated run.", 8, "stat", shows_label=True),
        Panel("Simulated: objectives of the run", "none",
              {"{{position}}: {{result}}": holds("benchmark_simulated_objective_outcome")},
              "The objectives of the current simulated run so far, or of the last, by position.", 16, "stat",
              shows_label=True),
    ],
    "Server": [
        Panel("CPU", "percentunit", {"{{instance}}": rate("process_cpu_seconds_total")},
              "Processor time of the server process; 100 % is one core. Work done in other processes is not in it.", 6),
        Panel("Memory", "bytes", {"resident {{instance}}": one("process_resident_memory_bytes")},
              "Resident memory of the server process.", 6),
        Panel("File descriptors", "percentunit",
              {"{{instance}}": f"{one('process_open_fds')} / {one('process_max_fds')}"},
              "Open file descriptors over their limit. An alert comes at 80 %.", 6),
        Panel("Up for", "s", {"{{instance}}": f"time() - {one('process_start_time_seconds')}"},
              "Time since the server process started.", 6, "stat", 0),
    ],
    "The documented queries, on every server": [
        Panel("benchmark_throughput_jobs_per_second", "suffix: jobs/s",
              {"{{instance}}": "benchmark_throughput_jobs_per_second"},
              "The documented query as it stands, without the filters of this dashboard: throughput.", 6),
        Panel("benchmark_mean_latency_seconds", "s", {"{{instance}}": "benchmark_mean_latency_seconds"},
              "The documented query as it stands, without the filters of this dashboard: mean latency.", 6),
        Panel("benchmark_jobs_total", "suffix: jobs", {"{{instance}}": "benchmark_jobs_total"},
              "The documented query as it stands, without the filters of this dashboard: jobs so far.", 6),
        Panel("p95 job duration", "s",
              {"{{instance}}": "histogram_quantile(0.95, rate(benchmark_job_duration_seconds_bucket[5m]))"},
              "The documented query as it stands, without the filters of this dashboard: the 95th percentile of the "
              "service times of the last five minutes. " + OCTAVES, 6),
    ],
    # Last, so that the ids of the rows above stay what links to them say.
    "Targets": [
        Panel("Requests by status", "suffix: requests/s",
              {"{{status_class}}": f"sum by (status_class) ({rate('benchmark_target_requests_total')})"},
              "Requests per second by the class of the status that came back. None: the request failed before one came.",
              8, colours=STATUS_COLOURS, stacked=True),
        Panel("Failures by class", "suffix: jobs/s",
              {"{{failure}}": f"sum by (failure) ({rate('benchmark_job_failures_total')}) > 0"},
              "Jobs per second that failed or timed out, by what went wrong. Local: this machine had no descriptor or port "
              "left.", 8, stacked=True),
        Panel("Bytes", "Bps", {"sent": f"sum({rate('benchmark_target_sent_bytes_total')})",
                               "received": f"sum({rate('benchmark_target_received_bytes_total')})"},
              "Bytes of HTTP per second, before TLS.", 8),
        Panel("Connections", "suffix: connections", {"open": f"sum({one('benchmark_target_open_connections')})",
                                                     "busy": f"sum({one('benchmark_target_busy_connections')})"},
              "Connections of the current run to its targets, and those of them that have a job.", 8),
        Panel("Jobs that wait for a connection", "suffix: jobs",
              {"waiting": f"sum({one('benchmark_target_waiting_jobs')})",
               "had to wait, per second": f"sum({rate('benchmark_target_waited_jobs_total')})"},
              "Every connection that the run may open is busy, so these jobs have not started. Their wait is part of the "
              "response time.", 8),
        Panel("Pool full", "percentunit", {"{{instance}}": rate("benchmark_target_pool_full_seconds_total")},
              "Share of the time in which every connection that the run may open was busy.", 8),
        Panel("Opened connections", "suffix: connections/s",
              {"opened": f"sum({rate('benchmark_target_connections_opened_total')})",
               "failed": f"sum({rate('benchmark_target_failed_dials_total')})"},
              "Connections opened per second, and attempts that failed. Many opened ones during a run: the target closes "
              "its connections, or reuse is off.", 8),
        Panel("Tokens", "suffix: tokens/s",
              {"{{token_class}}": f"sum by (token_class) ({rate('benchmark_target_tokens_total')})"},
              "Tokens per second that language models reported, by class. Input: of prompts, without those that were "
              "cached.",
              8, stacked=True),
    ],
    "Capacity": [
        Panel("Capacity", "suffix: jobs/s", {"{{bound}} ({{clock}})": one("benchmark_capacity_jobs_per_second")},
              "The largest rate at which the objectives hold, of the current search or the last: the value once known, "
              "and the bracket in which it lies.", 8),
        Panel("Slots", "suffix: slots", {"{{bound}} ({{clock}})": one("benchmark_capacity_slots")},
              "The fewest slots at which the objectives hold, where slots were searched, and the bracket.", 6),
        Panel("Searches by answer", "suffix: searches", {"{{status}}": by("status", "benchmark_search_outcomes_total")},
              "Capacity searches since the server started, by the word of their answer, or how they ended without one.", 6),
        Panel("Searches", "suffix: searches", {"started": f"sum({one('benchmark_searches_total')})",
                                               "in progress": f"sum({one('benchmark_searches_in_progress')})"},
              "Capacity searches since the server started. A search keeps its turn while its trials run.", 4, "stat", 0),
    ],
    "Groups": [
        Panel("Jobs by group", "suffix: jobs/s",
              {"{{group}}, {{outcome}}": f"sum by (group, outcome) ({rate('benchmark_group_jobs_total')}) > 0"},
              "Jobs per second of each branch of a mix, by its position in the specification; other: those after the 16th. "
              "A timeout counts as failed." + DOTS, 8, stacked=True, exemplars=True),
        Panel("Median response time by group", "s",
              {"{{group}} {{instance}}": one("benchmark_group_response_time_p50_seconds")},
              "Half of the jobs of a group were faster, in the current run so far or in the last.", 8),
        Panel("p99 response time by group", "s",
              {"{{group}} {{instance}}": one("benchmark_group_response_time_p99_seconds")},
              "99 % of the jobs of a group were faster, in the current run so far or in the last; none while too few have "
              "ended to tell.", 8),
    ],
    "Shards": [
        Panel("Shards up", "suffix: shards", {"up {{instance}}": f"sum by (instance) ({one('benchmark_shard_up')})"},
              "Processes that execute the current run. A run in one process has no shards.", 8),
        Panel("Jobs by shard", "suffix: jobs", {"{{shard}} {{instance}}": one("benchmark_shard_jobs")},
              "Jobs that each process of the current run, or the last, has released. They should grow alike.", 8),
        Panel("Worst lag by shard", "s", {"{{shard}} {{instance}}": one("benchmark_shard_worst_lag_seconds")},
              "The longest delay of a release by each process: one that is late distorts what it sends.", 8),
    ],
}

COLLAPSED = {"Targets", "Capacity", "Groups", "Shards"}
"""Rows that are folded until somebody opens them: most runs send nothing, search nothing, have no groups and no shards."""
# fmt: on


def targets(panel: Panel) -> list[Json]:
    instant = panel.instant or panel.shows_label  # the past of an info metric is of no interest
    return [
        {
            "refId": chr(ord("A") + i),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": expr,
            "legendFormat": legend,
            "format": "heatmap" if panel.kind == "heatmap" else "time_series",
            "instant": instant,
            "range": not instant,
            "exemplar": panel.exemplars,
        }
        for i, (legend, expr) in enumerate(panel.queries.items())
    ]


def custom(panel: Panel) -> Json:
    """The ``fieldConfig.defaults.custom`` of the panel's kind."""
    if panel.kind == "heatmap":
        return {"scaleDistribution": {"type": "linear"}}
    if panel.kind == "stat":
        return {}
    stacking = {"group": "A", "mode": "normal" if panel.stacked else "none"}
    return {
        "drawStyle": "line",
        "fillOpacity": 40 if panel.stacked else 8,
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": stacking,
    }


def options(panel: Panel) -> Json:
    if panel.kind == "heatmap":
        return {
            "calculate": False,
            "cellGap": 1,
            "color": {
                "mode": "scheme",
                "scheme": "Oranges",
                "steps": 64,
                "fill": "dark-orange",
                "exponent": 0.5,
                "reverse": False,
                "scale": "exponential",
            },
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
            "yAxis": {"axisPlacement": "left", "unit": panel.unit, "reverse": False},
        }
    if panel.kind == "stat":
        return {
            "colorMode": "value" if panel.colours else "none",
            "graphMode": "none" if panel.instant or panel.shows_label or panel.colours else "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "showPercentChange": False,
            "textMode": "name" if panel.shows_label else "auto",
            "wideLayout": True,
        }
    return {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def field_config(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit, "min": 0, "custom": custom(panel)}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.kind == "stat":
        defaults["noValue"] = "none"
    overrides = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in panel.colours.items()
    ]
    return {"defaults": defaults, "overrides": overrides}


def render(panel: Panel, panel_id: int, place: dict[str, int]) -> Json:
    return {
        "id": panel_id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": targets(panel),
        "fieldConfig": field_config(panel),
        "options": options(panel),
    }


def lines(row: list[Panel]) -> list[list[Panel]]:
    """A row's panels, broken where 24 columns are full."""
    broken: list[list[Panel]] = [[]]
    for panel in row:
        if sum(other.width for other in broken[-1]) + panel.width > 24:
            broken.append([])
        broken[-1].append(panel)
    return broken


def layout() -> list[Json]:
    """All panels, left to right and top to bottom; a row's id is 100, 200, … and its panels count on from there."""
    panels: list[Json] = []
    y = 0
    for row_id, (title, row) in zip(range(100, 10_000, 100), ROWS.items(), strict=False):
        place = {"x": 0, "y": y, "w": 24, "h": 1}
        folded: list[Json] = []
        collapsed = title in COLLAPSED
        panels.append(
            {"id": row_id, "type": "row", "title": title, "collapsed": collapsed, "panels": folded, "gridPos": place}
        )
        # The panels of a folded row stand inside it, those of an open one behind it.
        shown = folded if collapsed else panels
        panel_id, y = row_id, y + 1
        for line in lines(row):
            x, h = 0, STAT_HEIGHT if all(panel.kind == "stat" for panel in line) else HEIGHT
            for panel in line:
                panel_id += 1
                shown.append(render(panel, panel_id, {"x": x, "y": y, "w": panel.width, "h": h}))
                x += panel.width
            y += h
    return panels


def variable(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,  # when the time range changes: servers come and go
        "sort": 1,
        "includeAll": True,
        "allValue": ".+",
        "multi": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def annotation(name: str, colour: str, expr: str, title: str, **extra: str) -> Json:
    """A mark in every graph; the format keys are those of Grafana's Prometheus plugin."""
    return {
        "name": name,
        "iconColor": colour,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "target": {"refId": name, "expr": expr, "interval": "5s"},  # as often as is scraped: runs are short
        "titleFormat": title,
        "tagKeys": "instance",
        **extra,
    }


ANNOTATIONS = [
    annotation("Alerts", BAD, f'ALERTS{{alertstate="firing", {FILTER}}}', "{{alertname}}"),
    annotation(
        "Server starts",
        "blue",
        f"1000 * {one('process_start_time_seconds')}",
        "{{instance}} started",
        useValueForTime="on",
    ),
    annotation(
        "Run starts",
        GOOD,
        f"1000 * {one('benchmark_run_start_time_seconds')}",
        "A run started on {{instance}}",
        useValueForTime="on",
    ),
    annotation(
        "Run ends",
        "purple",
        f"1000 * {one('benchmark_run_end_time_seconds')}",
        "A run ended on {{instance}}",
        useValueForTime="on",
    ),
]


def dashboard() -> Json:
    datasource = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "includeAll": False,
        "multi": False,
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }
    return {
        "uid": UID,
        "title": "Aurea benchmark",
        "description": "What the Aurea server is running: throughput, response times and what they cost.",
        "tags": ["aurea", "benchmark"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "weekStart": "",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "preload": False,
        "links": [],
        "annotations": {"list": ANNOTATIONS},
        "templating": {
            "list": [
                datasource,
                variable("job", "Job", "label_values(benchmark_build_info, job)"),
                variable("instance", "Server", 'label_values(benchmark_build_info{job=~"$job"}, instance)'),
            ]
        },
        "panels": layout(),
    }


def text() -> str:
    """What the committed file holds."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text(), encoding="utf-8")
