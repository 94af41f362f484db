"""The ledger: rows in SQLite, by one connection that is used from one thread at a time.

**Every write is one transaction**, which is on the disk when the method returns, or did not happen. States only ever go
forward (queued → running → one of the final states), since each ``UPDATE`` names the state that it starts from: a run ends
once, even if it is told to end twice.

**Runs that no server can end any more** are recorded as interrupted. Where that cannot be written (a full or read-only
disk), it is remembered, the next write does it first, and until then reads see the table as it will be.
"""

from __future__ import annotations

import io
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import BinaryIO

from aurea_server.history.data_folder import DataFolder
from aurea_server.history.errors import Damaged, KeyReused, ReadFailed, StoreError, to_storage_error
from aurea_server.history.idempotency_key import KEY_LIFE_MS, IdempotencyKey
from aurea_server.history.migrations import open_ledger
from aurea_server.history.retention import FINAL, Retention, delete_expired
from aurea_server.history.rows import AcceptedRun, FinishedRun, StoredRun
from aurea_server.history.run_columns import INTERRUPTED_TABLE, LISTED, ON_PAGE, UNENDED
from aurea_server.history.search_table import NEXT_NUMBER, SearchTable

MAX_INLINE = 4096
"""Bytes of records that are kept in the row itself: a file would cost two more waits for the disk."""


