"""The least that following streams can cost in Python: ``python -m benchmarks.chat_bare URL SECONDS STREAMS``.

uvloop, one look at the clock for each segment, and its length. Nothing is parsed: an end is what ends like one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from time import perf_counter_ns
from urllib.parse import urlsplit

import uvloop

from benchmarks.chat_aiohttp import BODY


class Stream(asyncio.Protocol):
    """Asks again when an answer has ended, until ``ends``."""

    def __init__(self, request: bytes, ends: int, closed: Callable[[], None]) -> None:
        self._request, self._ends, self._closed = request, ends, closed
        self.segments = self.size = self.last = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.last = perf_counter_ns()
        self.segments += 1
        self.size += len(data)
        if data.endswith(b"0\r\n\r\n"):
            if self.last < self._ends:
                self._transport.write(self._request)  # type: ignore[attr-defined]
            else:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed()


async def send(url: str, seconds: float, streams: int) -> int:
    loop, parts, body = asyncio.get_running_loop(), urlsplit(url), json.dumps(BODY).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    ends, open_ones = perf_counter_ns() + round(seconds * 1e9), asyncio.Semaphore(0)
    made = []
    for _ in range(streams):
        _, stream = await loop.create_connection(
            lambda: Stream(head.encode() + body, ends, open_ones.release), parts.hostname, parts.port
        )
        made.append(stream)
    for _ in range(streams):
        await open_ones.acquire()
    return sum(stream.segments for stream in made)


if __name__ == "__main__":
    print(uvloop.run(send(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))))
