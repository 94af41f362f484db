"""ConnectionLimiter, before there is a request: how many there may be, how long a header may take, and who never reads.

aiohttp has no cap on connections, counts its idle time anew only between requests, and waits forever for a client that
does not read its answer. All three are handled here, in the class of which aiohttp makes one object per connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import resource
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy

from aurea_server.context import request_id
from aurea_server.http.problems import HttpProblem, make_response
from aurea_server.http.security import (
    EXPECTED,
    OTHER_VERSION,
    VERSIONS,
    new_request_id,
    set_headers,
    version_not_supported,
)

log = logging.getLogger(__name__)

IDLE_SECONDS = 15.0
HEADER_SECONDS = 15.0
"""From a connection, or the end of the last answer, to the end of the next request's header."""

STALLED_SECONDS, STALLED_BYTES = 15.0, 16 * 1024
"""A client must take so much of its answer in so long, or its connection is cut."""

# A steady client may look stalled for longer: its system acknowledges what it read in steps of a sixteenth of its buffer,
# which may be megabytes. So the limit is twice the last wait after which something was taken, and no longer than this.
PATIENT_SECONDS = 60.0

# After a refusal that came before the body. What still arrives is read and thrown away meanwhile: closing a socket with
# unread bytes resets it, and the client would never see the answer. The client learns at once that this is the end.
LINGER_SECONDS = 10.0

# Bytes of a body from which on no more is read until a handler wants them; aiohttp holds twice as many at most.
BODY_BUFFER = 32 * 1024

# Bytes that the kernel accepts before it has sent those before (TCP_NOTSENT_LOWAT). Without this it accepts megabytes, and
# then reports no room for a minute while a slow client reads steadily: progress would be that of the kernel's buffers, not
# of the client.
UNSENT_BYTES = 64 * 1024

SPARE_DESCRIPTORS = 48
"""Kept for the ledger, runner processes and records, however many connections are open."""

_VERSION = re.compile(r" HTTP/([0-9]+(?:\.[0-9]+)*)(?![0-9A-Za-z.])", re.ASCII)
_ACKNOWLEDGED = struct.Struct("=Q")
_ACKNOWLEDGED_AT = 120
"""Where ``struct tcp_info`` has ``tcpi_bytes_acked`` (linux/tcp.h); older kernels give a shorter one."""

TOO_MANY_CONNECTIONS = HttpProblem(
    503, "too_many_connections", "Too many connections; try again later.", headers={"Retry-After": "5"}
)


