"""What retention no longer keeps is deleted run by run, and after each one it is looked how much is really left."""

from __future__ import annotations

import sqlite3

from aurea_server.history.rows import FINAL_STATES

FINAL = ", ".join(f"'{state}'" for state in FINAL_STATES)
BATCH = 256
"""Runs that are deleted in one transaction: others have their turn in between."""


def used_bytes(connection: sqlite3.Connection) -> int:
    """What all rows occupy, in whole pages. Pages that are free to be used again do not count."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def prune(
    connection: sqlite3.Connection, most_runs: int, most_bytes: int, since_ms: int, promised_ms: int
) -> list[str]:
    """Delete runs that have ended, oldest first, until the others may stay or `BATCH` are gone. Returns their ids.

    To be called in a transaction, until nothing goes. A run's bytes are those of its row, and of its records where they are
    a file. A run whose Idempotency-Key was used since ``promised_ms`` goes only where there are too many bytes.
    """
    left, files = connection.execute(
        "SELECT count(*), coalesce(sum(records_bytes) FILTER (WHERE records IS NULL AND records_bytes > 0), 0) FROM run"
    ).fetchone()
    large = files + used_bytes(connection) > most_bytes
    oldest = connection.execute(
        "SELECT id, created_ms, CASE WHEN records IS NULL THEN max(records_bytes, 0) ELSE 0 END FROM run"  # noqa: S608 - our own names
        f" WHERE state IN ({FINAL}) AND (? OR id NOT IN (SELECT run_id FROM idempotency WHERE created_ms >= ?))"
        f" ORDER BY number LIMIT {BATCH}",
        (large, promised_ms),
    ).fetchall()
    gone: list[str] = []
    for run_id, created_ms, size in oldest:
        fits = files + used_bytes(connection) <= most_bytes
        if fits and (large or (left <= most_runs and created_ms >= since_ms)):
            break
        connection.execute("DELETE FROM run WHERE id = ?", (run_id,))
        gone.append(str(run_id))
        left, files = left - 1, files - size
    return gone
