"""JSON values → results: the inverse of `aurea_engine.codec.results`, for what this or an earlier version wrote.

What is read may come from anywhere, so nothing is taken for granted: every member is converted and bounded, all problems are
reported at once, and no step takes longer than the document is large. Members that earlier versions did not write get the
value that they would have had. Two things are computed again instead of read:

- The *cost* is priced from the usage by the specification's cost model. JSON shows quantities as decimals, and a third of a
  unit has no end; the usage is exact. Where the price does not come out as written (by another version of a third-party
  model), what was written stands, with the digits that it has.
- The *start* is shown to the millisecond; the usage knows the microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import cast, get_args

from aurea_engine.closed_sets import (
    REASONS,
    ObjectiveOutcome,
    Reason,
    Status,
)
from aurea_engine.codec.catalog import Catalog, default_catalog
from aurea_engine.codec.figure_reading import (
    Figure,
    Number,
    Span,
    Text,
    read_counts,
    read_failures,
    read_findings,
    read_floor,
    read_group,
    read_histograms,
    read_marks,
    read_measures,
    read_shard,
    read_statuses,
    read_timing,
)
from aurea_engine.codec.member_reading import Members
from aurea_engine.codec.replications import read_replications
from aurea_engine.codec.results import format_utc
from aurea_engine.codec.specifications import read_spec
from aurea_engine.codec.unknown_kinds import StandIns
from aurea_engine.costs import Cost, Line, RunInfo, SheetRef, Usage, price
from aurea_engine.costs.bill_lines import Basis
from aurea_engine.costs.bill_validation import validate_lines
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import MOST_PROBLEMS
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.measures import Mark, Measure, Schema
from aurea_engine.records.rows import records_from_rows
from aurea_engine.records.series import Point
from aurea_engine.results.result import (
    Concurrency,
    Counts,
    ObjectiveResult,
    RunResult,
    TheoryRow,
)
from aurea_engine.results.statistics import Interval
from aurea_engine.spec import RunSpec


def result_from_dict(
    data: object, catalog: Catalog | None = None, *, local: bool = True, keep_unknown: bool = False
) -> RunResult:
    """The result that `result_to_dict` wrote as ``data``, also an earlier version's. Raises `SpecError` with every problem.

    ``jobs`` is None if ``data`` does not hold all of them. ``local`` False is for what came from elsewhere: no file that its
    specification names is opened. ``keep_unknown``: kinds that the catalog does not know, or that would have to open a file,
    are kept as they are, so that the result can be shown and written again, but not run.
    """
    problems: list[Problem] = []
    members = Members(data, "", problems)
    # Something that is not an object has no members. Further problems of it would repeat the first.
    result = None
    if not problems:
        stand_ins = StandIns(*_read_declared(members)) if keep_unknown else None
        spec = _read_spec(
            members,
            lambda data: read_spec(data, catalog or default_catalog(), local=True, opens=local, stand_ins=stand_ins),
        )
        result = _read_result(members, spec)
    if result is None or problems:
        raise SpecError(problems[:MOST_PROBLEMS])
    return result


def _read_result(members: Members, spec: RunSpec | None) -> RunResult | None:
    usage, counts = _read_usage(members), read_counts(members)
    benchmark_id, status = members.require("benchmark_id", Text), members.require("status", Status)
    duration = members.read("duration", Span, 0.0)
    started_at = _read_start(members, usage, duration)
    window = members.read_object("window")
    result = RunResult(
        benchmark_id=benchmark_id,
        status=status,
        spec=cast(RunSpec, spec),
        started_at=cast(datetime, started_at),
        duration=duration,
        window=(window.read("start", Span, 0.0), window.read("end", Span, duration)),
        counts=counts,
        good=members.read("good", Number, counts.completed if usage.run.good is None else usage.run.good),
        failures=read_failures(members),
        offered_rate=members.read("offered_rate", Figure),
        throughput=members.read("throughput", Figure),
        goodput=members.read("goodput", Figure),
        utilization=members.read("utilization", Figure),
        concurrency=members.read_object("concurrency").fill(Concurrency, mean=None, peak=None),
        response_time=read_timing(members, "response_time"),
        waiting_time=read_timing(members, "waiting_time"),
        service_time=read_timing(members, "service_time"),
        lag=read_timing(members, "lag"),
        failure_time=read_timing(members, "failure_time"),
        # Put in below: a price needs the specification, which may be what is wrong.
        cost=Cost("USD", (), Fraction(0), Fraction(0)),
        usage=usage,
        findings=tuple(read_findings(members)),
        theory=tuple(each.fill(TheoryRow) for each in members.read_objects("theory")),
        series=tuple(
            each.fill(Point, abandoned=0, p90=None) for each in members.read_object("series").read_objects("points")
        ),
        series_width=members.read_object("series").read("width", Number, 1),
        environment=members.read_plain("environment"),
        jobs=_read_jobs(members, counts, spec),
        marks=read_marks(members),
        measures=read_measures(members),
        groups=tuple(read_group(each) for each in members.read_objects("groups")),
        statuses=read_statuses(members),
        floor=read_floor(members),
        shards=tuple(read_shard(each) for each in members.read_objects("shards")),
        replications=read_replications(members),
        reason=_read_reason(members, status),
        histograms=read_histograms(members, Schema() if spec is None else spec.workload.schema),
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


def _read_declared(members: Members) -> tuple[tuple[Mark, ...], tuple[Measure, ...]]:
    """The marks and measures that the result has figures of, as the jobs that reported them declared them."""
    marks, measures = members.read_object("marks"), members.read_object("measures")
    try:
        return tuple(map(Mark, marks.data)), tuple(
            Measure(name, *(measures.read_object(name).data.get(each, missing) for each, missing in DECLARED))
            for name in measures.data
        )
    except SpecError as error:
        members.problems += [problem.within("measures") for problem in error.problems]
        return (), ()


DECLARED = (("unit", ""), ("scale", 1))
"""Members of a measure's figures that are of its declaration, and what stands for one that is missing."""


