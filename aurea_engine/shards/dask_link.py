"""The coordinator's end of the process in which Dask's client runs (`dask_client`). This side imports no Dask."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import secrets
from collections.abc import AsyncIterator, Sequence

import msgspec

from aurea_engine.errors import ClusterRefused
from aurea_engine.processes.frames import BadFrame, Message, Pieces
from aurea_engine.processes.gated_run import MAX_PARTS
from aurea_engine.processes.linux import read_usage_ns
from aurea_engine.processes.spawn import Command
from aurea_engine.processes.supervisor import ProcessFailed, SupervisedProcess
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_workers import Worker
from aurea_engine.shards.loss_watch import wait_until_frozen

PROGRAM = "aurea_engine.shards.dask_client:start"

PATIENCE = 5.0
"""Seconds without a word of a shard after which it is lost."""

HANG_UP_PATIENCE = 5.0
"""Seconds that the client has to let go of what Dask keeps, before its process is ended."""

REMEDY = "install it with: pip install 'aurea-orchestrator[dask]'"

_MALFORMED = (msgspec.MsgspecError, KeyError, TypeError, ValueError, BadFrame)


class DaskLink:
    """A connection to a cluster, for the shards of one run. Make it with `open_link`."""

    def __init__(self, process: SupervisedProcess) -> None:
        self._process = process
        self.workers: list[Worker] = []
        self._ends: dict[int, ShardEnd] = {}
        self._name = secrets.token_hex(8)
        self._hung_up = asyncio.Event()
        self._heard_at = 0
        self._background: list[asyncio.Task[None]] = []

    async def connect(self, cluster: ClusterAddress, kinds: Sequence[str]) -> None:
        """Until all workers were looked over. Raises `ClusterRefused`."""
        self._process.send_order({"cluster": cluster.to_plain(), "kinds": list(kinds)})
        try:
            message = await self._process.receive()
            if "refused" in message:
                raise ClusterRefused(_one_line(f"{message['refused']}"))
            self.workers = msgspec.convert(message["workers"], list[Worker])
        except ProcessFailed as failed:
            raise ClusterRefused(f"the process of the Dask client ended: {_describe(failed)}") from None
        except _MALFORMED as error:
            raise ClusterRefused(f"the process of the Dask client sent what it never sends: {error}") from None
        self._background = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]

    def open_end(self, k: int) -> ShardEnd:
        """What is said with the ``k``-th shard."""
        self._ends[k] = ShardEnd(self, k, f"{self._name}-{k}")
        return self._ends[k]

    def send(self, message: Message) -> None:
        if self._process.alive:
            self._process.send_order(message)

    async def _listen(self) -> None:
        try:
            while True:
                self._take(await self._process.receive())
        except ProcessFailed as failed:
            why = f"the process of the Dask client ended: {_describe(failed)}"
        except _MALFORMED as error:
            why = f"the process of the Dask client sent what it never sends: {error}"
        self._process.kill_now()
        self._hung_up.set()
        for end in self._ends.values():
            end.put({"answer": True, "lost": why})
            end.put({"dropped": True})  # there is nobody left who could

    def _take(self, message: Message) -> None:
        self._heard_at += 1
        if "piece" in message:
            self._ends[int(message["piece"])].pieces.add(message)
        elif "of" in message:
            self._ends[message["of"]].put(message)
        elif "hung_up" in message:
            self._hung_up.set()
        elif "alive" not in message:
            raise ValueError("no shard is named")

    async def _watch(self) -> None:
        """A client that is stopped says nothing and closes nothing."""
        await wait_until_frozen(lambda: self._heard_at, lambda: read_usage_ns(self._process.pid))
        self._process.kill_now()

    async def close(self) -> None:
        """Nothing of it is left, here or on the cluster, as far as that can be reached."""
        if self._background:
            self.send({"hang_up": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANG_UP_PATIENCE):
                    await self._hung_up.wait()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._process.kill()


class ShardEnd:
    """What is said with one shard over a `DaskLink`."""

    def __init__(self, link: DaskLink, k: int, relay: str) -> None:
        self._link, self._k, self._relay = link, k, relay
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self.pieces = Pieces(MAX_PARTS)

    def prepare(self, worker: str, order: bytes) -> None:
        """Have a worker set the shard up."""
        self.tell({"prepare": order, "worker": worker, "relay": self._relay, "patience": PATIENCE})

    def tell(self, message: Message) -> None:
        self._link.send({"of": self._k, **message})

    def put(self, message: Message) -> None:
        self._queue.put_nowait(message)

    async def next(self) -> Message:
        """What is said next. The last says ``answer``."""
        return await self._queue.get()

    def take_parts(self) -> bytes:
        """The bytes of the parts, once the answer has come."""
        return self.pieces.take(f"{self._k}")


@contextlib.asynccontextmanager
async def open_link(cluster: ClusterAddress, kinds: Sequence[str]) -> AsyncIterator[DaskLink]:
    """A connection to ``cluster``, all of whose workers can run ``kinds``. Raises SpecError and `ClusterRefused`."""
    cluster.check()
    check_extra()
    try:
        process = await SupervisedProcess.spawn(Command(program=PROGRAM))
        await process.ready()
    except ProcessFailed as failed:
        raise ClusterRefused(f"no process of a Dask client could be started: {_describe(failed)}") from None
    link = DaskLink(process)
    try:
        await link.connect(cluster, kinds)
        yield link
    finally:
        await link.close()


def check_extra() -> None:
    """Raises `ClusterRefused` where Dask is not installed. Nothing of it is imported."""
    if importlib.util.find_spec("distributed") is None:
        raise ClusterRefused(f"Dask is not installed here: {REMEDY}")


def _describe(failed: ProcessFailed) -> str:
    last = failed.reason.output.strip().splitlines()[-1:]
    return _one_line("; ".join([failed.reason.detail, *last]))


def _one_line(text: str) -> str:
    # Machines of the cluster had a say in it, and it reaches a terminal.
    return ascii(text)[1:-1][:4000]
