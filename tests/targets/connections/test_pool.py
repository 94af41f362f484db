"""Pools of connections: who gets which, who waits, and what is counted."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from aurea_engine.errors import SpecError
from aurea_engine.targets.http import file_descriptors
from aurea_engine.targets.http import pool as pool_module
from aurea_engine.targets.http.file_descriptors import find_limit, raise_descriptor_limit
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.replies import ReplyRules
from aurea_engine.workload.access import Access
from tests.targets.connections.exchanges import (
    OK,
    PLAIN,
    SECOND,
    Recorder,
    Seen,
    answer,
    exchange,
    failures_of,
    pool_for,
    serve,
)


class Gate:
    """A server that answers a request each time it is told to, in the order in which they came."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await self.requests.put(writer)

    async def answer(self, count: int = 1, reply: bytes = OK) -> None:
        for _ in range(count):
            (await self.requests.get()).write(reply)


def send(pool: ConnectionPool, sender: Recorder, *tokens: int, deadline: int | None = None) -> None:
    for token in tokens:
        pool.send(sender, token, PLAIN, 30 * SECOND, deadline)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def test_warm_pool_is_open_before_jobs() -> None:
    """`open` makes as many connections as are wanted and allowed, and no job was connected for."""
    async with serve(answer(OK)) as port, pool_for(port, warm=True, limit=100) as pool:
        await pool.open(70)
        before = pool.state()
        assert (await exchange(pool, Recorder())).is_kept
        await pool.open(1000)
        assert pool.state().open == 100
    assert (before.open, before.busy, before.opened, before.failed_dials) == (70, 0, 70, 0)


@pytest.mark.parametrize("options", [{"warm": False}, {"warm": True, "reuse": False}])
async def test_cold_pool_opens_nothing(options: dict[str, bool]) -> None:
    """What is not kept, or not wanted before the window, is not opened then."""
    async with serve(answer(OK)) as port, pool_for(port, **options) as pool:
        await pool.open(10)
        assert pool.state().opened == 0


async def test_dead_target_fails_no_warming(unused_tcp_port: int) -> None:
    """Warming gives up after the first batch; the jobs fail, each with its class."""
    async with pool_for(unused_tcp_port, warm=True) as pool:
        await pool.open(1000)
        assert (pool.state().opened, pool.state().open) == (0, 0)
        assert pool.state().failed_dials <= pool_module.DIALS_AT_ONCE
        assert (await exchange(pool, Recorder())).failure == "refused"


async def test_warming_ends_with_any_target() -> None:
    """One that takes connections and drops them at once is tried once for each that is wanted, and not for ever."""
    taken = 0

    async def drop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        taken += 1
        writer.close()

    async with serve(drop) as port, pool_for(port, warm=True) as pool:
        await asyncio.wait_for(pool.open(200), 60)
        assert pool.opened <= 200
    assert taken <= 200


async def test_last_used_connection_is_used_first() -> None:
    """Last in, first out: one job at a time needs one of ten connections."""
    async with serve(answer(OK)) as port, pool_for(port, warm=True) as pool:
        await pool.open(10)
        sender = Recorder()
        used = set()
        for token in range(20):
            send(pool, sender, token)
            used |= {id(connection) for connection in pool.connections if connection.sender is not None}
            await sender.wait(token + 1)
    assert len(used) == 1


async def test_jobs_wait_in_order() -> None:
    """Two connections, six jobs: four wait, are served in order, and began only when they were served."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, limit=2) as pool:
        sender = Recorder()
        send(pool, sender, *range(6))
        await until(lambda: gate.requests.qsize() == 2)
        state = pool.state()
        assert (state.open, state.busy, state.waiting, state.waited) == (2, 2, 4, 4)
        for _ in range(6):
            await gate.answer()
        seen = await sender.wait(6)
        state = pool.state()
    # Those of two connections that are dialled at once may change places.
    assert {each.token for each in seen[:2]} == {0, 1}
    assert [each.token for each in seen[2:]] == [2, 3, 4, 5]
    assert [each.is_kept for each in seen] == [False] * 2 + [True] * 4
    assert all(later.started >= earlier.finished for earlier, later in zip(seen, seen[2:], strict=False))
    assert (state.open, state.busy, state.waiting, state.waited, state.opened) == (2, 0, 0, 4, 2)


async def test_full_time_is_between_last_and_first() -> None:
    """The pool was full from the start of its last free place until the first job ended with nobody waiting."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, limit=2) as pool:
        sender = Recorder()
        send(pool, sender, 1)
        await until(lambda: gate.requests.qsize() == 1)
        assert pool.state().full_ns == 0
        send(pool, sender, 2, 3)
        began = max(connection.started for connection in pool.connections)
        await until(lambda: gate.requests.qsize() == 2)
        assert 0 < pool.state().full_ns <= pool.now() - began
        await gate.answer(2)
        await until(lambda: len(sender.seen) == 2)
        full_ns = pool.state().full_ns
        assert full_ns == pool.state().full_ns
        await gate.answer()
        await sender.wait(3)
    assert full_ns <= sender.seen[-1].finished - began
    assert full_ns >= sender.seen[0].finished - began


