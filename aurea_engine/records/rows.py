"""Records of jobs ↔ JSON values, one object a job, exactly: a stored result can be priced again from its rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import FINAL, MOST_FAILURE_NAME, Outcome
from aurea_engine.errors import InvalidReport, Problem, SpecError
from aurea_engine.fields.checked import show_value
from aurea_engine.records.batch import NEVER, NS, Groups, Instants, JobBatch
from aurea_engine.records.failure_classes import name_failures
from aurea_engine.records.measures import Mark, Measure, Schema
from aurea_engine.records.reports import read_amount

_NAMES = [outcome.name.lower() for outcome in Outcome]
_OUTCOMES = {outcome.name.lower(): int(outcome) for outcome in FINAL}

FLOATS_ARE_EXACT = 2**51
"""ns, 26 days: up to here a float of seconds, times 10⁹ and rounded, is the instant again, in every language."""

_BEYOND = Decimal(2**63 - 1)


def record_rows(
    benchmark_id: str, started_at: datetime, batch: JobBatch, costs: Iterable[float], first: int = 0
) -> Iterator[dict[str, Any]]:
    """Records as JSON values: id (``first`` is the number of the first), times in seconds, and cost.

    ``intended``, ``released``, ``started``, ``finished`` and ``marks`` are instants, seconds since the window opened:
    floats, and from 26 days on decimals where no float holds the nanosecond. What did not come (a rejected job's start) is
    None, and so is a cost that is not finite, what a job did not report, and the ``failure`` of a job that did not fail.
    ``group``, ``marks`` and ``measures`` are there where any job declares them.
    """
    columns = zip(
        batch.intended.tolist(),
        batch.released.tolist(),
        batch.started.tolist(),
        batch.finished.tolist(),
        batch.outcome.tolist(),
        name_failures(batch),
        costs,
        _timestamps(started_at, batch),
        _reports(batch),
        strict=True,
    )
    for i, (intended, released, started, finished, outcome, failure, cost, stamp, report) in enumerate(columns, first):
        # One that was cancelled in service has both instants, and one that left the queue has no start.
        served = started >= 0 and finished >= 0
        yield {
            "job_id": f"{benchmark_id}-job-{i}",
            "latency": (finished - started) / NS if served else None,
            "cost": cost if math.isfinite(cost) else None,
            "timestamp": stamp,
            "outcome": _NAMES[outcome],
            "failure": failure,
            "response_time": (finished - intended) / NS if served else None,
            "intended": seconds_of(intended),
            "released": seconds_of(released),
            "started": seconds_of(started),
            "finished": seconds_of(finished),
            **report,
        }


def _reports(batch: JobBatch) -> Iterator[dict[str, Any]]:
    """For each job the members that only a run has whose jobs declare something."""
    if not batch.schema:
        # One empty object for all of them: it is only read, and a million rows should not pay for what they do not have.
        yield from repeat({}, len(batch))
        return
    marks = {mark.name: column.tolist() for mark, column in batch.marks.items()}
    measures = [(measure, column.tolist()) for measure, column in batch.measures.items()]
    groups = None if batch.group is None else batch.group.tolist()
    for i in range(len(batch)):
        row: dict[str, Any] = {}
        if groups is not None:
            row["group"] = batch.groups[groups[i]] if groups[i] >= 0 else None
        if marks:
            row["marks"] = {name: seconds_of(column[i]) for name, column in marks.items()}
        if measures:
            row["measures"] = {each.name: amount_of(each, column[i]) for each, column in measures}
        yield row


def amount_of(measure: Measure, stored: int) -> int | float | Decimal | None:
    """What a job reported, in the measure's unit, as a number that reads back as it; None for `NEVER`."""
    if stored < 0:
        return None
    if measure.scale == 1:
        return stored
    # Above, a quotient of doubles may not name its dividend any more; 28 digits always do.
    return stored / measure.scale if stored < FLOATS_ARE_EXACT else Decimal(stored) / Decimal(measure.scale)


def seconds_of(ns: int) -> float | Decimal | None:
    """So many ns as a number that reads back as them; None for `NEVER`."""
    if ns < 0:
        return None
    # A whole second is exact in a float for as long as int64 holds its nanoseconds.
    if ns < FLOATS_ARE_EXACT or ns % NS == 0:
        return ns / NS
    return Decimal(ns).scaleb(-9)


def _timestamps(opened: datetime, batch: JobBatch) -> list[str]:
    """UTC of each job's end (of its release, where it never ran), ms."""
    ends = np.where(batch.finished >= 0, batch.finished, batch.released)
    # All at once by numpy: formatting a datetime for each row would take as long as everything else.
    origin = np.datetime64(opened.astimezone(UTC).replace(tzinfo=None), "us")
    texts = np.datetime_as_string((origin + (ends // 1000).astype("timedelta64[us]")).astype("datetime64[ms]"))
    return [f"{text}Z" for text in texts.tolist()]


def records_from_rows(rows: object, schema: Schema | None = None) -> JobBatch | None:
    """The records that `record_rows` wrote as ``rows``, to the nanosecond.

    ``schema``: the marks, measures and groups of the run. Without it they are what the first row names, and only whole
    amounts can be read. None if the rows have no instants, as those of older results. Raises `SpecError` naming the
    member that is none.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        raise SpecError([Problem("jobs", "must be a list of jobs", show_value(rows))])
    # Results of the first versions had no instants; nothing can be made of their rows, and nothing is wrong with them.
    if any(not isinstance(row, dict) or "intended" not in row for row in rows):
        return None
    intended, started, finished = (_instants(rows, name) for name in ("intended", "started", "finished"))
    # Earlier versions did not write when a job was released; nothing is made of it but the lag.
    released = _instants(rows, "released") if all("released" in row for row in rows) else intended
    outcomes = np.array([_outcome(row, i) for i, row in enumerate(rows)], np.uint8)
    # A job that left the queue has an end and no start.
    wrong = (intended < 0) | (released < 0) | ((finished >= 0) & (finished < np.maximum(started, intended)))
    wrong |= ((started < 0) | (finished < 0)) & np.isin(
        outcomes, (Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT)
    )
    wrong |= (started >= 0) & (finished < 0)
    _refuse(wrong, "must have been intended, and started before it finished")
    schema = find_schema(rows) if schema is None else schema
    marks = {mark: _instants(rows, "marks", mark.name) for mark in schema.marks}
    for mark, at in marks.items():
        _refuse((at >= 0) & ((at < started) | (at > finished)), f"must have its mark {mark.name} while it was served")
    measures = {measure: _amounts(rows, measure) for measure in schema.measures}
    group = np.array([_group(row, i, schema.groups) for i, row in enumerate(rows)], np.int32) if schema.groups else None
    return JobBatch(
        intended, released, started, finished, outcomes, marks, measures, group, schema.groups, *_read_failures(rows)
    )


def _read_failures(rows: Sequence[Any]) -> tuple[Groups | None, tuple[str, ...]]:
    """The classes of failures of ``rows``, as `JobBatch` takes them."""
    for i, row in enumerate(rows):
        failure = row.get("failure")
        if failure is not None and not (isinstance(failure, str) and len(failure) <= MOST_FAILURE_NAME):
            problem = f"must be a text of at most {MOST_FAILURE_NAME} characters, or null"
            raise SpecError([Problem(f"jobs[{i}].failure", problem, show_value(failure))])
    names = tuple(sorted({failure for row in rows if (failure := row.get("failure")) is not None}))
    if not names:
        return None, ()
    places = {None: NEVER, **{name: place for place, name in enumerate(names)}}
    return np.array([places[row.get("failure")] for row in rows], np.int32), names


def find_schema(rows: Sequence[Any]) -> Schema:
    """The columns that ``rows`` name: as far as rows can tell, for they show neither units nor scales."""
    if not rows:
        return Schema()
    marks, measures = (_object_of(rows[0], 0, name) for name in ("marks", "measures"))
    groups = dict.fromkeys(row.get("group") for row in rows)
    return Schema(
        tuple(map(Mark, marks)),
        tuple(Measure(name, "") for name in measures),
        tuple(group for group in groups if isinstance(group, str)),
    )


def _refuse(wrong: NDArray[np.bool_], problem: str) -> None:
    if wrong.any():
        raise SpecError([Problem(f"jobs[{int(np.flatnonzero(wrong)[0])}]", problem)])


def _object_of(row: dict[str, Any], i: int, member: str) -> dict[str, Any]:
    found = row.get(member, {})
    if not isinstance(found, dict):
        raise SpecError([Problem(f"jobs[{i}].{member}", "must be an object", show_value(found))])
    return found


def _amounts(rows: Sequence[Any], measure: Measure) -> NDArray[np.int64]:
    amounts = np.full(len(rows), NEVER, np.int64)
    for i, row in enumerate(rows):
        value = _object_of(row, i, "measures").get(measure.name)
        try:
            if value is not None:
                amounts[i] = read_amount(measure.name, value, measure.scale)
        except InvalidReport as error:
            raise SpecError([Problem(f"jobs[{i}].measures.{measure.name}", str(error))]) from None
    return amounts


def _group(row: dict[str, Any], i: int, groups: tuple[str, ...]) -> int:
    name = row.get("group")
    if name is None:
        return NEVER
    if name not in groups:
        raise SpecError([Problem(f"jobs[{i}].group", f"must be one of {', '.join(groups)}", show_value(name))])
    return groups.index(name)


def _instants(rows: Sequence[Any], name: str, inner: str | None = None) -> Instants:
    """The instants of a member of each row, or of the member ``inner`` of an object there."""
    if inner is None:
        return np.array([_nanoseconds(row.get(name), f"jobs[{i}].{name}") for i, row in enumerate(rows)], np.int64)
    each = [_object_of(row, i, name).get(inner) for i, row in enumerate(rows)]
    return np.array([_nanoseconds(value, f"jobs[{i}].{name}.{inner}") for i, value in enumerate(each)], np.int64)


def _nanoseconds(seconds: object, path: str) -> int:
    """Read as the decimal that it is written as: a float would lose nanoseconds after some months."""
    if seconds is None:
        return NEVER
    if isinstance(seconds, (int, float, Decimal)) and not isinstance(seconds, bool):
        exact = Decimal(repr(seconds)) if isinstance(seconds, float) else Decimal(seconds)
        if exact.is_finite() and 0 <= exact <= _BEYOND.scaleb(-9):
            return int((exact * NS).to_integral_value(ROUND_HALF_EVEN))
    raise SpecError([Problem(path, "must be seconds >= 0, or null", show_value(seconds))])


def _outcome(row: dict[str, Any], i: int) -> int:
    outcome = row.get("outcome")
    if not isinstance(outcome, str) or outcome not in _OUTCOMES:
        raise SpecError([Problem(f"jobs[{i}].outcome", f"must be one of {', '.join(_OUTCOMES)}", show_value(outcome))])
    return _OUTCOMES[outcome]
