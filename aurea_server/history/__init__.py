"""The history of runs: one SQLite file and a folder of records, used by one server at a time."""

# What other rooms use. The ledger itself is here for `aurea runs`, which reads it without a server.
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
from aurea_server.history.history import History
from aurea_server.history.idempotency_key import IdempotencyKey
from aurea_server.history.ledger import Ledger
from aurea_server.history.retention import Retention
from aurea_server.history.rows import (
    AcceptedRun,
    AcceptedSearch,
    FinishedRun,
    FinishedSearch,
    StoredRun,
    StoredSearch,
    is_search_id,
)
from aurea_server.history.search_history import SearchHistory

# All but `History` are values, errors, and what opens a ledger.
__all__ = [
    "AcceptedRun",
    "AcceptedSearch",
    "Damaged",
    "DataFolder",
    "FinishedRun",
    "FinishedSearch",
    "History",
    "IdempotencyKey",
    "KeyReused",
    "Ledger",
    "LedgerLocked",
    "LedgerNewer",
    "LedgerUnusable",
    "ReadFailed",
    "Retention",
    "SearchHistory",
    "StorageFailed",
    "StorageFull",
    "StoreError",
    "StoredRun",
    "StoredSearch",
    "default_data_folder",
    "is_search_id",
]
