"""The history of runs: one SQLite file and a folder of records, used by one server at a time."""

from aurea_server.store.errors import (
    Damaged,
    KeyReused,
    LedgerLocked,
    LedgerNewer,
    LedgerUnusable,
    ReadFailed,
    StorageFailed,
    StorageFull,
    StoreError,
)
from aurea_server.store.history import History, Retention
from aurea_server.store.ledger import Ledger
from aurea_server.store.place import Place, default_data
from aurea_server.store.rows import FINAL_STATES, STATES, Ending, Entry, IdempotencyKey, Row

__all__ = [
    "FINAL_STATES",
    "STATES",
    "Damaged",
    "Ending",
    "Entry",
    "History",
    "IdempotencyKey",
    "KeyReused",
    "Ledger",
    "LedgerLocked",
    "LedgerNewer",
    "LedgerUnusable",
    "Place",
    "ReadFailed",
    "Retention",
    "Row",
    "StorageFailed",
    "StorageFull",
    "StoreError",
    "default_data",
]
