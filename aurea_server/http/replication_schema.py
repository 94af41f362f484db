"""The schemas of a repeated run in a result: a row for each replication, and every figure over all of them."""

from __future__ import annotations

from typing import Any

from aurea_engine.closed_sets import FINDING_CODES, REASONS, STATUSES, VERDICTS

NUMBER, COUNT = {"type": ["number", "null"]}, {"type": "integer", "minimum": 0}
POSITION = {"type": "integer", "minimum": 1}


def describe_replication() -> dict[str, Any]:
    """One replication. Its figures are members by their names, which depend on what the jobs report."""
    reason = {
        "type": "object",
        "properties": {"code": {"enum": sorted(REASONS)}, "detail": {"type": "string"}},
        "required": ["code", "detail"],
    }
    facts = {
        "replication": POSITION,
        "seed": COUNT,
        "status": {"enum": list(STATUSES)},
        "verdict": {"enum": [*VERDICTS, None]},
        "reason": {"anyOf": [reason, {"type": "null"}]},
        "counts": {"type": "boolean", "description": "Whether it is in the figures over replications."},
        "num_jobs": COUNT,
        "completed_jobs": COUNT,
        "findings": {"type": "array", "items": {"enum": sorted(FINDING_CODES)}},
    }
    return {"type": "object", "properties": facts, "required": list(facts), "additionalProperties": NUMBER}


def describe_repeat() -> dict[str, Any]:
    """All of them together; null of a run that was not repeated."""
    level = {"low": {"type": "number"}, "high": {"type": "number"}, "level": {"type": "number"}}
    interval = {"type": "object", "properties": level, "required": list(level)}
    figure = {
        "mean": {"type": "number"},
        "interval": {"anyOf": [interval, {"type": "null"}]},
        **dict.fromkeys(("std", "min", "max", "pooled"), NUMBER),
        "outlying": {"type": "array", "items": POSITION},
    }
    figures = {"type": "object", "properties": figure, "required": list(figure)}
    whole = {
        "asked": POSITION,
        "counted": COUNT,
        "until": NUMBER,
        "figures": {"type": "object", "additionalProperties": figures},
    }
    return {"anyOf": [{"type": "object", "properties": whole, "required": list(whole)}, {"type": "null"}]}
