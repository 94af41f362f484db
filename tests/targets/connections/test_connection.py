"""One connection after the other: requests out, replies in, stamps, counts, and the class of each failure."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct

import pytest

from aurea_engine.targets.failures import RequestFailed
from aurea_engine.targets.http.replies import ReplyRules
from tests.targets.connections.exchanges import (
    GET,
    OK,
    PLAIN,
    SECOND,
    Recorder,
    Script,
    answer,
    exchange,
    failures_of,
    pool_for,
    serve,
)

CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of an end."""
    number = writer.get_extra_info("socket").fileno()
    with socket.socket(fileno=socket.dup(number)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_stamps_are_in_order() -> None:
    """The first exchange of a connection has all stamps; the second, on the same one, was not connected for."""
    async with serve(answer(OK)) as port, pool_for(port) as pool:
        sender = Recorder()
        first, second = await exchange(pool, sender), await exchange(pool, sender)
        assert pool.state().opened == 1
    assert first.started <= first.connected <= first.sent <= first.first_byte <= first.finished < second.started
    assert second.started <= second.sent <= second.first_byte <= second.finished
    assert (first.is_kept, second.is_kept) == (False, True)


async def test_bytes_are_counted_exactly() -> None:
    """What went out and what came in, interim replies and framing included."""
    reply = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply += b"2;a\r\nok\r\n0\r\nX: 1\r\n\r\n"
    async with serve(answer(reply)) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder())
    assert (seen.bytes_sent, seen.bytes_received, seen.status) == (len(GET), len(reply), 200)


async def test_first_byte_is_of_anything() -> None:
    """An interim reply is the first sign of the server, and stamped as such."""
    final = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await final.wait()
        writer.write(OK)

    async with serve(script) as port, pool_for(port) as pool:
        sender = Recorder()
        pool.send(sender, 1, PLAIN, 30 * SECOND, None)
        (connection,) = pool.connections
        while connection.first_byte == -1:
            await asyncio.sleep(0.001)
        came = pool.now()
        final.set()
        (seen,) = await sender.wait(1)
    assert seen.first_byte <= came < seen.finished


@pytest.mark.parametrize(
    ("reply", "reuse"),
    [(CLOSING, True), (OK, False), (OK + b"more", True), (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", True)],
    ids=["said", "not wanted", "leftovers", "http 1.0"],
)
async def test_connection_is_not_used_again(reply: bytes, reuse: bool) -> None:
    """Each exchange has a connection of its own, and is right."""
    async with serve(answer(reply)) as port, pool_for(port, reuse=reuse) as pool:
        sender = Recorder()
        seen = [await exchange(pool, sender) for _ in range(3)]
        assert (pool.state().opened, pool.state().open) == (3, 0)
    assert failures_of(seen) == [None] * 3
    assert [each.status for each in seen] == [200] * 3
    assert not any(each.is_kept for each in seen)


@pytest.mark.parametrize("rules", [PLAIN, ReplyRules(keep_body=True)], ids=["plain", "kept"])
async def test_reply_ends_with_its_connection(rules: ReplyRules) -> None:
    """A body without a length is complete when the server closes."""
    reply = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000
    async with serve(answer(reply, close=True)) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder(), rules)
    assert (seen.failure, seen.status, seen.bytes_received) == (None, 200, len(reply))
    assert seen.body == (b"x" * 100_000 if rules.keep_body else b"")


@pytest.mark.parametrize("at", [0, 5, 17, len(OK) - 1])
async def test_early_close_is_told(at: int) -> None:
    """At the beginning, in the head, behind it, one byte before the end: with what came until then."""
    async with serve(answer(OK[:at], close=True)) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder())
        assert pool.state().open == 0
    assert (seen.failure, seen.bytes_received, seen.bytes_sent) == ("closed_early", at, len(GET))
    assert seen.status == (200 if at > OK.index(b"\r\n\r\n") else -1)


async def test_kept_connection_closed_after_send() -> None:
    """Nothing is sent twice: what the server has read and then closed over is `closed_early`."""
    count = itertools.count()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            if next(count) == 1:
                return
            writer.write(OK)

    async with serve(script) as port, pool_for(port) as pool:
        sender = Recorder()
        seen = [await exchange(pool, sender) for _ in range(3)]
        assert next(count) == 3  # requests that reached the server
        assert pool.state().opened == 2
    assert failures_of(seen) == [None, "closed_early", None]
    assert [each.is_kept for each in seen] == [False, True, False]


async def test_reset_of_a_peer_is_told() -> None:
    """A reset in the middle of a reply is no orderly end."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:20])
        await reader.read(1)
        reset(writer)

    async with serve(script) as port, pool_for(port) as pool:
        sender = Recorder()
        pool.send(sender, 1, PLAIN, 30 * SECOND, None)
        (connection,) = pool.connections
        while connection.bytes_received < 20:
            await asyncio.sleep(0.001)
        assert connection.transport is not None
        connection.transport.write(b"x")  # the sign for the server
        (seen,) = await sender.wait(1)
    assert (seen.failure, seen.bytes_received) == ("reset", 20)


@pytest.mark.parametrize("reply", [b"SSH-2.0\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"\x16\x03\x01"])
async def test_garbage_is_protocol(reply: bytes) -> None:
    """And its bytes are counted."""
    async with serve(answer(reply)) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder())
    assert (seen.failure, seen.bytes_received) == ("protocol", len(reply))


async def test_timeout_ends_the_exchange() -> None:
    """A server that never answers: the connection is closed, and its place free for the next."""
    silent = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()

    async with serve(script) as port, pool_for(port, limit=1) as pool:
        await pool.open(1)  # to connect may take longer than that
        seen = await exchange(pool, Recorder(), timeout_ns=20_000_000)
        assert pool.state().open == 0
    assert (seen.failure, seen.first_byte, seen.bytes_sent) == ("timeout", -1, len(GET))
    assert seen.finished - seen.started >= 20_000_000


@pytest.mark.parametrize("which", ["timeout_ns", "limit", "deadline"])
async def test_first_of_the_limits_counts(which: str) -> None:
    """The timeout, the limit of the job, its deadline: whichever comes first."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve(script) as port, pool_for(port) as pool:
        limits = dict.fromkeys(("timeout_ns", "limit"), 30 * SECOND) | {"deadline": pool.now() + 30 * SECOND}
        limits[which] = 20_000_000 + (pool.now() if which == "deadline" else 0)
        began = pool.now()
        seen = await exchange(pool, Recorder(), **limits)
    assert seen.failure == "timeout"
    assert 20_000_000 <= seen.finished - began < 30 * SECOND


