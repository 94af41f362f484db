"""JSON values → results: the inverse of `aurea_engine.codec.results`, for what this or an earlier version wrote.

What is read may come from anywhere, so nothing is taken for granted: every member is converted and bounded, all problems are
reported at once, and no step takes longer than the document is large. Members that earlier versions did not write get the
value that they would have had. Two things are worked out again rather than read:

- The *cost* is priced from the usage by the specification's cost model. JSON shows quantities as decimals, and a third of a
  unit has no end; the usage is exact. Where the price does not come out as written (by another version of somebody's model),
  what was written stands, with the digits that it has.
- The *start* is shown to the millisecond; the usage knows the microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Annotated, cast, get_args

from msgspec import Meta

from aurea_engine.closed_sets import (
    FINDING_CODES,
    OUTCOMES,
    REASONS,
    SEVERITIES,
    ObjectiveOutcome,
    Reason,
    Severity,
    Status,
)
from aurea_engine.codec.catalog import Catalog
from aurea_engine.codec.histograms import histogram_from_dict
from aurea_engine.codec.members import Members
from aurea_engine.codec.results import format_utc
from aurea_engine.codec.specifications import spec_from_dict
from aurea_engine.costs import Cost, Line, RunInfo, SheetRef, Usage, price
from aurea_engine.costs.bill_lines import Basis
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import MOST_PROBLEMS
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Schema
from aurea_engine.records.quantiles import QUANTILES
from aurea_engine.records.rows import records_from_rows
from aurea_engine.records.series import Point
from aurea_engine.results.findings import Finding
from aurea_engine.results.result import (
    Concurrency,
    Counts,
    GroupResult,
    MarkTimes,
    MeasureAmounts,
    ObjectiveResult,
    RunResult,
    TheoryRow,
)
from aurea_engine.results.statistics import Interval, Timing
from aurea_engine.run.meters import SPANS, name_from_start
from aurea_engine.spec import RunSpec

Number = Annotated[int, Meta(ge=0, le=10**18)]
Text = Annotated[str, Meta(max_length=10_000)]
Span = Annotated[float, Meta(ge=0, le=1e10)]
"""Seconds: int64 nanoseconds end at 9.2e9 of them."""

Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[float, Meta(ge=0, le=1e300)]

Figure = float | None


def result_from_dict(
    data: object, catalog: Catalog | None = None, *, local: bool = True, keep_unknown: bool = False
) -> RunResult:
    """The result that `result_to_dict` wrote as ``data``, also an earlier version's. Raises `SpecError` with every problem.

    ``jobs`` is None where ``data`` does not hold all of them. ``local`` False is for what came from elsewhere: then its
    specification may name no file of this machine. ``keep_unknown``: kinds that the catalog does not know are kept as they
    are, so that the result can be shown and written again, but not run.
    """
    problems: list[Problem] = []
    members = Members(data, "", problems)
    # What is no object has no members: whatever else could be said of it is the same once more.
    result = None
    if not problems:
        spec = _read_spec(members, lambda data: spec_from_dict(data, catalog, local=local, keep_unknown=keep_unknown))
        result = _read_result(members, spec)
    if result is None or problems:
        raise SpecError(problems[:MOST_PROBLEMS])
    return result


def _read_result(members: Members, spec: RunSpec | None) -> RunResult | None:
    usage, counts = _read_usage(members), _read_counts(members)
    benchmark_id, status = members.require("benchmark_id", Text), members.require("status", Status)
    duration = members.read("duration", Span, 0.0)
    started_at = _read_start(members, usage, duration)
    errors, window = members.read_object("errors"), members.read_object("window")
    result = RunResult(
        benchmark_id=benchmark_id,
        status=status,
        spec=cast(RunSpec, spec),
        started_at=cast(datetime, started_at),
        duration=duration,
        window=(window.read("start", Span, 0.0), window.read("end", Span, duration)),
        counts=counts,
        good=members.read("good", Number, counts.completed if usage.run.good is None else usage.run.good),
        errors={str(name): errors.read(name, Number) for name in errors.data},
        offered_rate=members.read("offered_rate", Figure),
        throughput=members.read("throughput", Figure),
        goodput=members.read("goodput", Figure),
        utilization=members.read("utilization", Figure),
        concurrency=members.read_object("concurrency").fill(Concurrency, mean=None, peak=None),
        response_time=_read_timing(members, "response_time"),
        waiting_time=_read_timing(members, "waiting_time"),
        service_time=_read_timing(members, "service_time"),
        lag=_read_timing(members, "lag"),
        failure_time=_read_timing(members, "failure_time"),
        # Put in below: a price needs the specification, which may be what is wrong.
        cost=Cost("USD", (), Fraction(0), Fraction(0)),
        usage=usage,
        findings=tuple(_read_findings(members)),
        theory=tuple(each.fill(TheoryRow) for each in members.read_objects("theory")),
        series=tuple(each.fill(Point, abandoned=0) for each in members.read_object("series").read_objects("points")),
        series_width=members.read_object("series").read("width", Number, 1),
        environment=members.read_plain("environment"),
        jobs=_read_jobs(members, counts, spec),
        marks=_read_marks(members),
        measures=_read_measures(members),
        groups=tuple(_read_group(each) for each in members.read_objects("groups")),
        reason=_read_reason(members, status),
        histograms=_read_histograms(members, Schema() if spec is None else spec.workload.schema),
    )
    if spec is None:
        return None  # what follows depends on it, and it has said what is wrong
    return replace(result, cost=_read_cost(members, usage, spec), objectives=tuple(_read_objectives(members, spec)))


def _read_spec(members: Members, read: Callable[[object], RunSpec]) -> RunSpec | None:
    try:
        return read(members.data.get("spec"))
    except SpecError as error:
        members.problems += [problem.within("spec") for problem in error.problems]
        return None


def _read_usage(members: Members) -> Usage:
    """What the meters counted; nothing, in a result of a version that did not keep it."""
    if members.data.get("usage") is not None:
        try:
            return Usage.from_dict(members.data["usage"])
        except SpecError as error:
            members.problems += error.problems
    return Usage(RunInfo(0), {})


def _read_counts(members: Members) -> Counts:
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


def _read_start(members: Members, usage: Usage, duration: float | None) -> datetime | None:
    shown, exact = members.read_instant("start_time"), usage.run.started_at
    if shown is None:
        return None
    try:
        _ = shown + timedelta(seconds=duration or 0, days=1)  # a day more, for whoever shows it in another time zone
    except OverflowError:
        members.report("start_time", "is so late that the run would end after the year 9999")
    # The usage is only believed where it says the same instant, more exactly.
    return exact if exact is not None and format_utc(exact) == format_utc(shown) else shown


def _read_timing(members: Members, name: str) -> Timing:
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


def _read_marks(members: Members) -> dict[str, MarkTimes]:
    marks = members.read_object("marks")
    return {
        name: MarkTimes(_read_timing(marks, name), _read_timing(marks.read_object(name), "from_start"))
        for name in marks.data
    }


def _read_measures(members: Members) -> dict[str, MeasureAmounts]:
    measures = members.read_object("measures")
    return {
        name: MeasureAmounts(
            (each := measures.read_object(name)).read("unit", Text, ""),
            each.read("scale", Number, 1),
            each.read("total", Whole | Amount, 0),
            _read_timing(measures, name),
        )
        for name in measures.data
    }


def _read_group(members: Members) -> GroupResult:
    errors = members.read_object("errors")
    return GroupResult(
        members.require("name", Text) or "",
        _read_counts(members),
        {str(name): errors.read(name, Number) for name in errors.data},
        _read_timing(members, "response_time"),
        _read_timing(members, "waiting_time"),
        _read_timing(members, "service_time"),
        _read_timing(members, "lag"),
        _read_marks(members),
        _read_measures(members),
    )


def _read_findings(members: Members) -> Iterator[Finding]:
    for each in members.read_objects("findings"):
        code, severity = each.require("code", str), each.require("severity", str)
        detail, advice = each.read("detail", Text, ""), each.read("advice", Text, "")
        if code not in FINDING_CODES:
            each.report("code", f"must be one of {', '.join(FINDING_CODES)}")
        elif severity not in SEVERITIES:
            each.report("severity", f"must be one of {', '.join(SEVERITIES)}")
        else:
            yield Finding(code, Severity[severity.upper()], detail, advice)


def _read_objectives(members: Members, spec: RunSpec) -> Iterator[ObjectiveResult]:
    """Each beside the objective of the specification that it judges: they stand in the same order."""
    judged = list(members.read_objects("objectives"))
    if len(judged) != len(spec.objectives):
        members.report("objectives", f"must be one for each of the {len(spec.objectives)} in the specification")
        return
    for each, objective in zip(judged, spec.objectives, strict=True):
        outcome = each.require("outcome", ObjectiveOutcome)
        yield ObjectiveResult(objective, outcome, each.read("observed", Figure), each.read("detail", Text, ""))


def _read_jobs(members: Members, counts: Counts, spec: RunSpec | None) -> JobBatch | None:
    """The records, where all of them are there: a part of them would pass for the whole."""
    rows = members.data.get("jobs")
    # An empty list is all of no jobs, and also what stands for records that were not kept.
    not_kept = spec is not None and not spec.keep_jobs
    if members.data.get("jobs_truncated") is not False or rows is None or not_kept:
        return None
    try:
        jobs = records_from_rows(rows, None if spec is None else spec.workload.schema)
    except SpecError as error:
        members.problems += error.problems
        return None
    if jobs is not None and len(jobs) != counts.arrived:
        members.report("jobs", f"must be the {counts.arrived} that arrived where jobs_truncated is false")
    return jobs


def _read_reason(members: Members, status: Status | None) -> Reason | None:
    if status is None or status == "completed":
        return None
    # Earlier versions wrote none for a run with a result; its status implies the usual one.
    if members.data.get("reason") is None:
        return Reason.usual(status)
    reason = members.read_object("reason")
    code = reason.require("code", str)
    if code not in REASONS:
        reason.report("code", f"must be one of {', '.join(REASONS)}")
        return None
    return Reason(code, reason.read("detail", Text, ""))


def _read_histograms(members: Members, schema: Schema) -> dict[str, LatencyHistogram]:
    found = members.read_object("histograms")
    known = {*SPANS, *(name_from_start(mark) for mark in schema.marks), *(each.name for each in schema.declared)}
    return {
        name: histogram_from_dict(data, found.path_of(name), members.problems)
        for name, data in found.data.items()
        if name in known
    }


def _read_cost(members: Members, usage: Usage, spec: RunSpec) -> Cost:
    """Priced again, or as it is written where that is something else."""
    # Never raises for what a model does, and takes time in proportion to the usage, whose numbers are bounded.
    priced, written = price(usage, spec.cost), members.read_object("cost")
    again = priced.to_dict()
    if all(value == again[name] for name, value in members.read_plain("cost").items() if name in again):
        return priced
    # A credit no longer knows which lines it belongs to; that only matters to how idle and wasted money is shared out.
    return Cost(
        written.read("currency", Text, "USD"),
        tuple(_read_line(line) for line in written.read_objects("lines")),
        priced.attempts,
        priced.successes,
        priced.good,
        written.read(
            "problem", Text | None, None if written.data.get("total") is not None else "the price is not known"
        ),
        tuple(sheet.fill(SheetRef) for sheet in written.read_objects("sheets")),
    )


def _read_line(line: Members) -> Line:
    basis = line.read("basis", Basis, get_args(Basis)[0])
    return Line(
        line.require("name", Text) or "",
        line.read_ratio("quantity") or Fraction(0),
        line.read("unit", Text, ""),
        line.read_ratio("unit_price"),
        basis,
        line.read_ratio("consumed"),
        line.read_ratio("used"),
        line.read("source", Text, ""),
    )
