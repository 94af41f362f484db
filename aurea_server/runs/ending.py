"""How an end is made known, of a run as of a search: the history first, then followers, then whoever waits.

A client that learns of an end may ask for the result at once, and must find it. Where the history cannot store it yet, the
entry stays among the active ones: then this is the only place that has it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Generic, Literal, Protocol, Self, TypeVar

from aurea_server.history import StoreError
from aurea_server.runs.active_run import Active, ActiveOnes, RunAnswer

log = logging.getLogger(__name__)


class Ending(Active, Protocol):
    """**Protocol:** a run or a search whose ``state`` is its status in the end."""

    state: str


class Finished(Protocol):
    """**Protocol:** an end as values."""

    @property
    def answer(self) -> RunAnswer: ...
    def summary(self) -> dict[str, object]:
        """What the last event says."""

    def with_storage_error(self, storage_error: StoreError | None) -> Self:
        """The same, where the row could not be stored."""


E = TypeVar("E", bound=Ending)
F = TypeVar("F", bound=Finished)


class Ends(Generic[E]):
    """Ends what is ``active``. ``kind``: what that is, for the log."""

    def __init__(self, active: ActiveOnes[E], kind: Literal["run", "search"]) -> None:
        self._active, self._kind = active, kind

    async def store(self, entry: E, finish: F, storing: Awaitable[StoreError | None]) -> F:
        """``finish`` once ``storing`` its row has been tried."""
        storage_error = await storing
        if storage_error is not None:
            log.error("a %s's end could not be stored yet: %s", self._kind, storage_error, extra=self._name(entry))
        return finish.with_storage_error(storage_error)

    def publish(self, entry: E, finish: Finished) -> None:
        """Tell followers and whoever waits. It comes after `store`."""
        entry.state = finish.answer.status
        if finish.answer.storage_error is None:
            self._active.remove(entry.id)
        entry.events.publish("end", finish.summary())
        entry.events.close()
        self._active.drop_old_events()
        # A run whose end failed half-way is ended once more, as failed: see `RunLifecycle.execute`.
        if not entry.ended.done():
            entry.ended.set_result(finish.answer)
        log.info("%s ended: %s", self._kind, finish.answer.status, extra=self._name(entry))

    def _name(self, entry: E) -> dict[str, str]:
        return {f"{self._kind}_id": entry.id}
