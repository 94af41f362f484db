"""A server that knows how many different bodies it was sent: ``python -m benchmarks.http_counting_server``.

It prints its address, and at the end of its input the number of requests and of different bodies.
"""

from __future__ import annotations

import asyncio
import sys
from hashlib import blake2b

import httptools
import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Bodies:
    """What all connections share. Of a body its digest is kept: a hundred thousand bodies are not this row's subject."""

    def __init__(self) -> None:
        self.requests = 0
        self.digests: set[bytes] = set()


class Connection(asyncio.Protocol):
    """One client; its methods `on_...` are called by the parser."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = blake2b(digest_size=16)

    def on_body(self, body: bytes) -> None:
        self._body.update(body)

    def on_message_complete(self) -> None:
        self._bodies.requests += 1
        self._bodies.digests.add(self._body.digest())
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve() -> None:
    loop, bodies = asyncio.get_running_loop(), Bodies()
    listening = await loop.create_server(lambda: Connection(bodies), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(bodies.requests, len(bodies.digests), flush=True)


if __name__ == "__main__":
    uvloop.run(serve())
