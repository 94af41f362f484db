"""How searches are read: while they are active from memory, afterwards from the history."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from aurea_server.history import SearchHistory
from aurea_server.runs.active_run import encode
from aurea_server.runs.errors import NoResult, NoSuchSearch, SearchNotEnded
from aurea_server.runs.events import Event, Followers
from aurea_server.runs.queue import RunQueue
from aurea_server.runs.searches.active_search import ActiveSearch, ActiveSearches
from aurea_server.runs.searches.views import view_active_search, view_listed_search, view_stored_search


class SearchReader:
    """Reads searches by their ids. Methods raise `NoSuchSearch` where there is none, `StoreError` if it cannot be read."""

    def __init__(self, history: SearchHistory, active: ActiveSearches, queue: RunQueue, followers: Followers) -> None:
        self._history, self._active, self._queue, self._followers = history, active, queue, followers

    def view(self, search: ActiveSearch) -> bytes:
        """A search that is queued or running, as JSON."""
        return encode(view_active_search(search, self._queue.position(search)))

    def is_active(self, search_id: str) -> bool:
        """Whether the search is queued or running."""
        return self._active.get_unended(search_id) is not None

    async def get(self, search_id: str) -> bytes:
        """A search as JSON: its state and progress, and once it has ended, its answer."""
        search = self._active.get(search_id)
        if search is None:
            return encode(await self._get_stored(search_id))
        # One that has ended and is here could not be stored yet.
        return search.ended.result().body if search.ended.done() else self.view(search)

    async def get_answer(self, search_id: str) -> bytes:
        """What a search came to, as JSON. Raises `SearchNotEnded`, also where its end could not be stored yet, or
        `NoResult`.
        """
        if self._active.get(search_id) is not None:
            raise SearchNotEnded("The search has not ended: it can be drawn when it has.")
        row = await self._history.get(search_id)
        if row is None:
            raise NoSuchSearch
        if row.answer is None:
            raise NoResult("The search came to no answer that could be drawn.")
        return row.answer

    async def list(self, limit: int, before: int, state: str | None) -> tuple[list[dict[str, Any]], int | None]:
        """(views of searches, newest first; where the next page begins, None after the last)."""
        rows, after = await self._history.page(limit, before, state)
        return [view_listed_search(row) for row in rows], after

    async def events(self, search_id: str, after: int) -> AsyncGenerator[Event, None]:
        """The events of a search with numbers above ``after``, the last of which is its end.

        Raises `TooManyFollowers` now, or, as `FollowerLagged`, while it is followed.
        """
        events = self._active.get_events(search_id)
        following = _once(await self._end_of(search_id)) if events is None else events.follow(after)
        self._followers.check_room()
        return following

    async def _end_of(self, search_id: str) -> Event:
        """All that is left to say of a search whose events are not kept any more."""
        stored = await self._get_stored(search_id)
        answer, reason = stored["answer"] or {}, stored["reason"]
        code = None if reason is None else reason["code"]
        summary = {
            "status": stored["status"],
            "answer": answer.get("status"),
            "value": answer.get("value"),
            "reason": code,
        }
        return Event(1, "end", encode(summary).decode())

    async def _get_stored(self, search_id: str) -> dict[str, Any]:
        row = await self._history.get(search_id)
        if row is None:
            raise NoSuchSearch
        return view_stored_search(row)


async def _once(event: Event) -> AsyncGenerator[Event, None]:
    yield event
