"""A null target in a supervised process, for `--floor`: it ends with the command that started it, however that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aurea_engine.processes.spawn import Command
from aurea_engine.processes.supervisor import SupervisedProcess

if TYPE_CHECKING:
    from aurea_engine.processes.child import Handler, ParentConnection
    from aurea_engine.processes.frames import Message

PROGRAM = f"{__name__}:start"
START_SECONDS = 10.0
LOOK_SECONDS = 0.05
"""How often the program looks whether it has been told to stop."""


def start(parent: ParentConnection, runner: asyncio.Runner) -> Handler:
    """The program: an order has the length of the replies, and is answered with the port."""
    from aurea_engine.targets.null_target import serve_null_target  # noqa: PLC0415 - in that process only

    async def serve(order: Message) -> None:
        async with serve_null_target("127.0.0.1", 0, order["body_bytes"]) as (_, port):
            parent.send({"port": port})
            # A `Stop` is a plain value that the listening thread sets: it wakes nobody, so it is looked at.
            while parent.stops[order["id"]].status is None:
                await asyncio.sleep(LOOK_SECONDS)

    return lambda order: runner.run(serve(order))


@contextlib.asynccontextmanager
async def open_null_target_process(body_bytes: int) -> AsyncIterator[str]:
    """The URL of a null target in a process of its own, which is gone when the block ends. Raises `ProcessFailed`."""
    process = await SupervisedProcess.spawn(Command(program=PROGRAM))
    try:
        await process.ready()
        process.send_order({"id": "null-target", "body_bytes": body_bytes})
        port = await process.answer("port", START_SECONDS, "the null target did not listen")
        # Whatever ends the block, a signal too, ends the process; and where we are killed, its guard sees our socket close.
        yield f"http://127.0.0.1:{port}/"
    finally:
        await process.kill()
