"""The history of runs: one SQLite file and a folder of records, used by one server at a time."""

from aurea_server.history.data_folder import Place, default_data
from aurea_server.history.errors import (
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
from aurea_server.history.history import History, Retention
from aurea_server.history.ledger import Ledger
from aurea_server.history.rows import FINAL_STATES, STATES, Ending, Entry, IdempotencyKey, Row

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
