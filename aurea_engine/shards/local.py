"""A run in several processes of this machine: `run_sharded`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator

from aurea_engine.closed_sets import Status
from aurea_engine.codec.catalog import Catalog
from aurea_engine.engine import Stop, loop_factory
from aurea_engine.errors import SpecError, StrategyError
from aurea_engine.processes.frames import Message
from aurea_engine.processes.gated_run import GatedRun
from aurea_engine.processes.supervisor import ProcessFailed
from aurea_engine.processes.worker_process import WorkerProcess, make_order
from aurea_engine.records.batch import NS
from aurea_engine.results.observers import Observer
from aurea_engine.results.result import RunResult
from aurea_engine.results.summarize import summarize
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Shard
from aurea_engine.shards.coordinator import Coordinator
from aurea_engine.shards.loss_watch import PATIENCE, wait_until_frozen
from aurea_engine.shards.split import OnLoss, Processes, check_on_loss, count_processes, prepare_spec, share_access
from aurea_engine.shards.transport import Hear, ShardLost
from aurea_engine.spec import RunSpec
from aurea_engine.workload.access import LOCAL_USER, Access


class ProcessShard:
    """A shard in a process of its own on this machine (`aurea_engine.shards.transport.ShardRun`).

    ``order``: of `make_order`. ``processes``: so many shards of the run are on this machine. ``leash``: as of
    `WorkerProcess.prepare_order`.
    """

    lead_ns = NS // 10

    def __init__(self, order: Message, *, processes: int, leash: float | None = None) -> None:
        self._order, self._processes, self._leash = order, processes, leash
        self._worker: WorkerProcess | None = None
        self._run: GatedRun | None = None
        self._status: Status | None = None
        self._is_frozen = self._is_given_up = False

    async def prepare(self) -> None:
        with self._naming_losses():
            self._worker = await WorkerProcess.start()
        if self._is_given_up:
            raise ShardLost("nobody waits for it any more")
        self._run = self._worker.prepare_order(self._order, processes=self._processes, leash=self._leash)
        # A stop that came while the process was being started.
        if self._status is not None:
            self._run.stop(self._status)
        with self._naming_losses():
            async with self._watched(self._run):
                await self._run.ready()

    def start(self, opens_at_ns: int) -> None:
        assert self._run is not None
        self._run.start(opens_at_ns)

    async def finish(self, hear: Hear) -> RunParts:
        assert self._run is not None
        with self._naming_losses():
            async with self._watched(self._run):
                return await self._run.finish(hear)

    def stop(self, status: Status) -> None:
        self._status = self._status or status
        if self._run is not None:
            self._run.stop(status)

    def ping(self) -> None:
        """Have its process hear something; see ``leash``."""
        if self._run is not None:
            self._run.ping()

    def give_up(self) -> None:
        """End the process: whoever waits for the shard is told that it is lost."""
        self._is_given_up = True
        if self._run is not None:
            self._run.kill()

    async def close(self) -> None:
        if self._worker is not None:
            await self._worker.close()

    @contextlib.asynccontextmanager
    async def _watched(self, run: GatedRun) -> AsyncIterator[None]:
        """End the process where it freezes: whoever waits for it is then told, as of any process that ends."""

        async def watch() -> None:
            await wait_until_frozen(lambda: run.heard_at, run.used_ns)
            self._is_frozen = True
            run.kill()

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    @contextlib.contextmanager
    def _naming_losses(self) -> Iterator[None]:
        try:
            yield
        except ProcessFailed as failed:
            # What a strategy did wrong it would do in any process: it ends the run as it would end one in this process.
            if failed.reason.code == "strategy":
                raise StrategyError(failed.reason.detail) from None
            detail = failed.reason.detail
            if self._is_frozen:
                detail = f"nothing was heard of it for {PATIENCE:g} s, and it used no processor"
            raise ShardLost(detail) from None


class LocalShard(ProcessShard):
    """A shard of a run whose processes are all on this machine. Raises SpecError for what cannot be written down."""

    def __init__(self, spec: RunSpec, shard: Shard, catalog: Catalog | None, access: Access) -> None:
        super().__init__(make_order(spec, shard, catalog, share_access(access, shard)), processes=shard.of)


async def run_sharded(
    spec: RunSpec,
    processes: Processes = "auto",
    observers: Iterable[Observer] = (),
    *,
    on_loss: OnLoss = "fail",
    stop: Stop | None = None,
    catalog: Catalog | None = None,
    access: Access = LOCAL_USER,
) -> RunResult:
    """Run ``spec`` in so many processes of this machine at once, and return the one result of all.

    ``processes``: ``"auto"`` is one for each core that this process may use. ``on_loss``: what happens when one of them is
    lost under way. ``"fail"`` ends the run with what the others have, ``"continue"`` goes on without it; then the result
    says what was not offered. ``catalog`` names the kinds of ``spec``, as `spec_to_dict` does. Raises as `run` does, and
    SpecError for what cannot be cut.
    """
    number, on_loss = count_processes(processes), check_on_loss(on_loss)
    shared = prepare_spec(spec, number)
    shards = [LocalShard(shared, Shard(index, number), catalog, access) for index in range(number)]
    coordinator = Coordinator(spec, shared, shards, observers=observers, stop=stop, on_loss=on_loss)
    parts = await coordinator.run()
    return coordinator.report_end(parts, summarize(spec, parts))


def run_sharded_sync(
    spec: RunSpec,
    processes: Processes = "auto",
    observers: Iterable[Observer] = (),
    *,
    on_loss: OnLoss = "fail",
    stop: Stop | None = None,
    catalog: Catalog | None = None,
    access: Access = LOCAL_USER,
) -> RunResult:
    """`run_sharded` for a program without an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            running = run_sharded(
                spec, processes, observers, on_loss=on_loss, stop=stop, catalog=catalog, access=access
            )
            return runner.run(running)
    raise SpecError("run_sharded_sync was called inside a running event loop: await run_sharded instead")
