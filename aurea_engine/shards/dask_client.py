"""The program of the process in which Dask's client runs: the only one beside the cluster's own that imports Dask.

A client of Dask unpickles what a cluster sends it, so whoever has the cluster can execute code in this process. The one who
started it reads plain data from it, and checks what he reads (`dask_link`).
"""

# Orders, in this order: ``cluster`` once, which answers with the workers or with why they cannot be used; then ``prepare``
# for each shard, ``begin``, ``halt`` and ``drop``; at last ``hang_up``.
#
# What a shard says comes as events of a topic. That it is lost is found out in three ways, the quickest first: the
# scheduler says that the worker has left; the connection to the scheduler is gone; nothing was heard for some seconds
# (`dask_link.PATIENCE`).
#
# Dask would run the task of a lost worker again, on another one, or keep it waiting for ever. So each task is tied to its
# worker, is tried once, and is cancelled in any case.

from __future__ import annotations

import asyncio
import contextlib
import functools
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from distributed import Client, Future
from distributed.security import Security

from aurea_engine.errors import ClusterRefused
from aurea_engine.processes.child import Handler, ParentConnection
from aurea_engine.processes.frames import Message
from aurea_engine.shards import dask_task
from aurea_engine.shards.dask_address import CONNECT_PATIENCE, ClusterAddress, make_first_contact
from aurea_engine.shards.dask_cluster import find_scheduler, look_over
from aurea_engine.shards.loss_watch import LOOK, Silence

TASK_PATIENCE = 30.0
"""Seconds in which a worker must begin a task."""

GONE = "the connection to the Dask scheduler is gone"

CALL_PATIENCE = 5.0
"""Seconds that a worker has to answer a call."""

KEEP_ALIVE = 2.0
"""Seconds between two words to all relays."""

DROP_PATIENCE = 3.0
"""Seconds that a relay has to clear up before it is left to itself."""


def start(parent: ParentConnection, _: asyncio.Runner) -> Handler:
    """Get ready, and give back what handles an order."""
    return functools.partial(_serve, parent)


def _serve(parent: ParentConnection, order: Message) -> None:
    # With the standard event loop, which is what Dask is tested with.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(_Session(parent).run(order))


