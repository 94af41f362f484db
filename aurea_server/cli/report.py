"""The report of a run that has ended, for people.

Everything stands in two columns, a label and what is to say about it, and fits on a terminal of 80 columns; on a narrower
one it is folded or stacked (`tables`). Instants are in UTC, as in every result, log line and metric. Text from outside (a
label, the message of a third-party cost model) is shown as it is, never read as markup or as a terminal's commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from aurea_engine import Finding, ObjectiveResult, RunResult, TheoryRow, Timing
from aurea_server.cli.number_format import (
    OUTCOME_STYLE,
    SEVERITY_STYLE,
    VERDICT_STYLE,
    format_amount,
    format_money,
    format_number,
    format_percent,
    format_seconds,
    make_printable,
    name_unit,
)
from aurea_server.cli.report_groups import list_mark_timings, tabulate_groups, tabulate_measures
from aurea_server.cli.report_replications import (
    describe_replications,
    list_shown,
    tabulate_figures,
    tabulate_replications,
)
from aurea_server.cli.report_requests import (
    chart_response_times,
    describe_floor,
    explain_failures,
    has_times,
    sends_requests,
)
from aurea_server.cli.report_shards import tabulate_shards
from aurea_server.cli.tables import LABEL_WIDTH, Column, Table

THEORY_NAMES = {"wait_ratio": "jobs that wait", "rejected_ratio": "jobs rejected"}


def render_report(result: RunResult, *, charted: bool = False) -> RenderableType:
    """Everything a person wants to know of a result, on one screen. ``charted``: with a histogram of the response times;
    a run that sent requests has one anyway.
    """
    parts: list[RenderableType] = [_tabulate_facts(result)]
    # What to look at first comes first; findings are last, where the eye is when the run has ended.
    timed = any(timing.count for _, timing in _list_timings(result))  # a table needs a column
    for rows, table in (
        (timed, _tabulate_times),
        (result.replications and result.replications.spreads, tabulate_figures),
        (list_shown(result), tabulate_replications),
        (sends_requests(result) or (charted and has_times(result)), chart_response_times),
        (result.groups, tabulate_groups),
        (any(each.is_quantity for each in result.measures.values()), tabulate_measures),
        (result.shards, tabulate_shards),
        (result.objectives, _tabulate_objectives),
        (result.theory, _tabulate_theory),
        (result.findings, _tabulate_findings),
    ):
        if rows:
            parts += [Text(), table(result)]
    return Group(*parts)


def _make_table(*columns: Column, model: str = "") -> Table:
    """A table whose first column is the labels'."""
    return Table(Column(model, least=LABEL_WIDTH), *columns)


def _tabulate_facts(result: RunResult) -> Table:
    table = _make_table(Column(prose=True))
    for label, fact in _list_facts(result):
        table.add_row(Text(label, "dim"), fact)
    return table


def _list_facts(result: RunResult) -> Iterator[tuple[str, Text]]:
    if result.spec.label:
        yield "label", Text(make_printable(result.spec.label), "bold")
    yield "run", Text(f"{result.benchmark_id}, seed {result.spec.seed}, {result.spec.clock} time")
    yield "started", Text(format_instant(result.started_at))
    yield "ended", Text(_describe_end(result))
    if result.status != "completed":
        why = "" if result.reason is None else f": {make_printable(result.reason.detail)}"
        yield "status", Text(result.status.replace("_", " "), "bold yellow").append(why, "not bold")
    if result.replications is not None:
        yield "replications", describe_replications(result.replications)
    yield "verdict", Text(result.verdict, VERDICT_STYLE[result.verdict])
    yield "throughput", _describe_throughput(result)
    if result.floor is not None:
        yield "floor", describe_floor(result.floor)
    yield "cost", _describe_cost(result)
    yield "jobs", _describe_jobs(result)
    if result.failures:
        yield "failures", _list_counts(result.failures).append(explain_failures(result))
    if result.statuses:
        yield "statuses", _list_counts(result.statuses)
    yield "concurrency", _describe_concurrency(result)


def _list_counts(counted: Mapping[str, int]) -> Text:
    """``990 200, 10 503`` would be read as anything: the name comes first where it is a number."""
    return Text(
        ", ".join(
            f"{name}: {count:,}" if name.isdigit() else f"{count:,} {make_printable(name)}"
            for name, count in counted.items()
        )
    )


def format_instant(at: datetime) -> str:
    """``2026-11-22 10:00:00.000 UTC``."""
    return at.astimezone(UTC).isoformat(" ", timespec="milliseconds").replace("+00:00", " UTC")


def _describe_end(result: RunResult) -> str:
    """Virtual time ends at no instant of the clock on the wall."""
    return (
        format_instant(result.ended_at)
        if result.spec.clock == "real"
        else f"{format_seconds(result.duration)} later, in virtual time"
    )


def _describe_throughput(result: RunResult) -> Text:
    line = Text(format_number(result.throughput, " jobs/s"), "bold")
    # In the closed model the offered rate is what users came to, so it would only repeat the throughput.
    if result.offered_rate is not None and result.spec.workload.arrivals.ends != "with jobs":
        line.append(f" of {format_number(result.offered_rate)} offered", "not bold")
    if any(objective.quantile is not None for objective in result.spec.objectives):
        line.append(f", goodput {format_number(result.goodput, ' jobs/s')}", "not bold")
    return line


