"""A job without a task: requests on a few connections, each ended by the callback that sees its answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from aurea_engine import CallbackPool, Closed, Fifo, Job, Measure, Outcome, PoolState, RunSpec, Workload, run_sync
from aurea_engine.testing import check_job, check_result

REQUEST = b"ping"


class Echo(asyncio.Protocol):
    """The target: sends back what it gets."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class Connection(asyncio.Protocol):
    """One of ours, with one request at a time."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool
        self.job: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def request(self, job: int) -> None:
        self.job, self.received = job, 0
        self.began = self._pool.now()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.job is not None and self.received >= len(REQUEST):
            job, self.job = self.job, None
            self._pool.done(job, self.began, self._pool.now(), Outcome.COMPLETED, (), (self.received,))
            self._pool.release(self)


class Connections(CallbackPool):
    """A job that waits for a free connection has not started: that is waiting time, not service."""

    def __init__(self) -> None:
        self.all: list[Connection] = []
        self._free: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._waited = 0

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        self._waiting.append(job)
        if self._free:
            self.release(self._free.popleft())
        else:
            self._waited += 1

    def release(self, connection: Connection) -> None:
        """``connection`` is free for the next job that waits."""
        if self._waiting:
            connection.request(self._waiting.popleft())
        else:
            self._free.append(connection)

    def cancel(self, job: int) -> int | None:
        for connection in self.all:
            if connection.job == job:
                connection.job = None
                return connection.began
        self._waiting.remove(job)
        return None

    def state(self) -> PoolState:
        """For reports of the run, and for the finding that jobs had to wait."""
        opened, busy = len(self.all), len(self.all) - len(self._free)
        return PoolState(open=opened, busy=busy, waiting=len(self._waiting), waited=self._waited, opened=opened)


@dataclass(frozen=True)
class Ping(Job):
    """One request and its answer, on one of ``connections``."""

    connections: int = 4
    executor = "callbacks"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("bytes_received", "bytes"),)

    async def run(self, demand: float) -> None:
        raise NotImplementedError("the pool does the jobs")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        loop, pool = asyncio.get_running_loop(), Connections()
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        for _ in range(self.connections):
            _, connection = await loop.create_connection(lambda: Connection(pool), host, port)
            pool.all.append(connection)
            pool.release(connection)
        try:
            yield pool
        finally:
            for connection in pool.all:
                connection.transport.close()
            server.close()
            await server.wait_closed()


def main() -> None:
    check_job(Ping())
    result = run_sync(RunSpec(Workload(Ping(), Closed(users=20), jobs=5_000), Fifo(slots=10)))
    check_result(result)
    received = result.measures["bytes_received"]
    print(f"{result.counts.completed:,} requests, {received.total:,} {received.unit} received")
    print(f"at most {result.concurrency.peak} in service at once, on 4 connections; the others waited")
    print([finding.code for finding in result.findings if finding.code == "pool_exhausted"])


if __name__ == "__main__":
    main()
