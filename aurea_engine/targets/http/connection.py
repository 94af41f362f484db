"""One connection, and the exchange that is under way on it: bytes out, a reply in, stamps and counts of both."""

# Theory of operation
# -------------------
# A connection is a protocol of the event loop, the reader of its replies, and the record of the exchange under way, in one
# object. It is made before it is dialled, since the service of a job begins when its connection begins to be opened, and
# it lives until it is lost. There is no object for a request: `begin` overwrites the record of the exchange before.
#
#     dialling ──connection_made──▶ idle ◀──┐            a job that was waited for is sent at once
#        │                           │      │
#        │                         begin    │ the reply is complete, and may be followed by another
#        │                           ▼      │
#        └───── failed ──────▶     busy ────┘
#                │                   │
#                ▼                   ▼  everything else: a failure, "Connection: close", bytes after the reply
#              closed ◀──────────── closed
#
# *Nothing is sent twice.* A request that has been handed to the transport is answered or failed, whatever the connection
# had been through before. Only a connection that is known to be lost is passed over.
#
# *Stamps.* One look at the clock when a job begins, one when its bytes are handed to the transport, one for each segment
# that comes. The reply has come with its last segment, so parsing it is not part of its time.
#
# *Order at the end.* The place in the pool is given back before the sender hears of the reply, so that what it sends next
# finds it free. Not so where jobs wait: the first of them takes the place, and the sender of this one must have read the
# record before.

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from httptools import HttpParserError, HttpParserUpgrade

from aurea_engine.records.batch import NS
from aurea_engine.targets.failures import RequestFailed, name_loss
from aurea_engine.targets.http.body_writer import BodyWriter
from aurea_engine.targets.http.closed_by_peer import is_closed_by_peer
from aurea_engine.targets.http.exchange import Exchange
from aurea_engine.targets.http.replies import MOST_HEAD_BYTES, NEVER

if TYPE_CHECKING:
    from aurea_engine.targets.http.pool import ConnectionPool

SMALL = 64 * 1024
"""A request of so many bytes is handed to the transport at once; a larger one in pieces, as fast as they are taken."""


