"""A target on loopback that answers as it is told, and remembers every connection and every byte that reached it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

Answer = Callable[[bytes], bytes]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Target:
    """``received``: the bytes of each connection; ``port``: where it listens."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.received: list[bytearray] = []
        self.port = 0

    @property
    def requests(self) -> list[str]:
        """The request lines."""
        lines = b"".join(self.received).decode("latin-1").split("\r\n")
        return [line for line in lines if line.endswith(" HTTP/1.1")]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = bytearray()
        self.received.append(seen)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen += head
                writer.write(self._answer(head))
                await writer.drain()
        writer.close()


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def open_target(answer: Answer = lambda _: OK, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Target]:
    """A target that listens while the block runs."""
    target = Target(answer)
    server = await asyncio.start_server(target.serve, host, port)
    target.port = server.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        server.close()
