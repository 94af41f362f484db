"""Bytes of a connection to a reply, without any connection: the same result however the bytes are cut."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from httptools import HttpParserError, HttpParserUpgrade
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.targets.http.body_reader import MOST_UNPACKED, STEP
from aurea_engine.targets.http.replies import MOST_HEAD_BYTES, MOST_KEPT_BYTES, ReplyRules
from aurea_engine.targets.http.reply_reader import ReplyReader

PLAIN = ReplyRules()
BODY = ReplyRules(keep_body=True)
WHOLE = ReplyRules(keep_headers=True, keep_body=True)
HEAD = ReplyRules(head=True)
UNPACKED = ReplyRules(keep_body=True, decompress=True)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TWO = OK + b"Content-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Case:
    """``ended``: the server closes the connection behind it. What is expected follows; None is not asked for."""

    data: bytes
    rules: Sequence[ReplyRules] = (PLAIN, BODY, WHOLE)
    ended: bool = False
    complete: bool = True
    problem: str | None = None
    status: int = 200
    kept: bool = True
    body: bytes | None = None


CASES = {
    "length": Case(TWO, body=b"ok"),
    "no body": Case(OK + b"Content-Length: 0\r\n\r\n", body=b""),
    "no reason": Case(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", body=b"ok"),
    "chunked": Case(CHUNKED + b"2\r\nok\r\n3\r\nway\r\n0\r\n\r\n", body=b"okway"),
    "chunk extensions": Case(CHUNKED + b'2;a=b;c="d;e"\r\nok\r\n0;f\r\n\r\n', body=b"ok"),
    "trailers": Case(CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n", body=b"ok"),
    "until close": Case(OK + b"\r\nok", ended=True, kept=False, body=b"ok"),
    "until close, said": Case(OK + b"Connection: close\r\n\r\nok", ended=True, kept=False, body=b"ok"),
    "empty until close": Case(OK + b"\r\n", ended=True, kept=False, body=b""),
    "old until close": Case(b"HTTP/1.0 200 OK\r\n\r\nok", ended=True, kept=False, body=b"ok"),
    "identity until close": Case(OK + b"Transfer-Encoding: gzip\r\n\r\nok", ended=True, kept=False, body=b"ok"),
    "closing": Case(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", kept=False, body=b"ok"),
    "old": Case(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", kept=False, body=b"ok"),
    "old, kept": Case(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", body=b"ok"),
    "no content": Case(b"HTTP/1.1 204 No Content\r\n\r\n", status=204, body=b""),
    "no content, with a length": Case(b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", status=204, body=b""),
    "not modified": Case(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", status=304, body=b""),
    "continue": Case(b"HTTP/1.1 100 Continue\r\n\r\n" + TWO, body=b"ok"),
    "several interim": Case(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 3 + TWO, body=b"ok"),
    "blank lines first": Case(b"\r\n\r\n" + TWO, body=b"ok"),
    "empty header": Case(OK + b"X-Empty:\r\nContent-Length: 2\r\n\r\nok", body=b"ok"),
    "head": Case(OK + b"Content-Length: 612\r\n\r\n", (HEAD,), body=b""),
    "head, chunked": Case(CHUNKED, (HEAD,), body=b""),
    "head, no length": Case(OK + b"\r\n", (HEAD,), body=b""),
    "head, closing": Case(OK + b"Connection: close\r\n\r\n", (HEAD,), kept=False, body=b""),
    "head, old": Case(b"HTTP/1.0 200 OK\r\nContent-Length: 612\r\n\r\n", (HEAD,), kept=False, body=b""),
    "head after continue": Case(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 9\r\n\r\n", (HEAD,), body=b""),
    "gzip": Case(
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(b"ok" * 50, mtime=0))
        + gzip.compress(b"ok" * 50, mtime=0), (UNPACKED,), body=b"ok" * 50,
    ),
    "two members of gzip": Case(
        OK + b"Content-Encoding: x-gzip\r\n\r\n" + gzip.compress(b"ok", mtime=0) * 2, (UNPACKED,), ended=True,
        kept=False, body=b"okok",
    ),
    "deflate": Case(
        OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"ok"), (UNPACKED,), True, kept=False, body=b"ok"
    ),
    "deflate without its header": Case(
        OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"ok")[2:-4], (UNPACKED,), True, kept=False, body=b"ok"
    ),
    "unknown coding": Case(OK + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\nok", (UNPACKED,), body=b"ok"),
    # Right, and what comes behind it is not for us.
    "another reply": Case(TWO + TWO, kept=False, body=b"ok"),
    "half a reply": Case(TWO + b"HTTP/1", kept=False, body=b"ok"),
    "garbage behind": Case(TWO + b"\x00\xff", kept=False, body=b"ok"),
    "garbage behind closing": Case(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nokmore", kept=False, body=b"ok"),
    "body to head": Case(TWO, (HEAD,), kept=False, body=b""),
    "chunks to head": Case(CHUNKED + b"2\r\nok\r\n0\r\n\r\n", (HEAD,), kept=False, body=b""),
    "empty chunks to head": Case(CHUNKED + b"0\r\n\r\n", (HEAD,), kept=False, body=b""),
    "two replies to head": Case((OK + b"\r\n") * 2, (HEAD,), kept=False, body=b""),
    "half a reply to head": Case(OK + b"Content-Length: 0\r\n\r\nHT", (HEAD,), kept=False, body=b""),
    # Cut off.
    "nothing": Case(b"", ended=True, complete=False, status=-1),
    "half a head": Case(OK + b"Content-Le", ended=True, complete=False, status=-1),
    "interim only": Case(b"HTTP/1.1 100 Continue\r\n\r\n", ended=True, complete=False, status=-1),
    "short": Case(OK + b"Content-Length: 3\r\n\r\nok", ended=True, complete=False),
    "short and closing": Case(OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nok", ended=True, complete=False),
    "old and short": Case(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok", ended=True, complete=False),
    "no last chunk": Case(CHUNKED + b"2\r\nok\r\n", ended=True, complete=False),
    "closing, no last chunk": Case(
        OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", ended=True, complete=False
    ),
    "no end of trailers": Case(CHUNKED + b"0\r\nX-Sum: 1\r\n", ended=True, complete=False),
    # Wrong.
    "garbage": Case(b"SSH-2.0-OpenSSH\r\n", complete=False, problem="protocol", status=-1),
    "zeros": Case(b"\x00" * 10, complete=False, problem="protocol", status=-1),
    "http 2": Case(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", complete=False, problem="protocol", status=-1),
    "http 0.9": Case(b"HTTP/0.9 200 OK\r\n\r\n", complete=False, problem="protocol", status=-1),
    "status 099": Case(b"HTTP/1.1 099 Low\r\n\r\n", complete=False, problem="protocol", status=-1),
    "status of two digits": Case(b"HTTP/1.1 20 OK\r\n\r\n", complete=False, problem="protocol", status=-1),
    "switching protocols": Case(
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", (PLAIN, WHOLE, HEAD), complete=False,
        problem="protocol", status=-1,
    ),
    "switching silently": Case(b"HTTP/1.1 101 S\r\n\r\n", (PLAIN, WHOLE, HEAD), False, False, "protocol", -1),
    "bad length": Case(OK + b"Content-Length: two\r\n\r\n", complete=False, problem="protocol", status=-1),
    "two lengths": Case(
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", complete=False, problem="protocol", status=-1
    ),
    "length and chunks": Case(
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", complete=False, problem="protocol", status=-1
    ),
    "bad chunk": Case(CHUNKED + b"x\r\n", complete=False, problem="protocol"),
    "long chunk": Case(CHUNKED + b"2\r\nokay\r\n", complete=False, problem="protocol"),
    "no gzip": Case(
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nokay", (UNPACKED,), complete=False, problem="protocol"
    ),
    "half of gzip": Case(
        OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n" + gzip.compress(b"ok", mtime=0)[:9], (UNPACKED,),
        complete=False, problem="protocol",
    ),
    "too large": Case(TWO, (ReplyRules(most_body=1),), complete=False, problem="too_large"),
    "just fits": Case(TWO, (ReplyRules(most_body=2),)),
    "too large chunks": Case(
        CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", (ReplyRules(most_body=1),), complete=False, problem="too_large"
    ),
}  # fmt: skip


def read(pieces: Sequence[bytes], rules: ReplyRules, ended: bool, reader: ReplyReader | None = None) -> ReplyReader:
    """As a connection does it: until the reply is complete, or fails, with what came in the same piece."""
    reader = reader or ReplyReader()
    reader.begin_reply(rules)
    for piece in pieces:
        reader.bytes_received += len(piece)
        try:
            reader.parse(piece)
        except (HttpParserError, HttpParserUpgrade):
            reader.reject()
        if not reader.complete or reader.bytes_received > MOST_HEAD_BYTES:
            reader.look_at(piece)
        if reader.complete and rules.head:
            reader.ends_at(piece)
        if reader.complete or reader.problem is not None:
            return reader
    if ended:
        reader.end_of_stream()
    return reader


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Whole, in two at each byte, and byte by byte."""
    yield [data] if data else []
    yield from ([data[:at], data[at:]] for at in range(1, len(data)))
    yield [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("name", CASES)
def test_reply_is_read_however_it_is_cut(name: str) -> None:
    """Status, end, failure and body are the same for each cut, and those of the table."""
    case = CASES[name]
    for rules in case.rules:
        for pieces in cuts(case.data):
            reader = read(pieces, rules, case.ended)
            found = (reader.complete, reader.problem, reader.status)
            assert found == (case.complete, case.problem, case.status), (pieces, rules)
            if case.body is not None and rules != PLAIN:
                expected = case.body if rules.keep_body else b""
                assert reader.body == expected, (pieces, rules)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.complete])
