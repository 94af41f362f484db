"""Bytes of a connection → one reply after the other, without any I/O.

llhttp, through httptools, does the grammar. It knows what a message is, and not what was asked for, so five things are
decided here, which it leaves open or would get wrong for a client.
"""

# 1. *Interim replies.* 100, 102, 103 and any other 1xx are messages of their own to llhttp. They are skipped, however many
#    come, and the head of the final reply begins anew after each. After 101 the bytes are no longer HTTP: `protocol`.
# 2. *HEAD.* llhttp cannot be told that a reply to HEAD has no body, and would take the next reply for it. So such a reply
#    ends with its head, and the parser, which still waits for a body, is thrown away.
# 3. *The end of the stream.* httptools has no call for it. A reply without a length ends with the connection. One that has
#    a length, or is chunked, and is not complete by then was cut off. Which of the two it is, its head says: it is looked
#    at once, when the first segment did not complete the reply, and not kept beyond. With TLS an end without the alert
#    that announces it counts, too, against RFC 9112, 9.8: event loops do not tell the two apart, and servers forget it.
# 4. *What comes after a reply.* Nothing was asked for, so nothing may come. Bytes beyond a complete reply do not make it
#    wrong, but they could be taken for the reply to another request: the connection is not used again. Empty lines are the
#    exception: a parser skips them before a message (RFC 9112, 2.2).
# 5. *Sizes.* A hostile server sends for ever. The bytes up to the end of the final head are bounded. Where the parser
#    keeps pieces of trailers in memory, because headers are looked at, bytes that come without any of them being body are,
#    too.
#
# Three parsers, because callbacks are what parsing costs: 0.3 µs for a usual reply with the three that say status and end,
# little more with one for the pieces of the body, and 2 µs with one for each header. A connection makes each when it is
# needed, and uses it for all its replies. A parser that may hold the rest of an earlier reply is never used again.

from __future__ import annotations

from types import SimpleNamespace

from httptools import HttpResponseParser

from aurea_engine.targets.http.body_reader import BodyReader
from aurea_engine.targets.http.replies import MOST_HEAD_BYTES, NEVER, ReplyRules
from aurea_engine.targets.http.reply_heads import Head, Headers, decode_header, parse_head
from aurea_engine.targets.http.reply_memo import NOTHING, ReplyMemo

PLAIN = ReplyRules()
"""The rules of a sender that looks at status and sizes only."""


