"""What runs on a worker of a Dask cluster: a relay between the client there and a supervised process here."""

# The jobs of a shard never run in the worker's own process. It has a thread beside its event loop, a profiler that samples
# every 10 ms, and a nanny that kills it for its memory. So the task starts the same process as a shard on one machine has
# (`ProcessShard`: keeper, guard, kill ladder, the watch for frozen ones), and passes on what is said:
#
# - *up*, as events of a topic: that it is ready, the parts so far, a sign of life each second; in the end, as the result of
#   the task, all parts, or why there are none.
# - *down*, by functions that the client has the worker call: `deliver` and `keep_alive`.
#
# The relay is a coroutine, so the worker's event loop executes it, and the supervised process is started by the thread
# that lives as long as the worker: the kernel ends it with that thread. What dies with whom:
#
# - **The worker ends**, however: the lifeline closes, and the guard ends what is below.
# - **The worker is stopped** (SIGSTOP). The process hears nothing any more, and ends itself (`LEASH`).
# - **The client is gone.** The scheduler lets go of the task, and the relay ends the process.
# - **The client is cut off.** The relay hears nothing any more, and ends the process (`LEASH`).
# - **The scheduler is gone.** The worker closes itself and cancels the task.

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from aurea_engine.closed_sets import Status
from aurea_engine.errors import SpecError, StrategyError
from aurea_engine.processes.frames import Message
from aurea_engine.processes.messages import Failure
from aurea_engine.processes.reasons import explain_failure
from aurea_engine.run.parts import RunParts
from aurea_engine.shards.local import ProcessShard
from aurea_engine.shards.transport import ShardLost

TOPIC = "aurea-shards"
"""The one topic of all runs: what is said stays in a bounded list of the scheduler, and a topic is never removed."""

BEAT = 1.0
"""Seconds between two signs of life, in both directions."""

LEASH = 10.0
"""Seconds without a word after which a relay gives up its client, and a process its relay."""

Say = Callable[[Message], None]
_relays: dict[str, _Relay] = {}


async def run_shard(relay_id: str, order: bytes) -> bytes:
    """The task. ``order``: msgpack of what a worker process is told, and ``processes`` of the run on this machine.

    The result is msgpack: ``parts``, or ``lost`` or ``failure`` with the reason.
    """
    # Here, so that importing Aurea imports no Dask. On a worker it is there already.
    from distributed import get_worker  # noqa: PLC0415

    worker = get_worker()

    def say(message: Message) -> None:
        # The scheduler may be gone; then the worker is about to close, and nobody listens.
        with contextlib.suppress(Exception):
            worker.log_event(TOPIC, {"relay": relay_id, **message})

    def is_wanted() -> bool:
        return not _is_released(worker, name_task(relay_id))

    relay = _relays[relay_id] = _Relay(msgspec.msgpack.decode(order, type=Message), say, is_wanted)
    try:
        return msgspec.msgpack.encode(await relay.run())
    finally:
        del _relays[relay_id]


def deliver(relay_id: str, order: dict[str, Any]) -> bool:
    """Have a relay of this worker ``begin`` at an instant of this machine's clock, ``halt`` with a status, or ``drop`` its
    shard. False if there is no such relay.
    """
    relay = _relays.get(relay_id)
    if relay is not None:
        relay.obey(order)
    return relay is not None


def keep_alive(relay_ids: list[str]) -> None:
    """Their client is still there."""
    for relay_id in relay_ids:
        if relay := _relays.get(relay_id):
            relay.is_heard()


def name_task(relay_id: str) -> str:
    """The key of the task of a relay."""
    return f"aurea-{relay_id}"


def _is_released(worker: Any, key: str) -> bool:
    """Whether the cluster has let go of a task that runs here: its client is gone, or has cancelled it."""
    # Dask leaves a running function running, and has no word for it but the state of the task. Where that has another name
    # some day, the leash still holds.
    task = getattr(getattr(worker, "state", None), "tasks", {}).get(key)
    return getattr(task, "state", None) == "cancelled"


class _Relay:
    """One shard on this machine. ``say``: tells the client; ``is_wanted``: somebody waits for its task."""

    def __init__(self, order: Message, say: Say, is_wanted: Callable[[], bool]) -> None:
        self._shard = ProcessShard(order, processes=order.pop("processes"), leash=LEASH)
        self._say, self._is_wanted, self._is_heard = say, is_wanted, True

    async def run(self) -> Message:
        """The result of the task."""
        beating = asyncio.create_task(self._beat())
        try:
            await self._shard.prepare()
            self._say({"ready": True})
            parts = await self._shard.finish(self._hear)
            return {"parts": parts.to_bytes()}
        except ShardLost as lost:
            return {"lost": f"{lost}"}
        except (SpecError, StrategyError) as error:
            return {"failure": msgspec.to_builtins(Failure(reason=explain_failure(error)))}
        finally:
            beating.cancel()
            await self._shard.close()

    def obey(self, order: dict[str, Any]) -> None:
        self._is_heard = True
        if "begin" in order:
            self._shard.start(order["begin"])
        elif "halt" in order:
            status: Status = order["halt"]
            self._shard.stop(status)
        elif "drop" in order:
            self._shard.give_up()

    def is_heard(self) -> None:
        """A word of the client has come."""
        self._is_heard = True

    def _hear(self, parts: RunParts) -> None:
        self._say({"progress": parts.to_bytes()})

    async def _beat(self) -> None:
        quiet = 0.0
        self._say({"alive": True})  # from now on orders can be obeyed
        while quiet < LEASH and self._is_wanted():
            await asyncio.sleep(BEAT)
            self._say({"alive": True})
            self._shard.ping()
            # Counted by beats and not by the clock: a pause of this machine is no silence of the client.
            quiet = 0.0 if self._is_heard else quiet + BEAT
            self._is_heard = False
        self._shard.give_up()
