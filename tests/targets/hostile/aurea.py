"""Aurea's own client among those that are compared: its pool of connections, asked as a job asks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aurea_engine import Access, loop_factory
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.replies import Reply, ReplyRules, Unsent
from aurea_engine.targets.http.tls import TlsOptions
from tests.targets.hostile.cases import case_at, conversation, path_of
from tests.targets.hostile.clients import Said, checksum, patience, some_at_once
from tests.targets.hostile.parts import Asked, Exchange


class Asker:
    """A job level that keeps what it is told: a `Sender`. A token stands for one exchange.

    ``looks_away``: every other request is of one that looks at no body, for which a connection has another way to read.
    """

    def __init__(self, pool: ConnectionPool, host: str, *, looks_away: bool = False) -> None:
        self.looks_away = looks_away
        self.pool = pool
        self.host = host
        self.waiting: dict[int, tuple[str, Asked, asyncio.Future[Said]]] = {}
        self.tokens = 0

    async def ask(self, path: str, exchange: Exchange) -> Said:
        self.tokens += 1
        answer: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        self.waiting[self.tokens] = path, exchange.asked, answer
        asked = exchange.asked
        looks = asked.inflates or not (self.looks_away and self.tokens % 2)
        rules = ReplyRules(
            head=asked.method == "HEAD",
            keep_body=looks,
            keep_headers=looks and self.tokens % 4 < 2,
            expect_continue=asked.expects,
            decompress=asked.inflates,
        )
        self.pool.send(self, self.tokens, rules, int(patience(exchange) * 1e9), None)
        # Bounded once more than by the pool's own limit, for a pool that forgets it.
        return await asyncio.wait_for(answer, 2 * patience(exchange) + 60)

    def encode(self, token: int) -> bytes | tuple[bytes, bytes]:
        path, asked, _ = self.waiting[token]
        head = f"{asked.method} {path} HTTP/1.1\r\nHost: {self.host}\r\n"
        if asked.method in {"POST", "PUT"}:
            head += f"Content-Length: {len(asked.body)}\r\n"
        if asked.expects:
            return (head + "Expect: 100-continue\r\n\r\n").encode(), asked.body
        return (head + "\r\n").encode() + asked.body

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        return deadline

    def gave_up(self, token: int, instant: int) -> None:
        self.replied(token, Unsent(instant), "timeout")

    def replied(self, token: int, reply: Reply, failure: str | None) -> None:
        _, _, answer = self.waiting.pop(token)
        counts = {"received": reply.bytes_received, "sent": reply.bytes_sent, "connected": reply.connected >= 0}
        if failure is not None:
            answer.set_result(Said(failure=failure, **counts))
        else:
            looked = bool(reply.body) or not self.looks_away
            answer.set_result(Said(reply.status, len(reply.body), checksum(reply.body) if looked else "", **counts))


def pool_for(port: int, connections: int, ca: str | None = None) -> ConnectionPool:
    scheme = "http" if ca is None else "https"
    options = ConnectionOptions(Origin(scheme, "127.0.0.1", port), connections, warm=False, tls=TlsOptions(ca=ca))
    return ConnectionPool(options, Access(), time.perf_counter_ns)


async def own_connection(port: int, seed: int, ca: str | None) -> list[Said]:
    """A conversation over one connection, as long as it lasts."""
    pool = pool_for(port, 1, ca)
    asker = Asker(pool, f"127.0.0.1:{port}")
    try:
        return [await asker.ask(path_of(seed, place), exchange) for place, exchange in enumerate(conversation(seed))]
    finally:
        await pool.close()


def by_aurea(port: int, seeds: Sequence[int], ca: str | None = None) -> dict[int, list[Said]]:
    """Each over connections of its own, on the event loop of runs."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(some_at_once(lambda seed: own_connection(port, seed, ca), seeds))


def by_aurea_paths(port: int, paths: Sequence[str], *, looks_away: bool) -> dict[str, Said]:
    """Single exchanges, all over one pool."""

    async def main() -> dict[str, Said]:
        pool = pool_for(port, 16)
        asker = Asker(pool, f"127.0.0.1:{port}", looks_away=looks_away)
        said: dict[str, Said] = {}
        left = iter(paths)

        async def worker() -> None:
            for path in left:
                said[path] = await asker.ask(path, case_at(path))

        try:
            await asyncio.gather(*(worker() for _ in range(16)))
        finally:
            await pool.close()
        return said

    return asyncio.run(main())


def by_aurea_shared(port: int, seeds: Sequence[int], connections: int = 16) -> dict[int, list[Said]]:
    """All over one pool, on Python's own event loop: what one exchange leaves on a connection, the next must not see."""

    async def main() -> dict[int, list[Said]]:
        pool = pool_for(port, connections)
        asker = Asker(pool, f"127.0.0.1:{port}", looks_away=True)

        async def one(seed: int) -> list[Said]:
            return [
                await asker.ask(path_of(seed, place), exchange) for place, exchange in enumerate(conversation(seed))
            ]

        try:
            return await some_at_once(one, seeds)
        finally:
            await pool.close()

    return asyncio.run(main())