def test_connection_is_kept_or_not(name: str) -> None:
    """In one piece: the connection may be used again, unless something came behind or its head says no."""
    case = CASES[name]
    for rules in case.rules:
        reader = read([case.data] if case.data else [], rules, case.ended)
        assert (reader.keep_alive and not reader.leftover and not case.ended) == case.kept, rules


def test_replies_follow_each_other() -> None:
    """One reader reads replies of all rules in any order, and none sees the headers or body of another."""
    reader = ReplyReader()
    names = [name for name, case in CASES.items() if case.complete and case.kept]
    for name in [*names, *reversed(names)]:
        case = CASES[name]
        for rules in case.rules:
            read([case.data], rules, False, reader)
            assert (reader.complete, reader.status, reader.leftover) == (True, case.status, False), name
            assert reader.body == (case.body if rules.keep_body else b""), name


def test_trailers_stay_with_their_reply() -> None:
    """The last trailer of a reply, which a parser tells late, is no header of the next."""
    reader = read([CHUNKED + b"0\r\nX-Late: 1\r\n\r\n"], WHOLE, False)
    assert [name for name, _ in reader.headers] == ["transfer-encoding"]
    read([TWO], WHOLE, False, reader)
    assert reader.headers == [("content-length", "2")]


def test_headers_keep_order_and_repeats() -> None:
    """Names are in lower case, values as they came, and two of a name stay two."""
    data = OK + b"Set-Cookie: a=1\r\nX-Name: \tA value \xe9 \r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    expected = [("set-cookie", "a=1"), ("x-name", "A value é"), ("set-cookie", "b=2"), ("content-length", "0")]
    for pieces in cuts(data):
        assert read(pieces, WHOLE, False).headers == expected


