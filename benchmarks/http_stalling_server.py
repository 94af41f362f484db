"""A server that answers at once, but for one second: ``python -m benchmarks.http_stalling_server STARTS LASTS``.

STARTS seconds after the first request it falls silent. LASTS seconds later it answers all that came meanwhile, and goes on
as before. It prints its address, and at the end of its input the number of requests that it has answered.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Stalling:
    """What all connections share: when the silence is, and what waits for its end."""

    def __init__(self, starts: float, lasts: float) -> None:
        self._starts, self._lasts = starts, lasts
        self._first: float | None = None
        self.answered = 0

    def find_silence(self) -> float:
        """Seconds until it answers again: 0 where it answers at once."""
        now = asyncio.get_running_loop().time()
        if self._first is None:
            self._first = now
        since = now - self._first - self._starts
        return self._lasts - since if 0 <= since < self._lasts else 0.0


class Connection(asyncio.Protocol):
    """One client. Requests have no body, so each ends with an empty line."""

    def __init__(self, server: Stalling) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        *requests, self._received = self._received.split(b"\r\n\r\n")
        for _ in requests:
            silence = self._server.find_silence()
            if silence > 0:
                asyncio.get_running_loop().call_later(silence, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        self._server.answered += 1
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve(starts: float, lasts: float) -> None:
    loop, server = asyncio.get_running_loop(), Stalling(starts, lasts)
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(server.answered, flush=True)


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1]), float(sys.argv[2])))
