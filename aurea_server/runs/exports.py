"""The jobs of a run as rows: JSON values, CSV and NDJSON, and the export of all of them to one client.

An export is decoded piece by piece, each when the one before has been sent. What is held for a client is one block of rows
and one open file, however large the run is and however slow the client: so the memory of all exports is bounded by the
number of connections.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO, TypeVar

import numpy as np

from aurea_engine import JobBatch, Schema, encode_json, record_rows
from aurea_engine.records import column_file

T = TypeVar("T")

CSV_COLUMNS = (
    "job_id", "outcome", "latency", "response_time", "cost", "timestamp", "intended", "started", "finished", "failure",
)  # fmt: skip
"""Of every run. The group, marks and measures follow where the run's jobs have any: see `name_columns`."""
ROWS_AT_ONCE = 2_000
"""Rows of a piece: some ten milliseconds of work."""


def job_rows(records: column_file.StoredRecords, first: int, count: int) -> list[dict[str, Any]]:
    """Jobs ``first`` … as JSON values."""
    part = slice(first, first + count)
    costs = records.costs[part].tolist()
    return list(record_rows(records.benchmark_id, records.started_at, records.jobs[part], costs, first))


def name_columns(schema: Schema) -> tuple[str, ...]:
    """The columns of a CSV of jobs with the marks, measures and groups of ``schema``."""
    group = ("group",) if schema.groups else ()
    return (*CSV_COLUMNS, *group, *(each.name for each in schema.declared))


def encode_jobs(block: column_file.StoredRecords, first: int, form: str) -> bytes:
    """A block of jobs, the first of which is number ``first``, as CSV or NDJSON; the first piece of CSV has the heading."""
    rows = record_rows(block.benchmark_id, block.started_at, block.jobs, block.costs.tolist(), first)
    if form == "ndjson":
        return b"".join(encode_json(row) + b"\n" for row in rows)
    text, columns = io.StringIO(), name_columns(block.jobs.schema)
    writer = csv.writer(text)
    # The heading belongs to the first piece, so a run without jobs has it too, and pieces can be joined.
    if first == 0:
        writer.writerow(columns)
    # No mark or measure has the name of a built-in column, so they can stand beside them.
    flat = ({**row, **row.get("marks", {}), **row.get("measures", {})} for row in rows)
    writer.writerows([row[name] for name in columns] for row in flat)
    return text.getvalue().encode()


def encode_next_jobs(reader: column_file.Reader, form: str) -> bytes:
    """The next jobs of a file as CSV or NDJSON. Raises `DamagedParts`."""
    first = reader.row
    return encode_jobs(reader.read(ROWS_AT_ONCE), first, form)


def encode_all_jobs(reader: column_file.Reader, form: str) -> Iterator[bytes]:
    """All jobs of a file in that form, piece by piece."""
    yield encode_next_jobs(reader, form)
    while reader.row < reader.rows:
        yield encode_next_jobs(reader, form)


def encode_no_jobs(form: str) -> bytes:
    """What `encode_all_jobs` gives for a run without records: the heading of a CSV, or nothing."""
    started_at = datetime.fromtimestamp(0, UTC)
    return encode_jobs(column_file.StoredRecords("", started_at, JobBatch.empty(), np.empty(0)), 0, form)


def open_checked(file: BinaryIO) -> column_file.Reader:
    """A file of records that was read once, so that damage is found before anything is sent. Raises `DamagedParts`."""
    reader = column_file.Reader(file)
    reader.check()
    return reader


class Export:
    """All jobs of a run as CSV or NDJSON. ``reader``: None if no records are kept.

    ``decoders``: the places of those who may decode at a time.
    """

    def __init__(self, reader: column_file.Reader | None, form: str, decoders: asyncio.Semaphore) -> None:
        self._reader, self._form, self._decoders = reader, form, decoders
        self._working: asyncio.Future[bytes] | None = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Raises `DamagedParts` if the file changes under way."""
        if self._reader is None:
            yield encode_no_jobs(self._form)
            return
        while True:
            # A place among the decoders is held only while a piece is decoded, never while it is sent.
            async with self._decoders:
                piece = await self._decode(self._reader)
            yield piece
            if self._reader.row >= self._reader.rows:
                return

    async def _decode(self, reader: column_file.Reader) -> bytes:
        # Shielded, and remembered: a client that leaves cancels this coroutine, but no thread can be cancelled, and the
        # file must stay open until it is done with it.
        self._working = run_in_thread(lambda: encode_next_jobs(reader, self._form))
        return await asyncio.shield(self._working)

    def close(self) -> None:
        """Close the file, once no thread reads it any more: the client may leave at any moment."""
        if self._reader is not None:
            when_done(self._working, self._reader.close)


def run_in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """``work`` in a thread. The caller may leave: then no one else would retrieve its exception."""
    working = asyncio.get_running_loop().run_in_executor(None, work)
    working.add_done_callback(lambda done: done.cancelled() or done.exception())
    return working


def when_done(working: asyncio.Future[T] | None, then: Callable[[], None]) -> None:
    """Call ``then`` when ``working`` has ended: at once where it has, or never began."""
    if working is None or working.done():
        then()
    else:
        working.add_done_callback(lambda _: then())
