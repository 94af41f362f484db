"""docs/spec.md names every member of a specification and every kind, with the bounds and defaults that the code has."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import pytest
from msgspec import Meta

import aurea_engine
from aurea_engine import Constant, PerSecond, Thresholds, default_catalog
from aurea_engine.codec.catalog import GROUPS
from aurea_engine.costs import exact_text
from aurea_engine.fields.checked import format_number
from aurea_engine.targets.chat.prompt_lines import PromptLine
from aurea_engine.targets.http.flow import Step
from aurea_engine.targets.http.members import HttpMembers

PAGE = Path(__file__).parent.parent / "docs" / "spec.md"
HEADINGS = {
    "jobs": "Jobs",
    "arrivals": "Arrivals",
    "distributions": "Distributions",
    "schedulers": "Schedulers",
    "cost_models": "Cost models",
}
NAMES = {"jobs": "job", "arrivals": "arrivals", "distributions": "distribution", "schedulers": "scheduler",
         "cost_models": "cost model"}  # fmt: skip
NOUNS = {"Branch": "branches", "PromptLine": "prompts", "TokenClass": "token classes", "TokenRequest": "token requests",
         "Weighted": "weighted distributions"}  # fmt: skip
RECORDS = {"Auth": "credentials", "Expect": "expectation", "SecretReference": "secret", "TlsOptions": "TLS options",
           "TraceTokens": "token lengths", "Prompts": "prompts", "PromptPrefix": "prefix", "Conversation": "conversation",
           "SimulatedChat": "simulation"}  # fmt: skip
OF_REQUESTS = tuple(field.name for field in dataclasses.fields(HttpMembers))
COMMON = ("billed", "per", "currency")
"""Members that nearly every cost model has; the page explains them once."""
BASES = {float: "number", int: "whole number", str: "text", bool: "true or false"}
SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def values(hint: Any) -> str:
    """What a member may be, in the words of the page."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _annotated(*inner)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if each is type(None) else values(each) for each in inner)
    if origin is Literal:
        return " or ".join(f"`{json.dumps(each)}`" for each in inner)
    if origin is tuple:
        return f"list of {_plural(inner[0])}"
    group = next((group for group, base in GROUPS.items() if base is hint), None)
    return NAMES[group] if group else BASES.get(hint) or RECORDS.get(hint.__name__) or hint.__name__.lower()


def _plural(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return values(hint)
    noun, above, bound = NOUNS.get(getattr(hint, "__name__", ""), values(hint)).partition(" >")
    return f"{noun if noun.endswith('s') else f'{noun}s'}{above}{bound}"


def _annotated(base: Any, *rules: Any) -> str:
    for rule in rules:
        if hasattr(rule, "what"):  # an exact number of the cost models
            return f"exact number {'>' if rule.above else '>='} {rule.least} and <= {format_number(rule.most)}"
        if hasattr(rule, "words"):
            return str(rule.words)
        if hasattr(rule, "coerce"):
            kinds = {
                "DayRule": "date",
                "_DayTextRule": "date",
                "_GroupName": "group name",
                "_ColumnName": "column name",
                "_ReportedMetricRule": "reported metric",
            }
            return kinds.get(type(rule).__name__, "currency")
    limits = [
        f"{sign} {format_number(bound)}"
        for rule in rules
        if isinstance(rule, Meta)
        for name, sign in SIGNS.items()
        if (bound := getattr(rule, name)) is not None
    ]
    nouns = [rule.noun for rule in rules if hasattr(rule, "noun")]  # with a unit, or as a number
    longest = [f"of at most {r.max_length} characters" for r in rules if isinstance(r, Meta) and r.max_length]
    return " ".join([*(nouns or [values(base)]), " and ".join(limits), *longest]).replace("  ", " ").strip()


def default(field: dataclasses.Field[Any]) -> str:
    """The default as JSON."""
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return "required"
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if isinstance(value, Constant):
        value = value.value
    if isinstance(value, Thresholds) or type(value).__name__ in RECORDS:
        return "`{}`"
    if isinstance(value, tuple(GROUPS.values())):
        value = {"kind": default_catalog().kind_of(value)}
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{json.dumps(exact_text(value) if isinstance(value, Fraction) else value)}`"


def rows(cls: type) -> dict[str, str]:
    """Member → how its row ends."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: f"| {values(hints[f.name])} | {default(f)} |" for f in dataclasses.fields(cls) if f.init}


def records(hint: Any) -> set[type]:
    """Classes without a ``kind`` that stand within ``hint``."""
    if typing.get_args(hint):
        return {record for each in typing.get_args(hint) for record in records(each)}
    is_record = dataclasses.is_dataclass(hint) and isinstance(hint, type)
    return {hint} if is_record and not issubclass(hint, tuple(GROUPS.values())) else set()


def section(text: str, heading: str) -> str:
    """From ``heading`` to the next one of its rank or above."""
    rank = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{rank}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/spec.md has no {heading!r}"
    return found[1]


def assert_documented(cls: type, text: str, but: tuple[str, ...] = ()) -> None:
    for name, end in rows(cls).items():
        if name not in but:
            lines = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
            assert any(line.endswith(end) for line in lines), f"{cls.__name__}.{name} must end in {end}, found: {lines}"


KINDS = [(group, kind) for group, kinds in default_catalog().kinds.items() for kind in sorted(kinds)]


@pytest.mark.parametrize(("group", "kind"), KINDS)
def test_each_kind_has_members_and_an_example(group: str, kind: str) -> None:
    """Each kind is there with its members and an example."""
    text = section(section(PAGE.read_text(), f"## {HEADINGS[group]}"), f"### `{kind}`")
    cls = default_catalog().kinds[group][kind]
    assert_documented(cls, text, but=COMMON)
    for hint in typing.get_type_hints(cls, include_extras=True).values():
        if typing.get_origin(hint) is typing.ClassVar:
            continue  # of the class in Python, no member of its JSON
        for record in records(hint):
            # The page explains what a flow and a chat have of a request's members, and data, with `http`.
            if kind not in ("flow", "chat") or record in (Step, PromptLine):
                assert_documented(record, text, but=OF_REQUESTS if record is Step else ())
    examples = [
        line for block in re.findall(rf"```json {group}\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    assert any(json.loads(line).get("kind") == kind for line in examples), f"no example of {kind}"


@pytest.mark.parametrize(
    ("record", "heading"),
    [("RunSpec", "Specification"), ("Workload", "Workload"), ("Objective", "Objectives"), ("Thresholds", "Thresholds")],
)
def test_each_record_is_there_with_its_members(record: str, heading: str) -> None:
    assert_documented(getattr(aurea_engine, record), section(PAGE.read_text(), f"## {heading}"))


def test_common_cost_members_are_listed_once() -> None:
    """What nearly all cost models have is there once."""
    text = section(PAGE.read_text(), "## Cost models")
    assert_documented(PerSecond, text, but=("price", "step", "minimum"))


def test_everything_documented_exists() -> None:
    """Nothing is documented that does not exist."""
    kinds = {(group, kind) for group, heading in HEADINGS.items()
             for kind in re.findall(r"^### `(\w+)`$", section(PAGE.read_text(), f"## {heading}"), re.MULTILINE)}  # fmt: skip
    assert kinds == set(KINDS)
