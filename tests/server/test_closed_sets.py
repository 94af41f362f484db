"""Prometheus labels, OpenAPI enumerations and the terminal's colours hold exactly the closed sets of the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aurea_engine.closed_sets import (
    ACTIVE_STATES,
    BILLED_UNITS,
    BUILT_IN_KINDS,
    COST_KINDS,
    EXPORT_FORMATS,
    FINDING_CODES,
    OBJECTIVE_OUTCOMES,
    OTHER,
    OUTCOMES,
    REASONS,
    RUN_CLOCKS,
    RUN_ID_PATTERN,
    SEVERITIES,
    STATES,
    STATUSES,
    VERDICTS,
    Outcome,
)
from aurea_engine.processes.messages import HISTOGRAMS as REPORTED
from aurea_server.cli.number_format import OUTCOME_STYLE, SEVERITY_STYLE, VERDICT_STYLE
from aurea_server.http.job_download import FORMATS
from aurea_server.metrics.money_labels import billed_keys, spent_keys
from aurea_server.metrics.run_metrics import HISTOGRAMS

OPENAPI = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())

LABELS = {
    ("benchmark_run_outcomes", "status"): STATUSES,
    ("benchmark_verdicts", "verdict"): VERDICTS,
    ("benchmark_findings", "code"): tuple(FINDING_CODES),
    ("benchmark_objectives", "result"): OBJECTIVE_OUTCOMES,
    ("benchmark_job_outcomes", "outcome"): OUTCOMES,
}
"""(family, label) → all of the label's values, which are there from the start."""


@pytest.mark.parametrize("key", LABELS, ids=lambda key: f"{key[0]} {key[1]}")
async def test_labels_have_every_value_from_the_start(client: Any, key: tuple[str, str]) -> None:
    """A series that is born with its first value never increases in the eyes of Prometheus."""
    async with client.get("/metrics") as answer:
        families = {family.name: family for family in text_string_to_metric_families(await answer.text())}
    name, label = key
    found = [sample.labels[label] for sample in families[name].samples if sample.name.endswith("_total")]
    assert sorted(set(found)) == sorted(LABELS[key])


def test_money_has_a_label_for_every_kind_of_cost_model() -> None:
    """``free`` has no lines; what packages add is ``other``."""
    assert {model for model, _ in spent_keys()} == {*COST_KINDS, OTHER} - {"free"}


def enumerations(value: Any) -> Iterator[list[Any]]:
    """Every ``enum`` of a document."""
    if isinstance(value, dict):
        if isinstance(found := value.get("enum"), list):
            yield found
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from enumerations(item)


KNOWN = [
    *(ACTIVE_STATES, STATES, STATUSES, VERDICTS, SEVERITIES, OBJECTIVE_OUTCOMES, OUTCOMES, EXPORT_FORMATS, RUN_CLOCKS),
    tuple(outcome.name.lower() for outcome in Outcome),
    tuple(REASONS),
    tuple(FINDING_CODES),
    # Only jobs that started are paid for.
    ("completed", "failed", "timed_out", "cancelled"),
]


def test_enumerations_of_the_interface_are_closed_sets() -> None:
    """One that holds two words of a closed set holds all of it: a copy that somebody forgot would not."""
    known = {frozenset(words) for words in KNOWN}
    for found in enumerations(OPENAPI):
        if any(len(words & set(found)) > 1 for words in known):
            assert frozenset(found) - {None} in known, found


def test_kinds_of_the_interface_are_the_built_in_ones() -> None:
    """Each has a schema."""
    names = {"jobs": "Job", "arrivals": "Arrivals", "schedulers": "Scheduler", "cost_models": "CostModel"}
    names["distributions"] = "Distribution"
    for group, name in names.items():
        schema = OPENAPI["components"]["schemas"][name]
        choice = schema if "discriminator" in schema else schema["anyOf"][-1]
        assert tuple(sorted(choice["discriminator"]["mapping"])) == BUILT_IN_KINDS[group]


def test_every_judgement_has_a_colour() -> None:
    """A verdict without one would end the report with a traceback."""
    assert set(VERDICT_STYLE) == set(VERDICTS)
    assert set(OUTCOME_STYLE) == set(OBJECTIVE_OUTCOMES)
    assert {name.lower() for name in SEVERITY_STYLE} == set(SEVERITIES)


def test_units_of_what_is_billed_are_labels() -> None:
    """``other`` has every unit, so that amounts of different units are never added."""
    assert {unit for component, unit in billed_keys() if component == OTHER} == {*BILLED_UNITS, OTHER}


def test_histograms_are_those_that_runs_report() -> None:
    assert set(HISTOGRAMS) == set(REPORTED)


def test_parameters_and_formats_are_closed_sets() -> None:
    listed = {
        (path, each["name"]): each["schema"]
        for path, operations in OPENAPI["paths"].items()
        for operation in operations.values()
        for each in operation.get("parameters", [])
    }
    assert listed["/benchmark/runs", "status"]["enum"] == list(STATES)
    assert listed["/benchmark/runs/{run_id}/jobs", "format"]["enum"] == list(EXPORT_FORMATS) == list(FORMATS)
    ids = {schema["pattern"] for (_, name), schema in listed.items() if name == "run_id"}
    assert ids == {f"^{RUN_ID_PATTERN}$"}
