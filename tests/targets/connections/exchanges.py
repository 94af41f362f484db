"""What tests of connections share: a sender that writes down its replies, and a server that does what a script says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter_ns
from typing import Any

from aurea_engine.targets.failures import RequestFailed
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.targets.http.replies import Reply, ReplyRules, Unsent
from aurea_engine.workload.access import Access

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PLAIN = ReplyRules()
SECOND = 1_000_000_000

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    """A copy of a reply, taken while it was valid."""

    token: int
    failure: str | None
    status: int
    started: int
    connected: int
    sent: int
    first_byte: int
    finished: int
    bytes_sent: int
    bytes_received: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def is_kept(self) -> bool:
        """Whether it went over a connection that was there before."""
        return self.connected == -1


STAMPS = ("status", "started", "connected", "sent", "first_byte", "finished", "bytes_sent", "bytes_received")


@dataclass
class Recorder:
    """A `Sender` that sends the same bytes each time. ``on_reply``: called after each reply with its copy."""

    request: bytes | tuple[bytes, bytes] | Exception = GET
    seen: list[Seen] = field(default_factory=list)
    on_reply: Callable[[Seen], None] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    __hash__ = object.__hash__

    def encode(self, token: int) -> bytes | tuple[bytes, bytes]:
        if isinstance(self.request, Exception):
            raise self.request
        return self.request

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        return deadline

    def gave_up(self, token: int, instant: int) -> None:
        self.replied(token, Unsent(instant), "timeout")

    def replied(self, token: int, reply: Reply, failure: str | None) -> None:
        stamps = {name: getattr(reply, name) for name in STAMPS}
        self.seen.append(Seen(token, failure, headers=list(reply.headers), body=reply.body, **stamps))
        self._changed.set()
        if self.on_reply is not None:
            self.on_reply(self.seen[-1])

    async def wait(self, count: int) -> list[Seen]:
        """The replies, when there are so many."""
        while len(self.seen) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.seen


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[int]:
    """A server on loopback that runs ``script`` for each connection, and closes it at its end. Yields the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Not `wait_closed`: uvloop waits for connections that were lost before they were accepted, for ever.


def answer(*replies: bytes, close: bool = False) -> Script:
    """A script that gives these replies to one request each, over all connections together; then the last for ever."""
    left = list(replies)

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()
            if close:
                return

    return run


@asynccontextmanager
async def pool_for(port: int, access: Access | None = None, **options: Any) -> AsyncIterator[ConnectionPool]:
    """A pool for a server on loopback, cold unless ``warm`` says otherwise."""
    base = ConnectionOptions(Origin("http", "127.0.0.1", port), warm=False)
    pool = ConnectionPool(replace(base, **options), access or Access(), perf_counter_ns)
    try:
        yield pool
    finally:
        await pool.close()


async def exchange(
    pool: ConnectionPool,
    sender: Recorder,
    rules: ReplyRules = PLAIN,
    timeout_ns: int | None = 30 * SECOND,
    deadline: int | None = None,
    limit: int | None = None,
) -> Seen:
    """One request, and its reply."""
    count = len(sender.seen) + 1
    pool.send(sender, count, rules, timeout_ns, deadline, limit)
    return (await sender.wait(count))[-1]


def failures_of(seen: Sequence[Seen]) -> list[str | None]:
    """The class of each."""
    return [each.failure for each in seen]


UNENCODABLE = RequestFailed("local")
