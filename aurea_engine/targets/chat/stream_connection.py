"""A connection whose replies are streams: it hands their frames to the `Answer` as they come, with the instant of each."""

# The usual frame is one segment, which is one whole chunk of HTTP, which is one whole event of a known shape. For it neither
# llhttp nor the reader of events nor that of JSON is asked: three comparisons tell that it is one (`FrameShape`).
#
# *Chunks.* Where a chunk ended with a segment, the parser waits for the size of the next. A segment of n bytes that begins
# with the line of a size s, where the length of this line, s and two more are n, and that ends with CRLF, is one whole
# chunk, and would leave the parser where it is now. So the parser need not see it. The line of a size is known by n once a
# chunk of as many bytes was parsed; servers write numbers in capitals, or not. At a boundary is a connection only where a
# chunk has ended in the segment, no other is open, and the segment ends with CRLF: the line of another size that is whole
# has opened its chunk, as the parser has told, and one that is not whole does not end with CRLF.

from __future__ import annotations

from types import SimpleNamespace
from typing import Protocol, cast

from httptools import HttpResponseParser

from aurea_engine.targets.chat.answer import Answer, TakeGap
from aurea_engine.targets.http.connection import Connection
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.replies import NEVER, Reply, ReplyRules, Sender

MOST_CHUNK = 4096
"""Bytes of a segment that is compared; longer ones are rare, and cost little more than their length."""

COMPRESSIONS = frozenset(("gzip", "x-gzip", "deflate", "br", "zstd", "compress"))
"""What the header Content-Encoding says of a stream that cannot be read. Servers also write what is none, such as "none"."""

ChunkLines = dict[int, bytes]
"""Bytes of a segment that was one whole chunk → the line of its size."""


class ChatReply(Reply, Protocol):
    """**Protocol:** a `Reply` with what came of the answer. It is the connection's own record, valid in `Sender.replied`."""

    answer: Answer


class ChatSender(Sender, Protocol):
    """**Protocol:** a `Sender` of requests for streams. ``keeps_text``: texts of answers are kept."""

    keeps_text: bool

    def gaps_of(self, token: int) -> TakeGap:
        """What takes the gaps between the frames of this answer."""


class StreamConnection(Connection):
    """A `Connection`, and the ``answer`` under way on it. ``lines``: shared by the connections of a pool."""

    __slots__ = ("_at_boundary", "_chunks", "_is_stream", "_lines", "_open_chunk", "_segment_at", "answer")

    def __init__(self, pool: ConnectionPool, lines: ChunkLines) -> None:
        super().__init__(pool)
        self.answer = Answer()
        self._lines = lines
        self._at_boundary = self._is_stream = self._open_chunk = False
        self._chunks = 0  # that ended in the segment under way
        self._segment_at = NEVER

    def reserve(
        self,
        sender: Sender,
        token: int,
        rules: ReplyRules,
        timeout_ns: int | None,
        deadline: int | None,
        limit: int | None,
    ) -> None:
        super().reserve(sender, token, rules, timeout_ns, deadline, limit)
        chat = cast(ChatSender, sender)
        self.answer.begin(chat.gaps_of(token), keeps_text=chat.keeps_text)
        self._at_boundary = self._is_stream = self._open_chunk = False

    # --- Bytes come --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._at_boundary:
            size = len(data)
            line = self._lines.get(size)
            if (
                line is not None
                and data.startswith(line)
                and data.endswith(b"\r\n")
                and self.answer.take(data, len(line), size - 2, self._now())
            ):
                self.bytes_received += size
                return
        super().data_received(data)

    def _parse_segment(self, data: bytes, now: int, is_first: bool) -> None:
        was_at_boundary = self._at_boundary
        self._at_boundary, self._chunks, self._segment_at = False, 0, now
        super()._parse_segment(data, now, is_first)
        is_between = self._chunks and not self._open_chunk and data.endswith(b"\r\n")
        if is_between and self._is_stream and self.sender is not None:
            self._at_boundary = True
            if was_at_boundary and self._chunks == 1 and len(data) <= MOST_CHUNK:
                self._learn_line(data)

    def _learn_line(self, data: bytes) -> None:
        line = data[: data.find(b"\n", 0, 16) + 1]
        try:
            size = int(line, 16)
        except ValueError:  # it has an extension
            return
        if line.endswith(b"\r\n") and len(line) + size + 2 == len(data):
            self._lines[len(data)] = line

    def _make_full_parser(self) -> HttpResponseParser:
        callbacks = SimpleNamespace(
            on_message_begin=self._on_message_begin_full,
            on_header=self._on_header,
            on_headers_complete=self._on_headers_complete_full,
            on_body=self._on_body,
            on_chunk_header=self._on_chunk_header,
            on_chunk_complete=self._on_chunk_complete,
            on_message_complete=self._on_message_complete_with_body,
        )
        return HttpResponseParser(callbacks)

    def _on_headers_complete_full(self) -> None:
        already = self.has_head
        super()._on_headers_complete_full()
        if not already and self.has_head and 200 <= self.status < 300:
            kinds = [value for name, value in self.headers if name == "content-type"]
            # What is asked for as a stream, and has no type, is one.
            self._is_stream = kinds[0].lower().startswith("text/event-stream") if kinds else self.rules.is_stream
            if self._is_stream and not COMPRESSIONS.isdisjoint(self._list_codings()):
                # It has no frames that can be read, and no end that could be said: it would seem to be cut off.
                self.problem = self.answer.problem = "protocol"

    def _list_codings(self) -> list[str]:
        said = [value for name, value in self.headers if name == "content-encoding"]
        return [coding.strip().lower() for coding in ",".join(said).split(",")]

    def _on_chunk_header(self) -> None:
        super()._on_chunk_header()
        self._open_chunk = True

    def _on_chunk_complete(self) -> None:
        self._chunks += 1
        self._open_chunk = False

    def _on_body(self, piece: bytes) -> None:
        if not self._is_stream or self.complete:
            super()._on_body(piece)
            return
        self._quiet = 0
        if self.problem is None:
            self.answer.feed(piece, self._segment_at)
            self.problem = self.answer.problem

    def _finish_body(self) -> None:
        if self._is_stream:
            self.answer.finish_stream()
            self.problem = self.answer.problem
            self.complete = self.problem is None
            return
        super()._finish_body()
        if self.complete and 200 <= self.status < 300:
            # Whatever the answer is, the reply is whole, and the connection can be used again.
            self.answer.take_whole(self.body)

    def connection_lost(self, exc: Exception | None) -> None:
        # What said that it was at its end, and then ends without the last chunk, has left nothing out.
        if exc is None and self.sender is not None and self._is_stream and self.problem is None:
            self.answer.finish_stream()
            self.problem, self.complete = self.answer.problem, self.answer.is_done
        super().connection_lost(exc)
