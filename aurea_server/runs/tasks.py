"""Background tasks with an owner: the loop itself keeps only weak references, and reports no failures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from aurea_server.history import StoreError

log = logging.getLogger(__name__)


class Tasks:
    """Holds its tasks until they end, and logs what none of them should have raised."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run it in the background."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._log_failure)

    async def run_shielded(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it to its end even if the caller is cancelled; raises what it raises."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel all, and wait until they are gone."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1.0)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        # The caller may have left. Its exception was for the caller alone, and one that nobody retrieves would be
        # reported by asyncio as an error of the program.
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    def _log_failure(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the server failed", exc_info=error)


async def ignore_storage_errors(coroutine: Coroutine[Any, Any, None]) -> None:
    """For writes that are not waited for: the history itself remembers and reports that it cannot be written."""
    with contextlib.suppress(StoreError):
        await coroutine
