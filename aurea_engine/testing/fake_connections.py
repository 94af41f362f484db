"""A pool of connections without a network: each job takes its demand on one of them, and waits while all are busy."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NS, Floats
from aurea_engine.workload.callbacks import CallbackPool, PoolState
from aurea_engine.workload.distributions import Constant, Distribution, draw_durations
from aurea_engine.workload.jobs import Job

Waiting = tuple[int, int, int | None, int | None]
"""job, ns of service, and the limit and deadline that it came with."""


class FakeConnections(CallbackPool):
    """So many ``connections``, all open from the start. Who waits is served in order of arrival."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._busy: dict[int, tuple[int, asyncio.TimerHandle]] = {}
        self._waiting: deque[Waiting] = deque()
        self._waited = self._full_ns = self._full_since = 0

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        waiting = job, round(demand * NS), limit, deadline
        if len(self._busy) < self._connections:
            self._begin(*waiting)
        else:
            self._waited += 1
            self._waiting.append(waiting)
            if (until := self.leaves_at(job)) is not None:
                loop = asyncio.get_running_loop()
                loop.call_at(loop.time() + max(until - self.now(), 0) / NS, self._leave, job)

    def _leave(self, job: int) -> None:
        """It still waits, or was served."""
        still = deque(waiting for waiting in self._waiting if waiting[0] != job)
        if len(still) < len(self._waiting):
            self._waiting = still
            self.leave(job)

    def _begin(self, job: int, service: int, limit: int | None, deadline: int | None) -> None:
        began, loop, until = self.now(), asyncio.get_running_loop(), self.leaves_at(job)
        if until is not None and until <= began:
            self.leave(job)
            return
        left = None if deadline is None else max(deadline - began, 0)
        lasts = min(ns for ns in (service, limit, left) if ns is not None)
        outcome, error = (Outcome.TIMED_OUT, "timeout") if lasts < service else (Outcome.COMPLETED, None)
        timer = loop.call_at(loop.time() + lasts / NS, self._end, job, outcome, error)
        self._busy[job] = began, timer
        if len(self._busy) == self._connections:
            self._full_since = began

    def _end(self, job: int, outcome: Outcome, error: str | None) -> None:
        began = self._release(job)
        self.done(job, began, self.now(), outcome, error=error)
        if self._waiting:
            self._begin(*self._waiting.popleft())

    def _release(self, job: int) -> int:
        if len(self._busy) == self._connections:
            self._full_ns += self.now() - self._full_since
        began, _ = self._busy.pop(job)
        return began

    def cancel(self, job: int) -> int | None:
        if job in self._busy:
            self._busy[job][1].cancel()
            return self._release(job)
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0] != job)
        return None

    def state(self) -> PoolState:
        is_full = len(self._busy) == self._connections
        return PoolState(
            open=self._connections,
            busy=len(self._busy),
            waiting=len(self._waiting),
            waited=self._waited,
            full_ns=self._full_ns + (self.now() - self._full_since if is_full else 0),
            opened=self._connections,
        )


@dataclass(frozen=True)
class FakeRequests(Job):
    """Jobs that take ``duration`` on one of so many `FakeConnections`."""

    duration: Distribution = field(default_factory=lambda: Constant(0.1))
    connections: int = 4
    executor = "callbacks"

    async def run(self, demand: float) -> None:
        raise NotImplementedError("the connections do the jobs")

    def demands(self, rng: np.random.Generator, first: int, n: int) -> Floats:
        return draw_durations(self.duration, rng, n)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        yield FakeConnections(self.connections)
