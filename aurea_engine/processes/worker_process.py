"""A process that executes specifications, as the one who asks sees it: ``execute(spec, shard)`` somewhere else."""

# This is what shards, studies and machines of a cluster need, and no more:
#
# - *Parts come back as a value*, the same as `aurea_engine.execute` in this process gives. `summarize` and `merge` do not
#   know where they were made.
# - *Progress* is parts too, so that a coordinator can merge those of several workers and report on the whole run.
# - *A stop* ends the run with what it has. Cancelling the task that waits ends it without, by ending the process.
# - *A death has a reason.* A worker that crashes, is killed, runs out of memory or does not obey makes `execute` raise
#   `ProcessFailed`. A run may take as long as it likes: a caller with a limit uses `asyncio.timeout`.
#
# A specification is sent as JSON values. So it must be one that can be written down: kinds of the catalog, or those that
# an installed package offers. A class that only this program knows cannot be found over there, and is refused.

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Collection

from aurea_engine.codec.catalog import Catalog
from aurea_engine.codec.specifications import spec_to_dict
from aurea_engine.engine import Stop
from aurea_engine.processes.frames import Message, Pieces
from aurea_engine.processes.gated_run import MAX_PARTS, GatedRun, check_shard, name_failure, read_end
from aurea_engine.processes.spawn import Command
from aurea_engine.processes.supervisor import ProcessFailed, SupervisedProcess
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Shard
from aurea_engine.spec import RunSpec
from aurea_engine.workload.access import LOCAL_USER, Access

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())

STOP_LOOK_SECONDS = 0.05
"""How often the `Stop` of a run is looked at: setting one is a plain assignment, from any thread."""

WHOLE = Shard()
Watch = Callable[[RunParts], None]


class WorkerProcess:
    """Executes one specification at a time, each in the same process. Make it with `start`, or use `open_worker`. ::

    async with open_worker() as worker:
        result = summarize(spec, await worker.execute(spec))
    """

    def __init__(self, process: SupervisedProcess) -> None:
        self._process = process
        self._ids = itertools.count()

    @classmethod
    async def start(cls, *, memory: int = 0, secrets: Collection[str] = ()) -> WorkerProcess:
        """A process that is ready. ``memory``: bytes of address space, 0 for no limit; ``secrets``: names of environment
        variables that it does not get. Raises `ProcessFailed`.
        """
        process = await SupervisedProcess.spawn(Command(memory=memory, secrets=secrets))
        await process.ready()
        return cls(process)

    @property
    def alive(self) -> bool:
        """Whether it can execute anything: not after a failure that cost the process, nor after `close`."""
        return self._process.alive

    async def execute(
        self,
        spec: RunSpec,
        shard: Shard = WHOLE,
        *,
        on_progress: Watch | None = None,
        stop: Stop | None = None,
        catalog: Catalog | None = None,
        access: Access = LOCAL_USER,
    ) -> RunParts:
        """What `aurea_engine.execute` returns, measured there, by jobs that may reach what ``access`` says.

        ``on_progress`` is called about twice a second with the parts so far, which have no records and no series; one that
        raises is not called again. ``catalog`` names the kinds of ``spec``. Raises SpecError if ``spec`` cannot be
        written down or run, or not in shards, and `ProcessFailed` for everything else that happens there. Cancelling ends
        the process.
        """
        watch = _harmless(on_progress)
        order_id = f"{next(self._ids)}"
        order = make_order(spec, shard, catalog, access) | {"id": order_id, "watched": on_progress is not None}

        def take(message: Message, values: Pieces) -> RunParts | None:
            if "alive" in message:  # the last sign of life of a shard before
                return None
            if "progress" in message:
                watch(check_shard(RunParts.from_bytes(message["progress"]), shard))
                return None
            return read_end(message, values, order_id, shard)

        self._process.send_order(order)
        try:
            async with _obeying(stop, lambda status: self._process.stop(order_id, status)):
                return await self._process.converse(take, MAX_PARTS)
        except ProcessFailed as failed:
            raise name_failure(failed) from None
        except asyncio.CancelledError:
            # Nobody reads the answer any more, and the next one would be taken for the answer to another question.
            await self.close()
            raise
        finally:
            self._process.cancel_ladder()

    def prepare(
        self,
        spec: RunSpec,
        shard: Shard,
        *,
        processes: int = 1,
        catalog: Catalog | None = None,
        access: Access = LOCAL_USER,
    ) -> GatedRun:
        """Have it set up ``shard``, and hold it back until `GatedRun.start`. ``processes``: so many shards of the run are on
        this machine. Raises SpecError.
        """
        return self.prepare_order(make_order(spec, shard, catalog, access), processes=processes)

    def prepare_order(self, order: Message, *, processes: int = 1, leash: float | None = None) -> GatedRun:
        """The same with an order of `make_order`, which may come from another machine. ``leash``: the process ends by itself
        when it has heard nothing for so many seconds, neither orders nor `GatedRun.ping`.
        """
        order_id = f"{next(self._ids)}"
        gate = {"id": order_id, "watched": True, "gated": processes} | ({} if leash is None else {"leash": leash})
        self._process.send_order(order | gate)
        return GatedRun(self._process, order_id, Shard(*order["shard"]))

    async def close(self) -> None:
        """End the process and all that its jobs started."""
        await self._process.kill()


def make_order(spec: RunSpec, shard: Shard, catalog: Catalog | None, access: Access) -> Message:
    """What a worker is to execute, as plain data. Raises SpecError."""
    shard.check(spec)  # here too, so that what is wrong with the question costs no process
    return {
        "spec": spec_to_dict(spec, catalog),
        "shard": (shard.index, shard.of),
        "access": access.to_plain(),
        # What the user gave by hand goes to processes of this machine, over a socket that only the two hold.
        "given": dict(access.given),
    }


@contextlib.asynccontextmanager
async def open_worker(*, memory: int = 0, secrets: Collection[str] = ()) -> AsyncIterator[WorkerProcess]:
    """A `WorkerProcess` that is closed when the block ends, however."""
    worker = await WorkerProcess.start(memory=memory, secrets=secrets)
    try:
        yield worker
    finally:
        await worker.close()


def _harmless(watch: Watch | None) -> Watch:
    """``watch`` as an observer is treated: what it raises is logged, and must not be taken for a fault of the worker."""
    watches = [] if watch is None else [watch]

    def tell(parts: RunParts) -> None:
        try:
            for each in watches:
                each(parts)
        except Exception:
            watches.clear()
            log.exception("a watcher of a worker's progress raised and was dropped")

    return tell


@contextlib.asynccontextmanager
async def _obeying(stop: Stop | None, end: Callable[[str], None]) -> AsyncIterator[None]:
    """Call ``end`` with the status that ``stop`` gets while the block runs."""
    if stop is None:
        yield
        return

    # `Stop` is a plain value that may be set from any thread, and tells nobody. A look every now and then is as quick as
    # a run in this process is to obey, and a `Stop` that is shared by many workers needs no list of them.
    async def look() -> None:
        while stop.status is None:
            await asyncio.sleep(STOP_LOOK_SECONDS)
        end(stop.status)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
