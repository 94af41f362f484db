"""The retention rule: which runs are deleted, and in which order.

A run is kept while the history has no more than ``runs`` runs, is no larger than ``bytes``, and the run is no older than
``days``. The oldest runs go first, and only runs that have ended. Runs are deleted one by one, and after each deletion the
remaining size is measured: SQLite frees whole pages, so the size of a row does not say how much its deletion frees.

A run whose Idempotency-Key was used within a day stays, since a client was promised that it can come back for it. Only
where the history is too large does the disk come before that promise.

A search counts as one run, and its trials go with it: an answer is never left without the runs that it was drawn from.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from aurea_engine.closed_sets import STATUSES
from aurea_server.history.idempotency_key import KEY_LIFE_MS
from aurea_server.history.retention_clock import DAY_MS

FINAL = ", ".join(f"'{status}'" for status in STATUSES)
BATCH = 256
"""Runs that are deleted in one transaction: other work has its turn in between."""


@dataclass(frozen=True)
class Retention:
    """What is kept: at most so many runs, bytes and days. Nothing new is accepted with less than ``floor`` bytes free."""

    runs: int = 10_000
    bytes: int = 1024**3
    days: float = 30.0
    floor: int = 64 * 1024**2


def measure_used_bytes(connection: sqlite3.Connection) -> int:
    """What all rows occupy, in whole pages. Pages that are free to be used again do not count."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def delete_search(connection: sqlite3.Connection, search_id: str) -> list[str]:
    """Delete a search and its trials, in a transaction. Returns the ids of the trials."""
    trials = connection.execute("SELECT run_id FROM trial WHERE search_id = ?", (search_id,)).fetchall()
    connection.execute("DELETE FROM run WHERE id IN (SELECT run_id FROM trial WHERE search_id = ?)", (search_id,))
    connection.execute("DELETE FROM search WHERE id = ?", (search_id,))
    return [str(run_id) for (run_id,) in trials]


_OLDEST = f"""
    SELECT id, created_ms, CASE WHEN records IS NULL THEN max(records_bytes, 0) ELSE 0 END AS size, number, 0 AS is_search
        FROM run WHERE state IN ({FINAL}) AND id NOT IN (SELECT run_id FROM trial)
        AND (:large OR id NOT IN (SELECT run_id FROM idempotency WHERE created_ms >= :promised_ms))
    UNION ALL
    SELECT id, created_ms, 0, number, 1
        FROM search WHERE state IN ({FINAL})
        AND (:large OR key IS NULL OR created_ms < :promised_ms)
    ORDER BY number LIMIT {BATCH}"""  # noqa: S608 - our own names
"""What may go, the oldest first. Trials are not among it: they go with their search."""

_COUNT = """SELECT (SELECT count(*) FROM run) - (SELECT count(*) FROM trial) + (SELECT count(*) FROM search),
    (SELECT coalesce(sum(records_bytes), 0) FROM run WHERE records IS NULL AND records_bytes > 0)"""


def delete_expired(connection: sqlite3.Connection, keep: Retention, now_ms: int) -> tuple[list[str], list[str]]:
    """Delete runs and searches that have ended, oldest first, until the others may stay or `BATCH` are gone. Returns the ids
    of the runs, trials included, and those of the searches.

    To be called in a transaction, until nothing goes. A run's bytes are those of its row, and of its records where they are
    a file.
    """
    since_ms, promised_ms = now_ms - int(keep.days * DAY_MS), now_ms - KEY_LIFE_MS
    left, files = connection.execute(_COUNT).fetchone()
    # Settled before the query, which depends on it. A history that is too large is only brought down to its size here,
    # with no regard to keys; age and number are judged by the next call, which has regard to keys again.
    large = files + measure_used_bytes(connection) > keep.bytes
    oldest = connection.execute(_OLDEST, {"large": large, "promised_ms": promised_ms}).fetchall()
    runs: list[str] = []
    searches: list[str] = []
    for ident, created_ms, size, _, is_search in oldest:
        fits = files + measure_used_bytes(connection) <= keep.bytes
        if fits and (large or (left <= keep.runs and created_ms >= since_ms)):
            break
        if is_search:
            runs += delete_search(connection, ident)
        else:
            connection.execute("DELETE FROM run WHERE id = ?", (ident,))
        (searches if is_search else runs).append(str(ident))
        left, files = left - 1, files - size
    return runs, searches
