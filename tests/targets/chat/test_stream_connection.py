"""Connections of chats: segments that are passed over the parser, against the same bytes read in the plain way."""

from __future__ import annotations

import gzip
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.targets.chat.answer import ignore_gap
from aurea_engine.targets.chat.stream_connection import StreamConnection
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.replies import ReplyRules
from aurea_engine.workload.access import LOCAL_USER
from tests.targets.chat.planted_server import DONE, ROLE, event, tell, word

RULES = ReplyRules(keep_headers=True, keep_body=True, is_stream=True)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire:
    """A transport that sends nothing, and can tell that it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> None:
        return None


class Asking:
    """A sender of one request. ``seen``: how it ended."""

    keeps_text = True

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.gaps: list[int] = []

    def encode(self, token: int) -> bytes:
        return b"POST / HTTP/1.1\r\n\r\n"

    def gaps_of(self, token: int) -> Any:
        return self.gaps.append if token else ignore_gap

    def waits_until(self, token: int, deadline: int | None) -> None:
        return None

    def gave_up(self, token: int, instant: int) -> None:
        raise AssertionError

    def replied(self, token: int, reply: Any, failure: str | None) -> None:
        a = reply.answer
        self.seen.append(
            (failure, reply.status, reply.bytes_received, reply.finished, a.frames, a.first_token, a.last_token,
             a.last_frame, a.usage, a.problem, a.is_done, a.text)
        )  # fmt: skip


class Forgets(dict[int, bytes]):
    """Lines of chunks that nobody learns."""

    def __setitem__(self, size: int, line: bytes) -> None:
        pass


def exchange(*segments: bytes, plain: bool = False, ends: bool = False, replies: int = 1) -> tuple[Any, ...]:
    """How an exchange ends of which each segment comes 1 ns after the one before. ``ends``: the connection is closed then.
    With several ``replies`` the same segments answer so many requests.
    """
    time = [0]
    pool = ConnectionPool(
        ConnectionOptions(Origin("http", "h", 80)),
        LOCAL_USER,
        lambda: time[0],
        lambda pool: StreamConnection(pool, Forgets() if plain else {}),
    )
    connection = pool._add_connection()
    assert isinstance(connection, StreamConnection)
    wire, sender = Wire(), Asking()
    connection.connection_made(wire)  # type: ignore[arg-type]
    for _ in range(replies):
        if connection.transport is None:
            break
        pool.send(sender, 1, RULES, None, None)
        if plain:
            connection.answer._lessons = 0
        for segment in segments:
            time[0] += 1
            if not wire.closed and connection.sender is not None:
                connection.data_received(segment)
    if ends and not wire.closed:
        connection.connection_lost(None)
    return sender.seen, sender.gaps, wire.closed


def chunk(piece: bytes, form: bytes = b"%x") -> bytes:
    return form % len(piece) + b"\r\n" + piece + b"\r\n"


STREAM = [ROLE, *(word(i) for i in range(12)), tell(12), DONE]


@pytest.mark.parametrize("form", [b"%x", b"%X", b"%04x", b"%x;a=b"])
@pytest.mark.parametrize("replies", [1, 3])
def test_whole_chunks_read_as_by_the_parser(form: bytes, replies: int) -> None:
    """However their sizes are written."""
    segments = [HEAD, *(chunk(piece, form) for piece in STREAM), b"0\r\n\r\n"]
    seen = exchange(*segments, replies=replies)
    assert seen == exchange(*segments, plain=True, replies=replies)
    assert [each[0] for each in seen[0]] == [None] * replies
    assert seen[0][0][4] == 12


PIECES = st.sampled_from([ROLE, word(1), word(2), word(10), word(1) + word(2), b": x\n\n", word(3)[:30], word(3)[30:],
                          tell(3), event({"error": 1}), DONE, b"\r\n", word(4).replace(b"\n", b"\r"), chunk(word(1)),
                          chunk(word(2)), chunk(word(3)) + b"\r\n", word(1) + b"\r\n"])  # fmt: skip
PIECES |= st.sampled_from([word(1), chunk(word(2))])
CUTS = st.sampled_from([(), ("end",), ("line", "data", "end"), ("line", "end"), ("line",), ("data",)])
"""Where a chunk is cut: behind the line of its size, behind its data, at its end."""


def cut_chunks(chunks: list[tuple[bytes, tuple[str, ...]]]) -> set[int]:
    """Where the stream of them is cut."""
    edges, at = set(), 0
    for each, cuts in chunks:
        marks = {"line": at + each.find(b"\n") + 1, "data": at + len(each) - 2, "end": at + len(each)}
        edges |= {marks[cut] for cut in cuts}
        at += len(each)
    return edges


@given(
    st.integers(0, 4),
    st.lists(st.tuples(PIECES, CUTS), max_size=14),
    st.lists(st.integers(0, 10**6), max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_any_segments_read_as_by_the_parser(
    known: int, pieces: list[tuple[bytes, tuple[str, ...]]], places: list[int], is_whole: bool, ends: bool
) -> None:
    """Chunks that are whole, cut anywhere, several in one segment, with and without an end. Data may look like chunks."""
    whole = [(chunk(word(i)), ("end",)) for i in range(known)]
    chunks: list[tuple[bytes, tuple[str, ...]]] = [
        (HEAD, ("end",)),
        *whole,
        *((chunk(piece), cuts) for piece, cuts in pieces),
    ]
    chunks += [(b"0\r\n\r\n", ("end",))] if is_whole else []
    stream = b"".join(each for each, _ in chunks)
    edges = {0, len(stream)} | {place % (len(stream) + 1) for place in places} | cut_chunks(chunks)
    segments = [stream[a:b] for a, b in pairwise(sorted(edges))]
    assert exchange(*segments, ends=ends) == exchange(*segments, plain=True, ends=ends)


@pytest.mark.parametrize("inner", [chunk(word(4)), chunk(word(4)) * 2, chunk(word(4))[:-2] + b"\n\r\n"])
@pytest.mark.parametrize("known", [2, 3, 6])
def test_data_of_a_chunk_is_never_taken_for_a_chunk(inner: bytes, known: int) -> None:
    """The line of its size came with the chunk before, so that the data begins a segment, and looks like a chunk.

    Taken for one, it would leave the parser in the middle of it, and the end of the answer would never come.
    """
    first = [chunk(word(i)) for i in range(known)]
    line, rest = b"%x\r\n" % len(inner), b"\r\n" + chunk(DONE) + b"0\r\n\r\n"
    for last in (first[-1] + line, first[-1] + line[:-2], first[-1]):
        opened = (*first[:-1], last, (line + inner)[len(last) - len(first[-1]) :], rest)
        seen = exchange(HEAD, *opened)
        assert seen == exchange(HEAD, *opened, plain=True)
        assert seen[0][0][0] is None


@given(st.integers(0, 400), st.binary(max_size=6))
def test_damaged_chunks_read_as_by_the_parser(at: int, damage: bytes) -> None:
    segments = [HEAD, *map(chunk, [ROLE, word(1), word(2), word(3)])]
    broken = chunk(word(4))
    segments += [broken[:at] + damage + broken[at + len(damage) :], chunk(word(5)), chunk(DONE), b"0\r\n\r\n"]
    assert exchange(*segments, ends=True) == exchange(*segments, plain=True, ends=True)


def test_the_connection_is_kept_behind_a_whole_stream() -> None:
    segments = [HEAD, *map(chunk, STREAM), b"0\r\n\r\n"]
    assert not exchange(*segments)[2]


def test_an_end_that_was_said_needs_no_last_chunk() -> None:
    """The connection ends, and nothing was left out."""
    (seen,), _, closed = exchange(HEAD, *map(chunk, STREAM), ends=True)
    assert (seen[0], closed) == (None, False)


@pytest.mark.parametrize("last", [DONE, b"data: [DONE]\n", b"data: [DONE]\r", b"data: [DONE]"])
def test_an_end_counts_without_the_end_of_its_line(last: bytes) -> None:
    """Whatever ends the message: the last chunk, the connection, or its length."""
    stream = b"".join([*STREAM[:-1], last])
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    sized = head + b"Content-Length: %d\r\n\r\n" % len(stream)
    chunks = [*map(chunk, STREAM[:-1]), chunk(last)]
    for segments in ([HEAD, *chunks, b"0\r\n\r\n"], [HEAD, *chunks], [sized, stream], [head + b"\r\n", stream]):
        (seen,), *_ = exchange(*segments, ends=True)
        assert (seen[0], seen[4], seen[10]) == (None, 12, True)


def test_a_stream_without_a_length_ends_with_its_connection() -> None:
    """HTTP/1.0 servers, and some proxies, have it so."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    (seen,), *_ = exchange(head, *STREAM, ends=True)
    assert (seen[0], seen[4]) == (None, 12)
    (seen,), *_ = exchange(head, *STREAM[:-1], ends=True)
    assert seen[0] == "closed_early"


