"""What a run looks like on the wire, whatever state it is in: the members of a result, as far as they are known."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import msgspec

from aurea_engine import encode_json
from aurea_engine.closed_sets import JOBS_SHOWN
from aurea_engine.processes.messages import Reason
from aurea_engine.records import column_file
from aurea_server.history import Damaged, StoredRun
from aurea_server.runner.messages import Figures, join_result
from aurea_server.runs.active_run import ActiveRun, encode, format_ms
from aurea_server.runs.exports import job_rows

# The seed's members, which every view of a run has, however it ended.
SHOWN = ("num_jobs", "completed_jobs", "throughput", "mean_latency", "total_cost", "start_time", "end_time", "duration")


def view_without_result(run_id: str, spec: object, figures: Figures, reason: Reason | None) -> dict[str, Any]:
    """A run that ended without a result: the documented members, from its last report."""
    return {
        "benchmark_id": run_id,
        # Members of a result that such a run does not have (times, cost lines) are left out rather than null.
        **{name: getattr(figures, name) for name in SHOWN},
        "currency": None if figures.total_cost is None else figures.bill.currency,
        "status": figures.status,
        "verdict": "invalid",
        "reason": None if reason is None else msgspec.to_builtins(reason),
        "spec": spec,
        "jobs": [],
        "jobs_truncated": figures.num_jobs > 0,
    }


def view_active(run: ActiveRun, position: int) -> dict[str, Any]:
    """A run that is queued or running. ``position``: how many are before it."""
    progress = run.progress()
    return {
        "benchmark_id": run.id,
        "status": run.state,
        "label": run.label,
        "created_time": format_ms(run.created_ms),
        "start_time": None if run.started_ms is None else format_ms(run.started_ms),
        "search": run.search_id,
        "queue_position": position,
        "time_left": None if progress is None else progress["time_left"],
        "progress": progress,
        "findings": [] if run.last is None else run.last.findings,
        "spec": run.document,
    }


def encode_stored(row: StoredRun, content: bytes | None, jobs: int = JOBS_SHOWN) -> bytes:
    """A run from the ledger, as JSON; ``content`` is the file of its records, of which ``jobs`` are shown at most. Takes
    milliseconds per thousand jobs.

    Raises `Damaged`, or `DamagedParts` where it is the records.
    """
    head = row.head
    try:
        reason = None if row.reason is None else msgspec.json.decode(row.reason, type=Reason)
        if head is None:
            # An empty object is the column's default: the server died before it could write any figures.
            figures = msgspec.json.decode(row.figures, type=Figures) if row.figures != b"{}" else _interrupted(row)
            spec = msgspec.json.decode(row.spec, type=msgspec.Raw)
            return msgspec.json.encode({**view_without_result(row.id, spec, figures, reason), **_link_search(row)})
        arrived = msgspec.json.decode(row.figures, type=Figures).num_jobs
    except ValueError as error:
        raise Damaged(f"what is stored of {row.id} is damaged: {error}") from None
    # The head was stored without its jobs, since they are in the file of records; here they come together again. Only as far
    # as they are shown: a million jobs unpacked are sixty megabytes, of which one per cent would be used.
    records = None if content is None else column_file.Reader(io.BytesIO(content)).read(jobs)
    shown = [] if records is None else job_rows(records, 0, jobs)
    try:
        return join_result(head, encode_json(shown), arrived > len(shown), row.reason, _link_search(row))
    except ValueError as error:
        raise Damaged(f"what is stored of {row.id} is damaged: {error}") from None


def _link_search(row: StoredRun) -> dict[str, str]:
    """Of a trial: the search that it belongs to. Other runs have no such member."""
    return {} if row.search_id is None else {"search": row.search_id}


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
        start_time=None if row.started_ms is None else format_ms(row.started_ms),
        end_time=None if row.ended_ms is None else format_ms(row.ended_ms),
    )


def view_in_list(row: StoredRun) -> dict[str, Any]:
    """A run in a list. Where its figures are damaged, they are not known; the others are listed all the same."""
    try:
        figures = msgspec.json.decode(row.figures, type=dict[str, Any])
    # A reason that cannot be read must not make the whole run unreadable.
    except ValueError:
        figures = {}
    return {
        "benchmark_id": row.id,
        "status": row.state,
        "label": row.label,
        "search": row.search_id,
        "created_time": format_ms(row.created_ms),
        "start_time": figures.get("start_time") or (None if row.started_ms is None else format_ms(row.started_ms)),
        "end_time": figures.get("end_time") or (None if row.ended_ms is None else format_ms(row.ended_ms)),
        **{name: figures.get(name) for name in SHOWN if not name.endswith("_time")},
        "currency": None if figures.get("total_cost") is None else (figures.get("bill") or {}).get("currency"),
        "verdict": figures.get("verdict"),
        # Not of runs that an earlier version stored.
        "p99": figures.get("p99"),
        "objectives": figures.get("objectives", []),
    }
