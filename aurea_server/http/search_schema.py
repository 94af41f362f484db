"""The bodies and answers of capacity searches as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurea_engine.closed_sets import (
    CAPACITY_STATUSES,
    CAPACITY_VARIABLES,
    REASONS,
    RUN_ID_PATTERN,
    SEARCH_ID_PATTERN,
    SEARCH_PHASES,
    STATES,
    TRIAL_OUTCOMES,
)
from aurea_engine.fields.units import RATE_PATTERN
from aurea_server.runs.searches.order import MOST_COSTS

Schema = dict[str, Any]

NUMBER: Schema = {"type": ["number", "null"]}
TEXT: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
BRACKET: Schema = {"type": "object", "properties": {"low": NUMBER, "high": NUMBER}, "required": ["low", "high"]}
_VALUE: Schema = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1e9},
        {"type": "string", "pattern": RATE_PATTERN},
        {"type": "null"},
    ]
}


def describe_search_members(cost_models: Schema) -> Schema:
    """What stands beside the specification of a search: see `aurea_server.runs.searches.order`."""
    models = [
        {"type": "array", "maxItems": MOST_COSTS, "items": cost_models},
        {"type": "object", "maxProperties": MOST_COSTS, "additionalProperties": cost_models},
    ]
    variable = {"enum": [*CAPACITY_VARIABLES, None], "default": "rate", "description": "What is varied."}
    return {
        "variable": variable,
        "low": {**_VALUE, "description": "Lower bound of the search, jobs per second or slots."},
        "high": {**_VALUE, "description": "Upper bound of the search."},
        "rate": {"type": ["string", "null"], "description": "Both bounds of a rate, as 100/s..500/s."},
        "slots": {"type": ["string", "null"], "description": "Both bounds of slots, as 1..8."},
        "require": {**_VALUE, "description": "Verify this one value instead of searching."},
        "confirm": {"type": ["boolean", "null"], "description": "Verify for real what was found in virtual time."},
        "costs": {"anyOf": [*models, {"type": "null"}], "description": "Cost models to price the answer with."},
    }


def describe_body(forms: Mapping[str, Schema], cost_models: Schema) -> Schema:
    """The body of a search. ``forms``: the forms of a specification, by name; each has the members of the search, too."""
    members = describe_search_members(cost_models)
    objectives = {"minItems": 1}
    described = []
    for form in forms.values():
        properties = {**form["properties"], **members}
        properties["objectives"] = {**properties["objectives"], **objectives}
        described.append({**form, "properties": properties, "required": [*form["required"], "objectives"]})
    return {"anyOf": described}


def describe_searches() -> dict[str, Schema]:
    """Components of the answers."""
    reason = {
        "type": "object",
        "properties": {"code": {"enum": sorted(REASONS)}, "detail": {"type": "string"}},
        "required": ["code", "detail"],
    }
    trial = {
        "value": NUMBER,
        "seed": COUNT,
        "jobs": COUNT,
        "phase": {"enum": list(SEARCH_PHASES)},
        "outcome": {"enum": list(TRIAL_OUTCOMES)},
        "passed": {"type": ["boolean", "null"]},
        "run_id": {"type": ["string", "null"], "pattern": f"^{RUN_ID_PATTERN}$"},
    }
    answer = {
        "status": {"enum": list(CAPACITY_STATUSES)},
        "reason": {"type": "string"},
        "variable": {"enum": list(CAPACITY_VARIABLES)},
        "value": NUMBER,
        "interval": BRACKET,
    }
    search = {
        "search_id": {"type": "string", "pattern": f"^{SEARCH_ID_PATTERN}$"},
        "status": {"enum": list(STATES)},
        "label": TEXT,
        "created_time": {"type": "string"},
        "start_time": TEXT,
        "end_time": TEXT,
        "search": {"type": "object"},
        "progress": {"type": ["object", "null"]},
        "reason": {"anyOf": [reason, {"type": "null"}]},
    }
    found = {"anyOf": [{"$ref": "#/components/schemas/CapacityAnswer"}, {"type": "null"}]}
    whole = {**search, "answer": found, "trials": {"type": "array", "items": {"$ref": "#/components/schemas/Trial"}}}
    listed = {**search, "answer": {"type": ["object", "null"]}}
    page = {"searches": {"type": "array", "items": _object(listed, ["search_id", "status"])}, "next": TEXT}
    return {
        "Trial": _object(trial, list(trial)),
        "CapacityAnswer": _object(answer, list(answer)),
        "Search": _object(whole, ["search_id", "status", "search", "progress", "trials", "answer", "reason"]),
        "SearchPage": _object(page, ["searches", "next"]),
    }


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}
