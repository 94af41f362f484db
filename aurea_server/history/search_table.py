"""The ledger's searches: rows beside those of runs, written in the same transactions and by the same rules.

A search is one row; its trials are runs, linked to it by `trial`. They belong to their search: whatever deletes it, a client
or retention, deletes them in the same transaction, and nothing else does. Trials have no file of records, so rows are all
that is to be deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from aurea_server.history.errors import KeyReused
from aurea_server.history.idempotency_key import KEY_LIFE_MS, IdempotencyKey
from aurea_server.history.retention import FINAL, delete_search
from aurea_server.history.rows import AcceptedSearch, FinishedSearch, StoredSearch

NEXT_NUMBER = (
    "SELECT max((SELECT coalesce(max(number), 0) FROM run), (SELECT coalesce(max(number), 0) FROM search)) + 1"
)
"""The order of acceptance, of runs and searches together: lists and retention go by it. Unique among those that exist."""

_COLUMNS = "id, state, created_ms, started_ms, ended_ms, label, asked, reason, progress, answer"
_KEY = "key, digest, id, created_ms"
_UNENDED = ("queued", "running")

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]
Read = Callable[..., list[tuple[object, ...]]]
Interruption = Callable[[], tuple[int, bytes] | None]


class SearchTable:
    """``transaction`` and ``read`` are the ledger's; ``interruption``: (when, why) all that is unended counts as
    interrupted, None where nothing of the kind is left to be written.
    """

    def __init__(self, transaction: Transaction, read: Read, interruption: Interruption) -> None:
        self._transaction, self._read, self._interruption = transaction, read, interruption

    def add(self, search: AcceptedSearch, key: IdempotencyKey | None = None) -> None:
        """A new search, queued or running. Raises `KeyReused` where ``key`` is known already: then nothing is added."""
        state = "queued" if search.started_ms is None else "running"
        values = (search.id, state, search.created_ms, search.started_ms, search.label, search.asked, search.spec)
        known = (None, None) if key is None else (key.key, key.digest)
        with self._transaction() as connection:
            if key is not None:
                # A key that is not remembered any more is free again: it is forgotten where it is used anew.
                forget = "UPDATE search SET key = NULL WHERE key = ? AND created_ms < ?"
                connection.execute(forget, (key.key, key.created_ms - KEY_LIFE_MS))
                taken = connection.execute(f"SELECT {_KEY} FROM search WHERE key = ?", (key.key,)).fetchone()  # noqa: S608
                if taken is not None:
                    raise KeyReused(IdempotencyKey(*taken))
            number = connection.execute(NEXT_NUMBER).fetchone()[0]
            connection.execute(
                "INSERT INTO search (id, state, created_ms, started_ms, label, asked, spec, key, digest, number)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, *known, number),
            )

    def begin(self, search_id: str, started_ms: int) -> None:
        """Queued → running."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE search SET state = 'running', started_ms = ? WHERE id = ? AND state = 'queued'",
                (started_ms, search_id),
            )

    def report(self, search_id: str, progress: bytes) -> None:
        """What a running search has found so far: after a crash this is all that is known of it."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE search SET progress = ? WHERE id = ? AND state = 'running'", (progress, search_id)
            )

    def end(self, search_id: str, finished: FinishedSearch) -> None:
        """Queued or running → one of the final states, once."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE search SET state = ?, ended_ms = ?, reason = ?, progress = coalesce(?, progress), answer = ?"
                " WHERE id = ? AND state IN ('queued', 'running')",
                (
                    finished.state,
                    finished.ended_ms,
                    finished.reason,
                    finished.progress,
                    finished.answer,
                    search_id,
                ),
            )

    def get(self, search_id: str) -> StoredSearch | None:
        """One search, whole."""
        query = f"SELECT {_COLUMNS}, spec FROM search WHERE id = :id"  # noqa: S608 - our own names
        found = self._read(query, {"id": search_id})
        return self._restore(found[0]) if found else None

    def page(
        self, limit: int, before: int | None = None, state: str | None = None
    ) -> tuple[list[StoredSearch], int | None]:
        """(searches without their specifications, newest first; where the next page begins, or None after the last)."""
        values: Mapping[str, object] = {
            "before": 2**62 if before is None else before,
            "state": state,
            "limit": limit + 1,
            "interrupted": self._interruption() is not None,
        }
        # What is to be interrupted is listed as interrupted, also where that could not be written yet.
        shown = "CASE WHEN :interrupted AND state IN ('queued', 'running') THEN 'interrupted' ELSE state END"
        rows = self._read(
            f"SELECT {_COLUMNS}, x'' AS spec, number FROM search"  # noqa: S608 - our own names
            f" WHERE number < :before AND (:state IS NULL OR {shown} = :state) ORDER BY number DESC LIMIT :limit",
            values,
        )
        searches = [self._restore(row[:-1]) for row in rows[:limit]]
        return searches, int(str(rows[limit - 1][-1])) if len(rows) > limit else None

    def _restore(self, row: Sequence[object]) -> StoredSearch:
        found = StoredSearch(*row)  # type: ignore[arg-type]
        interruption = self._interruption()
        if interruption is None or found.state not in _UNENDED:
            return found
        return replace(found, state="interrupted", ended_ms=interruption[0], reason=interruption[1])

    def find_key(self, key: str, now_ms: int) -> IdempotencyKey | None:
        """The search that ``key`` stands for, if it was used within a day. Keys of runs are others."""
        query = f"SELECT {_KEY} FROM search WHERE key = ? AND created_ms >= ?"  # noqa: S608 - our own names
        found = self._read(query, (key, now_ms - KEY_LIFE_MS))
        return IdempotencyKey(*found[0]) if found else None  # type: ignore[arg-type]

    def remove(self, search_id: str) -> list[str] | None:
        """Delete a search that has ended, with its trials. Returns the ids of those, None if there is no such search."""
        with self._transaction() as connection:
            ended = f"SELECT 1 FROM search WHERE id = ? AND state IN ({FINAL})"  # noqa: S608 - our own names
            if connection.execute(ended, (search_id,)).fetchone() is None:
                return None
            return delete_search(connection, search_id)

    def newest_id(self) -> str | None:
        """The id that was given last."""
        found = self._read("SELECT id FROM search ORDER BY number DESC LIMIT 1")
        return str(found[0][0]) if found else None
