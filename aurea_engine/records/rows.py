"""Records of jobs ↔ JSON values, one object a job, exactly: a stored result can be priced again from its rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np

from aurea_engine.closed_sets import FINAL, Outcome
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import show_value
from aurea_engine.records.batch import NEVER, NS, Instants, JobBatch

_NAMES = [outcome.name.lower() for outcome in Outcome]
_OUTCOMES = {outcome.name.lower(): int(outcome) for outcome in FINAL}

FLOATS_ARE_EXACT = 2**51
"""ns, 26 days: up to here a float of seconds, times 10⁹ and rounded, is the instant again, whoever does it."""

_BEYOND = Decimal(2**63 - 1)


def record_rows(
    benchmark_id: str, started_at: datetime, batch: JobBatch, costs: Iterable[float], first: int = 0
) -> Iterator[dict[str, Any]]:
    """Records as JSON values: id (``first`` is the number of the first), times in seconds, and cost.

    ``intended``, ``released``, ``started`` and ``finished`` are instants, seconds since the window opened: floats, and from
    26 days on decimals where no float holds the nanosecond. What did not come (a rejected job's start) is None, and so is a
    cost that is not finite.
    """
    stamps = _timestamps(started_at, batch)
    columns = zip(
        batch.intended.tolist(),
        batch.released.tolist(),
        batch.started.tolist(),
        batch.finished.tolist(),
        batch.outcome.tolist(),
        costs,
        stamps,
        strict=True,
    )
    for i, (intended, released, started, finished, outcome, cost, stamp) in enumerate(columns, first):
        served = started >= 0 and finished >= 0
        yield {
            "job_id": f"{benchmark_id}-job-{i}",
            "latency": (finished - started) / NS if served else None,
            "cost": cost if math.isfinite(cost) else None,
            "timestamp": stamp,
            "outcome": _NAMES[outcome],
            "response_time": (finished - intended) / NS if served else None,
            "intended": seconds_of(intended),
            "released": seconds_of(released),
            "started": seconds_of(started),
            "finished": seconds_of(finished),
        }


def seconds_of(ns: int) -> float | Decimal | None:
    """So many ns as a number that reads back as them; None for `NEVER`."""
    if ns < 0:
        return None
    if ns < FLOATS_ARE_EXACT or ns % NS == 0:
        return ns / NS
    return Decimal(ns).scaleb(-9)


def _timestamps(opened: datetime, batch: JobBatch) -> list[str]:
    """UTC of each job's end (of its release, where it never ran), ms."""
    ends = np.where(batch.finished >= 0, batch.finished, batch.released)
    origin = np.datetime64(opened.astimezone(UTC).replace(tzinfo=None), "us")
    texts = np.datetime_as_string((origin + (ends // 1000).astype("timedelta64[us]")).astype("datetime64[ms]"))
    return [f"{text}Z" for text in texts.tolist()]


def records_from_rows(rows: object) -> JobBatch | None:
    """The records that `record_rows` wrote as ``rows``, to the nanosecond.

    None where the rows have no instants, as those of older results. Raises `SpecError` naming the member that is none.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        raise SpecError([Problem("jobs", "must be a list of jobs", show_value(rows))])
    if any(not isinstance(row, dict) or "intended" not in row for row in rows):
        return None
    columns = {name: _instants(rows, name) for name in ("intended", "started", "finished")}
    # Earlier versions did not write when a job was released; nothing is made of it but the lag.
    released = _instants(rows, "released") if all("released" in row for row in rows) else columns["intended"]
    outcomes = np.array([_outcome(row, i) for i, row in enumerate(rows)], np.uint8)
    intended, started, finished = columns.values()
    # A job that left the queue has an end and no start.
    wrong = (intended < 0) | (released < 0) | ((finished >= 0) & (finished < np.maximum(started, intended)))
    wrong |= ((started < 0) | (finished < 0)) & np.isin(
        outcomes, (Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT)
    )
    wrong |= (started >= 0) & (finished < 0)
    if wrong.any():
        where = f"jobs[{int(np.flatnonzero(wrong)[0])}]"
        raise SpecError([Problem(where, "must have been intended, and started before it finished")])
    return JobBatch(intended, released, started, finished, outcomes)


def _instants(rows: Sequence[Any], name: str) -> Instants:
    return np.array([_nanoseconds(row.get(name), f"jobs[{i}].{name}") for i, row in enumerate(rows)], np.int64)


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
