"""Runs and their lifetimes: the only place where engine and metrics meet. A run belongs to the app, not to the request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace

from aurea_engine import Catalog, RunResult, RunSpec, SpecError, Stop, run
from aurea_server.metrics import BenchmarkMetrics
from aurea_server.problems import Refused

log = logging.getLogger(__name__)

MOST_JOBS = 1_000_000
MOST_QUEUED = 16
LONGEST_RUN = 15 * 60.0


class RunManager:
    """Runs one at a time, in order of arrival: a second one at once would be measured with the first."""

    def __init__(self, catalog: Catalog, metrics: BenchmarkMetrics) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[RunResult]] = set()
        self._stops: set[Stop] = set()
        self._last_ms = 0
        self._closing = False

    def new_id(self) -> str:
        """``benchmark-<epoch ms>``, moved on by a millisecond where that one is taken."""
        self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
        return f"benchmark-{self._last_ms}"

    def admit(self, spec: RunSpec) -> RunSpec:
        """``spec`` within this server's limits. Raises SpecError or Refused."""
        jobs = spec.workload.jobs
        if jobs is not None and jobs > MOST_JOBS:
            raise SpecError(f"workload.jobs: must be <= {MOST_JOBS:,} on this server, got {jobs:,}")
        rate, duration = spec.workload.arrivals.asked_rate(), spec.workload.duration
        if jobs is None and rate is not None and duration is not None and rate * duration > MOST_JOBS:
            raise SpecError(f"workload: would bring some {rate * duration:,.0f} jobs, this server runs at most {MOST_JOBS:,}")
        if self._closing:
            raise Refused(503, "stopping", "The server is stopping and takes no new runs.", headers={"Retry-After": "5"})
        if self._metrics.waiting >= MOST_QUEUED:
            error = f"{MOST_QUEUED} runs are waiting already; try again later."
            raise Refused(429, "queue_full", error, headers={"Retry-After": "10"})
        if jobs is None:
            spec = replace(spec, workload=replace(spec.workload, jobs=MOST_JOBS))
        return spec

    async def start(self, spec: RunSpec) -> RunResult:
        """Run ``spec`` when its turn comes. The run goes on if the caller is cancelled; the app ends it when it closes."""
        return await asyncio.shield(self._keep(self._run(self.admit(spec))))

    def _keep(self, coroutine: Coroutine[object, object, RunResult]) -> asyncio.Task[RunResult]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[RunResult]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, SpecError):
            log.error("a run failed: %s", type(error).__name__, exc_info=error)

    async def _run(self, spec: RunSpec) -> RunResult:
        self._metrics.waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._metrics.waiting -= 1
        stop = Stop()
        self._stops.add(stop)
        deadline = asyncio.get_running_loop().call_later(LONGEST_RUN, stop.now, "timed_out")
        self._metrics.started()
        try:
            if self._closing:
                stop.now("interrupted")
            result = await run(spec, [self._metrics.watch(spec)], stop=stop, benchmark_id=self.new_id())
        except BaseException:
            self._metrics.broken("failed")
            raise
        else:
            self._metrics.finished(result, self._catalog.kind_of(spec.cost))
            return result
        finally:
            deadline.cancel()
            self._stops.discard(stop)
            self._turn.release()

    async def close(self) -> None:
        """Take no more runs, end the current one with what it has, and wait until all are gone."""
        self._closing = True
        for stop in self._stops:
            stop.now("interrupted")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)
        for task in list(self._tasks):
            task.cancel()


async def lifetime(manager: RunManager) -> AsyncIterator[None]:
    """For the app's ``cleanup_ctx``."""
    yield
    await manager.close()