class _Tasks:
    """Tasks that somebody has to keep until they end."""

    def __init__(self) -> None:
        self._there: set[asyncio.Task[None]] = set()

    def spawn(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._there.add(task)
        task.add_done_callback(self._there.discard)

    async def cancel(self) -> None:
        for task in self._there:
            task.cancel()
        await asyncio.gather(*self._there, return_exceptions=True)


class _Session:
    """One connection to a cluster, and the shards of one run on it."""

    def __init__(self, parent: ParentConnection) -> None:
        self._parent = parent
        self._shards: dict[int, _RemoteShard] = {}
        self._pids: dict[str, tuple[int, int]] = {}
        self._tasks = _Tasks()

    async def run(self, order: Message) -> None:
        """Until the one who gives orders hangs up."""
        cluster = ClusterAddress.from_plain(order["cluster"])
        try:
            await asyncio.to_thread(make_first_contact, cluster)
            client = await _connect(cluster)
        except ClusterRefused as refused:
            self._parent.send({"refused": f"{refused}"})
            return
        try:
            async with client:
                await self._serve(client, cluster, order["kinds"])
        finally:
            await self._tasks.cancel()

    async def _serve(self, client: Client, cluster: ClusterAddress, kinds: list[str]) -> None:
        try:
            workers = await look_over(client, cluster.address, kinds)
            scheduler = await find_scheduler(client)
        except ClusterRefused as refused:
            self._parent.send({"refused": f"{refused}"})
            return
        self._pids = {worker.address: (worker.pid, scheduler) for worker in workers}
        client.subscribe_topic(dask_task.TOPIC, self._on_event)
        self._parent.send({"workers": [msgspec.to_builtins(worker) for worker in workers]})
        self._tasks.spawn(self._keep_alive(client))
        self._tasks.spawn(self._watch_scheduler(client))
        while "hang_up" not in (message := await asyncio.to_thread(self._parent.orders.get)):
            self._obey(client, message)
        await asyncio.gather(*(shard.drop() for shard in self._shards.values()))
        self._parent.send({"hung_up": True})

    def _obey(self, client: Client, message: Message) -> None:
        k = message["of"]
        if "prepare" in message:
            shard = _RemoteShard(
                client, message["relay"], message["worker"], functools.partial(self._say, k), self._tasks
            )
            self._shards[k] = shard
            client.subscribe_topic(shard.worker, functools.partial(self._on_worker_event, shard.worker))
            self._tasks.spawn(shard.run(message["prepare"], Silence(message["patience"], self._pids[shard.worker])))
        elif "drop" in message:
            self._tasks.spawn(self._drop(k))
        else:
            order = {name: value for name, value in message.items() if name != "of"}
            self._tasks.spawn(self._shards[k].tell(order))

    async def _drop(self, k: int) -> None:
        await self._shards[k].drop()
        self._say(k, {"dropped": True})

    def _say(self, k: int, message: Message) -> None:
        if parts := message.pop("parts", None):
            self._parent.send_in_pieces(f"{k}", parts)
        message = {"of": k, **message}
        # Late progress is worth nothing, and must not hold up the word of others.
        (self._parent.send_if_free if "progress" in message else self._parent.send)(message)

    # --- What the cluster says ---------------------------------------------------------------------------------------

    def _on_event(self, event: tuple[float, Message]) -> None:
        message = dict(event[1])
        relay = message.pop("relay", None)
        # A topic is common to all runs of a cluster.
        for shard in self._shards.values():
            if shard.relay == relay:
                shard.hear(message)

    def _on_worker_event(self, worker: str, event: tuple[float, Message]) -> None:
        if isinstance(event[1], dict) and event[1].get("action") == "remove-worker":
            for shard in self._shards.values():
                if shard.worker == worker:
                    shard.lose(
                        "its Dask worker has left the cluster: it ended, or lost its connection to the scheduler"
                    )

    async def _watch_scheduler(self, client: Client) -> None:
        while client.status == "running":
            await asyncio.sleep(LOOK / 2)
        for shard in self._shards.values():
            shard.lose(GONE)

    async def _keep_alive(self, client: Client) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            by_worker: dict[str, list[str]] = {}
            for shard in self._shards.values():
                by_worker.setdefault(shard.worker, []).append(shard.relay)
            # Each by itself, and not waited for: one that does not answer must not keep the word from others.
            for worker, relays in by_worker.items():
                self._tasks.spawn(_call(client, worker, dask_task.keep_alive, relays))


class _RemoteShard:
    """One shard on a worker. ``say``: tells the one who gives orders; ``tasks``: keeps what it does beside."""

    def __init__(self, client: Client, relay: str, worker: str, say: Callable[[Message], None], tasks: _Tasks) -> None:
        self.relay, self.worker = relay, worker
        self._client, self._say, self._tasks = client, say, tasks
        self._future: Future | None = None
        self._words, self._has_ended = 0, asyncio.Event()
        self._held: list[Message] = []

    async def run(self, order: bytes, silence: Silence) -> None:
        """Until there is an answer, or the shard is lost: also where nothing is heard of it any more."""
        self._future = self._client.submit(
            dask_task.run_shard,
            self.relay,
            order,
            key=dask_task.name_task(self.relay),
            pure=False,
            retries=0,
            workers=[self.worker],
            allow_other_workers=False,
        )
        watching = asyncio.ensure_future(self._watch(silence))
        try:
            self._end(msgspec.msgpack.decode(await self._future, type=Message))
        except Exception as error:  # noqa: BLE001 - whatever it is, Dask will give no answer
            # Dask cancels all that it waits for where it loses the scheduler, also if it finds it again at once.
            if self._client.status != "running" or "connection-lost" in f"{error}":
                self.lose(GONE)
            what = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
            self.lose(f"its task on the Dask worker ended without an answer ({what})")
        finally:
            watching.cancel()

    def hear(self, message: Message) -> None:
        """A word of the relay."""
        self._words += 1
        while self._held:
            self._tasks.spawn(self.tell(self._held.pop(0)))
        if not self._has_ended.is_set() and "alive" not in message:
            self._say(message)

    def lose(self, why: str) -> None:
        """It will give no answer any more."""
        self._end({"lost": why})

    async def tell(self, order: Message) -> None:
        """Have the relay do something, as soon as there is one."""
        if not self._words:
            self._held.append(order)
            if "halt" in order:
                await asyncio.sleep(DROP_PATIENCE)
                if not self._words:
                    self.lose("it was told to end, and its task was not begun yet: the Dask worker is busy, or hangs")
            return
        await _call(self._client, self.worker, dask_task.deliver, self.relay, order)

    async def drop(self) -> None:
        """End it, and let go of what Dask keeps of it."""
        if self._future is None:
            return
        if not self._has_ended.is_set():
            self._has_ended.set()
            with contextlib.suppress(Exception):
                async with asyncio.timeout(DROP_PATIENCE):
                    await self.tell({"drop": True})
                    await self._future
        future, self._future = self._future, None
        with contextlib.suppress(Exception):
            async with asyncio.timeout(DROP_PATIENCE):
                await future.cancel()
        future.release()

    def _end(self, answer: Message) -> None:
        if not self._has_ended.is_set():
            self._has_ended.set()
            self._say({"answer": True, **answer})

    async def _watch(self, silence: Silence) -> None:
        looks = 0
        while (looks := looks + 1) * LOOK < TASK_PATIENCE and not self._words:
            await asyncio.sleep(LOOK)
        if not self._words:
            self.lose(
                f"its task was not begun within {TASK_PATIENCE:g} s: the Dask worker is busy with other work, or hangs"
            )
        await silence.wait(lambda: self._words)
        self.lose(f"nothing was heard of its Dask worker for {silence.patience:g} s")


async def _connect(cluster: ClusterAddress) -> Client:
    """Raises `ClusterRefused`."""
    security = None
    if cluster.is_encrypted:
        security = Security(
            tls_ca_file=cluster.ca,
            tls_client_cert=cluster.cert,
            tls_client_key=cluster.key,
            require_encryption=True,
        )
    # Versions are compared by us, and a difference is no warning.
    warnings.filterwarnings("ignore", module="distributed")
    try:
        return await Client(
            cluster.address, security=security, asynchronous=True, timeout=CONNECT_PATIENCE, set_as_default=False
        )
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise ClusterRefused(f"{cluster.address} does not take us as a client: {error}") from None


async def _call(client: Client, worker: str, function: Callable[..., Any], *arguments: Any) -> None:
    """Have a worker call it. Whether that reached it shows elsewhere."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CALL_PATIENCE):
            await client.run(function, *arguments, workers=[worker])
