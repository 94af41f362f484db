"""What the description says of a member is what the codec takes: no more, and no less."""

from __future__ import annotations

import json
import re
import typing
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aurea_engine import (
    Objective,
    RunSpec,
    Thresholds,
    Workload,
    default_catalog,
    encode_json,
    engine_version,
    spec_from_dict,
    spec_to_dict,
)
from aurea_engine.codec.catalog import GROUPS
from aurea_engine.fields.checked import Checked, convert, resolve_hints
from aurea_server.http.json_schema import Schemas
from aurea_server.http.openapi import build_document
from aurea_server.http.operations import OPERATIONS
from aurea_server.runner.kinds import Kinds
from aurea_server.settings.limits import Limits

ROOT = Path(__file__).parents[2]
TEXTS = [
    "",
    "x",
    "auto",
    "real",
    "USD",
    "usd",
    "EURO",
    "2026-11-22",
    "20261122",
    "2026-W47-7",
    "2026-13-01",
    "a" * 256,
    "a" * 257,
    "0.1",
    "1/3",
    "1/0",
    "-1",
    " 0.1 ",
    "1e3",
    "1e",
    ".5",
    "5.",
    "NaN",
    "5s",
    "0.25ms",
    "5 s",
    "5S",
    "1e3s",
    "1,5s",
    "-5s",
    "500/s",
    "500/S",
    "30000/m",
    "500/ms",
    "500 / s",
]
OTHERS = [None, True, False, [], {}]
NUMBERS = [-1, -0.5, 0, 0.5, 1, 2, 10**6, 10**9, 10**12, 10**15, 10**18, 10**19, 10**40]


def checked_classes() -> dict[str, type]:
    """Every kind of the catalog, and every record within one."""
    found: dict[str, type] = {each.__name__: each for each in (RunSpec, Workload, Objective, Thresholds)}
    for group, kinds in default_catalog().kinds.items():
        found |= {f"{group}.{kind}": cls for kind, cls in kinds.items()}
    for cls in list(found.values()):
        for hint in resolve_hints(cls).values() if is_dataclass(cls) else ():
            found |= {each.__name__: each for each in records_in(hint)}
    return found


def records_in(hint: Any) -> list[type]:
    if inner := typing.get_args(hint):
        return [each for part in inner for each in records_in(part)]
    strategies = tuple(GROUPS.values())
    return [hint] if isinstance(hint, type) and issubclass(hint, Checked) and not issubclass(hint, strategies) else []


def bounds_in(schema: Any) -> list[int | float]:
    """Every bound of ``schema``, and a little more and less."""
    if isinstance(schema, list):
        return [bound for each in schema for bound in bounds_in(each)]
    if not isinstance(schema, dict):
        return []
    own = [value for name, value in schema.items() if "imum" in name.lower()]
    around = [bound + step for bound in own for step in (-1, 0, 1)] + [bound * 1.000001 for bound in own]
    return around + [bound for value in schema.values() for bound in bounds_in(value)]


@pytest.mark.parametrize("name", sorted(checked_classes()))
def test_a_member_takes_what_its_schema_does(name: str) -> None:
    """Bounds, texts, kinds of values: for each member the schema and the codec say yes to the same ones."""
    schemas = Schemas(Kinds())
    schemas.specification()
    for member, hint in resolve_hints(checked_classes()[name]).items():
        schema = schemas.describe(hint)
        whole = {**schema, "components": {"schemas": schemas.components}}
        valid = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid
        for value in (*TEXTS, *OTHERS, *NUMBERS, *bounds_in(schema)):
            # JSON has one kind of number, and to JSON Schema 1.0 is an integer.
            given = json.loads(json.dumps(value), parse_float=Decimal)
            if isinstance(given, Decimal) and given == int(given):
                given = int(given)
            problems: list[Any] = []
            convert(given, hint, member, problems)
            if isinstance(value, str) and any("<=" in problem.problem for problem in problems):
                continue  # how large a number is that is written as text, no schema can say
            if given != {}:  # an object is the builder's, not the field's
                says = "takes" if valid(value) else "refuses"
                assert valid(value) is (not problems), f"{member}: the schema {says} {value!r}, the codec: {problems}"


def test_no_member_is_left_without_a_schema() -> None:
    """A rule that the description does not know would come out as anything at all."""
    schemas = Schemas(Kinds())
    for name, cls in checked_classes().items():
        if is_dataclass(cls):
            hints = resolve_hints(cls)
            empty = [field.name for field in fields(cls) if field.init and not schemas.describe(hints[field.name])]
            assert not empty, f"{name}: {empty}"


@pytest.mark.parametrize("most", [1, 5_000, 10**9])
def test_jobs_have_the_limit_of_the_server(most: int) -> None:
    """Whatever it was told, in both forms of a specification."""
    components = build_document(OPERATIONS, Kinds(), Limits(jobs=most))["components"]["schemas"]
    assert components["SeedSpecification"]["properties"]["num_jobs"]["maximum"] == most
    assert components["Workload"]["properties"]["jobs"]["anyOf"][0]["maximum"] == most


def test_openapi_has_the_version_of_the_program() -> None:
    """Told once, in the package."""
    assert build_document(OPERATIONS, Kinds())["info"]["version"] == engine_version()


EXAMPLES = [
    (group, line)
    for group in GROUPS
    for block in re.findall(rf"(?s)```json {group}\n(.*?)```", (ROOT / "docs/spec.md").read_text())
    for line in block.splitlines()
]


@pytest.mark.parametrize(("group", "line"), EXAMPLES)
def test_whole_specifications_fit_the_description(group: str, line: str) -> None:
    """As they are sent, and as a result shows them, to be posted again; and reading one changes nothing in it."""
    part = json.loads(line)
    workload: dict[str, Any] = {"job": {"kind": "sleep"}, "jobs": 3}
    sent: dict[str, Any] = {"workload": workload}
    match group:
        case "jobs":
            workload["job"] = part
        case "arrivals":
            workload["arrivals"] = part
        case "distributions":
            workload["job"] = {"kind": "sleep", "duration": part}
        case _:
            sent["scheduler" if group == "schedulers" else "cost"] = part
    before = json.dumps(sent)
    shown = json.loads(encode_json(spec_to_dict(spec_from_dict(sent))))
    assert json.dumps(sent) == before
    components = build_document(OPERATIONS, Kinds())["components"]
    valid = Draft202012Validator({"$ref": "#/components/schemas/Specification", "components": components})
    for each in (sent, shown):
        assert not [error.message for error in valid.iter_errors(each)]
