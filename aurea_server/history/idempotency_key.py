"""The Idempotency-Key of a request: the same key with the same body stands for the same run."""

from __future__ import annotations

from dataclasses import dataclass

from aurea_server.history.retention_clock import DAY_MS

KEY_LIFE_MS = DAY_MS
"""How long a key is remembered. Retention keeps its run at least as long, unless the history grows too large."""


@dataclass(frozen=True)
class IdempotencyKey:
    """``digest``: of the request's body; the run that the key stands for, and when it was first used."""

    # As the client sent it: 1 to 255 visible ASCII characters.
    key: str
    digest: str
    run_id: str
    created_ms: int
