"""The ledger as the event loop sees it: one thread does everything that touches the disk, in the order it was asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from aurea_server.history.data_folder import DataFolder
from aurea_server.history.errors import ReadFailed, StorageFailed, StorageFull, StoreError
from aurea_server.history.ledger import Ledger
from aurea_server.history.retention_clock import RetentionClock
from aurea_server.history.rows import FinishedRun

log = logging.getLogger(__name__)

T = TypeVar("T")
READERS = 4
"""How many may decode the records of a run at a time: a million jobs held whole take some sixty megabytes."""

PATIENCE = 2.5
"""Seconds for whoever looks into the history at the moment when a server starts."""


@dataclass(frozen=True)
class Retention:
    """What is kept: at most so many runs, bytes and days. Nothing new is taken with less than ``floor`` bytes free."""

    runs: int = 10_000
    bytes: int = 1024**3
    days: float = 30.0
    floor: int = 64 * 1024**2


class History:
    """Asks a `Ledger` from the event loop. ``trouble`` says why nothing can be written now, None while all is well.

    ``readers``: to be taken by whoever decodes the records of a run, while it decodes; never while it sends.
    """

    def __init__(self, folder: Path, retention: Retention) -> None:
        self._retention = retention
        self._place = DataFolder(folder, PATIENCE)
        try:
            self._ledger = Ledger(self._place)
        except BaseException:
            self._place.release()
            raise
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._outside: StoreError | None = None
        self._failed: StoreError | None = None
        self._unsaved: dict[str, FinishedRun] = {}
        self._calendar = RetentionClock()
        self.readers = asyncio.Semaphore(READERS)
        self._look_around()

    @property
    def trouble(self) -> StoreError | None:
        """What can be seen from outside comes first: a write that failed may have failed of it."""
        return self._outside or self._failed

    @property
    def ledger(self) -> Ledger:
        """For `ask`."""
        return self._ledger

    async def ask(self, method: Callable[..., T], *values: object) -> T:
        """``method(*values)`` on the ledger's thread, after all that was asked before. Raises `StoreError`.

        What was asked is done even if nobody waits for the answer any more.
        """
        asked = asyncio.get_running_loop().run_in_executor(self._thread, lambda: method(*values))
        asked.add_done_callback(_taken)
        try:
            return await asyncio.shield(asked)
        except ReadFailed:
            raise
        except (StorageFull, StorageFailed) as error:
            self._failed = error
            raise

    async def open_records(self, run_id: str) -> BinaryIO | None:
        """A run's records as a file, None where it has none. Raises `Damaged` or another `StoreError`."""
        asked = asyncio.ensure_future(self.ask(self._ledger.open_records, run_id))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(_closed)
            raise

    async def end(self, run_id: str, ending: FinishedRun) -> StoreError | None:
        """Store how a run ended. Where that fails, say why, and keep it for `catch_up`."""
        try:
            await self.ask(self._ledger.end, run_id, ending)
        except StoreError as error:
            self._unsaved[run_id] = ending
            return error
        return None

    async def catch_up(self) -> list[str]:
        """Store the ends that could not be stored when they came, as far as it can be done now. Returns the ids."""
        saved = []
        with suppress(StoreError):
            for run_id, ending in list(self._unsaved.items()):
                await self.ask(self._ledger.end, run_id, ending)
                del self._unsaved[run_id]
                saved.append(run_id)
        return saved

    async def interrupt(self, now_ms: int, reason: bytes) -> list[str]:
        """Every run that has not ended is interrupted: there is no server left that could end it. Returns their ids.

        Ends that could not be stored are stored now, without their records if need be.
        """
        for run_id, ending in list(self._unsaved.items()):
            with suppress(StoreError):
                await self.ask(self._ledger.end_anyway, run_id, ending)
                del self._unsaved[run_id]
        return await self.ask(self._ledger.recover, now_ms, reason)

    async def take_over(self, now_ms: int, reason: bytes) -> list[str]:
        """`interrupt` what the last server left. Where that cannot be written yet, what is there can still be read."""
        self._calendar = RetentionClock(await self.ask(self._ledger.newest_ms, now_ms))
        try:
            return await self.interrupt(now_ms, reason)
        except ReadFailed:
            raise
        except (StorageFull, StorageFailed):
            return []

    def interrupt_now(self, seconds: float, now_ms: int, reason: bytes) -> None:
        """The same for one who cannot wait: gives up after so many seconds, and does not say what came of it."""

        def interrupt(unsaved: dict[str, FinishedRun]) -> None:
            for run_id, ending in unsaved.items():
                with suppress(StoreError):
                    self._ledger.end_anyway(run_id, ending)
            self._ledger.recover(now_ms, reason)

        with suppress(StoreError, TimeoutError, RuntimeError):
            self._thread.submit(interrupt, dict(self._unsaved)).result(seconds)

    def _look_around(self) -> None:
        """Is all where it was, and is there room?"""
        self._outside = None
        try:
            self._place.check()
            free = self._place.free_bytes()
        except OSError as error:
            self._outside = StorageFailed(f"the disk does not say how much room it has: {error.strerror}")
        except StorageFailed as error:
            self._outside = error
        else:
            if free < self._retention.floor:
                floor = self._retention.floor // 1024**2
                self._outside = StorageFull(f"less than {floor} MiB are free: no new runs until there is room")

    async def look(self) -> None:
        """See how the storage is; called now and then, so that no request has to. After a failure, try to write."""
        before = self.trouble
        self._look_around()
        if (self._failed is not None or self._ledger.behind) and not isinstance(self._outside, StorageFailed):
            with suppress(StoreError):
                await self.ask(self._ledger.probe)
                self._failed = None
        if self.trouble is not None and str(self.trouble) != str(before):
            log.error("storage: %s", self.trouble)

    async def prune(self) -> list[str]:
        """Let go of what retention does not keep. Returns the ids."""
        keep = self._retention
        gone: list[str] = []
        now_ms = self._calendar.now_ms()
        while some := await self.ask(self._ledger.prune, keep.runs, keep.bytes, keep.days, now_ms):
            gone += some
        return gone

    async def close(self, seconds: float) -> bool:
        """After everything that was asked; False where the disk does not answer within so many seconds."""
        in_time = True
        try:
            async with asyncio.timeout(seconds):
                await self.ask(self._ledger.close)
        except TimeoutError:
            in_time = False
        self._thread.shutdown(wait=False)
        self._place.release()
        return in_time


def _closed(asked: asyncio.Future[BinaryIO | None]) -> None:
    """Whoever asked for the file has left."""
    if not asked.cancelled() and asked.exception() is None and (file := asked.result()) is not None:
        file.close()


def _taken(asked: asyncio.Future[Any]) -> None:
    """Whoever asked may have left: then nobody else takes the exception, and `trouble` says it."""
    if not asked.cancelled():
        asked.exception()
