"""The schema of a comparison of two runs, whose words, figures and codes are closed sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurea_engine.closed_sets import COMPARED_FIGURES, COMPARISON_REMARKS, COMPARISON_WORDS

NUMBER, TEXT = {"type": "number"}, {"type": "string"}


def describe_comparison() -> dict[str, Any]:
    """What ``GET /benchmark/compare`` answers."""
    word, figure = {"enum": list(COMPARISON_WORDS)}, {"enum": list(COMPARED_FIGURES)}
    remarks = _list(_object({"code": {"enum": list(COMPARISON_REMARKS)}, "detail": TEXT}))
    interval = _object({"low": NUMBER, "high": NUMBER, "level": NUMBER})
    compared = {
        "figure": figure,
        "a": NUMBER,
        "b": NUMBER,
        "shift": NUMBER,
        "interval": _or_null(interval),
        "word": word,
    }
    return _object(
        {
            "word": word,
            "comparable": {"type": "boolean"},
            "reasons": remarks,
            "notes": remarks,
            "tolerance": NUMBER,
            "a": TEXT,
            "b": TEXT,
            "figures": _list(_object(compared)),
            "left_out": _list(_object({"figure": figure, "why": TEXT})),
            "effect": _or_null(_object({"b_slower": NUMBER, "size": TEXT})),
            "currency": _or_null(TEXT),
        }
    )


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """All of its members are always there."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