def test_headers_of_interim_replies_go() -> None:
    """Only the final reply's headers are kept."""
    data = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + TWO
    assert read([data], WHOLE, False).headers == [("content-length", "2")]


@pytest.mark.parametrize("rules", [PLAIN, WHOLE, HEAD], ids=["plain", "whole", "head"])
@pytest.mark.parametrize("size", [1, 1000, 2**20])
def test_head_of_64_kib_is_the_largest(rules: ReplyRules, size: int) -> None:
    """To the byte, and whatever the pieces are; interim replies count."""
    for padding, problem in ((0, None), (1, "too_large")):
        interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        frame = OK + b"Content-Length: 2\r\nX-Padding: \r\n\r\n"
        value = b"x" * (MOST_HEAD_BYTES - len(interim) - len(frame) + padding)
        data = interim + OK + b"Content-Length: 2\r\nX-Padding: " + value + b"\r\n\r\n" + (b"" if rules.head else b"ok")
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        reader = read(pieces, rules, False)
        assert (reader.problem, reader.complete) == (problem, problem is None)


def test_endless_trailers_are_too_large() -> None:
    """Where trailers would be kept in memory, they end as too large."""
    piece = b"x" * 16 * 1024
    reader = read([CHUNKED + b"0\r\nX-Sum: ", *[piece] * 20], WHOLE, False)
    assert reader.problem == "too_large"


