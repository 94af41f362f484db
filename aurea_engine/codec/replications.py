"""Replications ↔ JSON values: ``replications``, a row for each, and ``repeat``, every figure over all of them.

A row has the figures of its replication as members by their names, which are the names of the figures over all of them:
``throughput``, ``response_time.p99``. What a replication has not is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from msgspec import Meta

from aurea_engine.closed_sets import FINDING_CODES, REASONS, Reason, Status, Verdict
from aurea_engine.codec.figure_reading import Figure, Number, Text, Whole
from aurea_engine.codec.member_reading import Members
from aurea_engine.results.replications import LEVEL, Replication, Replications, Spread
from aurea_engine.results.statistics import Interval

Position = Annotated[int, Meta(ge=1, le=10**6)]

FACTS = ("replication", "seed", "status", "verdict", "reason", "counts", "num_jobs", "completed_jobs", "findings")
"""Members of a row that are no figures. The name of a figure of a mark or a measure has a dot in it."""


def encode_replications(replications: Replications | None) -> dict[str, Any]:
    """Both members; an empty list and null of a run that was not repeated."""
    if replications is None:
        return {"replications": [], "repeat": None}
    return {
        "replications": [_encode_one(each) for each in replications.each],
        "repeat": {
            "asked": replications.asked,
            "counted": len(replications.counted),
            "until": replications.until,
            "figures": {spread.name: _encode_spread(spread) for spread in replications.spreads},
        },
    }


def _encode_one(one: Replication) -> dict[str, Any]:
    return {
        "replication": one.number,
        "seed": one.seed,
        "status": one.status,
        "verdict": one.verdict,
        "reason": None if one.reason is None else asdict(one.reason),
        "counts": one.counts,
        "num_jobs": one.arrived,
        "completed_jobs": one.completed,
        "findings": list(one.findings),
        **one.figures,
    }


def _encode_spread(spread: Spread) -> dict[str, Any]:
    interval = spread.interval
    return {
        "mean": spread.mean,
        "interval": None if interval is None else {**asdict(interval), "level": LEVEL},
        "std": spread.std,
        "min": spread.min,
        "max": spread.max,
        "pooled": spread.pooled,
        "outlying": list(spread.outlying),
    }


def read_replications(members: Members) -> Replications | None:
    """What `encode_replications` wrote; None where it wrote that there are none, or an earlier version wrote nothing."""
    if members.data.get("repeat") is None:
        return None
    repeat = members.read_object("repeat")
    return Replications(
        repeat.require("asked", Position) or 1,
        tuple(_read_one(each) for each in members.read_objects("replications")),
        tuple(_read_spreads(repeat.read_object("figures"))),
        repeat.read("until", Figure),
    )


def _read_one(row: Members) -> Replication:
    # A code that a later version has is left out: it is a name, and says nothing by itself.
    findings = row.read("findings", list[Text], []) or ()
    return Replication(
        row.require("replication", Position) or 1,
        row.require("seed", Whole) or 0,
        row.require("status", Status) or "failed",
        row.read("verdict", Verdict | None),
        _read_reason(row),
        row.read("num_jobs", Number, 0) or 0,
        row.read("completed_jobs", Number, 0) or 0,
        tuple(code for code in findings if code in FINDING_CODES),
        {name: row.read(name, Figure) for name in row.data if name not in FACTS},
    )


def _read_reason(row: Members) -> Reason | None:
    if row.data.get("reason") is None:
        return None
    reason = row.read_object("reason")
    code = reason.require("code", str)
    if code not in REASONS:
        reason.report("code", f"must be one of {', '.join(REASONS)}")
        return None
    return Reason(code, reason.read("detail", Text, "") or "")


def _read_spreads(figures: Members) -> Iterator[Spread]:
    for name in figures.data:
        spread = figures.read_object(name)
        has_interval = spread.data.get("interval") is not None
        low, high = (spread.read_object("interval").read(end, float, 0.0) for end in ("low", "high"))
        yield Spread(
            name,
            spread.require("mean", float) or 0.0,
            Interval(low or 0.0, high or 0.0) if has_interval else None,
            spread.read("std", Figure),
            spread.require("min", float) or 0.0,
            spread.require("max", float) or 0.0,
            spread.read("pooled", Figure),
            tuple(spread.read("outlying", list[Position], []) or ()),
        )
