"""What the ledger holds of a run, as values. Times are milliseconds since 1970, and only labels."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from aurea_server.history.errors import Damaged

FINAL_STATES = ("completed", "failed", "cancelled", "timed_out", "aborted", "interrupted")
STATES = ("queued", "running", *FINAL_STATES)


@dataclass(frozen=True)
class AcceptedRun:
    """A run when it is accepted. ``spec`` is JSON, with every default and the seed. ``started_ms``: it begins at once."""

    id: str
    created_ms: int
    label: str | None
    spec: bytes
    started_ms: int | None = None


@dataclass(frozen=True)
class IdempotencyKey:
    """``digest``: of the request's body; the run that the key stands for, and when it was first used."""

    key: str
    digest: str
    run_id: str
    created_ms: int


@dataclass(frozen=True)
class FinishedRun:
    """A run when it has ended. ``figures``, ``reason``, ``last`` and ``head`` are JSON; ``records`` a file's content."""

    state: str
    ended_ms: int
    figures: bytes = b"{}"
    reason: bytes | None = None
    last: bytes | None = None
    head: bytes | None = None
    records: bytes = b""


@dataclass(frozen=True)
class StoredRun:
    """A run as the ledger knows it. ``packed``, the result without its jobs, is only there when one run is asked for."""

    id: str
    state: str
    created_ms: int
    started_ms: int | None
    ended_ms: int | None
    label: str | None
    spec: bytes
    figures: bytes
    reason: bytes | None
    records_bytes: int
    packed: bytes | None = None

    @property
    def head(self) -> bytes | None:
        """The result without its jobs, as JSON. Raises `Damaged`."""
        try:
            return None if self.packed is None else zlib.decompress(self.packed)
        except zlib.error as error:
            raise Damaged(f"the result of {self.id} is damaged: {error}") from None
