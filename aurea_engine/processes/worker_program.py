"""The program of a worker: executes specifications, or shards of them, and sends the parts back. See `worker_process`."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import replace

from aurea_engine.codec.catalog import load_catalog_for
from aurea_engine.codec.specifications import spec_from_dict
from aurea_engine.engine import Stop, execute
from aurea_engine.processes.child import Handler, ParentConnection
from aurea_engine.processes.frames import Message
from aurea_engine.records.series import Series
from aurea_engine.results.observers import Observer
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Shard
from aurea_engine.workload.access import Access

LOOK = 0.005
"""Seconds between two looks whether the supervisor has said when to begin."""


def start(parent: ParentConnection, _: asyncio.Runner) -> Handler:
    """Get ready, and give back what handles an order."""
    return functools.partial(_execute, parent)


def _execute(parent: ParentConnection, order: Message) -> None:
    order_id = order["id"]
    # The Stop goes before the answer is sent: the next order may come at once, with a Stop of its own.
    try:
        # The specification was a value over there, so the kinds that it names are installed for the caller.
        access = replace(Access.from_plain(order["access"]), given=order["given"])
        catalog = load_catalog_for(order["spec"])
        spec = spec_from_dict(order["spec"], catalog, local=access.local, data_dir=access.data_dir)
        # A run that nobody watches is cheaper: it need not keep its meters up to date under way.
        observers = [_PartsSender(parent)] if order["watched"] else []
        # `execute` opens an event loop for each run in real time, and closes it with all that jobs left in it.
        stop = parent.stops[order_id]
        gate = _Gate(parent, order_id, stop, order["gated"]) if "gated" in order else None
        parts = execute(spec, Shard(*order["shard"]), observers, stop=stop, access=access, start=gate)
        parent.send_in_pieces("parts", parts.to_bytes())
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this order and not the supervisor
        del parent.stops[order_id]
        parent.send_failure(error)
    else:
        del parent.stops[order_id]
        parent.send({"end": order_id})


class _Gate:
    """Says that the shard is ready, and waits for the instant at which all begin."""

    def __init__(self, parent: ParentConnection, order_id: str, stop: Stop, processes: int) -> None:
        self._parent, self._id, self._stop, self.processes = parent, order_id, stop, processes

    async def pass_when_open(self) -> int | None:
        self._parent.send({"ready": self._id})
        # A look now and then is soon enough, since the instant lies ahead. The event loop turns meanwhile, so connections
        # that jobs opened are kept.
        while self._stop.status is None:
            if (opens_at := self._parent.starts.pop(self._id, None)) is not None:
                return opens_at
            await asyncio.sleep(LOOK)
        return None


class _PartsSender(Observer):
    """Sends what was measured so far, but records and series: some kilobytes, however long the run.

    A series may have thousands of bins. Encoding them takes tens of milliseconds, in which no job would be released.
    """

    def __init__(self, parent: ParentConnection) -> None:
        self._parent = parent

    def on_parts(self, parts: RunParts) -> None:
        if parts.status is None:  # the last come by themselves, in pieces
            self._parent.send_if_free({"progress": replace(parts, series=Series()).to_bytes()})
