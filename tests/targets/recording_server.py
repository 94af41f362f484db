"""A small HTTP/1.1 server for tests: it keeps every request as it came, and answers as a function of the request says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """One request. ``lines``: the head's lines after the first; ``connection``: which one it came over, from 0; ``client``:
    whether a client's certificate was shown.
    """

    method: str
    target: str
    lines: tuple[str, ...]
    body: bytes
    connection: int
    client: bool = False

    def header(self, name: str) -> str | None:
        """The value of a header, None if it was not sent."""
        pairs = (line.partition(":") for line in self.lines)
        return next((value.strip() for each, _, value in pairs if each.lower() == name.lower()), None)


Answer = Callable[[Received], bytes]


def reply(body: bytes | str = b"", status: int = 200, *headers: str) -> bytes:
    """A whole reply."""
    content = body.encode() if isinstance(body, str) else body
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(content)}"))
    return f"{head}\r\n".encode() + content


@dataclass
class RecordingServer:
    """``port`` on 127.0.0.1. ``received``: every request so far, ``connections``: how many were made."""

    answer: Answer
    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    scheme: str = "http"

    def url(self, target: str = "/") -> str:
        """Its URL."""
        return f"{self.scheme}://127.0.0.1:{self.port}{target}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        number = self.connections
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                lines = tuple(line for line in head[1:] if line)
                if any(line.lower() == "expect: 100-continue" for line in lines):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                received = Received(method, target, lines, body, number, bool(writer.get_extra_info("peercert")))
                self.received.append(received)
                writer.write(self.answer(received))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def recording_server(
    answer: Answer = lambda _: reply(), context: ssl.SSLContext | None = None
) -> AsyncIterator[RecordingServer]:
    """Running while the block lasts; with ``context`` it speaks TLS."""
    recording = RecordingServer(answer, scheme="http" if context is None else "https")
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(recording.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    recording.port = server.sockets[0].getsockname()[1]
    try:
        yield recording
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
