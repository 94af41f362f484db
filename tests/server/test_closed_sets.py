"""Labels, enumerations and codes are those of the closed sets, and the pages list the same words."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aurea_engine import closed_sets, default_catalog
from aurea_engine.processes.messages import HISTOGRAMS as REPORTED
from aurea_server.http.job_download import FORMATS
from aurea_server.http.openapi import build_document
from aurea_server.http.operations import OPERATIONS
from aurea_server.http.problems import ERRORS
from aurea_server.metrics.registry import BenchmarkMetrics, Registry
from aurea_server.metrics.run_metrics import HISTOGRAMS
from aurea_server.runner.kinds import Kinds
from aurea_server.runs.errors import RunError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def labels() -> dict[tuple[str, str], set[str]]:
    """(metric, label) → its values, as a server that ran nothing exposes them."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for family in parse_text(generate_latest(Registry(BenchmarkMetrics("none"))).decode()):
        for sample in family.samples:
            for label, value in sample.labels.items():
                found[family.name, label].add(value)
    return found


@pytest.mark.parametrize("prefix", ["benchmark", "benchmark_simulated"])
@pytest.mark.parametrize(
    ("name", "label", "values"),
    [
        ("job_outcomes", "outcome", closed_sets.OUTCOMES),
        ("run_outcomes", "status", closed_sets.STATUSES),
        ("verdicts", "verdict", closed_sets.VERDICTS),
        ("findings", "code", tuple(closed_sets.FINDING_CODES)),
        ("objectives", "result", closed_sets.OBJECTIVE_OUTCOMES),
    ],
)
def test_labels_of_runs_are_closed_sets(
    labels: dict[tuple[str, str], set[str]], prefix: str, name: str, label: str, values: tuple[str, ...]
) -> None:
    """Each value is there at 0 from the start, and no other."""
    assert labels[f"{prefix}_{name}", label] == set(values)


def test_labels_of_money_are_closed_sets(labels: dict[tuple[str, str], set[str]]) -> None:
    """A new cost model or unit must not be labelled ``other`` in silence."""
    # A run of `free` has no line, so no series of money has its name.
    assert labels["benchmark_cost_usd", "model"] == {*closed_sets.COST_KINDS, closed_sets.OTHER} - {"free"}
    assert set(closed_sets.BILLED_UNITS) <= labels["benchmark_billed_quantity", "unit"]
    sheet_units = {unit for units in closed_sets.PRICED_UNITS.values() for unit in units}
    assert labels["benchmark_billed_quantity", "unit"] <= {*closed_sets.BILLED_UNITS, *sheet_units, closed_sets.OTHER}


def test_histograms_are_a_closed_set() -> None:
    """Those that a runner process reports."""
    assert set(HISTOGRAMS) == set(REPORTED)


def test_kinds_of_cost_models_are_those_of_the_catalog() -> None:
    """The labels come from the closed set, which must not fall behind the catalog."""
    assert set(default_catalog().kinds["cost_models"]) == set(closed_sets.COST_KINDS)


def test_formats_of_jobs_are_a_closed_set() -> None:
    assert tuple(FORMATS) == closed_sets.EXPORT_FORMATS


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return build_document(OPERATIONS, Kinds())


def test_enumerations_of_openapi_are_closed_sets(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    result, run = schemas["Result"]["properties"], schemas["Run"]["properties"]
    assert result["status"]["enum"] == run["status"]["enum"] == list(closed_sets.STATES)
    assert result["verdict"]["enum"] == [*closed_sets.VERDICTS, None]
    assert set(result["reason"]["anyOf"][0]["properties"]["code"]["enum"]) == set(closed_sets.REASONS)
    assert schemas["Finding"]["properties"]["severity"]["enum"] == list(closed_sets.SEVERITIES)
    assert schemas["JobRow"]["properties"]["outcome"]["enum"] == list(closed_sets.OUTCOMES)


def test_parameters_of_openapi_are_closed_sets(openapi: dict[str, Any]) -> None:
    listed = {
        (path, each["name"]): each["schema"]
        for path, operations in openapi["paths"].items()
        for operation in operations.values()
        for each in operation.get("parameters", [])
    }
    assert listed["/benchmark/runs", "status"]["enum"] == list(closed_sets.STATES)
    assert listed["/benchmark/runs/{run_id}/jobs", "format"]["enum"] == list(closed_sets.EXPORT_FORMATS)
    ids = {schema["pattern"] for (_, name), schema in listed.items() if name == "run_id"}
    assert ids == {f"^{closed_sets.RUN_ID_PATTERN}$"}


def test_every_error_of_the_core_has_a_meaning_in_http() -> None:
    """An error without one would be a 500. `FollowerLagged` is an event of a stream that has begun, not a response."""
    named = {cls.__name__ for cls in RunError.__subclasses__()} - {"FollowerLagged"}
    assert named == {cls.__name__ for cls in ERRORS if issubclass(cls, RunError)}


def raised_codes() -> set[tuple[int, str]]:
    """(status, code) of every problem that http/ makes, but for those whose code is worked out."""
    found = {(meaning.status, meaning.code) for meaning in ERRORS.values()}
    for file in (ROOT / "aurea_server/http").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "HttpProblem":
                match node.args[:2]:
                    case [ast.Constant(int(status)), ast.Constant(str(code))]:
                        found.add((status, code))
    return found


def test_the_page_lists_every_code_with_its_status() -> None:
    page = (ROOT / "docs/http-api.md").read_text()
    rows = re.findall(r"^\| ((?:\d{3}(?:, )?)+) \| (.*) \|$", page, re.MULTILINE)
    listed = {
        (int(status), code) for statuses, text in rows for status in statuses.split(", ") for code in _codes(text)
    }
    assert raised_codes() - listed == set()


def _codes(text: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", text)