def test_kept_body_is_bounded() -> None:
    """A body that is kept may have 1 MiB; one that is only counted any size."""
    for extra, problem in ((0, None), (1, "too_large")):
        size = MOST_KEPT_BYTES + extra
        data = OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
        assert read([data], ReplyRules(keep_body=True), False).problem == problem
        assert read([data], ReplyRules(keep_headers=True), False).problem is None


def test_small_bomb_is_too_large() -> None:
    """A reply of 100 KiB that unpacks to 100 MiB ends at the limit."""
    packed = gzip.compress(bytes(100 * 1024**2), 9)
    data = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    reader = read([data], UNPACKED, False)
    assert reader.problem == "too_large"


@given(st.binary(max_size=200), st.sampled_from([PLAIN, WHOLE, HEAD, UNPACKED]), st.booleans())
def test_any_bytes_end_somehow(data: bytes, rules: ReplyRules, after_head: bool) -> None:
    """No bytes raise, whatever they are."""
    reader = read([OK * after_head + data], rules, True)
    assert reader.complete or reader.problem in ("protocol", "too_large", None)


@given(st.data())
def test_parsers_agree_on_replies(data: st.DataObject) -> None:
    """All three agree on status, end and reuse, over mutations of all cases at any cut."""
    case = CASES[data.draw(st.sampled_from([name for name, case in CASES.items() if PLAIN in case.rules]))]
    noisy = bytearray(case.data)
    for _ in range(data.draw(st.integers(0, 2)) if noisy else 0):
        noisy[data.draw(st.integers(0, len(noisy) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(noisy)))
    pieces = [piece for piece in (bytes(noisy[:cut]), bytes(noisy[cut:])) if piece]
    light, *others = (read(pieces, rules, case.ended) for rules in (PLAIN, BODY, ReplyRules(keep_headers=True)))
    for other in others:
        assert (light.complete, light.problem, light.status) == (other.complete, other.problem, other.status)
        assert not light.complete or (light.keep_alive, light.leftover) == (other.keep_alive, other.leftover)


def test_unpacking_is_bounded_without_a_limit() -> None:
    """A hundred MiB of zeros come as a hundred KiB: what nobody looks at must not hold up the event loop, either."""
    packed = zlib.compress(b"\0" * (100 * 1024**2), 9)
    reader = ReplyReader()
    reader.begin_reply(ReplyRules(decompress=True))
    reader.parse(OK + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed))
    assert reader.problem == "too_large"
    assert reader._body_reader.size <= MOST_UNPACKED + STEP
