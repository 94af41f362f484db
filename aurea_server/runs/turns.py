"""Whose turn it is: the entries of the queue are executed one after the other, each by what knows how."""

from __future__ import annotations

import asyncio
import contextlib

from aurea_server.context import in_trace
from aurea_server.runs.active_run import ActiveRun
from aurea_server.runs.lifecycle import RunLifecycle
from aurea_server.runs.queue import RunQueue
from aurea_server.runs.searches.active_search import ActiveSearch
from aurea_server.runs.searches.lifecycle import SearchLifecycle


class Turns:
    """Gives each entry its turn. A search keeps it until its last trial has ended."""

    def __init__(self, queue: RunQueue, runs: RunLifecycle, searches: SearchLifecycle) -> None:
        self._queue, self._runs, self._searches = queue, runs, searches
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with the first entry, as soon as there is one."""
        self._task = asyncio.create_task(self._take())

    async def close(self) -> None:
        """Execute nothing any more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                await asyncio.wait_for(self._task, 1.0)

    async def _take(self) -> None:
        while True:
            entry = await self._queue.take()
            try:
                # Neither raises: a defect must cost one entry, for without this task nothing would ever start again.
                if isinstance(entry, ActiveSearch):
                    with in_trace(entry.trace):
                        await self._searches.execute(entry)
                elif isinstance(entry, ActiveRun):
                    with in_trace(entry.trace):
                        await self._runs.execute(entry)
            finally:
                self._queue.finish()
