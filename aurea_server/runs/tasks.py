"""Tasks that somebody owns: the loop itself keeps only weak references, and tells nobody when one fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from aurea_server.history import StoreError

log = logging.getLogger(__name__)


class Tasks:
    """Keeps its tasks until they end, and logs what none of them should have raised."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def keep(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run it on its own."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def through(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it to its end even if the caller is cancelled; raises what it raises."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._taken)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel all, and wait until they are gone."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1.0)

    def _taken(self, task: asyncio.Task[Any]) -> None:
        """The caller may have left: then nobody else takes the exception, which was the caller's alone."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the server failed", exc_info=error)


async def regardless(coroutine: Coroutine[Any, Any, None]) -> None:
    """Where the storage fails, its own trouble says so already."""
    with contextlib.suppress(StoreError):
        await coroutine