def _read_usage(members: Members) -> Usage:
    """What the meters counted; nothing, in a result of a version that did not keep it."""
    if members.data.get("usage") is not None:
        try:
            return Usage.from_dict(members.data["usage"])
        except SpecError as error:
            members.problems += error.problems
    return Usage(RunInfo(0), {})


def _read_start(members: Members, usage: Usage, duration: float | None) -> datetime | None:
    shown, exact = members.read_instant("start_time"), usage.run.started_at
    if shown is None:
        return None
    try:
        _ = shown + timedelta(seconds=duration or 0, days=1)  # a day more, for other time zones
    except OverflowError:
        members.report("start_time", "is so late that the run would end after the year 9999")
    # The usage is only believed where it says the same instant, more exactly.
    return exact if exact is not None and format_utc(exact) == format_utc(shown) else shown


def _read_objectives(members: Members, spec: RunSpec) -> Iterator[ObjectiveResult]:
    """Each beside the objective of the specification that it judges: they stand in the same order."""
    judged = list(members.read_objects("objectives"))
    if len(judged) != len(spec.objectives):
        members.report("objectives", f"must be one for each of the {len(spec.objectives)} in the specification")
        return
    for each, objective in zip(judged, spec.objectives, strict=True):
        outcome = each.require("outcome", ObjectiveOutcome)
        bounds = each.read_object("interval")
        yield ObjectiveResult(
            objective,
            outcome,
            each.read("observed", Figure),
            each.read("detail", Text, ""),
            None if each.data.get("interval") is None else bounds.fill(Interval),
        )


def _read_jobs(members: Members, counts: Counts, spec: RunSpec | None) -> JobBatch | None:
    """The records, where all of them are there: a part of them would pass for the whole."""
    rows = members.data.get("jobs")
    # An empty list is all of no jobs, and also what stands for records that were not kept.
    not_kept = spec is not None and not spec.keep_jobs
    if members.data.get("jobs_truncated") is not False or rows is None or not_kept:
        return None
    try:
        # The names of groups are the result's own: that of a branch without one comes from a class that may not be here.
        # Those that can be not reached are steps, which are groups of other rows.
        of_jobs = (each for each in members.read_objects("groups") if each.data.get("not_reached") is None)
        groups = tuple(str(each.data.get("name")) for each in of_jobs)
        schema = None if spec is None else replace(spec.workload.schema, groups=groups)
        jobs = records_from_rows(rows, schema)
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


def _read_cost(members: Members, usage: Usage, spec: RunSpec) -> Cost:
    """Priced again, or as it is written where that is something else."""
    # Never raises for what a model does, and takes time in proportion to the usage, whose numbers are bounded.
    priced, written = price(usage, spec.cost), members.read_object("cost")
    again = priced.to_dict()
    if all(value == again[name] for name, value in members.read_plain("cost").items() if name in again):
        return priced
    # A credit no longer knows which lines it belongs to; that only matters to how idle and wasted money is shared out.
    # Held to what the lines of a model are held to: numbers without bounds make ratios that no float holds. Lines that have
    # no total, since a price is not known, are lines all the same.
    lines, wrong = validate_lines([_read_line(line) for line in written.read_objects("lines")])
    if wrong is not None and not lines:
        written.report("lines", wrong)
    return Cost(
        written.read("currency", Text, "USD"),
        lines,
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
