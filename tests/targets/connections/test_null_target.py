"""The null target answers everything at once, and on loopback only."""

from __future__ import annotations

import asyncio

import pytest

from aurea_engine.errors import SpecError
from aurea_engine.targets.http.replies import ReplyRules
from aurea_engine.targets.null_target import BODY_BYTES, serve_null_target
from tests.targets.connections.exchanges import GET, PLAIN, Recorder, exchange, failures_of, pool_for


@pytest.mark.parametrize("size", [0, 1, BODY_BYTES, 1_000_000])
async def test_body_has_the_size_asked_for(size: int) -> None:
    """Over one connection, as often as wanted."""
    async with serve_null_target("127.0.0.1", 0, size) as (_, port), pool_for(port) as pool:
        sender = Recorder()
        for _ in range(3):
            seen = await exchange(pool, sender, ReplyRules(keep_body=True))
        assert pool.state().opened == 1
    assert (seen.failure, seen.status, len(seen.body)) == (None, 200, size)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_any_method_is_answered(method: str) -> None:
    """With or without a body."""
    request = f"{method} /any?thing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello".encode()
    async with serve_null_target("localhost", 0) as (_, port), pool_for(port) as pool:
        sender = Recorder(request)
        seen = [await exchange(pool, sender) for _ in range(2)]
        assert pool.state().opened == 1
    assert failures_of(seen) == [None, None]


async def test_head_has_no_body() -> None:
    """Though it says how long that would be."""
    async with serve_null_target("127.0.0.1", 0, 10) as (_, port), pool_for(port) as pool:
        sender = Recorder(GET.replace(b"GET", b"HEAD"))
        seen = [await exchange(pool, sender, ReplyRules(head=True, keep_headers=True)) for _ in range(2)]
        assert pool.state().opened == 1
    assert ("content-length", "10") in seen[-1].headers


async def test_connection_is_closed_on_request() -> None:
    """``Connection: close`` is obeyed."""
    async with serve_null_target("127.0.0.1", 0) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET[:-2] + b"Connection: close\r\n\r\n")
        reply = await reader.read()
        writer.close()
    assert reply.endswith(b"x" * BODY_BYTES)


async def test_pipelined_requests_are_answered() -> None:
    """Ten at once, ten replies."""
    async with serve_null_target("127.0.0.1", 0, 0) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET * 9 + GET[:-2] + b"Connection: close\r\n\r\n")
        assert (await reader.read()).count(b"HTTP/1.1 200 OK") == 10
        writer.close()


async def test_garbage_closes_the_connection() -> None:
    """What is no request gets no answer."""
    async with serve_null_target("127.0.0.1", 0) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_client_that_never_reads_is_not_read() -> None:
    """Its replies do not pile up: at some time the server takes no more requests."""
    async with serve_null_target("127.0.0.1", 0, 100_000) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.transport.pause_reading()
        writer.write(GET * 1_000_000)
        held = [writer.transport.get_write_buffer_size()]
        for _ in range(50):
            await asyncio.sleep(0.002)
            held.append(writer.transport.get_write_buffer_size())
        assert held[-1] > 0
        writer.transport.abort()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
async def test_other_addresses_are_refused(host: str) -> None:
    """It answers whoever asks, so nobody else may ask."""
    with pytest.raises(SpecError, match="loopback"):
        async with serve_null_target(host, 0):
            pass


async def test_size_is_bounded() -> None:
    """The error names the member."""
    with pytest.raises(SpecError, match="body_bytes"):
        async with serve_null_target("127.0.0.1", 0, -1):
            pass


async def test_port_in_use_is_told() -> None:
    """As the system says it."""
    async with serve_null_target("127.0.0.1", 0) as (_, port):
        with pytest.raises(OSError, match="in use"):
            async with serve_null_target("127.0.0.1", port):
                pass


async def test_ipv6_loopback_is_served() -> None:
    """In brackets or without."""
    try:
        async with serve_null_target("[::1]", 0) as (host, port):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except OSError:
        pytest.skip("this machine has no IPv6")


async def test_server_leaves_nothing() -> None:
    """Open connections are closed with it."""
    async with serve_null_target("127.0.0.1", 0) as (_, port), pool_for(port, warm=True) as pool:
        await pool.open(10)
        await exchange(pool, Recorder(), PLAIN)
    assert pool.state().open == 0
