"""What a search looks like on the wire, whatever state it is in."""

from __future__ import annotations

from typing import Any

import msgspec

from aurea_engine.processes.messages import Reason
from aurea_server.history import Damaged, StoredSearch
from aurea_server.runs.active_run import format_ms
from aurea_server.runs.searches.active_search import ActiveSearch

SUMMARY = ("status", "reason", "variable", "value", "interval", "clock", "required")
"""Of an answer, what a list shows."""


def _format(ms: int | None) -> str | None:
    return None if ms is None else format_ms(ms)


def view_active_search(search: ActiveSearch, position: int) -> dict[str, Any]:
    """A search that is queued or running. ``position``: how many entries of the queue are before it."""
    return {
        "search_id": search.id,
        "status": search.state,
        "label": search.label,
        "created_time": format_ms(search.created_ms),
        "start_time": _format(search.started_ms),
        "end_time": None,
        "queue_position": position,
        "search": search.order.to_plain(),
        "progress": search.progress or None,
        "running": None if search.trial is None else search.trial.id,
        "trials": search.trials,
        "answer": None,
        "reason": None,
        "spec": search.document,
    }


def view_stored_search(row: StoredSearch) -> dict[str, Any]:
    """A search that has ended. Raises `Damaged`."""
    try:
        known = _decode_known(row)
        answer = None if row.answer is None else msgspec.json.decode(row.answer, type=dict[str, Any])
        return {
            **_view_row(row),
            "progress": known.get("progress"),
            "trials": known.get("trials", []) if answer is None else answer["trials"],
            "answer": answer,
            "spec": msgspec.json.decode(row.spec, type=msgspec.Raw),
        }
    except (ValueError, KeyError) as error:
        raise Damaged(f"what is stored of {row.id} is damaged: {error}") from None


def view_listed_search(row: StoredSearch) -> dict[str, Any]:
    """A search in a list. Where what is stored of it is damaged, that is not shown; the others are listed all the same."""
    try:
        answer = None if row.answer is None else msgspec.json.decode(row.answer, type=dict[str, Any])
        shown = None if answer is None else {name: answer.get(name) for name in SUMMARY}
        return {**_view_row(row), "progress": _decode_known(row).get("progress"), "answer": shown}
    except ValueError:
        return {**_view_row(row, readable=False), "progress": None, "answer": None}


def _view_row(row: StoredSearch, *, readable: bool = True) -> dict[str, Any]:
    reason = None if row.reason is None or not readable else msgspec.json.decode(row.reason, type=Reason)
    return {
        "search_id": row.id,
        "status": row.state,
        "label": row.label,
        "created_time": format_ms(row.created_ms),
        "start_time": _format(row.started_ms),
        "end_time": _format(row.ended_ms),
        "search": msgspec.json.decode(row.asked) if readable else {},
        "reason": None if reason is None else msgspec.to_builtins(reason),
    }


def _decode_known(row: StoredSearch) -> dict[str, Any]:
    return {} if row.progress is None else msgspec.json.decode(row.progress, type=dict[str, Any])
