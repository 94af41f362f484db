"""The history of runs: one SQLite file and a folder of records, used by one server at a time."""

from aurea_server.history.data_folder import DataFolder, default_data_folder
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
from aurea_server.history.rows import FINAL_STATES, STATES, AcceptedRun, FinishedRun, IdempotencyKey, StoredRun

__all__ = [
    "AcceptedRun",
    "Damaged",
    "DataFolder",
    "FINAL_STATES",
    "FinishedRun",
    "History",
    "IdempotencyKey",
    "KeyReused",
    "Ledger",
    "LedgerLocked",
    "LedgerNewer",
    "LedgerUnusable",
    "ReadFailed",
    "Retention",
    "STATES",
    "StorageFailed",
    "StorageFull",
    "StoreError",
    "StoredRun",
    "default_data_folder",
]
