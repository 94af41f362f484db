"""What can go wrong with the history.

StoreError
├── LedgerUnusable        it cannot be opened: ServeExitCode.LEDGER_UNUSABLE
│   ├── LedgerLocked      another server has it: the same code
│   └── LedgerNewer       a newer Aurea wrote it: ServeExitCode.LEDGER_NEWER
├── StorageFull           no room for another run
├── StorageFailed         it could not be written
│   └── ReadFailed        it could not be read, which says nothing about writing
├── Damaged               what is stored of one run is not what was written
└── KeyReused             the Idempotency-Key belongs to a run already

What each means in HTTP stands in ``http/problems.py``.
"""

from __future__ import annotations

import errno
import sqlite3

from aurea_server.history.idempotency_key import IdempotencyKey


class StoreError(Exception):
    """The root: the text is one sentence for the operator."""


class LedgerUnusable(StoreError):
    """Nothing can be served from it."""


class LedgerLocked(LedgerUnusable):
    """Two servers cannot share a ledger."""


class LedgerNewer(LedgerUnusable):
    """Its version is above what this program knows."""


class StorageFull(StoreError):
    """There is no room."""


class StorageFailed(StoreError):
    """The disk, the file or its permissions failed."""


class ReadFailed(StorageFailed):
    """Something could not be read. That says nothing about writing."""


class Damaged(StoreError):
    """What is kept of one run cannot be understood; the others are well."""


class KeyReused(StoreError):
    """``taken`` is the key as it was first used."""

    def __init__(self, taken: IdempotencyKey) -> None:
        super().__init__("the Idempotency-Key belongs to another run")
        self.taken = taken


def to_storage_error(error: sqlite3.Error | OSError) -> StoreError:
    """What a failure of SQLite or the system means: by its number, since its text may hold any path."""
    # The texts of both kinds of error may hold paths, so what they mean is read from their numbers.
    if is_full(error):
        return StorageFull("the disk is full")
    return StorageFailed(f"the ledger could not be used: {error}")


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Whether there was no room. ``SHMSIZE`` is that of the log's index."""
    # A quota that is used up (EDQUOT) is as full as a disk.
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
