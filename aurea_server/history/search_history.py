"""The searches of a history as the event loop sees them: `History` does the work, one thing after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aurea_server.history.errors import StoreError
from aurea_server.history.idempotency_key import IdempotencyKey
from aurea_server.history.rows import AcceptedSearch, FinishedSearch, StoredSearch, is_search_id
from aurea_server.history.search_table import SearchTable

Ask = Callable[..., Awaitable[Any]]
StoreEnd = Callable[[str, FinishedSearch], Awaitable[StoreError | None]]


class SearchHistory:
    """``ask``: does something on the ledger's thread; ``store_end``: keeps an end that cannot be written for later.

    Methods raise `StoreError` unless they say otherwise.
    """

    def __init__(self, table: SearchTable, ask: Ask, store_end: StoreEnd) -> None:
        self._table, self._ask, self._store_end = table, ask, store_end

    async def add(self, search: AcceptedSearch, key: IdempotencyKey | None) -> None:
        """A new search. Raises `KeyReused` where ``key`` is known already: then nothing is added."""
        await self._ask(self._table.add, search, key)

    async def begin(self, search_id: str, started_ms: int) -> None:
        """Queued → running."""
        await self._ask(self._table.begin, search_id, started_ms)

    async def report(self, search_id: str, progress: bytes) -> None:
        """What it has found so far."""
        await self._ask(self._table.report, search_id, progress)

    async def end(self, search_id: str, finished: FinishedSearch) -> StoreError | None:
        """Store how a search ended. Where that fails, return why, and keep it for `History.catch_up`."""
        return await self._store_end(search_id, finished)

    async def get(self, search_id: str) -> StoredSearch | None:
        """One search, whole; None if there is none. A malformed id is refused without a look at the disk."""
        found: StoredSearch | None = await self._ask(self._table.get, search_id) if is_search_id(search_id) else None
        return found

    async def page(self, limit: int, before: int, state: str | None) -> tuple[list[StoredSearch], int | None]:
        """(searches without their specifications, newest first; where the next page begins, None after the last)."""
        found: tuple[list[StoredSearch], int | None] = await self._ask(self._table.page, limit, before, state)
        return found

    async def find_key(self, key: str, now_ms: int) -> IdempotencyKey | None:
        """The Idempotency-Key, if it was used within a day."""
        found: IdempotencyKey | None = await self._ask(self._table.find_key, key, now_ms)
        return found

    async def remove(self, search_id: str) -> list[str] | None:
        """Delete a search that has ended, with its trials. Returns the ids of those, None if there is no such search."""
        gone: list[str] | None = await self._ask(self._table.remove, search_id)
        return gone

    async def newest_id(self) -> str | None:
        """The id that was given last."""
        found: str | None = await self._ask(self._table.newest_id)
        return found