def test_an_answer_that_is_no_stream_is_read_whole() -> None:
    """A server that does not stream answers all the same."""
    body = b'{"choices":[{"message":{"content":"a"}}],"usage":{"completion_tokens":1}}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    (seen,), *_ = exchange(head, body)
    assert (seen[0], seen[4], seen[8].output, seen[11]) == (None, 1, 1, "a")


def test_a_stream_without_a_type_is_one() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    (seen,), *_ = exchange(head, *map(chunk, STREAM), b"0\r\n\r\n")
    assert (seen[0], seen[4]) == (None, 12)


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP", "deflate", "br", "zstd", "identity, gzip"])
@pytest.mark.parametrize("kind", [b"", b"Content-Type: text/event-stream\r\n"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_compressed_stream_cannot_be_read(coding: str, kind: bytes, is_whole: bool) -> None:
    """It is not one that was cut off: nobody asked for compression, and no frame of it can be told."""
    body = gzip.compress(b"".join(STREAM))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Encoding: %b\r\n%b\r\n" % (
        len(body),
        coding.encode(),
        kind,
    )
    (seen,), *_ = exchange(*([head + body] if is_whole else [head, body[:9], body[9:]]), ends=True)
    assert (seen[0], seen[4]) == ("protocol", 0)


@pytest.mark.parametrize("coding", [b"identity", b"none", b"", b"Identity , none"])
def test_a_stream_may_say_that_it_is_not_compressed(coding: bytes) -> None:
    """Also by a word that is no coding, which keeps proxies from adding one."""
    head = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: " + coding + b"\r\n\r\n")
    segments = [head, *map(chunk, STREAM), b"0\r\n\r\n"]
    (seen,), _, closed = exchange(*segments)
    assert (seen[0], seen[4], closed) == (None, 12, False)


@pytest.mark.parametrize("last", [DONE, b"data: [DONE]"])
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""])
def test_a_stream_that_only_says_its_end_is_no_answer(last: bytes, end: bytes) -> None:
    (seen,), _, closed = exchange(*filter(None, [HEAD, chunk(last), end]), ends=True)
    assert (seen[0], seen[10], seen[4]) == ("check", False, 0)
    assert closed or not end


