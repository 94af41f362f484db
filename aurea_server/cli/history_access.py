"""Where the command line finds stored runs: in the history of this machine, or on a server."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from aurea_engine import AureaError, DamagedParts
from aurea_server.cli.server_client import ServerClient
from aurea_server.history import DataFolder, Ledger, StoredRun, StoreError
from aurea_server.runs import views
from aurea_server.settings.sources import resolve


class HistoryError(AureaError):
    """The history cannot be used, or has no such run."""


@contextmanager
def open_ledger(data: Path | None) -> Iterator[Ledger]:
    """The history in the folder ``data``, None for that of the settings. Raises `HistoryError`."""
    # A ledger belongs to one process at a time: a server that has it keeps it, and has to be asked.
    folder = None
    try:
        folder = DataFolder(resolve({"data": data}).settings.folder)
        with closing(Ledger(folder)) as ledger:
            yield ledger
    except (StoreError, DamagedParts) as error:
        raise HistoryError(f"{error}; where a server has it, --server asks that one") from None
    finally:
        if folder is not None:
            folder.release()


def find_server(server: str | None) -> ServerClient | None:
    """The server that is asked: ``server``, else what AUREA_SERVER names, else None for the history of this machine."""
    if server is not None:
        return ServerClient(server)
    # A flag wins over the variable; without either the history of this machine is meant.
    url = os.environ.get("AUREA_SERVER")
    return ServerClient(url, "AUREA_SERVER") if url else None


def read_row(ledger: Ledger, run_id: str) -> StoredRun:
    """The row of a run. Raises `HistoryError` if there is none."""
    row = ledger.get(run_id)
    if row is None:
        raise HistoryError(f"there is no run {run_id!a}")
    return row


def read_run_document(run_id: str, data: Path | None, server: str | None) -> bytes:
    """A run as JSON. Raises `HistoryError` or `ServerError`."""
    remote = find_server(server)
    if remote is not None:
        with remote.open("GET", f"/benchmark/runs/{quote_id(run_id)}") as response:
            return bytes(response.read())
    with open_ledger(data) as ledger:
        row = read_row(ledger, run_id)
        return views.encode_stored(row, ledger.records(run_id) if row.records_bytes else None)


def quote_id(run_id: str) -> str:
    """An id for a URL. It was typed by hand: a slash in it would name another resource."""
    return urllib.parse.quote(run_id, safe="")