def _describe_cost(result: RunResult) -> Text:
    total = None if result.cost.total is None else float(result.cost.total)
    line = Text(format_money(total, result.cost.currency), "bold")
    per = result.cost.per_success
    if per:
        line.append(
            f", {format_money(float(per * 1_000_000), result.cost.currency)} per million completed jobs", "not bold"
        )
    # What a good answer costs is what servers of language models are compared by.
    good, are_answers = result.cost.per_good, result.spec.workload.schema.measure("output_tokens") is not None
    if good and are_answers and result.spec.binds_jobs:
        line.append(f", {format_money(float(good * 1_000_000), result.cost.currency)} per million good", "not bold")
    return line


def _describe_jobs(result: RunResult) -> Text:
    counts = result.counts
    each = {name: amount for name, amount in vars(counts).items() if name != "arrived"}
    became = [f"{amount:,} {name.replace('_', ' ')}" for name, amount in each.items() if amount]
    line = Text(f"{counts.arrived:,} arrived: " if len(became) > 1 else "")
    line.append(", ".join(became) or "none arrived")
    return line.append(f" in {format_seconds(result.duration if became else result.window[1])}")


def _describe_concurrency(result: RunResult) -> Text:
    # Without records the peak is not known of several shards, since what each saw does not add up, nor where jobs wait in a
    # pool.
    line = Text(
        f"{format_number(result.concurrency.mean)} on average, {format_number(result.concurrency.peak)} at most"
    )
    if result.utilization is not None:
        slots = result.spec.scheduler.slots
        noun = "slot" if slots == 1 else "slots"
        line.append(f"; utilization {format_percent(result.utilization)} of {slots:,} {noun}")
    return line


QUANTILES = {"mean": "mean", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p999": "p99.9", "max": "max"}


def _list_timings(result: RunResult) -> list[tuple[str, Timing]]:
    """Label and figures of each kind of time that is shown."""
    rows: list[tuple[str, Timing]] = [
        ("response time", result.response_time),
        ("  waiting", result.waiting_time),
        ("  service", result.service_time),
    ]
    rows += list_mark_timings(result)
    if result.floor is not None and result.floor.response_time.count:
        rows.append(("floor", result.floor.response_time))
    # A row of dashes would say nothing. The lag is the generator's: in virtual time, or where all jobs are due at once, it
    # means nothing.
    if result.failure_time.count:
        rows.append(("failures", result.failure_time))
    if result.spec.clock == "real" and result.spec.workload.arrivals.ends != "with jobs":
        rows.append(("lag", result.lag))
    return rows


def _tabulate_times(result: RunResult) -> Table:
    rows = _list_timings(result)
    # A quantile that too few jobs support is left out whole; the finding beneath says how many it needs.
    names = {name: head for name, head in QUANTILES.items() if any(t.quantile(name) is not None for _, t in rows)}
    table = _make_table(*(Column(head, right=True) for head in names.values()))
    for label, timing in rows:
        style = "bold" if label == "response time" else ""
        table.add_row(Text(label, style), *(Text(format_seconds(timing.quantile(name)), style) for name in names))
    return table


def _tabulate_objectives(result: RunResult) -> Table:
    table = _make_table(Column(prose=True), Column(prose=True))
    for judged in result.objectives:
        outcome = Text.assemble(
            (judged.outcome, OUTCOME_STYLE[judged.outcome]), ", ", describe_observed(judged, result)
        )
        table.add_row(Text("objective", "dim"), Text(str(judged.objective)), outcome)
    return table


def describe_observed(judged: ObjectiveResult, result: RunResult) -> str:
    """The figure that an objective was judged by, or what is missing for one."""
    metric, observed, schema = judged.objective.figure, judged.observed, result.spec.workload.schema
    # A figure beside "inconclusive" would be taken for an answer; the detail says what is missing.
    if observed is None or judged.outcome == "inconclusive":
        return judged.detail
    if metric.endswith("_time") or schema.mark(metric) is not None:
        return format_seconds(observed)
    if (measure := schema.amount(metric)) is not None:
        return f"{format_amount(observed, measure.unit)} {make_printable(name_unit(measure.unit))}".rstrip()
    if metric.startswith("cost"):
        return format_money(observed, result.cost.currency)
    return format_percent(observed) if metric.endswith("_ratio") else format_number(observed, " jobs/s")


def _tabulate_theory(result: RunResult) -> Table:
    heads = ("theory", "measured", "standard errors apart")
    table = _make_table(*(Column(head, right=True) for head in heads), model=result.theory[0].model)
    for row in result.theory:
        # Within two or three standard errors a difference is chance; a run too short for that leaves the cell empty.
        apart = "" if row.z is None else f"{row.z:+.1f}"
        table.add_row(_name_theory(row), *(_format_theory(row, value) for value in (row.expected, row.measured)), apart)
    return table


def _name_theory(row: TheoryRow) -> str:
    return THEORY_NAMES.get(row.figure, row.figure.replace("_", " ").replace(".", " "))


def _format_theory(row: TheoryRow, value: float | None) -> str:
    if value is None:
        return "–"
    if "_time" in row.figure:
        return format_seconds(value)
    return format_number(value, "/s") if row.figure == "throughput" else format_percent(value)


def _tabulate_findings(result: RunResult) -> Table:
    table = _make_table(Column(prose=True))
    for finding in result.findings:
        style = SEVERITY_STYLE[finding.severity.name]
        table.add_row(Text(finding.severity.name.lower(), style), _describe_finding(finding, style))
    return table


def _describe_finding(finding: Finding, style: str) -> Text:
    remark = Text(finding.code, style)
    return remark.append(f": {make_printable(finding.detail)}. {finding.advice}", "not bold")
