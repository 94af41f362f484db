"""The null target: a server that answers every request at once, with the same bytes.

What is measured against it is the client and the kernel, and no server: the floor under the figures of a run. It is
started in a process of its own, beside the one that sends. It listens on loopback only, since it answers whoever asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from aurea_engine.errors import Problem, SpecError

BODY_BYTES = 612
"""The size of the page that a fresh nginx answers with: what others measure, too."""

MOST_BODY_BYTES = 64 * 1024**2

CLOSING = 1.0
"""Seconds that connections have to be closed in when the server is."""


class NullServer(asyncio.Protocol):
    """One connection. ``reply``: the bytes of every reply; ``head``: those of a reply to HEAD."""

    __slots__ = ("_connections", "_head", "_parser", "_reply", "_transport")

    def __init__(self, reply: bytes, head: bytes, connections: set[NullServer]) -> None:
        self._reply, self._head, self._connections = reply, head, connections
        self._transport: asyncio.Transport | None = None
        self._parser = HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their type
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.close()

    def on_headers_complete(self) -> None:
        """Of httptools."""

    def on_message_complete(self) -> None:
        """Of httptools: the whole request is here, whatever it was."""
        if self._transport is not None:
            self._transport.write(self._head if self._parser.get_method() == b"HEAD" else self._reply)
            if not self._parser.should_keep_alive():
                self._transport.close()

    def pause_writing(self) -> None:
        """Who sends and never reads is not read, either: the replies would pile up."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def close(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def serve_null_target(host: str, port: int, body_bytes: int = BODY_BYTES) -> AsyncIterator[tuple[str, int]]:
    """Serve while the context is entered, and yield (address, port): ``port`` 0 takes a free one.

    Raises `SpecError` for an address that is not of loopback, OSError for one that cannot be had.
    """
    address = _check_loopback(host)
    if not 0 <= body_bytes <= MOST_BODY_BYTES:
        raise SpecError([Problem("body_bytes", f"must be between 0 and {MOST_BODY_BYTES:,}", str(body_bytes))])
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n".encode()
    reply, connections = head + b"x" * body_bytes, set[NullServer]()
    server = await asyncio.get_running_loop().create_server(
        lambda: NullServer(reply, head, connections), address, port, backlog=4096
    )
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        for connection in list(connections):
            connection.close()
        # uvloop may wait for ever here, for a connection that was lost before it was accepted.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), CLOSING)


def _check_loopback(host: str) -> str:
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback:
            return host.removeprefix("[").removesuffix("]")
    except ValueError:
        pass
    raise SpecError([Problem("host", "must be an address of loopback: the null target answers whoever asks", host)])
