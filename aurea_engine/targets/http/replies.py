"""What a job asks of a connection, and what it gets: the border between connections and the jobs that use them.

A job level implements `Sender`. It hands `ReplyRules` and a token of its own to `ConnectionPool.send`. The connection asks
it for the bytes of the request when it is there to send them, and tells it of the reply when the last byte has come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

NEVER = -1
"""The stamp of what did not happen."""

MOST_HEAD_BYTES = 64 * 1024
"""Of the headers of one reply, its interim replies and its trailers; more is `too_large`."""

MOST_KEPT_BYTES = 1024**2
"""Of a body that is kept; a longer one is `too_large`."""


@dataclass(frozen=True)
class ReplyRules:
    """What is wanted of a reply, and what it may be. Made once for a job, and shared by all its requests.

    ``head``: the request's method is HEAD, so the reply has no body whatever it says. ``keep_headers``, ``keep_body``: the
    sender wants to look at them. ``most_body``: bytes of the body from which on it is `too_large`. ``expect_continue``: the
    body of the request waits for the reply 100. ``decompress``: gzip and deflate are undone before the body is counted and
    kept. ``is_stream``: a stream of events was asked for, and the connection hands it on as it comes.
    """

    head: bool = False
    keep_headers: bool = False
    keep_body: bool = False
    most_body: int | None = None
    expect_continue: bool = False
    decompress: bool = False
    is_stream: bool = False

    @property
    def looks_at_headers(self) -> bool:
        """Whether they have to be read one by one."""
        return self.head or self.keep_headers or self.decompress

    @property
    def looks_at_body(self) -> bool:
        """Whether its pieces have to be."""
        return self.keep_body or self.most_body is not None


class Reply(Protocol):
    """**Protocol:** one exchange, as the connection saw it. It is the connection's own record, valid in `Sender.replied`.

    Stamps are instants of the run, `NEVER` for what did not happen. ``connected``: the connection was made, TLS included;
    NEVER on one that was kept. ``sent``: the request's first bytes were handed to the transport. ``first_byte``: the first
    byte of whatever the target sent, interim replies (1xx) included. ``finished``: the last byte came, or the failure.

    ``bytes_sent`` and ``bytes_received`` count HTTP, before TLS, with everything that was handed over or came. ``headers``
    are (name in lower case, value), without trailers, and only if they are kept, as is ``body``.
    """

    started: int
    connected: int
    sent: int
    first_byte: int
    finished: int
    status: int
    bytes_sent: int
    bytes_received: int
    headers: list[tuple[str, str]]
    body: bytes


class Unsent:
    """The `Reply` of a job that never had a connection."""

    connected = sent = first_byte = status = NEVER
    bytes_sent = bytes_received = 0
    body = b""

    def __init__(self, instant: int) -> None:
        self.started = self.finished = instant
        self.headers: list[tuple[str, str]] = []


class Sender(Protocol):
    """**Protocol:** the job level. A token stands for one job of it, which has at most one request under way."""

    def encode(self, token: int) -> bytes | tuple[bytes, bytes]:
        """The request's bytes; with `ReplyRules.expect_continue` (head, body). Called when its connection is there.

        May raise `RequestFailed`: then nothing is sent, and the connection stays.
        """

    def replied(self, token: int, reply: Reply, failure: str | None) -> None:
        """The exchange is over. ``failure``: its class, None where a whole reply came, of whatever status.

        It may send the next request, as the last thing it does: the record of this one may be overwritten by it.
        """

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        """The instant at which it waits for a connection no longer; None: for ever. ``deadline``: as it was sent with."""

    def gave_up(self, token: int, instant: int) -> None:
        """That instant has come, and there was no connection. Nothing was sent."""
