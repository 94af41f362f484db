"""The report of a run: one HTML file with everything in it. It needs no script and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from aurea_engine.codec.catalog import Catalog
from aurea_engine.codec.results import encode_json
from aurea_engine.codec.specifications import spec_to_dict
from aurea_engine.report.bill import write_bill
from aurea_engine.report.distribution import draw_distribution
from aurea_engine.report.document import write_document, write_section
from aurea_engine.report.figure_tables import (
    tabulate_groups,
    tabulate_measures,
    tabulate_numbers,
    tabulate_shards,
    tabulate_theory,
    tabulate_times,
)
from aurea_engine.report.heat_map import draw_heat_map, measure_heat
from aurea_engine.report.judgement import list_findings, tabulate_objectives, write_verdict
from aurea_engine.report.key_figures import describe_run, list_key_figures
from aurea_engine.report.markup import Markup, element, escape_text, foreign, join
from aurea_engine.report.over_time import FEWEST_POINTS, take_steps
from aurea_engine.report.parity_section import write_parity
from aurea_engine.report.replication_tables import tabulate_replications, tabulate_spreads
from aurea_engine.report.tables import Limits
from aurea_engine.report.time_charts import draw_over_time
from aurea_engine.report.time_table import tabulate_steps
from aurea_engine.results.parity import parity
from aurea_engine.results.result import RunResult


def render_html(result: RunResult, catalog: Catalog | None = None) -> str:
    """The report of ``result`` as one HTML document of at most `MOST_BYTES` bytes. ``catalog``: of the kinds in its
    specification, where they are not the built-in ones.
    """
    title = f"{(result.spec.label or result.benchmark_id)[:120]}: Aurea run report"
    header, footer = list(_write_header(result)), f"from the result of {result.benchmark_id}"
    return write_document(title, header, lambda limits: _write_sections(result, catalog, limits), footer)


def _write_header(result: RunResult) -> Iterator[Markup]:
    yield element("p", "Aurea run report · ", foreign(result.benchmark_id), class_="eyebrow")
    yield element("h1", foreign(result.spec.label or describe_run(result).rstrip(".")))
    facts = describe_run(result) if result.spec.label else ""
    yield element("p", facts, " " if facts else "", _describe_time(result), class_="quiet")
    yield write_verdict(result)
    yield list_key_figures(result)


def _describe_time(result: RunResult) -> str:
    if result.spec.clock == "virtual":
        return f"Simulated on {format_instant(result.started_at)}, seed {result.spec.seed}."
    return f"From {format_instant(result.started_at)} to {format_instant(result.ended_at)}, seed {result.spec.seed}."


def format_instant(at: datetime) -> str:
    """``2026-11-22 10:00:00 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _write_sections(result: RunResult, catalog: Catalog | None, limits: Limits) -> Iterator[Markup]:
    # In the order in which people look: judged, over time, distributed, paid, told apart, explained.
    if result.objectives:
        yield write_section("objectives", "Objectives", tabulate_objectives(result, limits))
    if result.replications is None:
        yield write_section("over-time", "Over time", *_write_over_time(result, limits))
    else:
        each = tabulate_replications(result.replications, limits)
        yield write_section(
            "replications", "Replications", tabulate_spreads(result.replications, result.spec.clock, limits), each
        )
    yield write_section("times", "Response times", *_write_times(result, limits))
    yield write_section("cost", "Cost", write_bill(result.cost, limits))
    yield from _write_parts(result, limits)
    if result.findings:
        yield write_section("findings", "Findings", list_findings(result, limits))
    yield write_section("environment", "Environment", _list_facts(result.environment, limits))
    yield write_section("specification", "Specification", *_write_specification(result, catalog, limits))


def _write_over_time(result: RunResult, limits: Limits) -> Iterator[Markup]:
    steps = take_steps(result)
    if steps is None:
        text = f"The series has a point a second, and {len(result.series)} of them: a course needs {FEWEST_POINTS}."
        yield element("p", text, class_="quiet")
        return
    charts = [chart.draw() for chart in draw_over_time(result, steps)]
    heat = measure_heat(result)
    if heat is not None:
        charts.append(draw_heat_map(result, heat).draw())
    yield element("div", *charts, class_="charts")
    # What is missing is said, or its absence would pass for nothing to see.
    if result.jobs is None:
        missing = "Lag over time" if heat is not None else "Lag over time and the map of response times"
        text = f"{missing}, and jobs in service apart from those that wait, need records of jobs: this result has none."
        yield element("p", text, class_="quiet")
    if limits.time_table:
        yield tabulate_steps(result, steps)


def _write_times(result: RunResult, limits: Limits) -> Iterator[Markup]:
    charts = [chart.draw() for chart in draw_distribution(result)]
    if charts:
        yield element("div", *charts, class_="charts")
    yield element("h3", "All times")
    yield tabulate_times(result, limits)
    if result.theory:
        yield element("h3", "Queueing theory")
        yield tabulate_theory(result, limits)


def _write_parts(result: RunResult, limits: Limits) -> Iterator[Markup]:
    if result.groups:
        yield write_section("groups", "Groups", tabulate_groups(result, limits))
    if any(each.is_quantity for each in result.measures.values()):
        yield write_section("measures", "Measures", tabulate_measures(result, limits))
    arrived = result.counts.arrived
    if result.failures:
        table = tabulate_numbers("Class", result.failures, arrived, "/failures", limits)
        yield write_section("failures", "Failures", table)
    if result.statuses:
        table = tabulate_numbers("Status", result.statuses, arrived, "/statuses", limits)
        yield write_section("statuses", "Statuses", table)
    if result.shards:
        yield write_section("shards", "Shards", tabulate_shards(result, limits))
    if (others := parity(result)) is not None:
        yield write_section("parity", "What other tools would report", *write_parity(others))


def _list_facts(facts: Mapping[str, object], limits: Limits) -> Markup:
    rows = [
        part
        for name, value in list(facts.items())[: limits.rows]
        for part in (
            element("dt", foreign(name.replace("_", " "))),
            element("dd", foreign(value if isinstance(value, str) else encode_json(value).decode(), limits.text)),
        )
    ]
    return element("dl", *rows, class_="facts")


def _write_specification(result: RunResult, catalog: Catalog | None, limits: Limits) -> Iterator[Markup]:
    yield element("p", "The whole specification, defaults and seed included: run it again with ",
                  element("code", "aurea run"), ".", class_="quiet")  # fmt: skip
    written = encode_json(spec_to_dict(result.spec, catalog))
    text = msgspec.json.format(written, indent=2).decode()
    # Line by line: breaks between lines are ours, and those within a text are escaped in JSON already.
    lines = text[: limits.spec].split("\n")
    shown = Markup("\n".join(escape_text(line) for line in lines))
    yield element("pre", element("code", shown), tabindex="0", role="region", aria_label="The specification as JSON")
    if len(text) > limits.spec:
        rest = f"The first {limits.spec:,} of {len(text):,} characters: the result has all of them."
        yield element("p", join((rest,)), class_="quiet")
