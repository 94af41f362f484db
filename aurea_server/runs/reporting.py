"""What is drawn of a stored run: its report, and its series; and the report of a search. All are made in a process of their
own, like a comparison: a million jobs are read for them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from aurea_engine.processes.supervisor import ProcessFailed
from aurea_server.history import Damaged
from aurea_server.runner.pool import RunnerPool
from aurea_server.runner.turns import Busy
from aurea_server.runs.errors import QueueFull, ReportFailed
from aurea_server.runs.reader import RunReader
from aurea_server.runs.searches.reader import SearchReader

SERIES_KEPT = 8
"""Series of runs that are kept, some hundred kilobytes each: all who watched a run ask for it when it ends."""


class Reporter:
    """Draws stored runs and searches, one at a time."""

    def __init__(self, reader: RunReader, searches: SearchReader, pool: RunnerPool) -> None:
        self._reader, self._searches, self._pool = reader, searches, pool
        self._series: OrderedDict[str, asyncio.Task[bytes]] = OrderedDict()

    async def draw(self, run_id: str) -> str:
        """The page. Raises `NotFound`, `NotEnded`, `NoResult`, `Damaged`, `QueueFull` or `ReportFailed`."""
        await self._reader.check_result(run_id, "drawn")
        return (await self._draw("report", lambda: self._collect(run_id))).decode()

    async def draw_search(self, search_id: str) -> str:
        """The page of a search. Raises `NoSuchSearch`, `SearchNotEnded`, `NoResult`, `Damaged`, `QueueFull` or
        `ReportFailed`.
        """
        answer = await self._searches.get_answer(search_id)

        async def collect() -> dict[str, bytes]:
            return {"answer": answer}

        return (await self._draw("search", collect)).decode()

    async def get_series(self, run_id: str) -> bytes:
        """The series of a run that has ended, as JSON. Raises as `draw` does."""
        # Also of what is kept: a run that was deleted is not shown any more.
        await self._reader.check_result(run_id, "drawn")
        task = self._series.get(run_id)
        if task is None:
            task = self._series[run_id] = asyncio.create_task(self._draw_series(run_id))
            task.add_done_callback(lambda done: self._forget_failed(run_id, done))
            while len(self._series) > SERIES_KEPT:
                self._series.popitem(last=False)
        # Many may wait for it: one that leaves must not end it for the others.
        return await asyncio.shield(task)

    async def _draw_series(self, run_id: str) -> bytes:
        drawn = await self._draw("series", lambda: self._collect(run_id))
        return msgspec.json.encode({"benchmark_id": run_id, **msgspec.json.decode(drawn, type=dict[str, msgspec.Raw])})

    def _forget_failed(self, run_id: str, done: asyncio.Task[bytes]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._series.get(run_id) is done:
            del self._series[run_id]

    async def _collect(self, run_id: str) -> dict[str, bytes]:
        return (await self._reader.stored(run_id))._asdict()

    async def _draw(self, what: str, collect: Callable[[], Awaitable[dict[str, bytes]]]) -> bytes:
        try:
            return await self._pool.draw({"draw": what}, collect)
        except Busy:
            raise QueueFull("Too many reports are being made; try again later.") from None
        except ProcessFailed as failed:
            if failed.reason.code == "storage":
                raise Damaged(failed.reason.detail) from None
            raise ReportFailed(failed.reason.detail) from None
