"""What the ledger holds of a run, as values. Times are milliseconds since 1970, and only labels."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from aurea_engine.closed_sets import RUN_ID_PATTERN, SEARCH_ID_PATTERN
from aurea_server.history.errors import Damaged

# One pattern for ids that come from clients and for names of files: what does not match is never looked for.
_RUN_ID = re.compile(RUN_ID_PATTERN, re.ASCII)
_SEARCH_ID = re.compile(SEARCH_ID_PATTERN, re.ASCII)


def is_run_id(text: str) -> bool:
    """Whether it may be the id of a run. Nothing else is looked up, or becomes part of a path."""
    return _RUN_ID.fullmatch(text) is not None


def is_search_id(text: str) -> bool:
    """Whether it may be the id of a search."""
    return _SEARCH_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class AcceptedRun:
    """A run when it is accepted. ``spec`` is JSON, with every default and the seed. ``started_ms``: it begins at once.
    ``search_id``: it is a trial of that search.
    """

    id: str
    created_ms: int
    label: str | None
    spec: bytes
    started_ms: int | None = None
    search_id: str | None = None


@dataclass(frozen=True)
class FinishedRun:
    """A run when it has ended. ``figures``, ``reason``, ``last`` and ``head`` are JSON; ``records`` a file's content.

    ``parts``: what the run measured but its records, as `RunParts.to_bytes` writes it, compressed already.
    """

    state: str
    ended_ms: int
    # Kept as JSON text: what a newer server adds to them comes back as it was, and lists need not decode what they skip.
    figures: bytes = b"{}"
    reason: bytes | None = None
    last: bytes | None = None
    head: bytes | None = None
    records: bytes = b""
    parts: bytes | None = None


@dataclass(frozen=True)
class StoredRun:
    """A run as the ledger has it. ``packed``, the result without its jobs, is only there when one run is asked for.
    ``search_id``: the search whose trial it is.
    """

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
    search_id: str | None = None
    packed: bytes | None = None

    @property
    def head(self) -> bytes | None:
        """The result without its jobs, as JSON. Raises `Damaged`."""
        # Unpacked only when it is asked for: a list of runs has no use for it.
        try:
            return None if self.packed is None else zlib.decompress(self.packed)
        except zlib.error as error:
            raise Damaged(f"the result of {self.id} is damaged: {error}") from None


@dataclass(frozen=True)
class AcceptedSearch:
    """A search when it is accepted. ``spec`` is JSON, with every default and the seed; so is ``asked``, the members of the
    search itself. ``started_ms``: it begins at once.
    """

    id: str
    created_ms: int
    label: str | None
    spec: bytes
    asked: bytes
    started_ms: int | None = None


@dataclass(frozen=True)
class FinishedSearch:
    """A search when it has ended. All but ``state`` and ``ended_ms`` is JSON; ``answer`` is None where it came to none."""

    state: str
    ended_ms: int
    reason: bytes | None = None
    progress: bytes | None = None
    answer: bytes | None = None


@dataclass(frozen=True)
class StoredSearch:
    """A search as the ledger has it. ``spec`` is empty in a list."""

    id: str
    state: str
    created_ms: int
    started_ms: int | None
    ended_ms: int | None
    label: str | None
    asked: bytes
    reason: bytes | None
    progress: bytes | None
    answer: bytes | None
    spec: bytes