class ReplyReader:
    """Reads the replies of one connection. Its owner calls `begin_reply`, then for each piece of data adds to
    ``bytes_received``, calls ``parse``, or `reject` if that raises, and `look_at` unless the reply is complete.

    ``complete``: the last byte has come; ``problem``: the class of failure, if the reply is not acceptable; ``leftover``:
    something came after it; ``keep_alive``: its head leaves the connection open. ``headers`` and ``body``: if they are kept.
    ``rules``: those of the reply; ``is_simple``: they ask for status and sizes only. ``known``: what of ``memo`` may be used
    for it.
    """

    __slots__ = (
        "_body_reader", "_ends_with_connection", "_full", "_head", "_is_full", "_light", "_parser", "_pieces", "_quiet",
        "_seen_head", "_with_body", "body", "bytes_received", "complete", "has_head", "headers", "is_simple", "keep_alive",
        "known", "leftover", "memo", "parse", "problem", "rules", "status",
    )  # fmt: skip

    def __init__(self, memo: ReplyMemo | None = None) -> None:
        self.memo = memo or ReplyMemo()
        self.bytes_received = 0
        self.status = NEVER
        self.headers: Headers = []
        self.body = b""
        self.complete = self.has_head = self.leftover = self.keep_alive = False
        self.problem: str | None = None
        self._light: HttpResponseParser | None = None
        self._with_body: HttpResponseParser | None = None
        self._full: HttpResponseParser | None = None
        self._head: Head | None = None
        self._seen_head = self._ends_with_connection = False
        self._pieces: list[bytes] = []
        self._quiet = 0
        self._body_reader = BodyReader(PLAIN)
        self._choose_parser(PLAIN)

    def begin_reply(self, rules: ReplyRules) -> None:
        """Another reply is to come. Its rules are nearly always those of the one before."""
        self.bytes_received = 0
        self.status = NEVER
        self.complete = self.has_head = self._seen_head = False
        if self._pieces:
            self._pieces.clear()
        if rules is not self.rules:
            self._choose_parser(rules)
        elif not self.is_simple:
            self._begin_closer_look()

    def _choose_parser(self, rules: ReplyRules) -> None:
        self.rules, self._is_full = rules, rules.looks_at_headers
        self.is_simple = not (rules.looks_at_headers or rules.looks_at_body)
        if not self.is_simple:
            self.known = NOTHING
            self._body_reader = BodyReader(rules)
            self._begin_closer_look()
            return
        self.headers, self.body, self.known = [], b"", self.memo.known
        self._parser = self._light = self._light or self._make_light_parser()
        self.parse = self._parser.feed_data

    def _begin_closer_look(self) -> None:
        self.headers, self.body, self._quiet = [], b"", 0
        self._body_reader.begin()
        if self._is_full:
            parser = self._full = self._full or self._make_full_parser()
        else:
            parser = self._with_body = self._with_body or self._make_parser_with_body()
        self._parser, self.parse = parser, parser.feed_data

    # --- The light parser: status and end ----------------------------------------------------------------------------

    def _make_light_parser(self) -> HttpResponseParser:
        callbacks = SimpleNamespace(
            on_message_begin=self._on_message_begin,
            on_headers_complete=self._on_headers_complete,
            on_message_complete=self._on_message_complete,
        )
        return HttpResponseParser(callbacks)

    def _on_message_begin(self) -> None:
        if self.complete:
            self.leftover = True

    def _on_headers_complete(self) -> None:
        if self.complete:
            return  # the head of a message that nobody asked for
        status = self._parser.get_status_code()
        # With a length or chunks: llhttp keeps no connection open whose reply only its end would end.
        self.keep_alive = keep_alive = self._parser.should_keep_alive()
        if status >= 200:
            self.status, self.has_head = status, True
        elif status >= 100:
            self.received_interim(status)
        else:
            self.problem = "protocol"
        # llhttp reads 0.9 and 2.0, too, and closes both; what such a server means by the rest, nobody knows.
        if not keep_alive and self._parser.get_http_version() not in ("1.0", "1.1"):
            self.problem, self.has_head, self.status = "protocol", False, NEVER

    def _on_message_complete(self) -> None:
        # An interim reply is complete, too. After 101 llhttp stops, and so there is no need to look for it.
        if self.has_head:
            self.complete = True

    def received_interim(self, status: int) -> None:
        """An interim reply has come. For the owner to override."""

    # --- The parser with bodies --------------------------------------------------------------------------------------

    def _make_parser_with_body(self) -> HttpResponseParser:
        callbacks = SimpleNamespace(
            on_message_begin=self._on_message_begin,
            on_headers_complete=self._on_headers_complete,
            on_body=self._on_body,
            on_message_complete=self._on_message_complete_with_body,
        )
        return HttpResponseParser(callbacks)

    def _on_body(self, piece: bytes) -> None:
        if self.complete:
            self.leftover = True  # of a reply to HEAD
            return
        self._quiet = 0
        if self.problem is None:
            self._body_reader.feed(piece)
            self.problem = self._body_reader.problem

    def _on_message_complete_with_body(self) -> None:
        if self.has_head and not self.complete:
            self._finish_body()

    def _finish_body(self) -> None:
        self.body = self._body_reader.finish()
        self.problem = self._body_reader.problem
        self.complete = self.problem is None

    # --- The full parser: headers and body ---------------------------------------------------------------------------

    def _make_full_parser(self) -> HttpResponseParser:
        callbacks = SimpleNamespace(
            on_message_begin=self._on_message_begin_full,
            on_header=self._on_header,
            on_headers_complete=self._on_headers_complete_full,
            on_body=self._on_body,
            on_chunk_header=self._on_chunk_header,
            on_message_complete=self._on_message_complete_with_body,
        )
        return HttpResponseParser(callbacks)

    def _on_message_begin_full(self) -> None:
        if self.complete:
            self.leftover = True
        else:
            self.headers = []

    def _on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:  # else it is a trailer
            self.headers.append(decode_header(name, value))

    def _on_headers_complete_full(self) -> None:
        already = self.has_head
        self._on_headers_complete()
        if already or not self.has_head:
            return
        if self.rules.head:
            head = Head(self.status, self._parser.get_http_version(), self.headers)
            self.complete, self.keep_alive = True, head.keeps_connection
            self._full = None
        elif self.rules.decompress:
            codings = [value for name, value in self.headers if name == "content-encoding"]
            self._body_reader.begin(",".join(codings))

    def _on_chunk_header(self) -> None:
        if self.complete:
            self.leftover = True
        # The parser tells of a header when the next one begins, and the last trailer in the next reply.
        self._full = None

    # --- What a parser does not know ---------------------------------------------------------------------------------

    def reject(self) -> None:
        """The parser raised: the reply is no HTTP, or else what came after it was none."""
        if self.complete:
            self.leftover = True
        elif self.problem is None:
            self.problem = "protocol"

    def look_at(self, data: bytes) -> None:
        """After ``data`` was parsed, and the reply is not complete, or its head may have been too large."""
        if self._seen_head:
            self._look_at_quiet(data)
            return
        self._pieces.append(data)
        if not self.has_head and self.bytes_received <= MOST_HEAD_BYTES:
            return
        # Looked at once for each reply, when it is known where the head ends, or that it ends too late.
        self._head = head = parse_head(b"".join(self._pieces)[:MOST_HEAD_BYTES])
        self._seen_head = True
        self._pieces.clear()
        if head is not None:
            self._ends_with_connection = head.ends_with_connection
        else:
            self.problem, self.complete = self.problem or "too_large", False

    def _look_at_quiet(self, data: bytes) -> None:
        if self._is_full and self._body_reader.problem is None:
            self._quiet += len(data)
            if self._quiet > MOST_HEAD_BYTES + len(data) and self.problem is None:
                self.problem = "too_large"

    def end_of_stream(self) -> None:
        """The server has closed the connection: that is the end of a reply which has no other."""
        if self.complete or not (self._seen_head and self._ends_with_connection):
            return
        if self.is_simple:
            self.complete = True
        else:
            self._finish_body()

    def ends_at(self, data: bytes) -> None:
        """A reply to HEAD is complete with ``data``: whatever stands behind its head is no part of it."""
        if not data.endswith(b"\r\n\r\n") and not b"\r\n\r\n".endswith(data):
            self.leftover = True

    def read_head(self, data: bytes) -> Head | None:
        """The head of the reply that is complete with ``data``. Costs as much as the reply itself."""
        if not self._seen_head:
            self._pieces.append(data)
            self._head = parse_head(b"".join(self._pieces))
        return self._head
