"""Runs read back from the history."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from aurea_engine import DamagedParts
from aurea_engine.records import column_file
from aurea_server.history import Damaged, StoredRun
from aurea_server.http.problems import HttpProblem
from aurea_server.runs import views
from aurea_server.runs.manager import RunManager

log = logging.getLogger(__name__)

T = TypeVar("T")
PATIENCE = 10.0
"""Seconds that somebody waits for a place among the readers."""

_ID = re.compile(r"benchmark-[0-9]{1,19}", re.ASCII)


def not_found() -> HttpProblem:
    """404"""
    return HttpProblem(404, "run_not_found", "There is no such run.")


async def row_of(runs: RunManager, run_id: str) -> StoredRun:
    """A run's row. Raises HttpProblem where there is none; what is no id is not even looked for."""
    row = await runs.history.ask(runs.history.ledger.get, run_id) if _ID.fullmatch(run_id) else None
    if row is None:
        raise not_found()
    return views.repair_reason(row)


@asynccontextmanager
async def reading(runs: RunManager) -> AsyncIterator[None]:
    """A place among the few who may decode at a time; never held while anything is sent, which takes as long as the client
    likes. Raises HttpProblem where none gets free.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            await runs.history.readers.acquire()
    except TimeoutError:
        text = "Too many read the jobs of runs already; try again later."
        raise HttpProblem(503, "too_many_readers", text, headers={"Retry-After": "5"}) from None
    try:
        yield
    finally:
        runs.history.readers.release()


async def stored_answer(runs: RunManager, run_id: str) -> bytes:
    """A run that has ended, as JSON: without its jobs where only they are damaged. Raises `Damaged`."""
    live = runs.live.get(run_id)
    if live is not None and live.ended.done():  # it could not be stored yet
        return live.ended.result().answer
    row = await row_of(runs, run_id)
    async with reading(runs):
        content = await _as_far_as_readable(runs, row)
        try:
            return await asyncio.to_thread(views.encode_stored, row, content)
        except DamagedParts as error:
            _without_jobs(row, error)
            return await asyncio.to_thread(views.encode_stored, row, None)


async def _as_far_as_readable(runs: RunManager, row: StoredRun) -> bytes | None:
    try:
        return await runs.history.ask(runs.history.ledger.records, row.id) if row.records_bytes else None
    except Damaged as error:
        _without_jobs(row, error)
        return None


def _without_jobs(row: StoredRun, error: Exception) -> None:
    log.error("%s is answered without its jobs: %s", row.id, error)


async def records_of(runs: RunManager, run_id: str) -> column_file.StoredRecords | None:
    """The records of a run that has ended; None where none are kept. Raises `Damaged`."""
    row = await row_of(runs, run_id)
    content = await runs.history.ask(runs.history.ledger.records, run_id) if row.records_bytes else None
    try:
        return None if content is None else await asyncio.to_thread(column_file.decode, content)
    except DamagedParts as error:
        raise Damaged(f"the records of {run_id} are damaged: {error}") from None


class Export:
    """All jobs of a run as CSV or NDJSON, for one client, as slow as it likes.

    Each piece is decoded when the one before has been sent, and takes a place among the readers only meanwhile. What is
    held is one block and one open file, so the number of slow clients is bounded by that of connections, and their memory
    with it.
    """

    def __init__(self, runs: RunManager, reader: column_file.Reader, form: str) -> None:
        self._runs, self._reader, self._form = runs, reader, form
        self._working: asyncio.Future[bytes] | None = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Raises `DamagedParts` where the file changes under way."""
        while True:
            async with self._runs.history.readers:
                piece = await self._decode()
            yield piece
            if self._reader.row >= self._reader.rows:
                return

    async def _decode(self) -> bytes:
        self._working = _in_thread(lambda: views.encode_next_jobs(self._reader, self._form))
        return await asyncio.shield(self._working)

    def close(self) -> None:
        """Let go of the file, once no thread reads it any more: the client may leave at any moment."""
        _when_done(self._working, self._reader.close)


async def export_of(runs: RunManager, run_id: str, form: str) -> Export | None:
    """The jobs of a run that has ended, None where none are kept; to be closed. Raises `Damaged` where they are damaged."""
    row = await row_of(runs, run_id)
    file = await runs.history.open_records(run_id) if row.records_bytes else None
    if file is None:
        return None
    working: asyncio.Future[column_file.Reader] | None = None
    try:
        async with reading(runs):
            working = _in_thread(lambda: _checked(column_file.Reader(file)))
            return Export(runs, await asyncio.shield(working), form)
    except DamagedParts as error:
        file.close()
        raise Damaged(f"the records of {run_id} are damaged: {error}") from None
    except BaseException:
        _when_done(working, file.close)
        raise


def _checked(reader: column_file.Reader) -> column_file.Reader:
    """Damage is told of before the first byte is sent: afterwards an answer can only break off."""
    reader.check()
    return reader


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """``work`` in a thread. Whoever asked may leave: then nobody else takes what it raises."""
    working = asyncio.get_running_loop().run_in_executor(None, work)
    working.add_done_callback(lambda done: done.cancelled() or done.exception())
    return working


def _when_done(working: asyncio.Future[T] | None, then: Callable[[], None]) -> None:
    if working is None or working.done():
        then()
    else:
        working.add_done_callback(lambda _: then())
