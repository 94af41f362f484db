"""A server that serves one request after the other, each for the same time: its ceiling is known to the digit.

    python -m tests.targets.paced_server RATE

It prints its port. However many requests come, RATE of them are answered in a second, in the order in which they came: the
n-th of a backlog n / RATE after it began. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Counter:
    """The one place where all requests are served: when it will be free is all that there is to know of it."""

    def __init__(self, rate: float) -> None:
        self.service, self.free_at = 1 / rate, 0.0

    def serve(self, now: float) -> float:
        """When the request that came now is answered."""
        self.free_at = max(self.free_at, now) + self.service
        return self.free_at


class Replies(asyncio.Protocol):
    """One connection: a reply for each request, of which none has a body."""

    def __init__(self, counter: Counter) -> None:
        self.counter, self.loop = counter, asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            self.loop.call_at(self.counter.serve(self.loop.time()), self.reply)

    def reply(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(REPLY)  # type: ignore[attr-defined]


async def main(rate: float) -> None:
    loop, counter = asyncio.get_running_loop(), Counter(rate)
    server = await loop.create_server(lambda: Replies(counter), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1])))