class Connection(Exchange, asyncio.Protocol):
    """A connection of ``pool``, and the `Reply` of the exchange under way.

    ``transport`` is None while it is not open. ``dial`` is the task that opens it. ``idle_ns``: it is not used again after
    it was idle for longer.
    """

    __slots__ = (
        "_body_writer",
        "_is_lost",
        "_is_watched",
        "_pool",
        "_uses_left",
        "_write",
        "dial",
        "idle_ns",
        "transport",
    )

    def __init__(self, pool: ConnectionPool) -> None:
        super().__init__(pool.now, pool.timeouts, pool.memo)
        self._pool = pool
        self.transport: asyncio.Transport | None = None
        self.dial: asyncio.Task[None] | None = None
        self.idle_ns = pool.idle_ns
        self._is_lost = False
        self._is_watched = pool.reuse  # until it is known what the server says of it
        self._uses_left: int | None = None
        self._body_writer: BodyWriter | None = None

    def is_usable(self, idle_ns: int) -> bool:
        """Whether it may be used again after it was idle for so long."""
        return idle_ns <= self.idle_ns and self.transport is not None and not is_closed_by_peer(self.transport)

    # --- An exchange begins ------------------------------------------------------------------------------------------

    def transmit(self) -> None:
        """Send the request of the job that this connection is reserved for. One that cannot be encoded ends the exchange."""
        assert self.sender is not None
        try:
            message = self.sender.encode(self.token)
        except Exception as error:  # noqa: BLE001 - a sender that raises would leave its job without an end
            self._refuse(error)
            return
        if type(message) is bytes and len(message) <= SMALL:
            self.sent = self._now()
            self._write(message)
            self.bytes_sent = len(message)
        else:
            self._transmit_slowly(message)

    def _refuse(self, error: Exception) -> None:
        sender, self.sender = self.sender, None
        self.finished = self._now()
        assert sender is not None
        failure = error.failure if isinstance(error, RequestFailed) else type(error).__name__
        sender.replied(self.token, self, failure)

    def _transmit_slowly(self, message: bytes | tuple[bytes, bytes]) -> None:
        head, body = message if isinstance(message, tuple) else (b"", message)
        assert self.transport is not None
        self._body_writer = writer = BodyWriter(self.transport, body)
        self.sent = self._now()
        if head:
            self._write(head)
            self.bytes_sent = len(head)
            writer.hold()
        writer.push()

    def received_interim(self, status: int) -> None:
        if status == 100 and self._body_writer is not None:
            self._body_writer.release()

    # --- What the event loop tells -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are none by their type
        if self not in self._pool.connections:  # given up while it was dialled
            transport.abort()
            return
        self.transport, self._write = transport, transport.write
        self.finished = self._now()  # idle since then
        self._pool.opened += 1
        if self.sender is not None:
            self.connected = self.finished
            self.transmit()
        if self.sender is None:
            self._pool.offer(self)

    def data_received(self, data: bytes) -> None:
        if self.sender is None:
            self._receive_unasked()
            return
        now = self._now()
        received, size = self.bytes_received, len(data)
        self.bytes_received = received + size
        if not received:
            self.first_byte = now
            known = self.known.get(size)
            if known is not None and data.startswith(known[0]):
                # As the parser found it when the same head came for the first time: see `reply_memo`.
                self.status = known[1]
                self.keep_alive = self.has_head = self.complete = True
                self._succeed(now, data)
                return
        self._parse_segment(data, now, not received)

    def _parse_segment(self, data: bytes, now: int, is_first: bool) -> None:
        received = self.bytes_received
        try:
            self.parse(data)
        except (HttpParserError, HttpParserUpgrade):
            self.reject()
        if not self.complete or (received > MOST_HEAD_BYTES and not self._seen_head):
            self.look_at(data)
        if self.complete:
            if is_first and self.is_simple and self.keep_alive and not self.leftover and now >= self.memo.learns_at:
                self.memo.learn(data, self.status, now)
            self._succeed(now, data)
            if self.sender is None and self.body:
                self.body = b""  # ten thousand idle connections would keep ten thousand bodies
        elif self.problem is not None:
            self.fail(self.problem, now)

    def _receive_unasked(self) -> None:
        """Bytes while nothing was asked for: a complaint of the server (408), or the rest of an earlier reply."""
        if self.transport is not None:
            self.close()
            self._pool.fill()

    def pause_writing(self) -> None:
        if self._body_writer is not None:
            self._body_writer.pause()

    def resume_writing(self) -> None:
        if self._body_writer is not None:
            self._body_writer.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is None:  # this side has closed it
            self._pool.closing.discard(self)
            return
        self._is_lost = True
        if self.sender is None:
            self.close()
            self._pool.fill()
            return
        now = self._now()
        if exc is None:
            self.end_of_stream()
        if self.complete:
            self.keep_alive = False
            self._succeed(now, b"")
        else:
            if self.connected == self.first_byte == NEVER:  # it was kept, and perhaps closed before the request came
                self._pool.lost_kept += 1
            self.fail(self.problem or name_loss(exc), now)

    # --- An exchange ends --------------------------------------------------------------------------------------------

    def _succeed(self, now: int, data: bytes) -> None:
        self.finished = now
        sender, pool, keep = self.sender, self._pool, self.keep_alive
        assert sender is not None
        self.sender = None
        if self._is_watched or self._is_full or self._body_writer is not None:
            keep = self._look_closer(data) and keep
        if not keep or self.leftover or not pool.reuse:
            self.close()
            sender.replied(self.token, self, None)
            pool.fill()
        elif pool.waiting:
            sender.replied(self.token, self, None)
            pool.offer(self)
        else:
            pool.idle.append(self)
            if pool.full_since != NEVER:
                pool.end_full()
            sender.replied(self.token, self, None)

    def _look_closer(self, data: bytes) -> bool:
        """What is not asked of every reply. Whether the connection may be used again, as far as that goes."""
        if self.rules.head:
            self.ends_at(data)
        is_sent = self._body_writer is None or self._settle(self._body_writer)
        if self._uses_left is not None:
            self._uses_left -= 1
        elif self._is_watched:
            head = self.read_head(data)
            timeout, self._uses_left = (None, None) if head is None else head.keep_alive
            self._is_watched = self._uses_left is not None
            if timeout == 0:
                self._uses_left = 0
            elif timeout is not None:
                # Its clock began before ours did: a second is left for that, as browsers do.
                self.idle_ns = min(self.idle_ns, timeout - min(NS, timeout // 2))
        return is_sent and self._uses_left != 0

    def fail(self, failure: str, now: int) -> None:
        """The exchange is over, and with it the connection: the rest of a reply may still come."""
        self.finished = now
        sender, self.sender = self.sender, None
        if self._body_writer is not None:
            self.bytes_sent += self._body_writer.handed
        if self.transport is not None and self.bytes_sent:
            # What the transport still holds has not been sent.
            self.bytes_sent = max(self.bytes_sent - self.transport.get_write_buffer_size(), 0)
        self.close()
        assert sender is not None
        sender.replied(self.token, self, failure)
        self._pool.fill()

    def _settle(self, writer: BodyWriter) -> bool:
        """The reply is complete. Whether the request is, too: else the server would take the next one for its rest."""
        self._body_writer = None
        writer.stop()
        self.bytes_sent += writer.handed
        if not writer.is_done and self.transport is not None:
            self.bytes_sent = max(self.bytes_sent - self.transport.get_write_buffer_size(), 0)
        return writer.is_done

    def close(self) -> None:
        """Close it at once, or stop opening it. Its place in the pool is free."""
        transport, self.transport = self.transport, None
        if self._body_writer is not None:
            self._body_writer.stop()
            self._body_writer = None
        self._pool.connections.discard(self)
        if transport is not None and not self._is_lost:
            self._pool.closing.add(self)
            # Not `close`, which would first write what it still holds, and with TLS wait for the other side.
            transport.abort()
        elif self.dial is not None:
            self.dial.cancel()
