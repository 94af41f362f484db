"""A server that serves one request after the other, each for the same time: its ceiling is known to the digit.

    python -m tests.targets.paced_server RATE

It prints its port. However many requests come, RATE of them are answered in a second, in the order in which they came: the
n-th of a backlog n / RATE after it began. GET /late tells how many replies there were, and how many of them were sent more
than 5 ms late, for want of a processor. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
LATE = 0.005


class Counter:
    """The one place where all requests are served: when it will be free is all that there is to know of it."""

    def __init__(self, rate: float) -> None:
        self.service, self.free_at = 1 / rate, 0.0
        self.replies = self.late = 0

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
        if data.startswith(b"GET /late"):
            told = b"%d %d" % (self.counter.replies, self.counter.late)
            self.transport.write(REPLY % (len(told), told))  # type: ignore[attr-defined]
            return
        for _ in range(data.count(b"\r\n\r\n")):
            due = self.counter.serve(self.loop.time())
            self.loop.call_at(due, self.reply, due)

    def reply(self, due: float) -> None:
        self.counter.replies += 1
        self.counter.late += self.loop.time() - due > LATE
        if not self.transport.is_closing():
            self.transport.write(REPLY % (2, b"ok"))  # type: ignore[attr-defined]


async def main(rate: float) -> None:
    loop, counter = asyncio.get_running_loop(), Counter(rate)
    server = await loop.create_server(lambda: Replies(counter), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1])))