async def test_request_that_cannot_be_encoded() -> None:
    """Nothing is sent, the job fails by its class, and the connection serves the next."""
    async with serve(answer(OK)) as port, pool_for(port) as pool:
        good, bad, broken = Recorder(), Recorder(RequestFailed("extract")), Recorder(KeyError("x"))
        await exchange(pool, good)
        seen = [await exchange(pool, bad), await exchange(pool, broken), await exchange(pool, good)]
        assert pool.state().opened == 1
    assert failures_of(seen) == ["extract", "KeyError", None]
    assert [each.bytes_sent for each in seen] == [0, 0, len(GET)]
    assert [each.sent == -1 for each in seen] == [True, True, False]


async def test_bytes_between_requests_close() -> None:
    """Whatever comes while nothing was asked for: the connection is closed, and nobody is told."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with serve(script) as port, pool_for(port) as pool:
        sender = Recorder()
        await exchange(pool, sender)
        while pool.state().open:
            await asyncio.sleep(0.001)
        assert (await exchange(pool, sender)).failure is None
        assert pool.state().opened == 2


async def test_head_ends_with_its_head() -> None:
    """HEAD and GET take turns on one connection, though the head promises a body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    async with serve(answer(head, OK, head, OK)) as port, pool_for(port) as pool:
        sender = Recorder()
        rules = [ReplyRules(head=True), PLAIN] * 2
        seen = [await exchange(pool, sender, each) for each in rules]
        assert pool.state().opened == 1
    assert [each.bytes_received for each in seen] == [len(head), len(OK)] * 2


def expecting(script_of_head: bytes) -> Script:
    """A server that answers so to a head, then reads five bytes and answers OK."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(script_of_head)
        await reader.readexactly(5)
        writer.write(OK)

    return script


HEAD_AND_BODY = (b"POST / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", b"hello")


async def test_body_waits_for_continue() -> None:
    """The body goes out when 100 has come."""
    async with serve(expecting(b"HTTP/1.1 100 Continue\r\n\r\n")) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder(HEAD_AND_BODY))
    assert (seen.failure, seen.status) == (None, 200)
    assert seen.bytes_sent == sum(map(len, HEAD_AND_BODY))
    assert seen.finished - seen.sent < SECOND


async def test_body_is_not_sent_after_a_refusal() -> None:
    """A final status instead of 100: the body stays here, and the connection is not used again."""
    refusal = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
    async with serve(expecting(refusal)) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder(HEAD_AND_BODY))
        assert pool.state().open == 0
    assert (seen.failure, seen.status, seen.bytes_sent) == (None, 417, len(HEAD_AND_BODY[0]))


@pytest.mark.service
async def test_body_is_sent_after_a_second() -> None:
    """A server need not answer 100."""
    async with serve(expecting(b"")) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder(HEAD_AND_BODY))
    assert (seen.failure, seen.status) == (None, 200)
    assert seen.finished - seen.sent >= SECOND * 9 // 10


async def test_large_request_is_sent_whole() -> None:
    """8 MiB through the transport's flow control, and the connection is kept."""
    body = bytes(range(256)) * 32 * 1024
    request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    got = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            got.append(await reader.readexactly(len(request)))
            writer.write(OK)

    async with serve(script) as port, pool_for(port) as pool:
        sender = Recorder(request)
        seen = [await exchange(pool, sender) for _ in range(2)]
        assert pool.state().opened == 1
    assert [each.bytes_sent for each in seen] == [len(request)] * 2
    assert got == [request] * 2


async def test_early_reply_to_a_large_request() -> None:
    """The server answers and reads no further: what was not handed over is not counted, and the connection is closed."""
    request = b"POST / HTTP/1.1\r\n\r\n" + bytes(64 * 1024**2)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.Event().wait()

    async with serve(script) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder(request))
        assert pool.state().open == 0
    assert (seen.failure, seen.status) == (None, 200)
    assert 0 < seen.bytes_sent < len(request)


@pytest.mark.parametrize("end", ["reset", "close", "timeout"])
async def test_lost_large_request_counts_what_went(end: str) -> None:
    """Of a request that breaks off, the bytes that the kernel took: no fewer than the server read."""
    request = b"POST / HTTP/1.1\r\n\r\n" + bytes(64 * 1024**2)
    read = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal read
        while read < 4 * 1024**2:
            read += len(await reader.read(65536))
        if end == "reset":
            reset(writer)
        elif end == "timeout":
            await asyncio.Event().wait()

    async with serve(script) as port, pool_for(port) as pool:
        seen = await exchange(pool, Recorder(request), timeout_ns=(SECOND // 5 if end == "timeout" else 30 * SECOND))
    assert seen.failure in (("timeout",) if end == "timeout" else ("reset", "closed_early"))
    assert read <= seen.bytes_sent < len(request)
