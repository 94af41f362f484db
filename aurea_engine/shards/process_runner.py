"""The runner of a study over processes of this machine: virtual runs side by side, real ones after each other in shards."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from aurea_engine.codec.catalog import Catalog
from aurea_engine.engine import Stop
from aurea_engine.errors import StrategyError
from aurea_engine.processes.supervisor import ProcessFailed
from aurea_engine.processes.worker_process import Watch, WorkerProcess
from aurea_engine.results.observers import Observer, Observers
from aurea_engine.results.progress import ProgressReports
from aurea_engine.results.result import RunResult
from aurea_engine.results.summarize import summarize
from aurea_engine.run.parts import RunParts
from aurea_engine.shards.local import run_sharded
from aurea_engine.shards.split import OnLoss, Processes, Sharding, check_on_loss, count_processes
from aurea_engine.spec import KEPT_JOBS, RunSpec
from aurea_engine.studies.repeat import repeat
from aurea_engine.studies.runner import RunHere, Runner
from aurea_engine.workload.access import LOCAL_USER, Access


@contextlib.asynccontextmanager
async def open_runner(
    processes: Processes = "auto",
    *,
    catalog: Catalog | None = None,
    access: Access = LOCAL_USER,
    on_loss: OnLoss = "fail",
) -> AsyncIterator[Runner]:
    """A `Runner` over so many processes of this machine; ``"auto"`` is one for each core that this one may use. ::

    async with open_runner(4) as runner:
        results = await asyncio.gather(*(runner.run(spec) for spec in specs))

    A virtual run is executed whole in one of the processes, so many at a time; a run in real time in all of them, as
    `run_sharded` does, and they follow each other. One process is this very one. ``catalog`` names the kinds of the
    specifications, and ``access`` is what their jobs may reach. When the block ends, nothing is left of the processes.
    Raises SpecError for a number of processes that is none.
    """
    number, on_loss = count_processes(processes), check_on_loss(on_loss)
    if number == 1:
        # A specification need not be written down then, so one of classes that only this program knows can be studied too.
        yield RunHere(access)
        return
    runner = _ProcessRunner(number, catalog, access, on_loss)
    try:
        yield runner
    finally:
        await runner.close()


async def run_as(
    sharding: Sharding,
    spec: RunSpec,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    catalog: Catalog | None = None,
    access: Access = LOCAL_USER,
) -> RunResult:
    """Run ``spec`` as ``sharding`` says: once in shards, or several times. Raises as `run_sharded` and `repeat` do."""
    on_loss, repetition = sharding.on_loss, sharding.repetition
    if repetition is None:
        wanted = sharding.processes
        return await run_sharded(spec, wanted, observers, on_loss=on_loss, stop=stop, catalog=catalog, access=access)
    sharding.check(spec)
    processes = sharding.count_for(spec)
    async with open_runner(processes, catalog=catalog, access=access, on_loss=on_loss) as runner:
        most, until = repetition.most, repetition.until
        return await repeat(spec, most, until=until, runner=runner, observers=observers, stop=stop)


class _Seat:
    """The place of one worker: it is started when it is first needed, kept warm, and replaced when it has died."""

    def __init__(self) -> None:
        self._starting: asyncio.Task[WorkerProcess] | None = None

    async def take(self) -> WorkerProcess:
        """A worker that is ready. Raises `ProcessFailed`."""
        if self._starting is None or _is_lost(self._starting):
            self._starting = asyncio.create_task(WorkerProcess.start())
        # Whoever waits may be cancelled in the middle of a start. The process is kept for the next one who comes, or
        # for `close`: dropped half started, nobody would end it.
        return await asyncio.shield(self._starting)

    async def close(self) -> None:
        """End the worker, also one that is being started."""
        if self._starting is not None:
            with contextlib.suppress(ProcessFailed):
                await (await self._starting).close()


def _is_lost(starting: asyncio.Task[WorkerProcess]) -> bool:
    if not starting.done():
        return False
    return starting.cancelled() or starting.exception() is not None or not starting.result().alive


class _ProcessRunner:
    """Several workers, taken in turn: see `open_runner`."""

    def __init__(self, processes: int, catalog: Catalog | None, access: Access, on_loss: OnLoss) -> None:
        self.width = processes
        self._catalog, self._access, self._on_loss = catalog, access, on_loss
        self._seats = [_Seat() for _ in range(processes)]
        # The last one back is the first one out, so that no more are started than are in use at once.
        self._free: asyncio.LifoQueue[_Seat] = asyncio.LifoQueue()
        for seat in reversed(self._seats):
            self._free.put_nowait(seat)
        self._machine = asyncio.Lock()

    async def run(self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None) -> RunResult:
        if spec.clock == "virtual":
            return await self._simulate(spec, observers, stop)
        async with self._machine:  # two at once would measure each other
            return await run_sharded(
                spec,
                self.width,
                observers,
                on_loss=self._on_loss,
                stop=stop,
                catalog=self._catalog,
                access=self._access,
            )

    async def _simulate(self, spec: RunSpec, observers: Iterable[Observer], stop: Stop | None) -> RunResult:
        # Drawn here where there is none, for observers and the result have it, too.
        spec = spec if spec.seed is not None else replace(spec, seed=secrets.randbits(53))
        told = Observers(observers)
        reports = ProgressReports.of(spec) if told else None
        seat = await self._free.get()
        try:
            worker = await seat.take()
            told.on_start(spec)
            watch = None if reports is None else _make_watch(spec, told, reports)
            parts = await worker.execute(spec, on_progress=watch, stop=stop, catalog=self._catalog, access=self._access)
        except ProcessFailed as failed:
            # What a strategy did wrong it would do here too, so it is raised as a run in this process raises it.
            if failed.reason.code == "strategy":
                raise StrategyError(failed.reason.detail) from None
            raise
        finally:
            self._free.put_nowait(seat)
        told.on_parts(parts)
        # With a million jobs to sort this takes about a second, in which the other workers must be heard.
        result = await asyncio.to_thread(summarize, spec, parts)
        if reports is not None:
            told.on_progress(reports.report_end(parts, result))
        return result

    async def close(self) -> None:
        """End all workers, also those that are executing something."""
        await asyncio.gather(*(seat.close() for seat in self._seats))


def _make_watch(spec: RunSpec, told: Observers, reports: ProgressReports) -> Watch:
    """What passes the parts so far on to observers, and what they amount to."""

    def watch(parts: RunParts) -> None:
        told.on_parts(parts)
        told.on_progress(reports.report(parts, recorded=spec.keep_jobs and parts.arrived <= KEPT_JOBS))

    return watch