def test_a_refusal_is_no_stream() -> None:
    head = b"HTTP/1.1 500 No\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    (seen,), *_ = exchange(head, *map(chunk, STREAM), b"0\r\n\r\n")
    assert (seen[0], seen[1], seen[4]) == (None, 500, 0)


def test_whole_chunks_of_known_frames_pass_the_parser_over() -> None:
    """The parser would raise at what follows: that it is not asked shows that the segment was taken as it is."""
    lines: dict[int, bytes] = {}
    pool = ConnectionPool(
        ConnectionOptions(Origin("http", "h", 80)), LOCAL_USER, lambda: 0, lambda pool: StreamConnection(pool, lines)
    )
    connection = pool._add_connection()
    assert isinstance(connection, StreamConnection)
    connection.connection_made(Wire())  # type: ignore[arg-type]
    pool.send(Asking(), 1, RULES, None, None)
    for piece in (HEAD, *(chunk(word(i)) for i in range(3))):
        connection.data_received(piece)
    assert list(lines) == [len(chunk(word(0)))]
    asked: list[bytes] = []
    connection.parse = asked.append
    connection.data_received(chunk(word(3)))
    assert (asked, connection.answer.frames) == ([], 4)
    connection.data_received(chunk(DONE))
    assert asked == [chunk(DONE)]


BYTES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [HEAD, HEAD[:50], b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n\r\n", b"Content-Type: text/event-stream\r\n",
         b"\r\n", b"0\r\n\r\n", b"5\r\n", b"ffffffffffffffff\r\n", chunk(ROLE), chunk(word(1)), chunk(DONE), word(1),
         DONE, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n",
         b"HTTP/1.1 204 No\r\n\r\n", b"data: [DONE]", b"\n\n", b"event: error\n"]
    ),
)  # fmt: skip


@given(st.lists(BYTES, max_size=12), st.booleans())
def test_no_bytes_break_a_connection(segments: list[bytes], ends: bool) -> None:
    """Whatever a server sends, the exchange ends once at most, and nothing is raised; both ways read the same."""
    segments = [segment for segment in segments if segment]
    seen, _, closed = exchange(*segments, ends=ends)
    assert len(seen) <= 1
    assert len(seen) == 1 or not (ends or closed)
    assert (seen, _, closed) == exchange(*segments, plain=True, ends=ends)


@pytest.mark.parametrize(("replies", "lost"), [(1, 0), (2, 1)])
def test_a_kept_connection_that_closes_is_told_of(replies: int, lost: int) -> None:
    """Nothing came for the second request: the server may have closed before it was there. The first is no such case."""
    pool = ConnectionPool(
        ConnectionOptions(Origin("http", "h", 80)), LOCAL_USER, lambda: 0, lambda pool: StreamConnection(pool, {})
    )
    connection, sender = pool._add_connection(), Asking()
    # As of a connection that is dialled for its first job.
    connection.reserve(sender, 1, RULES, None, None, None)
    connection.connection_made(Wire())  # type: ignore[arg-type]
    for _ in range(replies - 1):
        for piece in (HEAD, chunk(word(1)), chunk(DONE), b"0\r\n\r\n"):
            connection.data_received(piece)
        pool.send(sender, 2, RULES, None, None)
    connection.connection_lost(None)
    assert sender.seen[-1][0] == "closed_early"
    assert pool.state().lost_kept == lost