async def test_failed_place_is_filled() -> None:
    """A connection that ends gives its place to the next job, over a new one."""
    async with serve(answer(OK[:9], close=True)) as port, pool_for(port, limit=1) as pool:
        sender = Recorder()
        send(pool, sender, 1, 2, 3)
        seen = await sender.wait(3)
        assert pool.state().opened == 3
    assert failures_of(seen) == ["closed_early"] * 3


async def test_waiting_job_is_over_at_its_deadline() -> None:
    """It never began: its start is its end, and it saw nothing."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, limit=1) as pool:
        sender = Recorder()
        send(pool, sender, 1)
        deadline = pool.now() + SECOND // 50
        send(pool, sender, 2, deadline=deadline)
        (seen,) = await sender.wait(1)
        assert pool.state().waiting == 0
        await gate.answer()
        await sender.wait(2)
    assert (seen.token, seen.failure) == (2, "timeout")
    assert seen.started == seen.finished >= deadline
    assert (seen.connected, seen.sent, seen.first_byte, seen.status, seen.bytes_sent) == (-1, -1, -1, -1, 0)


async def test_waiting_takes_no_timeout() -> None:
    """`timeout` is of the service: a job may wait for longer, and still be served."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, limit=1) as pool:
        sender = Recorder()
        send(pool, sender, 1)
        pool.send(sender, 2, PLAIN, SECOND, None)
        began = pool.now()
        await until(lambda: pool.now() > began + SECOND + SECOND // 10)
        await gate.answer(2)
        seen = await sender.wait(2)
    assert failures_of(seen) == [None, None]


async def test_closed_connections_are_not_used() -> None:
    """Those that the server closes are passed over, also all at once."""
    close = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not close.is_set():
            head = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
            closing = asyncio.create_task(close.wait())
            await asyncio.wait([head, closing], return_when=asyncio.FIRST_COMPLETED)
            closing.cancel()
            if not head.done():
                head.cancel()
                return
            head.result()
            writer.write(OK)

    async with serve(script) as port, pool_for(port, warm=True) as pool:
        await pool.open(20)
        close.set()
        await until(lambda: pool.state().open == 0)
        close.clear()
        assert (await exchange(pool, Recorder())).failure is None
        assert pool.state().opened == 21


async def test_close_that_the_loop_has_not_seen() -> None:
    """The server closes while the loop is busy, and a job comes in the same round: it goes over another connection."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool_module, "GLANCE", 0)
        close = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await close.wait()

        async with serve(script) as port, pool_for(port) as pool:
            sender = Recorder()
            await exchange(pool, sender)
            (connection,) = pool.connections
            close.set()
            await until(lambda: connection.transport is None or not connection.is_usable(0))
            # In one go with what found it closed: had the loop come round, it would have told.
            send(pool, sender, 2)
            seen = await sender.wait(2)
    assert failures_of(seen) == [None, None]
    assert not seen[1].is_kept


async def test_idle_limit_is_kept() -> None:
    """A connection that was idle for longer than `idle` is closed instead of used."""
    async with serve(answer(OK)) as port, pool_for(port, idle_ns=1_000_000) as pool:
        sender = Recorder()
        first = await exchange(pool, sender)
        await until(lambda: pool.now() > first.finished + 2_000_000)
        assert not (await exchange(pool, sender)).is_kept
        assert (pool.state().open, pool.state().opened) == (1, 2)


@pytest.mark.parametrize(
    ("header", "kept"),
    [("timeout=0", False), ("max=1", True), ("max=0", False), ("timeout=5, max=100", True), ("nonsense=x", True)],
)
async def test_keep_alive_header_is_obeyed(header: str, kept: bool) -> None:
    """What the server says of its own patience."""
    reply = f"HTTP/1.1 200 OK\r\nKeep-Alive: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    async with serve(answer(reply)) as port, pool_for(port) as pool:
        sender = Recorder()
        await exchange(pool, sender)
        assert (await exchange(pool, sender)).is_kept == kept


async def test_most_requests_of_a_connection() -> None:
    """``max=2`` in the first reply: two more, then another connection."""
    reply = b"HTTP/1.1 200 OK\r\nKeep-Alive: max=2\r\nContent-Length: 0\r\n\r\n"
    async with serve(answer(reply)) as port, pool_for(port) as pool:
        sender = Recorder()
        kept = [(await exchange(pool, sender)).is_kept for _ in range(6)]
    assert kept == [False, True, True] * 2


async def test_server_timeout_leaves_a_margin() -> None:
    """``timeout=5`` is for us four seconds, since the server began to count before us."""
    reply = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n"
    async with serve(answer(reply)) as port, pool_for(port) as pool:
        await exchange(pool, Recorder())
        assert [connection.idle_ns for connection in pool.connections] == [4 * SECOND]


async def test_next_request_from_within_replied() -> None:
    """A sender may send as the last thing it does: it finds the connection free, and no other is opened."""
    async with serve(answer(OK)) as port, pool_for(port) as pool:

        def again(seen: Seen) -> None:
            if seen.token < 100:
                send(pool, sender, seen.token + 1)

        sender = Recorder(on_reply=again)
        send(pool, sender, 1)
        seen = await sender.wait(100)
        assert pool.state().opened == 1
    assert [each.token for each in seen] == list(range(1, 101))


async def test_waiting_jobs_go_before_new_ones() -> None:
    """What is sent from within `replied` queues behind those that wait."""
    async with serve(answer(OK)) as port, pool_for(port, limit=1) as pool:

        def again(seen: Seen) -> None:
            if seen.token == 1:
                send(pool, sender, 4)

        sender = Recorder(on_reply=again)
        send(pool, sender, 1, 2, 3)
        seen = await sender.wait(4)
    assert [each.token for each in seen] == [1, 2, 3, 4]


async def test_cancelled_jobs_are_told_nothing() -> None:
    """In service: the instant at which that began. Waiting: None. Their senders hear no more."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, limit=2) as pool:
        sender = Recorder()
        send(pool, sender, 1, 2, 3, 4)
        await until(lambda: gate.requests.qsize() == 2)
        began = {connection.token: connection.started for connection in pool.connections}
        assert [pool.cancel(token, sender) for token in (4, 1, 3, 2)] == [None, began[1], None, began[2]]
        assert pool.cancel(1, sender) is None
        state = pool.state()
        await gate.answer(2)
    assert (state.open, state.busy, state.waiting) == (0, 0, 0)
    assert sender.seen == []


async def test_senders_are_told_apart() -> None:
    """Two senders with the same tokens share a pool."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, limit=1) as pool:
        one, other = Recorder(), Recorder()
        send(pool, one, 1)
        send(pool, other, 1)
        send(pool, one, 2)
        assert pool.cancel(1, other) is None
        await gate.answer(2)
        assert [each.token for each in await one.wait(2)] == [1, 2]
    assert other.seen == []


async def test_ten_thousand_waiting_encodings_fail() -> None:
    """However many jobs end at once without a request, nothing nests."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, limit=1) as pool:
        good, bad = Recorder(), Recorder(ValueError())
        send(pool, good, 0)
        send(pool, bad, *range(10_000))
        send(pool, good, 1)
        await gate.answer(2)
        assert failures_of(await good.wait(2)) == [None, None]
    assert failures_of(bad.seen) == ["ValueError"] * 10_000


async def test_clock_may_be_set_anew() -> None:
    """Stamps count from the new origin, and connections that were open before are no older than they are."""
    async with serve(answer(OK)) as port, pool_for(port, warm=True, idle_ns=10 * SECOND) as pool:
        await pool.open(3)
        origin, clock = pool.now(), pool.now
        pool.now = lambda: clock() - origin
        seen = await exchange(pool, Recorder())
    assert seen.is_kept
    assert 0 <= seen.started <= seen.finished < 10 * SECOND


async def test_many_timeouts_end_at_theirs() -> None:
    """A hundred jobs with different limits end in their order, none early, on one timer."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve(script) as port, pool_for(port) as pool:
        sender = Recorder()
        for token in range(100):
            pool.send(sender, token, PLAIN, (50 + token * 7919 % 100) * 1_000_000, None)
        seen = await sender.wait(100)
    assert failures_of(seen) == ["timeout"] * 100
    assert all(each.finished - each.started >= (50 + each.token * 7919 % 100) * 1_000_000 for each in seen)


@pytest.mark.realtime
async def test_timeouts_are_precise_to_millisecond() -> None:
    """Never early, and half of them within two milliseconds: loops fire in steps of one."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve(script) as port, pool_for(port) as pool:
        sender = Recorder()
        for token in range(41):
            pool.send(sender, token, PLAIN, 60_000_000 + token * 3_300_000, None)
        seen = await sender.wait(41)
    late = sorted(each.finished - each.started - (60_000_000 + each.token * 3_300_000) for each in seen)
    assert late[0] >= 0
    assert late[len(late) // 2] <= 2_000_000


async def test_closed_pool_leaves_nothing() -> None:
    """Connections that are open, busy or being opened: all are gone when `close` returns."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, warm=True) as pool:
        await pool.open(5)
        before = len(asyncio.all_tasks())
        sender = Recorder()
        send(pool, sender, *range(10))
        await pool.close()
        assert pool.state().open == pool.state().busy == pool.state().waiting == 0
        assert len(asyncio.all_tasks()) <= before + 10  # those of the server
    assert sender.seen == []


def test_limit_is_the_smallest_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The member, the operator's ceiling, ten thousand, and the descriptors."""
    monkeypatch.setattr(file_descriptors, "raise_descriptor_limit", lambda: 500)
    assert find_limit(None, None) == 500
    assert find_limit(None, 100) == 100
    assert find_limit(50, 100) == 50
    with pytest.raises(SpecError, match="ulimit"):
        find_limit(501, None)
    monkeypatch.setattr(file_descriptors, "raise_descriptor_limit", lambda: 10**6)
    assert find_limit(None, None) == 10_000


def test_descriptor_limit_is_raised() -> None:
    """To the hard limit, and what is open already does not count as free."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
        free = raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
        assert before[1] // 2 < free < before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


NULL_TARGET = """
import asyncio
from aurea_engine.targets.http.file_descriptors import raise_descriptor_limit
from aurea_engine.targets.null_target import serve_null_target

async def main():
    raise_descriptor_limit()
    async with serve_null_target("127.0.0.1", 0) as (_, port):
        print(port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.service
async def test_ten_thousand_connections_are_kept() -> None:
    """Under a soft limit of 1,024 descriptors: all are open before the window, each is used twice, none opened twice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 10_500:
        pytest.skip("the hard limit of descriptors is below 10,500")
    server = subprocess.Popen([sys.executable, "-c", NULL_TARGET], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        async with pool_for(port, warm=True) as pool:
            await pool.open(10_000)
            sender = Recorder()
            for round_ in (1, 2):
                send(pool, sender, *range(10_000))
                seen = await sender.wait(round_ * 10_000)
            state = pool.state()
    finally:
        server.kill()
        server.communicate()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (state.open, state.opened, state.failed_dials) == (10_000, 10_000, 0)
    assert failures_of(seen) == [None] * 20_000
    assert all(each.is_kept for each in seen)


async def test_access_bounds_the_pool() -> None:
    """The operator's ceiling holds, whatever a specification says."""
    gate = Gate()
    async with serve(gate.script) as port, pool_for(port, Access(most_connections=3), limit=10) as pool:
        send(pool, Recorder(), *range(10))
        await until(lambda: gate.requests.qsize() == 3)
        assert (pool.state().open, pool.state().waiting) == (3, 7)


async def test_rules_may_change_between_requests() -> None:
    """One connection serves senders that look at headers and bodies, and senders that do not."""
    async with serve(answer(OK)) as port, pool_for(port) as pool:
        sender = Recorder()
        for rules in (PLAIN, ReplyRules(keep_body=True), ReplyRules(most_body=1), PLAIN, ReplyRules(keep_headers=True)):
            await exchange(pool, sender, rules)
    assert failures_of(sender.seen) == [None, None, "too_large", None, None]
    assert [each.body for each in sender.seen] == [b"", b"ok", b"", b"", b""]
    assert sender.seen[-1].headers == [("content-length", "2")]


async def test_idle_connections_keep_no_body() -> None:
    """A body is the sender's while it is told of it; with many connections the memory of the last ones would add up."""
    body = b"x" * 500_000
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with serve(answer(reply)) as port, pool_for(port) as pool:
        sender, rules = Recorder(), ReplyRules(keep_body=True)
        for _ in range(3):
            assert (await exchange(pool, sender, rules)).body == body
        assert [(each.body, each._body_reader._pieces) for each in pool.idle] == [(b"", [])]
