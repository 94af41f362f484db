"""Everything that runs need, made and taken down in one order.

Start: the history is taken over (what an earlier server left unended becomes interrupted), then a runner process is warmed,
then turns are taken. A search is stopped like a run, in the same step: it starts no further trial, and its current one is
interrupted with it. Stop, in the order of `docs/operations.md`: no new runs; wait for those that were accepted (`drain`);
interrupt the others while there are still connections to answer; end the processes; store what is not stored yet; close the
history last, since every step before may still write. A second signal skips all of it: `kill_now`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from aurea_engine import Access
from aurea_engine.processes.messages import Reason
from aurea_engine.processes.supervisor import STOP_PATIENCE, TERM_PATIENCE
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_server.history import History, StoreError
from aurea_server.metrics.registry import BenchmarkMetrics
from aurea_server.runner.kinds import Kinds
from aurea_server.runner.pool import RunnerPool
from aurea_server.runs.active_run import ActiveRuns, encode, now_ms
from aurea_server.runs.comparing import Comparer
from aurea_server.runs.events import Feed, Followers
from aurea_server.runs.lifecycle import RunLifecycle
from aurea_server.runs.queue import RunQueue
from aurea_server.runs.reader import RunReader
from aurea_server.runs.reporting import Reporter
from aurea_server.runs.repricing import Repricer
from aurea_server.runs.searches.active_search import ActiveSearches
from aurea_server.runs.searches.lifecycle import SearchLifecycle
from aurea_server.runs.searches.reader import SearchReader
from aurea_server.runs.searches.trials import TrialMaker
from aurea_server.runs.searches.validation import SearchValidator
from aurea_server.runs.tasks import Tasks
from aurea_server.runs.turns import Turns
from aurea_server.runs.validation import SpecificationValidator
from aurea_server.settings.limits import Limits

log = logging.getLogger(__name__)

DISK_SECONDS = 1.0
"""How long a stop waits for a disk that does not answer; the next start finds the rows and interrupts them."""


class RunService:
    """Composes the parts below, which HTTP code uses one by one: this object itself only starts and stops.

    ``lifecycle`` accepts and ends runs; ``reader`` reads them; ``validator`` checks specifications; ``repricer`` prices,
    ``comparer`` compares, ``reporter`` draws; ``feed`` has the events of all. ``searches``, ``search_reader`` and
    ``search_validator`` do the same for capacity searches.
    """

    def __init__(
        self, metrics: BenchmarkMetrics, history: History, limits: Limits, kinds: Kinds, access: Access
    ) -> None:
        followers = Followers(limits.followers)
        self.feed = Feed(followers)
        self._history = history
        self._pool = RunnerPool(limits.memory, access)
        self._active = ActiveRuns(followers, self.feed)
        self._queue = RunQueue(limits.queued, metrics.set_waiting)
        self._tasks = Tasks()
        self.lifecycle = RunLifecycle(history, metrics, self._pool, self._queue, self._active, limits.seconds)
        self.reader = RunReader(history, self._active, self._queue, followers, self.feed)
        self.validator = SpecificationValidator(kinds, self._pool, limits)
        self.repricer = Repricer(self.reader, self.validator, self._pool)
        self.comparer = Comparer(self.reader, self._pool)
        self._active_searches = ActiveSearches(followers, self.feed)
        trials = TrialMaker(self.lifecycle, kinds, limits, self._pool)
        self.searches = SearchLifecycle(
            history, metrics.searches, self.lifecycle, self._queue, self._active_searches, limits, trials
        )
        self.search_reader = SearchReader(history.searches, self._active_searches, self._queue, followers)
        self.reporter = Reporter(self.reader, self.search_reader, self._pool)
        self.search_validator = SearchValidator(kinds, self._pool, limits)
        self._turns = Turns(self._queue, self.lifecycle, self.searches)
        self.disk_stuck = False

    def set_listeners(self, listeners: Iterable[tuple[str, int]]) -> None:
        """Where this server listens: no run may send there. To be called before the first request."""
        self._pool.access = replace(self._pool.access, listeners=tuple(listeners))

    def set_cluster(self, cluster: ClusterAddress | None) -> None:
        """Where runs in several processes are executed; None: here. To be called before the first request."""
        self._pool.cluster = cluster

    async def open(self) -> None:
        """Take over the history, and be ready for runs."""
        crashed = Reason(code="server_crashed", detail="the server ended while the run was queued or running")
        lost = await self._history.take_over(now_ms(), encode(crashed))
        if lost:
            log.warning("%d runs and searches were interrupted by the end of the last server", len(lost))
        # After the take-over: what was interrupted has its final row, so a file without one is left over.
        await self._history.sweep()
        newest, newest_search = await self._history.newest_id(), await self._history.searches.newest_id()
        # A run of a millisecond should not wait half a second for its process to start.
        self._pool.warm()
        self.lifecycle.start(newest)
        self.searches.start(newest_search)
        self._turns.start()
        self._tasks.start(self._keep_house())

    async def _keep_house(self) -> None:
        """Every second: is there room, is a process warm, can what failed be stored now; every minute: retention."""
        beat = 0
        while True:
            try:
                await self._history.look()
                self._pool.warm()
                for ident in await self._history.catch_up():
                    self._active.remove(ident)
                    self._active_searches.remove(ident)
                if beat % 60 == 0:
                    await self._prune()
            except StoreError as error:
                log.debug("storage: %s", error)  # the history reports each failure once, when it begins
            beat += 1
            await asyncio.sleep(1)

    async def _prune(self) -> None:
        async for ident in self._history.prune():
            # Of each as soon as it is gone: what fails later does not bring it back.
            owner = self._active_searches if ident.startswith("search-") else self._active
            owner.forget_events(ident)

    async def drain(self, seconds: float) -> None:
        """Take no new runs, and give those that were accepted so long to end."""
        self._queue.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue.wait_until_quiet()

    async def interrupt(self) -> None:
        """End every run as interrupted, and store that: clients that wait are answered, followers get the last event."""
        # From here on nothing is accepted; what is being written down now is stopped by `RunLifecycle._commit`.
        self._queue.close()
        self._pool.wind_down()
        # Searches first: what is told to its trial is then known to the search, which starts no other.
        self.searches.interrupt()
        if not self.lifecycle.interrupt():
            return
        waiting = [run.ended for run in self._active.unended()]
        waiting += [search.ended for search in self._active_searches.unended()]
        if waiting:
            # Longer than the kill ladder takes, so each run ends with what its process could still say.
            await asyncio.wait(waiting, timeout=STOP_PATIENCE + TERM_PATIENCE + 0.5)
        self.feed.close()

    async def close(self) -> None:
        """Leave nothing behind. ``disk_stuck`` afterwards: the disk did not answer, and a thread still waits for it."""
        await self.interrupt()
        # Before the tasks: the turn that waits for a process then ends by itself, with a reason, and stores it.
        await self._pool.close()
        await self._turns.close()
        await self.searches.close()
        await self.lifecycle.close()
        await self._tasks.close()
        stopped = Reason(code="server_stopped", detail="the server was stopped while the run was queued or running")
        try:
            async with asyncio.timeout(DISK_SECONDS):
                await self._history.interrupt(now_ms(), encode(stopped))
        except (StoreError, TimeoutError) as error:
            log.warning("active runs could not be recorded as interrupted, the next start will: %s", error)
        self.disk_stuck = not await self._history.close(DISK_SECONDS)

    async def abandon(self) -> None:
        """Close the history of a service that could not be opened."""
        await self._history.close(DISK_SECONDS)

    def kill_now(self) -> None:
        """A forced stop: end the processes, and record active runs as interrupted if the disk answers within a second.

        It blocks the event loop meanwhile, so nothing new comes in. Where the disk does not answer, the next server finds
        the rows.
        """
        self._queue.close()
        self._pool.kill_now()
        forced = Reason(code="server_stopped", detail="the server was told to stop at once")
        self._history.interrupt_now(DISK_SECONDS, now_ms(), encode(forced))

    async def lifetime(self) -> AsyncIterator[None]:
        """Open, then, when the app is cleaned up, close: for its ``cleanup_ctx``."""
        await self.open()
        yield
        await self.close()
