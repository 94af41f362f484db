"""JSON values → the figures of a result: counts, times, marks, measures, groups, findings and histograms.

Each function reads one member, adds what is wrong with it to the problems, and then returns something that stands for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from aurea_engine.closed_sets import FINDING_CODES, OUTCOMES, SEVERITIES, Severity, Status
from aurea_engine.codec.histograms import histogram_from_dict
from aurea_engine.codec.member_reading import Members
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Schema
from aurea_engine.records.quantiles import QUANTILES
from aurea_engine.results.findings import Finding
from aurea_engine.results.floor import Floor
from aurea_engine.results.result import Counts, GroupResult, MarkTimes, MeasureAmounts
from aurea_engine.results.shard_figures import ShardLoss, ShardResult
from aurea_engine.results.statistics import Interval, Timing
from aurea_engine.run.job_times import SPANS, name_from_start

Number = Annotated[int, Meta(ge=0, le=10**18)]
Text = Annotated[str, Meta(max_length=10_000)]
Span = Annotated[float, Meta(ge=0, le=1e10)]
"""Seconds: int64 nanoseconds end at 9.2e9 of them."""

Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[float, Meta(ge=0, le=1e300)]

Figure = float | None


def read_counts(members: Members) -> Counts:
    """The counts of a run or of a group: they add up, or the document is no result."""
    counts = members.read_object("counts")
    if "counts" not in members.data:
        members.report("counts", "is required: a run that came to no result has none")
    # 0 where one is missing: earlier versions did not know every outcome, and then no job had it.
    each = {name: counts.read(name, Number, 0) or 0 for name in OUTCOMES}
    arrived = counts.read("arrived", Number, 0) or 0
    if sum(each.values()) != arrived:
        members.report(
            "counts", f"must add up to arrived: the others are {sum(each.values())} jobs, and {arrived} arrived"
        )
    return Counts(arrived, **each)


def read_timing(members: Members, name: str) -> Timing:
    """The figures of a kind of time, a mark or a measure."""
    timing = members.read_object(name)
    figures = {each: timing.read(each, Figure) for each in ("mean", "std", "min", "max", *QUANTILES)}
    intervals = timing.read_object("intervals")
    # Others are left out rather than refused: a later version may know more quantiles.
    found = {
        each: intervals.read_object(each).fill(Interval) for each in intervals.data if each in ("mean", *QUANTILES)
    }
    return Timing(
        timing.read("count", Number, 0),
        **figures,
        mean_interval=found.pop("mean", None),
        intervals=tuple(found.items()),
        exact=timing.read("exact", bool, True),
    )


# Marks and measures are read by name, as objects: their order is that of the declarations.
def read_marks(members: Members) -> dict[str, MarkTimes]:
    marks = members.read_object("marks")
    return {
        name: MarkTimes(read_timing(marks, name), read_timing(marks.read_object(name), "from_start"))
        for name in marks.data
    }


def read_measures(members: Members) -> dict[str, MeasureAmounts]:
    measures = members.read_object("measures")
    return {
        name: MeasureAmounts(
            (each := measures.read_object(name)).read("unit", Text, ""),
            each.read("scale", Number, 1),
            # A whole number where the measure counts whole ones; those may be larger than a float can tell apart.
            each.read("total", Whole | Amount | None, 0),
            read_timing(measures, name),
            each.read("rate", Figure, None),
        )
        for name in measures.data
    }


def read_failures(members: Members) -> dict[str, int]:
    """Class → jobs, which earlier versions called ``errors``."""
    return _read_numbers(members, "failures" if "failures" in members.data else "errors")


def read_statuses(members: Members) -> dict[str, int]:
    """Code → jobs."""
    return _read_numbers(members, "statuses")


def _read_numbers(members: Members, name: str) -> dict[str, int]:
    numbers = members.read_object(name)
    return {str(each): numbers.read(each, Number, 0) or 0 for each in numbers.data}


def read_group(members: Members) -> GroupResult:
    return GroupResult(
        members.require("name", Text) or "",
        read_counts(members),
        read_failures(members),
        read_timing(members, "response_time"),
        read_timing(members, "waiting_time"),
        read_timing(members, "service_time"),
        read_timing(members, "lag"),
        read_marks(members),
        read_measures(members),
        members.read("not_reached", Number | None, None),
        read_statuses(members),
    )


def read_floor(members: Members) -> Floor | None:
    """What a null target allowed, where that was measured."""
    if members.data.get("floor") is None:
        return None
    floor = members.read_object("floor")
    return Floor(
        floor.read("throughput", Figure),
        floor.read("users", Number | None, None),
        read_timing(floor, "service_time"),
        read_timing(floor, "response_time"),
    )


def read_shard(members: Members) -> ShardResult:
    """How one of several processes fared."""
    lost = members.read_object("loss")
    return ShardResult(
        members.require("shard", Number) or 0,
        members.read("host", Text, ""),
        members.read("process", Number, 0),
        members.read("status", Status | None),
        members.read("jobs", Number, 0),
        members.read("late_share", Figure),
        members.read("worst_lag", Figure),
        **{
            name: members.read(name, float, 0.0)
            for name in ("cpu", "busy", "start_skew", "clock_offset", "clock_bound")
        },
        loss=None if members.data.get("loss") is None else lost.fill(ShardLoss),
    )


def read_findings(members: Members) -> Iterator[Finding]:
    for each in members.read_objects("findings"):
        code, severity = each.require("code", str), each.require("severity", str)
        detail, advice = each.read("detail", Text, ""), each.read("advice", Text, "")
        if code not in FINDING_CODES:
            each.report("code", f"must be one of {', '.join(FINDING_CODES)}")
        elif severity not in SEVERITIES:
            each.report("severity", f"must be one of {', '.join(SEVERITIES)}")
        else:
            yield Finding(code, Severity[severity.upper()], detail, advice, each.read("at", Figure, None))


def read_histograms(members: Members, schema: Schema) -> dict[str, LatencyHistogram]:
    # Of names that are not known nothing can be made: they may be of a later version.
    found = members.read_object("histograms")
    known = {*SPANS, *(name_from_start(mark) for mark in schema.marks), *(each.name for each in schema.declared)}
    known |= {each.name for each in schema.run_measures}
    return {
        name: histogram_from_dict(data, found.path_of(name), members.problems)
        for name, data in found.data.items()
        if name in known
    }
