"""Random loads on random servers: whatever happens, every job ends once, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from aurea_engine.closed_sets import FAILURE_CLASSES
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.replies import Reply, ReplyRules, Unsent
from tests.targets.connections.exchanges import OK, SECOND, pool_for, serve

REPLIES = [
    OK,
    OK,
    OK,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nKeep-Alive: max=2\r\nContent-Length: 0\r\n\r\n",
    OK + b"junk",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    b"garbage\r\n",
]
RULES = [
    ReplyRules(),
    ReplyRules(keep_body=True),
    ReplyRules(keep_headers=True),
    ReplyRules(most_body=1),
    ReplyRules(decompress=True),
]


class Server:
    """Answers each request in one of the ways above, in pieces or not, late or never, and closes when it likes."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self.seen: Counter[bytes] = Counter()

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        draw = self._draw
        while draw.random() > 0.03:
            request = await reader.readuntil(b"\r\n\r\n")
            self.seen[request] += 1
            if draw.random() < 0.05:
                return
            if draw.random() < 0.004:
                await reader.read()
            if draw.random() < 0.3:
                await asyncio.sleep(draw.choice([0, 0.001, 0.005]))
            reply = draw.choice(REPLIES)
            cut = draw.randrange(len(reply))
            writer.write(reply[:cut])
            if draw.random() < 0.3:
                await asyncio.sleep(0)
            writer.write(reply[cut:])


class Load:
    """A `Sender` whose jobs each send a request of their own; some send another from within `replied`."""

    def __init__(self, draw: random.Random, pool: ConnectionPool) -> None:
        self._draw, self._pool = draw, pool
        self.sent: set[int] = set()
        self.failures: dict[int, str | None] = {}
        self.changed = asyncio.Event()

    def encode(self, token: int) -> bytes | tuple[bytes, bytes]:
        if self._draw.random() < 0.01:
            raise ValueError
        return b"GET /%d HTTP/1.1\r\n\r\n" % token

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        return deadline

    def gave_up(self, token: int, instant: int) -> None:
        self.replied(token, Unsent(instant), "timeout")

    def replied(self, token: int, reply: Reply, failure: str | None) -> None:
        assert token in self.sent
        assert token not in self.failures
        assert 0 <= reply.started <= reply.finished
        assert reply.bytes_received == 0 or reply.started <= reply.first_byte <= reply.finished
        self.failures[token] = failure
        self.changed.set()
        if self._draw.random() < 0.3:
            self.send(token + 1_000_000)

    def send(self, token: int) -> None:
        draw = self._draw
        self.sent.add(token)
        deadline = self._pool.now() + SECOND // draw.choice([20, 2]) if draw.random() < 0.2 else None
        limit = SECOND // 50 if draw.random() < 0.05 else None
        self._pool.send(self, token, draw.choice(RULES), SECOND // 20, deadline, limit)


async def run(seed: int) -> tuple[Load, Server, list[int]]:
    draw = random.Random(seed)
    server = Server(draw)
    limit = draw.choice([1, 2, 5, 20, None])
    options = {"limit": limit, "reuse": draw.random() < 0.8, "warm": draw.random() < 0.5}
    cancelled = []
    async with serve(server.script) as port, pool_for(port, **options) as pool:
        await pool.open(draw.choice([0, 3, 10]))
        load = Load(draw, pool)
        for token in range(150):
            load.send(token)
            if draw.random() < 0.3:
                await asyncio.sleep(draw.choice([0, 0, 0.001]))
            assert limit is None or len(pool.connections) <= limit
        stop_early = draw.random() < 0.3
        while len(load.failures) < len(load.sent) and not (stop_early and len(load.failures) > 50):
            load.changed.clear()
            await load.changed.wait()
        for token in load.sent - load.failures.keys():
            pool.cancel(token, load)
            cancelled.append(token)
        ended = len(load.failures)
        await asyncio.sleep(0.01)
        assert len(load.failures) == ended
        state = pool.state()
        assert (state.busy, state.waiting) == (0, 0)
        assert limit is None or state.full_ns <= pool.now()
    assert pool.state().open == 0
    return load, server, cancelled


@pytest.mark.parametrize("seed", range(4))
async def test_every_job_ends_once(seed: int) -> None:
    """Each is told once or cancelled, with a class of the closed set, and the server saw no request twice."""
    load, server, cancelled = await run(seed)
    assert load.sent == load.failures.keys() | set(cancelled)
    assert {failure for failure in load.failures.values() if failure} <= FAILURE_CLASSES.keys() | {"ValueError"}
    assert set(server.seen.values()) <= {1}


@pytest.mark.long
async def test_campaign_of_random_loads(request: pytest.FixtureRequest) -> None:
    """The same for many seeds."""
    for seed in range(100, 400 if request.config.option.all else 115):
        await test_every_job_ends_once(seed)
