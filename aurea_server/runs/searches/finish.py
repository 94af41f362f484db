"""A search's end as values: the row for the history, the answer for readers, the last event."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from aurea_engine.codec.capacity import capacity_to_dict
from aurea_engine.processes.messages import Reason
from aurea_engine.results.capacity import CapacityAnswer
from aurea_server.history import FinishedSearch, StoredSearch, StoreError
from aurea_server.runs.active_run import RunAnswer, encode, now_ms
from aurea_server.runs.searches.active_search import ActiveSearch
from aurea_server.runs.searches.views import view_stored_search

STOPPED: dict[str, Reason] = {
    "cancelled": Reason(code="stop_requested", detail="a client cancelled the search"),
    "timed_out": Reason(code="time_limit", detail="the search reached the server's --max-search-seconds"),
    "interrupted": Reason(
        code="server_stopped", detail="the server was stopped while the search was queued or running"
    ),
}
"""Why a search ended that was stopped from outside."""


class SearchFinish(NamedTuple):
    """The same end, three times. ``found``: the status of its answer, None if it came to none."""

    row: FinishedSearch
    answer: RunAnswer
    found: dict[str, Any] | None

    def with_storage_error(self, storage_error: StoreError | None) -> SearchFinish:
        """The same, where the row could not be stored."""
        return self._replace(answer=replace(self.answer, storage_error=storage_error))

    def summary(self) -> dict[str, object]:
        """What the last event of the search says."""
        reason, found = self.answer.reason, self.found or {}
        return {
            "status": self.answer.status,
            "answer": found.get("status"),
            "value": found.get("value"),
            "reason": None if reason is None else reason.code,
        }


def finish_search(
    search: ActiveSearch, status: str, reason: Reason | None = None, answer: CapacityAnswer | None = None
) -> SearchFinish:
    """The end of ``search``, with what is known of it."""
    found = None if answer is None else capacity_to_dict(answer)
    # An answer has the trials itself.
    progress = search.report() if found is None else {"progress": search.progress or None}
    row = FinishedSearch(
        status,
        now_ms(),
        None if reason is None else encode(reason),
        encode(progress),
        None if found is None else encode(found),
    )
    stored = StoredSearch(
        search.id,
        status,
        search.created_ms,
        search.started_ms,
        row.ended_ms,
        search.label,
        encode(search.order.to_plain()),
        row.reason,
        row.progress,
        row.answer,
        encode(search.document),
    )
    return SearchFinish(row, RunAnswer(status, encode(view_stored_search(stored)), reason), found)
