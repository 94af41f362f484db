"""A server that replies at once, but for one stall: the ground truth of what a stall does to those who wait.

    python -m tests.targets.stalling_server AFTER FOR

It prints its port. AFTER seconds from its first request it does nothing at all FOR seconds: it reads nothing, accepts
nothing, replies to nothing. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Replies(asyncio.Protocol):
    """One connection: a reply for each request, of which none has a body."""

    def __init__(self, begin: asyncio.Event) -> None:
        self.begin = begin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.begin.set()
        self.transport.write(REPLY * data.count(b"\r\n\r\n"))  # type: ignore[attr-defined]


async def main(after: float, during: float) -> None:
    loop = asyncio.get_running_loop()
    begin = asyncio.Event()
    server = await loop.create_server(lambda: Replies(begin), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    end = loop.run_in_executor(None, sys.stdin.buffer.read)
    await begin.wait()
    await asyncio.sleep(after)
    time.sleep(during)
    await end


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]), float(sys.argv[2])))
