"""The least that a client in Python can do: ``python -m benchmarks.http_bare URL SECONDS CONNECTIONS``.

uvloop, llhttp, and one tuple a request: no engine, no pool, no timeout, no check. A wrong reply is taken for a right one.
What a real client costs beyond it is the price of these.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from time import perf_counter_ns
from urllib.parse import urlsplit

import httptools
import uvloop

Record = tuple[int, int, int, int, int, int]
"""Started, sent, first byte, finished, status, bytes."""


class Connection(asyncio.Protocol):
    """Sends again as soon as it has been answered, until ``ends``."""

    def __init__(self, request: bytes, ends: int, records: list[Record], closed: Callable[[], None]) -> None:
        self._request, self._ends, self._records, self._closed = request, ends, records, closed
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "write")
        self._transport, self._write = transport, transport.write
        self._send()

    def _send(self) -> None:
        self._first = self._received = 0
        self._started = perf_counter_ns()
        self._write(self._request)
        self._sent = perf_counter_ns()

    def data_received(self, data: bytes) -> None:
        if not self._first:
            self._first = perf_counter_ns()
        self._received += len(data)
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        now, status = perf_counter_ns(), self._parser.get_status_code()
        self._records.append((self._started, self._sent, self._first, now, status, self._received))
        if now < self._ends:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed()


async def send(url: str, seconds: float, connections: int) -> list[Record]:
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    assert parts.hostname is not None
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    records: list[Record] = []
    ends, open_ones = perf_counter_ns() + round(seconds * 1e9), asyncio.Semaphore(0)
    for _ in range(connections):
        await loop.create_connection(
            lambda: Connection(request, ends, records, open_ones.release), parts.hostname, parts.port
        )
    for _ in range(connections):
        await open_ones.acquire()
    return records


if __name__ == "__main__":
    print(len(uvloop.run(send(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))))
