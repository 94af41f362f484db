"""The ledger's tables, version by version. A migration is a list of statements, applied in one transaction.

A ledger that a newer Aurea wrote is refused, and so is one that is damaged or not ours, before anything in it is changed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from aurea_server.history.data_folder import REMEDY, DataFolder
from aurea_server.history.errors import LedgerNewer, LedgerUnusable, is_full

APPLICATION_ID = 0x41555245
"""``AURE``: what a ledger of ours says it is."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE run (
            id TEXT PRIMARY KEY,
            state TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            started_ms INTEGER,
            ended_ms INTEGER,
            label TEXT,
            spec BLOB NOT NULL,
            figures BLOB NOT NULL DEFAULT x'7b7d',
            reason BLOB,
            last BLOB,
            head BLOB,
            records_bytes INTEGER NOT NULL DEFAULT 0,
            records BLOB,
            number INTEGER NOT NULL
        ) STRICT""",
        # `number` is the order of acceptance: ids are stamps of the wall clock, which can be set back.
        "CREATE UNIQUE INDEX run_number ON run (number)",
        # For lists of one status, and for the runs that a crash left unended, which every start looks for.
        "CREATE INDEX run_state ON run (state, number)",
        """CREATE TABLE idempotency (
            key TEXT PRIMARY KEY,
            digest TEXT NOT NULL,
            run_id TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
            created_ms INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX idempotency_run ON idempotency (run_id)",
    ),
    # The parts of a run but its records, which stay in a file of their own. At the end of the row, after columns that lists
    # read: SQLite follows a row's overflow pages only as far as it must.
    ("ALTER TABLE run ADD COLUMN parts BLOB",),
    # Searches, and which runs are their trials. The latter is a table of its own: a column of `run` would come after its
    # parts, and every list would go through them.
    (
        """CREATE TABLE search (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            started_ms INTEGER,
            ended_ms INTEGER,
            label TEXT,
            key TEXT,
            digest TEXT,
            asked BLOB NOT NULL,
            reason BLOB,
            progress BLOB,
            answer BLOB,
            spec BLOB NOT NULL
        ) STRICT""",
        # Of its Idempotency-Key, which only a search that was asked for with one has, and for a day.
        "CREATE UNIQUE INDEX search_key ON search (key) WHERE key IS NOT NULL",
        """CREATE TABLE trial (
            run_id TEXT PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
            search_id TEXT NOT NULL REFERENCES search (id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX trial_search ON trial (search_id)",
    ),
)
VERSION = len(MIGRATIONS)


def open_ledger(folder: DataFolder) -> sqlite3.Connection:
    """The one connection to a sound ledger of this version. Raises `LedgerUnusable` or `LedgerNewer`.

    SQLite before 3.51.3 can corrupt a WAL that several connections write and checkpoint, so there is only ever one
    connection that writes. A ledger is checked before, by one that only reads: one that may write would fold the log into a
    ledger that is then refused. Where the ledger is of this version, nothing is written; where the disk has no room for the
    index of the log, the index is in memory, and no other process may look into the ledger meanwhile.
    """
    try:
        checked = _check_read_only(folder)
        try:
            return _connect(folder, checked=checked)
        except sqlite3.Error as error:
            # No room for the log's index (-shm), which is shared memory: with an exclusive lock SQLite keeps it in its
            # own.
            if not is_full(error):
                raise
            return _connect(folder, "PRAGMA locking_mode = EXCLUSIVE", checked=checked)
    except sqlite3.Error as error:
        raise LedgerUnusable(f"{folder.ledger}: {error}") from None


def _check_read_only(folder: DataFolder) -> bool:
    """Whether the ledger was checked without the right to write; False if that takes writing, as after a crash it may."""
    try:
        with closing(sqlite3.connect(f"{folder.ledger.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as reader:
            _check(reader, folder)
    except sqlite3.Error as error:
        # After a crash the log must be replayed before the ledger can be read, which takes the right to write. The
        # lower byte is the error, the upper ones say more about it.
        code = getattr(error, "sqlite_errorcode", 0)
        if not is_full(error) and code & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise
        return False
    return True


def _connect(folder: DataFolder, *first: str, checked: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(folder.ledger, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        for statement in first:
            connection.execute(statement)
        if not checked:
            _check(connection, folder)
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        # A commit is on the disk when it returns, so a run that was accepted survives a power cut
        # (tests/faults/test_power.py).
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, folder: DataFolder) -> None:
    path = folder.ledger
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise LedgerUnusable(f"{path}: it is a database, but not a ledger of Aurea")
    if version > VERSION:
        raise LedgerNewer(f"{path}: a newer Aurea wrote it (version {version}, this one knows {VERSION})")
    # Takes time in proportion to the size of the ledger, and finds what would otherwise fail a run weeks later.
    (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise LedgerUnusable(f"{path}: it is damaged ({str(sound).splitlines()[-1]}); {REMEDY}")
    if not tables:
        folder.check_new()
    # A table that lost a column is damage that SQLite itself does not see.
    found = read_layout(connection)
    for table, columns in _expected_layout(version).items():
        if found.get(table) != columns:
            raise LedgerUnusable(f"{path}: it is damaged (its table {table!r} is not as Aurea makes it); {REMEDY}")


def read_layout(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Table → its columns: (name, type, whether it may be null, place in the primary key)."""
    query = 'SELECT t.name, c.name, c.type, c."notnull", c.pk FROM sqlite_master t, pragma_table_info(t.name) c'
    tables: dict[str, list[tuple[object, ...]]] = {}
    for table, *column in connection.execute(f"{query} WHERE t.type = 'table' ORDER BY t.name, c.cid"):
        tables.setdefault(table, []).append(tuple(column))
    return tables


def _expected_layout(version: int) -> dict[str, list[tuple[object, ...]]]:
    """What the migrations up to ``version`` make."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statements in MIGRATIONS[: max(version, 0)]:
            for statement in statements:
                connection.execute(statement)
        return read_layout(connection)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to `VERSION`, all or nothing; where they are there already, nothing is written."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[max(version, 0) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
