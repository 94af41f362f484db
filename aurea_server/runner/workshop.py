"""One warm runner process, replaced whenever it cannot be trusted any more, so that a tiny run does not pay for a start."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from aurea_server.live import Live
from aurea_server.reports import End, Reason, Snapshot
from aurea_server.runner.supervisor import FIRM, POLITE, Runner, RunnerFailed

MOST_PRICED = 8
"""Stored runs that are priced again at a time, but for one all waiting."""

STOPPING = Reason(code="server_stopped", detail="the server is stopping")


class Busy(Exception):
    """Too many wait already."""


class Workshop:
    """Executes one run at a time. ``memory``: bytes of address space that a runner process may have."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._starting: asyncio.Task[Runner] | None = None
        self._loading: Runner | None = None
        self._idle: Runner | None = None
        self._busy: Runner | None = None
        self._pricing = asyncio.Lock()
        self._asked_prices = 0
        self._closed = False

    def warm(self) -> None:
        """See to it that a process is there, or is being started. Called again now and then."""
        if self._closed or self._busy is not None or (self._idle is not None and self._idle.alive):
            return
        if self._starting is None or (self._starting.done() and (self._starting.cancelled() or self._failed())):
            self._starting = asyncio.create_task(self._start())

    def _failed(self) -> bool:
        task = self._starting
        return task is not None and task.done() and not task.cancelled() and task.exception() is not None

    async def _start(self) -> Runner:
        runner = self._loading = await Runner.spawn(self._memory)
        if self._closed:
            runner.kill_now()
        try:
            await runner.ready()
        finally:
            self._loading = None
        if self._closed:
            await runner.kill()
            raise RunnerFailed(STOPPING)
        self._idle, self._starting = runner, None
        return runner

    async def _take(self) -> Runner:
        if self._idle is None or not self._idle.alive:
            self._idle = None
            self.warm()
            if self._starting is None:
                raise RunnerFailed(STOPPING)
            await asyncio.shield(self._starting)
        assert self._idle is not None
        runner, self._idle = self._idle, None
        return runner

    async def execute(
        self, live: Live, progressed: Callable[[Snapshot], None], seconds: float, late: Callable[[], None]
    ) -> tuple[End, bytes]:
        """Run: (end, records as a file). ``late`` is called if it takes longer than ``seconds``, its process's start apart.

        Raises `RunnerFailed` where it came to no result.
        """
        runner = self._busy = await self._take()
        deadline = asyncio.get_running_loop().call_later(seconds, late)
        reusable = False
        try:
            end, records = await runner.run(live.id, live.document, progressed, live.stopping)
            reusable = end.reusable and not foreign(live.spec)
            return end, records
        finally:
            deadline.cancel()
            runner.obeyed()
            self._busy = None
            if reusable and runner.alive and not self._closed:
                self._idle = runner
            else:
                await runner.kill()
                self.warm()

    def stop(self, live: Live) -> None:
        """End the run that is on; it may still wait for its process, which then has as long as any to obey."""
        if self._busy is not None and live.stopping is not None:
            self._busy.stop(live.id, live.stopping)
        elif (loading := self._loading) is not None:
            asyncio.get_running_loop().call_later(POLITE + FIRM, self._give_up, loading)

    def _give_up(self, loading: Runner) -> None:
        if self._loading is loading:
            loading.kill_now()

    async def price(
        self, cost: object, usage: object, records: Callable[[], Awaitable[bytes]], seconds: float = 30
    ) -> dict[str, Any]:
        """Price a stored run, one at a time, in a process of its own: a cost model may be anyone's.

        ``records`` are read when it is its turn. Raises `RunnerFailed`, or `Busy` where `MOST_PRICED` are on or waiting.
        """
        if self._asked_prices >= MOST_PRICED:
            raise Busy
        self._asked_prices += 1
        try:
            async with self._pricing:
                return await self._price(cost, usage, await records(), seconds)
        finally:
            self._asked_prices -= 1

    async def _price(self, cost: object, usage: object, records: bytes, seconds: float) -> dict[str, Any]:
        runner = await Runner.spawn(self._memory)
        try:
            await runner.ready()
            async with asyncio.timeout(seconds):
                return await runner.price(cost, usage, records)
        except TimeoutError:
            detail = f"the cost model took longer than {seconds:g} s"
            raise RunnerFailed(Reason(code="runner_unresponsive", detail=detail)) from None
        finally:
            await runner.kill()

    def wind_down(self) -> None:
        """Start no process any more."""
        self._closed = True

    def kill_now(self) -> None:
        """End every process, without waiting: the server itself is going."""
        self.wind_down()
        for runner in (self._idle, self._busy, self._loading):
            if runner is not None:
                runner.kill_now()

    async def close(self) -> None:
        """End every process and wait until they are reaped."""
        self.kill_now()
        if self._starting is not None:
            with contextlib.suppress(RunnerFailed, asyncio.CancelledError):
                await self._starting
        for runner in (self._idle, self._busy):
            if runner is not None:
                await runner.kill()
        self._idle = None


def foreign(value: object) -> bool:
    """Whether a specification names anything that is not the engine's own: code that may leave something behind."""
    if isinstance(value, tuple):
        return any(foreign(item) for item in value)
    if not dataclasses.is_dataclass(value):
        return not isinstance(value, (str, int, float, type(None))) and not _ours(value)
    return not _ours(value) or any(foreign(getattr(value, field.name)) for field in dataclasses.fields(value))


def _ours(value: object) -> bool:
    home = type(value).__module__
    return home.startswith("aurea_engine.") or home in ("builtins", "fractions", "decimal", "datetime")