def limit_connections(asked: int) -> int:
    """``asked``, or what the limit of descriptors leaves room for: a connection may have a file of records open too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return asked if soft == resource.RLIM_INFINITY else max(8, min(asked, (soft - SPARE_DESCRIPTORS) // 2))


class ConnectionLimiter:
    """All connections of one server."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open: dict[Connection, None] = {}
        self.refused = 0

    async def close_stalled(self) -> None:
        """Every second, until cancelled: close connections that take too long."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            now = loop.time()
            for connection in list(self.open):
                connection.close_if_stalled(now)


class Connection(web.RequestHandler):
    """One connection. `close_if_stalled` is called every second."""

    __slots__ = ("_began", "_count", "_limiter", "_patience", "_pipe", "_progress", "_taken")

    def __init__(self, server: Any, limiter: ConnectionLimiter, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._limiter = limiter
        self._began = 0.0
        self._count = 0
        self._pipe: asyncio.WriteTransport
        self._progress = 0.0
        self._taken = 0
        self._patience = STALLED_SECONDS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        limiter = self._limiter
        self._pipe = cast(asyncio.WriteTransport, transport)  # aiohttp forgets its own when it closes, flushed or not
        self._began = self._progress = asyncio.get_running_loop().time()
        # Answered with 503 rather than left in the backlog: a client that gets nothing cannot tell a full server from a
        # dead one. The response is written as bytes, since there is no request yet that aiohttp could answer.
        if len(limiter.open) >= limiter.most:
            limiter.refused += 1
            self._pipe.write(_encode_response(TOO_MANY_CONNECTIONS))
            self.force_close()
            return
        limiter.open[self] = None
        if (peer := self._pipe.get_extra_info("socket")) is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):  # there are sockets that are not TCP
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._limiter.open.pop(self, None)
        super().connection_lost(exc)

    def close_if_stalled(self, now: float) -> None:
        """Close a connection whose header is late; cut one whose client does not read, also while it is being closed."""
        # Nothing pending means that the client owes nothing: its wait begins anew. Otherwise it must have taken enough
        # since the last time that it did; small steps add up, since `_taken` moves only when they are enough.
        pending, taken = self._pipe.get_write_buffer_size(), self._bytes_taken()
        waited = now - self._progress
        if pending == 0 or abs(taken - self._taken) >= STALLED_BYTES:
            self._taken, self._progress = taken, now
            self._patience = STALLED_SECONDS if pending == 0 else min(max(STALLED_SECONDS, 2 * waited), PATIENT_SECONDS)
        elif waited > self._patience:
            self._pipe.abort()
            return
        # The header's deadline counts from the end of the last answer. It does not count while a request is being
        # handled, however long that takes, nor while one waits behind it in the pipeline.
        if self._request_in_progress or self._messages:
            self._began = now
        elif self._request_count != self._count:
            self._count, self._began = self._request_count, now
        elif now - self._began > HEADER_SECONDS:
            self.force_close()

    def _bytes_taken(self) -> int:
        """What the client's side has acknowledged since it came, or, where the kernel does not say, what waits for it here.

        The first only ever grows. The second may look the same each second although megabytes flow.
        """
        # Acknowledgements are the only measure of the client's own progress: what leaves our buffers goes into the kernel's
        # first. Another system's struct may be laid out differently, so its length is checked before it is believed.
        peer = self._pipe.get_extra_info("socket")
        if peer is not None and hasattr(socket, "TCP_INFO"):
            with contextlib.suppress(OSError):
                info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED_AT + _ACKNOWLEDGED.size)
                if len(info) == _ACKNOWLEDGED_AT + _ACKNOWLEDGED.size:
                    return int(_ACKNOWLEDGED.unpack_from(info, _ACKNOWLEDGED_AT)[0])
        return self._pipe.get_write_buffer_size()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer, and, where it is the last on this connection and a body is still coming, the end of our side."""
        answered, gone = await super().finish_response(request, resp, start_time)
        # A client that is still sending its body does not look for an answer until it sees that we have ended our side.
        if not gone and not answered.keep_alive and not request.content.is_eof() and self._pipe.can_write_eof():
            self._pipe.write_eof()
        return answered, gone

    def log_exception(self, *args: Any, **options: Any) -> None:
        """A client's mistakes are not errors of the server: a broken body may come to light after the answer."""
        error = options.get("exc_info")
        if isinstance(error, (web.RequestPayloadError, HttpProcessingError, ConnectionError)):
            log.debug("a client broke off: %s", type(error).__name__)
        else:
            super().log_exception(*args, **options)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Requests that are not HTTP, and unexpected errors: a problem document that says nothing of the inside."""
        # The parser reports an unknown version as it reports garbage; clients of HTTP/2 deserve the clearer answer.
        if status == 400 and _names_another_version(exc):
            return _make_early_response(version_not_supported())
        if status >= 500:
            self.log_exception("error handling a request", exc_info=exc)
        code = "bad_request" if status == 400 else "internal" if status == 500 else "http_error"
        sentence = "The request is not valid HTTP." if status == 400 else "The server failed."
        return _make_early_response(HttpProblem(status, code, sentence, close=True))


def _make_early_response(refused: HttpProblem) -> web.Response:
    """The response to something that never became a request, so no middleware saw it."""
    request_id.set(new_request_id())
    response = make_response(refused)
    set_headers(response)
    return response


def _names_another_version(error: BaseException | None) -> bool:
    """Whether the parser gave up at a version of HTTP that it does not know, or at the preface of HTTP/2."""
    if not isinstance(error, BadHttpMessage):
        return False
    if not isinstance(error, BadStatusLine):
        return "Pause on PRI/Upgrade" in error.message
    found = _VERSION.search(error.message)
    named = found is not None and found[1] not in ("1.0", "1.1")
    return named or "Invalid HTTP version" in error.message or "HTTP/2 Connection Preface" in error.message


def _encode_response(refused: HttpProblem) -> bytes:
    """A whole response as bytes, for a connection whose request is not even read."""
    response = _make_early_response(refused)
    body = cast(bytes, response.body)
    fields = {**response.headers, "Content-Length": f"{len(body)}", "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {response.status} {response.reason}\r\n{head}\r\n".encode() + body


class LimitedServer(web.Server):
    """Makes a `Connection` where aiohttp's own makes a plain handler."""

    limiter: ConnectionLimiter

    def __call__(self) -> Connection:
        return Connection(self, self.limiter, **self._kwargs)


class LimitedRunner(web.AppRunner):
    """An `AppRunner` whose connections are counted, and closed where they stall."""

    __slots__ = ("limiter",)

    def __init__(self, app: web.Application, most: int, **options: Any) -> None:
        super().__init__(app, **options)
        self.limiter = ConnectionLimiter(most)

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # aiohttp has no way to name the class of its server, nor that of a connection, which the server decides.
        server.__class__ = LimitedServer
        assert isinstance(server, LimitedServer)
        server.limiter = self.limiter
        server.request_factory = _defer_checks(server.request_factory)
        return server


def _defer_checks(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Keep what aiohttp would handle before any check of ours until its turn comes.

    aiohttp answers ``Expect`` itself and early; here that is done when the body is wanted (`security.read_body`). It serves
    whatever version its parser knows, and would answer HTTP/2.0 with that version in the status line.
    """

    def request(message: Any, *rest: Any) -> web.BaseRequest:
        aside: list[tuple[Any, Any]] = []
        if message.version not in VERSIONS:
            # The request becomes one of HTTP/1.1, so that it can be answered at all; the first check refuses it.
            message = message._replace(version=HttpVersion11, should_close=True)
            aside.append((OTHER_VERSION, True))
        if "Expect" in message.headers:
            headers = CIMultiDict(message.headers)
            aside.append((EXPECTED, ", ".join(headers.popall("Expect")).lower()))
            message = message._replace(headers=CIMultiDictProxy(headers))
        made = make(message, *rest)
        for key, value in aside:
            made[key] = value
        return made

    return request


def make_runner(app: web.Application, connections: int) -> LimitedRunner:
    """The runner of ``app``, with every limit on its connections."""
    return LimitedRunner(
        app,
        limit_connections(connections),
        keepalive_timeout=IDLE_SECONDS,
        # Runs and errors are logged by their own code; a line per request would say less, and cost a short run more.
        access_log=None,
        # A client that leaves ends the run that it waits for: its handler must hear of it.
        handler_cancellation=True,
        lingering_time=LINGER_SECONDS,
        read_bufsize=BODY_BUFFER,
        shutdown_timeout=0.3,
        # A compressed body is refused, so it is never expanded: a small one could become gigabytes.
        auto_decompress=False,
    )
