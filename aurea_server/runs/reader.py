"""How runs are read: while they are active from memory, afterwards from the history.

What decoding costs is bounded: a run of a million jobs takes tens of megabytes and half a second of a thread. So few may
decode at a time, each in a thread, and a place among them is never held while anything is *sent*, which takes as long as
the client likes. Damage to what is stored of one run is reported to those who read that run, and to no others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from aurea_engine import DamagedParts, RunParts, step_rows
from aurea_engine.closed_sets import JOBS_SHOWN
from aurea_engine.records import column_file
from aurea_server.history import Damaged, History, StoredRun
from aurea_server.runner.stored_runs import join_parts
from aurea_server.runs import exports, views
from aurea_server.runs.active_run import ActiveRun, ActiveRuns
from aurea_server.runs.errors import NoResult, NotEnded, NotFound, TooManyReaders
from aurea_server.runs.events import Event, Feed, Followers
from aurea_server.runs.exports import Export
from aurea_server.runs.queue import RunQueue

log = logging.getLogger(__name__)

READERS = 4
"""How many may decode the records of a run at a time: a million jobs held whole take some sixty megabytes."""

WAIT_SECONDS = 10.0
"""How long a client waits for a place among the readers."""


class JobPage(NamedTuple):
    """``rows``: some jobs as JSON values; ``total``: how many there are."""

    rows: list[dict[str, Any]]
    total: int


class StoredPieces(NamedTuple):
    """What is stored of a run: its result as JSON without its jobs, its parts without their records, its file of records;
    empty where there is none.
    """

    head: bytes
    parts: bytes
    records: bytes


class _Usage(msgspec.Struct):
    """The one member of a stored result that pricing needs."""

    usage: dict[str, Any]


class RunReader:
    """Reads runs by their ids. Every method raises `NotFound` where there is none, `StoreError` if it cannot be read."""

    def __init__(self, history: History, active: ActiveRuns, queue: RunQueue, followers: Followers, feed: Feed) -> None:
        self._history, self._active, self._queue, self._followers = history, active, queue, followers
        self._feed = feed
        self._decoders = asyncio.Semaphore(READERS)

    # --- Runs ------------------------------------------------------------------------------------------------------

    def view(self, run: ActiveRun) -> bytes:
        """A run that is queued or running, as JSON."""
        return msgspec.json.encode(views.view_active(run, self._queue.position(run)))

    async def get(self, run_id: str, jobs: int = JOBS_SHOWN) -> bytes:
        """A run as JSON: its state while it is active, its result once it has ended, with at most ``jobs`` jobs."""
        run = self._active.get_unended(run_id)
        return await self.get_ended(run_id, jobs) if run is None else self.view(run)

    def get_series(self, run_id: str) -> bytes | None:
        """The series so far of a run that is queued or running, as JSON; None of another."""
        run = self._active.get_unended(run_id)
        return None if run is None else msgspec.json.encode({"benchmark_id": run_id, **run.series.columns()})

    async def get_ended(self, run_id: str, jobs: int = JOBS_SHOWN) -> bytes:
        """A run that has ended, as JSON: without its jobs where only they are damaged. Raises `Damaged`."""
        run = self._active.get(run_id)
        # While the disk fails, the only copy of a result is in memory: it is served from there until it can be stored.
        if run is not None and run.ended.done():  # it could not be stored yet
            return run.ended.result().body
        row = await self._row(run_id)
        async with self._decoding():
            content = await self._readable_records(row) if jobs else None
            try:
                # In a thread: a result of 10,000 jobs takes tens of milliseconds, in which no other request would be
                # answered.
                return await asyncio.to_thread(views.encode_stored, row, content, jobs)
            except DamagedParts as error:
                _log_missing_jobs(row, error)
                return await asyncio.to_thread(views.encode_stored, row, None)

    def is_active(self, run_id: str) -> bool:
        """Whether the run is queued or running."""
        return self._active.get_unended(run_id) is not None

    async def list(
        self, limit: int, before: int, state: str | None, search_id: str | None = None, label: str | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """(views of runs, newest first; where the next page begins, None after the last). ``search_id``: only its trials;
        ``label``: only those whose label has this text in it.
        """
        rows, after = await self._history.page(limit, before, state, search_id, label)
        return [views.view_in_list(row) for row in rows], after

    async def _row(self, run_id: str) -> StoredRun:
        row = await self._history.get(run_id)
        if row is None:
            raise NotFound
        return views.repair_reason(row)

    async def _readable_records(self, row: StoredRun) -> bytes | None:
        try:
            return await self._history.records(row.id) if row.records_bytes else None
        except Damaged as error:
            _log_missing_jobs(row, error)
            return None

    @asynccontextmanager
    async def _decoding(self) -> AsyncIterator[None]:
        """A place among those who decode. Raises `TooManyReaders` where none gets free in time."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._decoders.acquire()
        except TimeoutError:
            raise TooManyReaders from None
        try:
            yield
        finally:
            self._decoders.release()

    def check_ended(self, run_id: str, otherwise: str) -> None:
        """Raises `NotEnded`, which says ``otherwise``, where the history does not have the run whole yet."""
        if self._active.get(run_id) is not None:
            raise NotEnded(f"The run has not ended: {otherwise}")

    # --- Jobs ------------------------------------------------------------------------------------------------------

    async def jobs(self, run_id: str, first: int, limit: int) -> JobPage:
        """A page of the jobs of a run that has ended, from number ``first``. Raises `NotEnded` or `Damaged`."""
        self.check_ended(run_id, "its jobs are available when it has.")
        async with self._decoding():
            row = await self._row(run_id)
            # None are kept where the specification says so, or where the run came to no result.
            content = await self._history.records(run_id) if row.records_bytes else None
            if content is None:
                return JobPage([], 0)
            try:
                records = await asyncio.to_thread(column_file.decode, content)
            except DamagedParts as error:
                raise _damaged(run_id, error) from None
            rows = await asyncio.to_thread(exports.job_rows, records, first, limit)
            return JobPage(rows, len(records.jobs))

    async def export(self, run_id: str, form: str) -> Export:
        """All jobs of a run that has ended, to be closed. Raises `NotEnded`, or `Damaged` where they are damaged."""
        self.check_ended(run_id, "its jobs are available when it has.")
        row = await self._row(run_id)
        file = await self._history.open_records(run_id) if row.records_bytes else None
        if file is None:
            return Export(None, form, self._decoders)
        working: asyncio.Future[column_file.Reader] | None = None
        try:
            async with self._decoding():
                # All of it is read once before the first byte is sent: afterwards an answer can only break off.
                working = exports.run_in_thread(lambda: exports.open_checked(file))
                return Export(await asyncio.shield(working), form, self._decoders)
        except DamagedParts as error:
            file.close()
            raise _damaged(run_id, error) from None
        except BaseException:
            # A client that left: the thread may still be reading the file.
            exports.when_done(working, file.close)
            raise

    # --- Parts ----------------------------------------------------------------------------------------------------

    async def parts(self, run_id: str) -> RunParts:
        """What a run measured, as `summarize` takes it. Raises `NotEnded`, `Damaged`, or `NoResult` where none was stored:
        of a run that came to no result, and of every run of a version before parts.
        """
        self.check_ended(run_id, "its parts can be had when it has.")
        row = await self._row(run_id)
        async with self._decoding():
            stored = await self._history.parts(run_id)
            if stored is None:
                raise NoResult
            content = await self._history.records(run_id) if row.records_bytes else None
            try:
                return await asyncio.to_thread(join_parts, stored, content)
            except DamagedParts as error:
                raise _damaged(run_id, error) from None

    async def steps(self, run_id: str, first: int, limit: int) -> JobPage:
        """A page of the steps of the jobs of a run that has ended, from row ``first``; an empty one where it has none, or
        none were kept. Raises `NotEnded` or `Damaged`.
        """
        self.check_ended(run_id, "its steps are available when it has.")
        await self._row(run_id)
        async with self._decoding():
            stored = await self._history.parts(run_id)
            try:
                return await asyncio.to_thread(_read_steps, run_id, stored, first, limit)
            except DamagedParts as error:
                raise _damaged(run_id, error) from None

    async def check_result(self, run_id: str, done: str) -> None:
        """Raises `NotFound`, `NotEnded` or `NoResult`, each of which names the run, unless it has a result. ``done``: what
        is to be done with it, such as ``compared``.
        """
        if self._active.get(run_id) is not None:
            raise NotEnded(f"The run {run_id} has not ended: it can be {done} when it has.")
        row = await self._history.get(run_id)
        if row is None:
            raise NotFound(run_id)
        if row.head is None:
            raise NoResult(f"The run {run_id} has no result that could be {done}.")

    async def stored(self, run_id: str) -> StoredPieces:
        """All that is stored of a run that has ended. Raises `NoResult`, or `Damaged`."""
        row = await self._row(run_id)
        if row.head is None:
            raise NoResult
        async with self._decoding():
            records = await self._history.records(run_id) if row.records_bytes else None
            return StoredPieces(row.head, await self._history.parts(run_id) or b"", records or b"")

    # --- Prices ----------------------------------------------------------------------------------------------------

    async def usage(self, run_id: str) -> dict[str, Any]:
        """The usage that a run measured. Raises `NotEnded` or `NoResult`."""
        self.check_ended(run_id, "it can be repriced when it has.")
        row = await self._row(run_id)
        if row.head is None:
            raise NoResult
        return msgspec.json.decode(row.head, type=_Usage).usage

    async def records(self, run_id: str) -> bytes:
        """The content of a run's file of records, empty if none are kept."""
        return await self._history.records(run_id) or b""

    # --- Events ----------------------------------------------------------------------------------------------------

    async def events(self, run_id: str, after: int) -> AsyncGenerator[Event, None]:
        """The events of a run with numbers above ``after``, the last of which is its end.

        Raises `TooManyFollowers` now, or, as `FollowerLagged`, while it is followed.
        """
        events = self._active.get_events(run_id)
        # An old run has no log any more, but a follower that comes back must not wait for an end that has been.
        following = _once(await self._end_of(run_id)) if events is None else events.follow(after)
        self._followers.check_room()
        return following

    async def feed(self) -> AsyncGenerator[Event, None]:
        """What happens to all runs and searches from now on. Raises as `events` does."""
        self._followers.check_room()
        return self._feed.follow()

    async def _end_of(self, run_id: str) -> Event:
        """All that is left to say of a run whose events are not kept any more."""
        row = await self._row(run_id)
        listed = views.view_in_list(row)
        reason = None if row.reason is None else msgspec.json.decode(row.reason)["code"]
        summary = {name: listed[name] for name in ("status", "verdict", "throughput")}
        return Event(1, "end", msgspec.json.encode({**summary, "reason": reason}).decode())


def _read_steps(run_id: str, stored: bytes | None, first: int, limit: int) -> JobPage:
    parts = None if stored is None else RunParts.from_bytes(stored)
    if parts is None or parts.steps is None or parts.steps.records is None:
        return JobPage([], 0)
    steps = parts.steps.records
    return JobPage(list(step_rows(run_id, parts.started_at, steps[first : first + limit])), len(steps))


async def _once(event: Event) -> AsyncGenerator[Event, None]:
    yield event


def _damaged(run_id: str, error: Exception) -> Damaged:
    return Damaged(f"the records of {run_id} are damaged: {error}")


def _log_missing_jobs(row: StoredRun, error: Exception) -> None:
    log.error("%s is answered without its jobs: %s", row.id, error)
