"""What a run looks like on the wire, whatever state it is in: the members of a result, as far as they are known."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from aurea_engine import encode_json, record_rows
from aurea_engine.records import column_file
from aurea_server.history import Damaged, StoredRun
from aurea_server.runner.messages import Figures, Reason, whole_result
from aurea_server.runs.active_run import ActiveRun, encode, utc

JOBS_SHOWN = 10_000
"""Jobs in a result's ``jobs``; the rest is at the run's own resource."""

SHOWN = ("num_jobs", "completed_jobs", "throughput", "mean_latency", "total_cost", "start_time", "end_time", "duration")


def view_without_result(run_id: str, spec: object, figures: Figures, reason: Reason | None) -> dict[str, Any]:
    """A run that ended without a result: the documented members, from its last report."""
    return {
        "benchmark_id": run_id,
        **{name: getattr(figures, name) for name in SHOWN},
        "currency": None if figures.total_cost is None else figures.bill.currency,
        "status": figures.status,
        "verdict": "invalid",
        "reason": None if reason is None else msgspec.to_builtins(reason),
        "spec": spec,
        "jobs": [],
        "jobs_truncated": figures.num_jobs > 0,
    }


def view_active(live: ActiveRun, position: int) -> dict[str, Any]:
    """A run that waits or is on."""
    progress = live.progress()
    return {
        "benchmark_id": live.id,
        "status": live.state,
        "label": live.label,
        "created_time": utc(live.created_ms),
        "start_time": None if live.started_ms is None else utc(live.started_ms),
        "queue_position": position,
        "time_left": None if progress is None else progress["time_left"],
        "progress": progress,
        "findings": [] if live.last is None else live.last.findings,
        "spec": live.document,
    }


def encode_stored(row: StoredRun, content: bytes | None) -> bytes:
    """A run from the ledger, as JSON; ``content`` is the file of its records. Takes milliseconds per thousand jobs.

    Raises `Damaged`, or `DamagedParts` where it is the records.
    """
    head = row.head
    try:
        reason = None if row.reason is None else msgspec.json.decode(row.reason, type=Reason)
        if head is None:
            figures = msgspec.json.decode(row.figures, type=Figures) if row.figures != b"{}" else _interrupted(row)
            spec = msgspec.json.decode(row.spec, type=msgspec.Raw)
            return msgspec.json.encode(view_without_result(row.id, spec, figures, reason))
        arrived = msgspec.json.decode(row.figures, type=Figures).num_jobs
    except ValueError as error:
        raise Damaged(f"what is stored of {row.id} is damaged: {error}") from None
    records = None if content is None else column_file.decode(content)
    shown = [] if records is None else job_rows(records, 0, JOBS_SHOWN)
    return whole_result(head, encode_json(shown), arrived > len(shown), row.reason)


def repair_reason(row: StoredRun) -> StoredRun:
    """The row, with a reason that can be read."""
    try:
        if row.reason is not None:
            msgspec.json.decode(row.reason, type=Reason)
    except ValueError:
        return replace(row, reason=encode(Reason(code="storage", detail="what was stored of the reason is damaged")))
    return row


def _interrupted(row: StoredRun) -> Figures:
    """A run that a crash cut short: nothing is known but that it was."""
    return Figures(
        status=row.state,
        start_time=None if row.started_ms is None else utc(row.started_ms),
        end_time=None if row.ended_ms is None else utc(row.ended_ms),
    )


def view_in_list(row: StoredRun) -> dict[str, Any]:
    """A run in a list. Where its figures are damaged, they are not known; the others are listed all the same."""
    try:
        figures = msgspec.json.decode(row.figures, type=dict[str, Any])
    except ValueError:
        figures = {}
    return {
        "benchmark_id": row.id,
        "status": row.state,
        "label": row.label,
        "created_time": utc(row.created_ms),
        "start_time": figures.get("start_time") or (None if row.started_ms is None else utc(row.started_ms)),
        "end_time": figures.get("end_time") or (None if row.ended_ms is None else utc(row.ended_ms)),
        **{name: figures.get(name) for name in SHOWN if not name.endswith("_time")},
        "currency": None if figures.get("total_cost") is None else (figures.get("bill") or {}).get("currency"),
        "verdict": figures.get("verdict"),
    }


def job_rows(records: column_file.StoredRecords, first: int, count: int) -> list[dict[str, Any]]:
    """Jobs ``first`` … as JSON values."""
    part = slice(first, first + count)
    costs = records.costs[part].tolist()
    return list(record_rows(records.benchmark_id, records.started_at, records.jobs[part], costs, first))


CSV_COLUMNS = (
    "job_id", "outcome", "latency", "response_time", "cost", "timestamp", "intended", "started", "finished",
)  # fmt: skip
ROWS_AT_ONCE = 2_000
"""Rows of a stream that are encoded at once: some ten milliseconds of work."""


def encode_jobs(block: column_file.StoredRecords, first: int, form: str) -> bytes:
    """A block of jobs, the first of which is number ``first``, as CSV or NDJSON; the first piece of CSV has the heading."""
    rows = record_rows(block.benchmark_id, block.started_at, block.jobs, block.costs.tolist(), first)
    if form == "ndjson":
        return b"".join(encode_json(row) + b"\n" for row in rows)
    text = io.StringIO()
    writer = csv.writer(text)
    if first == 0:
        writer.writerow(CSV_COLUMNS)
    writer.writerows([row[name] for name in CSV_COLUMNS] for row in rows)
    return text.getvalue().encode()


def encode_next_jobs(reader: column_file.Reader, form: str) -> bytes:
    """The next jobs of a file as CSV or NDJSON. Raises `DamagedParts`."""
    first = reader.row
    return encode_jobs(reader.read(ROWS_AT_ONCE), first, form)


def encode_all_jobs(reader: column_file.Reader, form: str) -> Iterator[bytes]:
    """All jobs of a file in that form, piece by piece."""
    yield encode_next_jobs(reader, form)
    while reader.row < reader.rows:
        yield encode_next_jobs(reader, form)
