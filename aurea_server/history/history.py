"""The ledger as the event loop sees it: one thread does everything that touches the disk, in the order it was asked.

One thread, because SQLite's connection is used from one thread at a time, and because order is what makes the rest simple:
a run's beginning is written before its end, in whichever order callers look at them. A caller may leave while it waits;
what it asked for is done all the same, so the ledger and the queue stay in step.

**When the disk fails**, nothing new is accepted (`check_writable`), what is stored can still be read, and the ends of active
runs are kept in memory (`_unsaved`) until they can be written: `look`, every second, tries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from aurea_server.history.data_folder import DataFolder
from aurea_server.history.errors import ReadFailed, StorageFailed, StorageFull, StoreError
from aurea_server.history.idempotency_key import IdempotencyKey
from aurea_server.history.ledger import Ledger
from aurea_server.history.retention import Retention
from aurea_server.history.retention_clock import RetentionClock
from aurea_server.history.rows import AcceptedRun, FinishedRun, FinishedSearch, StoredRun, is_run_id
from aurea_server.history.search_history import SearchHistory

log = logging.getLogger(__name__)

T = TypeVar("T")

LOCK_SECONDS = 2.5
"""How long a starting server waits for a program that is reading the history, such as ``aurea runs``."""


class History:
    """The runs that were accepted, on the disk; ``searches`` are beside them. Methods raise `StoreError` unless they say
    otherwise.
    """

    def __init__(self, folder: Path, retention: Retention) -> None:
        self._retention = retention
        self._folder = DataFolder(folder, LOCK_SECONDS)
        try:
            self._ledger = Ledger(self._folder)
        except BaseException:
            self._folder.release()
            raise
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._outside: StoreError | None = None
        self._failed: StoreError | None = None
        self._unsaved: dict[str, FinishedRun | FinishedSearch] = {}
        self.searches = SearchHistory(self._ledger.searches, self._ask, self._store_end)
        self._clock = RetentionClock()
        # A start on a full disk serves what there is, and says so in /health/ready from the first second.
        self._look_around()

    async def _ask(self, method: Callable[..., T], *values: object) -> T:
        """``method(*values)`` on the ledger's thread, after all that was asked before."""
        # Shielded below: cancelling the caller must not cancel work that has begun, and cannot take back what it wrote.
        asked = asyncio.get_running_loop().run_in_executor(self._thread, lambda: method(*values))
        asked.add_done_callback(_retrieve_exception)
        try:
            return await asyncio.shield(asked)
        except ReadFailed:  # a failed read says nothing about writing
            raise
        except (StorageFull, StorageFailed) as error:
            self._failed = error
            raise

    # --- Runs ------------------------------------------------------------------------------------------------------

    async def add(self, run: AcceptedRun, key: IdempotencyKey | None) -> None:
        """A new run. Raises `KeyReused` where ``key`` is known already: then nothing is added."""
        await self._ask(self._ledger.add, run, key)

    async def begin(self, run_id: str, started_ms: int) -> None:
        """Queued → running."""
        await self._ask(self._ledger.begin, run_id, started_ms)

    async def end(self, run_id: str, finished: FinishedRun) -> StoreError | None:
        """Store how a run ended. Where that fails, return why, and keep it for `catch_up`."""
        return await self._store_end(run_id, finished)

    async def _store_end(self, ident: str, finished: FinishedRun | FinishedSearch) -> StoreError | None:
        try:
            await self._ask(self._write_end, ident, finished)
        except StoreError as error:
            self._unsaved[ident] = finished
            return error
        return None

    def _write_end(self, ident: str, finished: FinishedRun | FinishedSearch, *, without_records: bool = False) -> None:
        """On the ledger's thread."""
        if isinstance(finished, FinishedSearch):
            self._ledger.searches.end(ident, finished)
        elif without_records:
            self._ledger.end_without_records(ident, finished)
        else:
            self._ledger.end(ident, finished)

    async def get(self, run_id: str) -> StoredRun | None:
        """One run, whole; None if there is none. A malformed id is refused without a look at the disk."""
        return await self._ask(self._ledger.get, run_id) if is_run_id(run_id) else None

    async def page(
        self, limit: int, before: int, state: str | None, search_id: str | None = None, label: str | None = None
    ) -> tuple[list[StoredRun], int | None]:
        """(runs without their specifications, newest first; where the next page begins, None after the last)."""
        return await self._ask(self._ledger.page, limit, before, state, search_id, label)

    async def find_key(self, key: str, now_ms: int) -> IdempotencyKey | None:
        """The Idempotency-Key, if it was used within a day."""
        return await self._ask(self._ledger.find_key, key, now_ms)

    async def remove(self, run_ids: Sequence[str]) -> list[str]:
        """Delete runs that have ended, and their records. Returns those that were there."""
        return await self._ask(self._ledger.remove, run_ids)

    async def newest_id(self) -> str | None:
        """The id that was given last."""
        return await self._ask(self._ledger.newest_id)

    # --- Records ---------------------------------------------------------------------------------------------------

    async def records(self, run_id: str) -> bytes | None:
        """A run's records, None if it has none. Raises `Damaged` where they are not what was written."""
        return await self._ask(self._ledger.records, run_id)

    async def parts(self, run_id: str) -> bytes | None:
        """What a run measured but its records, None if that was not stored."""
        return await self._ask(self._ledger.parts, run_id)

    async def open_records(self, run_id: str) -> BinaryIO | None:
        """The same as a file, to be closed, to be read piece by piece."""
        asked = asyncio.ensure_future(self._ask(self._ledger.open_records, run_id))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            # The thread may open the file after the caller has left: then the callback closes it.
            asked.add_done_callback(_close_file)
            raise

    async def sweep(self) -> None:
        """Finish deletions of records that a crash cut short."""
        await self._ask(self._ledger.sweep)

    # --- Ends that could not be stored, and runs that no server will end
    # ----------------------------------------------------

    async def catch_up(self) -> list[str]:
        """Store the ends that could not be stored when they came, as far as it can be done now. Returns the ids."""
        saved = []
        with suppress(StoreError):
            # In the order in which the runs ended; the first that fails ends the attempt, since the others would fail
            # as well.
            for run_id, finished in list(self._unsaved.items()):
                await self._ask(self._write_end, run_id, finished)
                del self._unsaved[run_id]
                saved.append(run_id)
        return saved

    async def interrupt(self, now_ms: int, reason: bytes) -> list[str]:
        """Every run and search that has not ended is interrupted: no server is left that could end it. Returns their ids.

        Ends that could not be stored are stored now, without their records if need be.
        """
        for run_id, finished in list(self._unsaved.items()):
            with suppress(StoreError):
                await self._ask(partial(self._write_end, without_records=True), run_id, finished)
                del self._unsaved[run_id]
        return await self._ask(self._ledger.recover, now_ms, reason)

    async def take_over(self, now_ms: int, reason: bytes) -> list[str]:
        """`interrupt` what the last server left. Where that cannot be written yet, what is there can still be read."""
        self._clock = RetentionClock(await self._ask(self._ledger.newest_ms, now_ms))
        try:
            return await self.interrupt(now_ms, reason)
        except ReadFailed:
            raise
        except (StorageFull, StorageFailed):
            return []

    def interrupt_now(self, seconds: float, now_ms: int, reason: bytes) -> None:
        """`interrupt` for a forced stop: blocks, gives up after so many seconds, and reports nothing."""

        def interrupt(unsaved: dict[str, FinishedRun | FinishedSearch]) -> None:
            for ident, finished in unsaved.items():
                with suppress(StoreError):
                    self._write_end(ident, finished, without_records=True)
            self._ledger.recover(now_ms, reason)

        # RuntimeError: the thread was shut down already, so the history is closed and nothing is left to record.
        with suppress(StoreError, TimeoutError, RuntimeError):
            self._thread.submit(interrupt, dict(self._unsaved)).result(seconds)

    # --- The disk --------------------------------------------------------------------------------------------------

    @property
    def storage_error(self) -> StoreError | None:
        """Why nothing can be written now, None while all is well."""
        # What can be seen from outside comes first: a write that failed may have failed because of it.
        return self._outside or self._failed

    def check_writable(self) -> None:
        """Raises the `StoreError` that says why no run could be stored now."""
        if self.storage_error is not None:
            raise self.storage_error

    def _look_around(self) -> None:
        """Whether all files are where they were, and whether there is room."""
        self._outside = None
        try:
            self._folder.check()
            free = self._folder.free_bytes()
        except OSError as error:
            self._outside = StorageFailed(f"the disk does not say how much room it has: {error.strerror}")
        except StorageFailed as error:
            self._outside = error
        else:
            if free < self._retention.floor:
                floor = self._retention.floor // 1024**2
                self._outside = StorageFull(f"less than {floor} MiB are free: no new runs until there is room")

    async def look(self) -> None:
        """See how the storage is; called every second, so that no request has to. After a failure, try to write."""
        before = self.storage_error
        self._look_around()
        if (self._failed is not None or self._ledger.behind) and not isinstance(self._outside, StorageFailed):
            with suppress(StoreError):
                await self._ask(self._ledger.probe)
                self._failed = None
        if self.storage_error is not None and str(self.storage_error) != str(before):
            log.error("storage: %s", self.storage_error)

    async def prune(self) -> AsyncIterator[str]:
        """Delete what retention does not keep. Yields the ids."""
        now_ms = self._clock.now_ms()
        # Batch by batch, each a question of its own: a run that is being accepted waits for one batch at most.
        while some := await self._ask(self._ledger.prune, self._retention, now_ms):
            for ident in some:
                yield ident

    async def close(self, seconds: float) -> bool:
        """After everything that was asked; False if the disk does not answer within so many seconds."""
        in_time = True
        try:
            async with asyncio.timeout(seconds):
                await self._ask(self._ledger.close)
        except TimeoutError:
            in_time = False
        # Not waited for: where the disk hangs, so would the stop.
        self._thread.shutdown(wait=False)
        self._folder.release()
        return in_time


def _close_file(asked: asyncio.Future[BinaryIO | None]) -> None:
    """The caller that would have closed it has left."""
    if not asked.cancelled() and asked.exception() is None and (file := asked.result()) is not None:
        file.close()


def _retrieve_exception(asked: asyncio.Future[Any]) -> None:
    """The caller may have left: then no one retrieves it, asyncio would log it, and `storage_error` has it already."""
    if not asked.cancelled():
        asked.exception()