class Ledger:
    """Raises `StorageFull`, `StorageFailed` or `ReadFailed` from every method, and leaves the last committed state."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._connection = open_ledger(folder)
        self._interrupted: tuple[int, bytes] | None = None
        self.searches = SearchTable(self._transaction, self._read, lambda: self._interrupted)
        folder.remember()

    def close(self) -> None:
        """Fold the log into the file and close both."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(sqlite3.Error):
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Committed when the block ends, undone when it raises."""
        # Before each write: what is written into files that were replaced would be lost without an error.
        self._folder.check()
        try:
            # IMMEDIATE takes the lock now: a transaction that reads first and writes later can fail in between.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._record_interrupted()
                yield self._connection
                self._connection.execute("COMMIT")
                self._interrupted = None
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.rollback()
                raise
        except (sqlite3.Error, OSError) as error:
            raise to_storage_error(error) from None

    def _read(self, query: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise ReadFailed(f"the ledger could not be read: {error}") from None

    def add(self, run: AcceptedRun, key: IdempotencyKey | None = None) -> None:
        """A new run, queued or running. Raises `KeyReused` where ``key`` is known already: then nothing is added."""
        state = "queued" if run.started_ms is None else "running"
        with self._transaction() as connection:
            number = connection.execute(NEXT_NUMBER).fetchone()[0]
            connection.execute(
                "INSERT INTO run (id, state, created_ms, started_ms, label, spec, number) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run.id, state, run.created_ms, run.started_ms, run.label, run.spec, number),
            )
            if run.search_id is not None:
                connection.execute("INSERT INTO trial VALUES (?, ?)", (run.id, run.search_id))
            if key is not None:
                # Keys that are not remembered any more go when one is added: the table stays as large as a day's keys.
                connection.execute("DELETE FROM idempotency WHERE created_ms < ?", (key.created_ms - KEY_LIFE_MS,))
                taken = connection.execute("SELECT * FROM idempotency WHERE key = ?", (key.key,)).fetchone()
                if taken is not None:
                    raise KeyReused(IdempotencyKey(*taken))
                connection.execute(
                    "INSERT INTO idempotency VALUES (?, ?, ?, ?)", (key.key, key.digest, key.run_id, key.created_ms)
                )

    def begin(self, run_id: str, started_ms: int) -> None:
        """Queued → running."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE run SET state = 'running', started_ms = ? WHERE id = ? AND state = 'queued'",
                (started_ms, run_id),
            )

    def end(self, run_id: str, finished: FinishedRun) -> None:
        """Queued or running → one of the final states, once. The records are on the disk before the row says so."""
        self._folder.check()
        try:
            # The file first: a row that names a file which is not there would be damage, a file without a row is swept.
            if len(finished.records) > MAX_INLINE:
                self._folder.files.write(run_id, finished.records)
        except OSError as error:
            raise to_storage_error(error) from None
        self._end(run_id, finished, len(finished.records))

    def end_without_records(self, run_id: str, finished: FinishedRun) -> None:
        """`end`, without the records where they cannot be written: for a server that will not be there to try again."""
        try:
            self.end(run_id, finished)
        except StoreError:
            # A negative size says that there were records and that they are lost, so readers report damage and not an
            # empty run.
            self._end(run_id, replace(finished, records=b""), -len(finished.records))

    def _end(self, run_id: str, finished: FinishedRun, size: int) -> None:
        """``size``: of the records, below zero where they were lost."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE run SET state = ?, ended_ms = ?, figures = ?, reason = ?, last = ?, head = ?,"
                " records_bytes = ?, records = ?, parts = ?"
                " WHERE id = ? AND state IN ('queued', 'running')",
                (
                    finished.state,
                    finished.ended_ms,
                    finished.figures,
                    finished.reason,
                    # Level 1: the loop of turns waits for this, and higher levels save a few per cent.
                    None if finished.last is None else zlib.compress(finished.last, 1),
                    None if finished.head is None else zlib.compress(finished.head, 1),
                    size,
                    finished.records if 0 < len(finished.records) <= MAX_INLINE else None,
                    finished.parts,
                    run_id,
                ),
            )

    def recover(self, now_ms: int, reason: bytes) -> list[str]:
        """Every run and search that has not ended is interrupted: no server is left that could end it. Returns their ids.

        Where that cannot be written now, the next write does it first; until then they are read as interrupted all the same.
        """
        # Read before it is written: the ids are known, and reported, also where writing fails.
        lost = self._read(UNENDED)
        if lost:
            self._interrupted = self._interrupted or (now_ms, reason)
            with self._transaction():
                pass
        return [str(row[0]) for row in lost]

    @property
    def behind(self) -> bool:
        """Whether something is to be written that could not be written yet."""
        return self._interrupted is not None

    def _record_interrupted(self) -> None:
        if self._interrupted is not None:
            for table in ("run", "search"):
                self._connection.execute(
                    f"UPDATE {table} SET state = 'interrupted', ended_ms = ?, reason = ?"  # noqa: S608 - our own names
                    " WHERE state IN ('queued', 'running')",
                    self._interrupted,
                )

    def _read_runs(self, query: str, **values: object) -> list[tuple[object, ...]]:
        """``query`` names the table ``{run}``."""
        if self._interrupted is None:
            return self._read(query.format(run="run"), values)
        lost_ms, lost_reason = self._interrupted
        return self._read(
            query.format(run=INTERRUPTED_TABLE), {**values, "lost_ms": lost_ms, "lost_reason": lost_reason}
        )

    def get(self, run_id: str) -> StoredRun | None:
        """One run, whole."""
        query = f"SELECT {LISTED}, head FROM {{run}} WHERE id = :id"  # noqa: S608 - our own names
        found = self._read_runs(query, id=run_id)
        return StoredRun(*found[0]) if found else None  # type: ignore[arg-type]

    def page(
        self,
        limit: int,
        before: int | None = None,
        state: str | None = None,
        search_id: str | None = None,
        label: str | None = None,
    ) -> tuple[list[StoredRun], int | None]:
        """(runs, or trials of a search, without specifications, newest first; where the next page begins, None: nowhere)."""
        listed = LISTED.replace("spec,", "x'' AS spec,")  # up to megabytes each, which no list shows
        # One more than asked for, which says whether there is a next page without counting all runs.
        query = f"SELECT {listed}, number FROM {{run}} WHERE {ON_PAGE} ORDER BY number DESC LIMIT :limit"  # noqa: S608
        rows = self._read_runs(
            query, before=before or 2**62, state=state, search_id=search_id, label=label, limit=limit + 1
        )
        shown = [StoredRun(*row[:-1]) for row in rows[:limit]]  # type: ignore[arg-type]
        return shown, int(str(rows[limit - 1][-1])) if len(rows) > limit else None

    def find_key(self, key: str, now_ms: int) -> IdempotencyKey | None:
        """The run that ``key`` stands for, if it was used within a day."""
        found = self._read("SELECT * FROM idempotency WHERE key = ? AND created_ms >= ?", (key, now_ms - KEY_LIFE_MS))
        return IdempotencyKey(*found[0]) if found else None  # type: ignore[arg-type]

    def remove(self, run_ids: Sequence[str]) -> list[str]:
        """Delete runs that have ended, and their records, but no trial of a search. Returns those that were there."""
        gone: list[str] = []
        with self._delete_with_records(gone) as connection:
            of_search = "SELECT run_id FROM trial"
            delete = f"DELETE FROM run WHERE id = ? AND state IN ({FINAL}) AND id NOT IN ({of_search})"  # noqa: S608
            gone += [run_id for run_id in run_ids if connection.execute(delete, (run_id,)).rowcount]
        return gone

    def prune(self, keep: Retention, now_ms: int) -> list[str]:
        """Delete some of what retention does not keep, oldest first. Returns their ids; none where nothing is left to go."""
        gone: list[str] = []
        with self._delete_with_records(gone) as connection:
            runs, searches = delete_expired(connection, keep, now_ms)
            gone += runs
        return gone + searches

    @contextmanager
    def _delete_with_records(self, gone: list[str]) -> Iterator[sqlite3.Connection]:
        """A transaction that deletes the rows of ``gone``, which its block fills: their records are deleted with them,
        or stay.
        """
        files = self._folder.files
        try:
            with self._transaction() as connection:
                yield connection
                files.mark_removed(gone)
        except BaseException:
            files.restore(gone)
            raise
        files.delete_removed(gone)

    def records(self, run_id: str) -> bytes | None:
        """A run's records, None if it has none. Raises `Damaged` where what was written is not there any more."""
        file = self.open_records(run_id)
        if file is None:
            return None
        with file, _reading(run_id):
            return file.read()

    def parts(self, run_id: str) -> bytes | None:
        """What a run measured but its records, None if it has none: a run without a result, or of an older version."""
        found = self._read("SELECT parts FROM run WHERE id = ?", (run_id,))
        parts = found[0][0] if found else None
        return parts if isinstance(parts, bytes) else None

    def open_records(self, run_id: str) -> BinaryIO | None:
        """The same as a file, to be read piece by piece: it stays as it is, also when the run is deleted meanwhile."""
        found = self._read("SELECT records, records_bytes FROM run WHERE id = ?", (run_id,))
        records, size = found[0] if found else (None, 0)
        # In the row, or there are none; in the latter case the column is NULL.
        if isinstance(records, bytes) or not size:
            return io.BytesIO(records) if isinstance(records, bytes) else None
        if int(str(size)) < 0:
            raise Damaged(f"the records of {run_id} could not be stored when the server stopped")
        with _reading(run_id):
            return self._folder.files.open(run_id, int(str(size)))

    def newest_id(self) -> str | None:
        """The id that was given last."""
        found = self._read("SELECT id FROM run ORDER BY number DESC LIMIT 1")
        return str(found[0][0]) if found else None

    def newest_ms(self, now_ms: int) -> int | None:
        """When the latest run was accepted. Runs that were recorded with a clock ahead of ``now_ms`` do not count."""
        ((found,),) = self._read("SELECT max(created_ms) FROM run WHERE created_ms <= ?", (now_ms,))
        return found if isinstance(found, int) else None

    def sweep(self) -> None:
        """Finish what a crash cut short in the folder of records."""
        kept = self._read("SELECT id, records_bytes > 0 AND records IS NULL FROM run")
        self._folder.files.sweep({str(run_id): bool(in_file) for run_id, in_file in kept})

    def probe(self) -> None:
        """Write something, to see whether writing works."""
        with self._transaction() as connection:
            # Its own value, so nothing changes, but SQLite writes a page for it.
            connection.execute(f"PRAGMA user_version = {connection.execute('PRAGMA user_version').fetchone()[0]}")


@contextmanager
def _reading(run_id: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReadFailed(f"the records of {run_id} could not be read: {error.strerror}") from None
