"""The schema of a run over time: columns for charts."""

from __future__ import annotations

from typing import Any

from aurea_engine.records.series import MOST
from aurea_engine.report.series_columns import CELLS
from aurea_server.runs.live_series import COUNTS, TIMES

OTHERS = ("in_system", "in_service", "waiting", *TIMES, "lag", "cost")


def describe_series() -> dict[str, Any]:
    """What ``GET /benchmark/runs/{run_id}/series`` answers. A column is null where the run does not tell it."""
    numbers = {"type": ["array", "null"], "items": {"type": ["number", "null"]}, "maxItems": MOST}
    counts = {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": MOST}
    cells = {"type": "array", "items": {"type": "integer"}}
    points = {
        "until": {"type": "array", "items": {"type": "number"}, "maxItems": MOST},
        **dict.fromkeys(COUNTS, counts),
        **dict.fromkeys(OTHERS, numbers),
        "heat": {
            "type": ["array", "null"],
            "items": cells,
            "description": "Of each point: cell, count, cell, count, …",
        },
    }
    theory = {"model": {"type": "string"}, "times": numbers, "shares": numbers}
    properties = {
        "benchmark_id": {"type": "string"},
        "width": {"type": "number", "description": "Seconds of a point."},
        "points": {"type": "object", "properties": points, "required": ["until"]},
        "cells": {"const": CELLS, "description": "Cells an octave of response times."},
        "histograms": {"type": "object", "additionalProperties": {"type": ["object", "null"]}},
        "theory": {"type": ["object", "null"], "properties": theory},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
