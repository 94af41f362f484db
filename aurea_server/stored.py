"""Runs read back from the history."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aurea_server import documents
from aurea_server.problems import Refused
from aurea_server.runner import columns
from aurea_server.runs import RunManager
from aurea_server.store import Damaged, Row

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that somebody waits for a place among the readers."""

_ID = re.compile(r"benchmark-[0-9]{1,19}", re.ASCII)


def not_found() -> Refused:
    """404"""
    return Refused(404, "run_not_found", "There is no such run.")


async def row_of(runs: RunManager, run_id: str) -> Row:
    """A run's row. Raises Refused where there is none; what is no id is not even looked for."""
    row = await runs.history.ask(runs.history.ledger.get, run_id) if _ID.fullmatch(run_id) else None
    if row is None:
        raise not_found()
    return documents.mended(row)


@asynccontextmanager
async def reading(runs: RunManager) -> AsyncIterator[None]:
    """A place among the few who may hold the records of a run in memory at a time. Raises Refused where none gets free."""
    try:
        async with asyncio.timeout(PATIENCE):
            await runs.history.readers.acquire()
    except TimeoutError:
        text = "Too many read the jobs of runs already; try again later."
        raise Refused(503, "too_many_readers", text, headers={"Retry-After": "5"}) from None
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
            return await asyncio.to_thread(documents.stored, row, content)
        except columns.Unreadable as error:
            _without_jobs(row, error)
            return await asyncio.to_thread(documents.stored, row, None)


async def _as_far_as_readable(runs: RunManager, row: Row) -> bytes | None:
    try:
        return await runs.history.ask(runs.history.ledger.records, row.id) if row.records_bytes else None
    except Damaged as error:
        _without_jobs(row, error)
        return None


def _without_jobs(row: Row, error: Exception) -> None:
    log.error("%s is answered without its jobs: %s", row.id, error)


async def records_of(runs: RunManager, run_id: str) -> columns.Records | None:
    """The records of a run that has ended; None where none are kept. Raises `Damaged`."""
    row = await row_of(runs, run_id)
    content = await runs.history.ask(runs.history.ledger.records, run_id) if row.records_bytes else None
    try:
        return None if content is None else await asyncio.to_thread(columns.decode, content)
    except columns.Unreadable as error:
        raise Damaged(f"the records of {run_id} are damaged: {error}") from None
