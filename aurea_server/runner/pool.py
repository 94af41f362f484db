"""One warm runner process, replaced whenever it cannot be trusted any more, so that a tiny run does not pay for a start."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec

from aurea_server.runner.messages import End, Reason, Snapshot
from aurea_server.runner.submissions import Submission
from aurea_server.runner.supervisor import FIRM, POLITE, Runner, RunnerFailed
from aurea_server.runs.active_run import ActiveRun

T = TypeVar("T")
Name = Annotated[str, msgspec.Meta(max_length=256)]

MOST_JUDGED = 16
"""Specifications with other people's kinds that are judged at a time, but for one all waiting."""

LOADING, JUDGING = 10.0, 5.0
"""Seconds that an installed package has to load, and that its strategies then have to say what the server must know."""

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
        self._judging, self._pricing = _Turns(), _Turns()
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
        self, live: ActiveRun, progressed: Callable[[Snapshot], None], seconds: float, late: Callable[[], None]
    ) -> tuple[End, bytes]:
        """Run: (end, records as a file). ``late`` is called if it takes longer than ``seconds``, its process's start apart.

        Raises `RunnerFailed` where it came to no result.
        """
        runner = self._busy = await self._take()
        deadline = asyncio.get_running_loop().call_later(seconds, late)
        reusable = False
        try:
            end, records = await runner.run(live, progressed)
            reusable = end.reusable and not live.foreign
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

    def stop(self, live: ActiveRun) -> None:
        """End the run that is on; it may still wait for its process, which then has as long as any to obey."""
        if self._busy is not None and live.stopping is not None:
            self._busy.stop(live.id, live.stopping)
        elif (loading := self._loading) is not None:
            asyncio.get_running_loop().call_later(POLITE + FIRM, self._give_up, loading)

    def _give_up(self, loading: Runner) -> None:
        if self._loading is loading:
            loading.kill_now()

    async def judge(self, content: bytes, most_jobs: int) -> Submission:
        """Judge a specification (JSON) that names other people's kinds, one at a time, in a process of its own.

        Raises `RunnerFailed`, also where they take longer than they may, or `Busy` where `MOST_JUDGED` are on or waiting.
        """
        async with self._judging.turn(MOST_JUDGED), self._process() as runner:
            runner.ask({"judge": most_jobs}, content)
            await self._within(LOADING, "the package was not loaded", runner.answer("loaded"))
            judged = await self._within(JUDGING, "the strategies did not answer", runner.answer("judged"))
        return _plain(judged)

    async def price(
        self, body: bytes, usage: object, records: Callable[[], Awaitable[bytes]], seconds: float = 30
    ) -> dict[str, Any]:
        """Price a stored run, one at a time, in a process of its own: a cost model may be anyone's.

        ``body``: JSON with the member ``cost``; the answer has ``cost`` and ``model``, that model in full. ``records`` are
        read when it is its turn. Raises `RunnerFailed`, or `Busy` where `MOST_PRICED` are on or waiting.
        """
        async with self._pricing.turn(MOST_PRICED):
            content = await records()
            async with self._process() as runner:
                runner.ask({"price": body, "usage": usage}, content)
                priced = await self._within(seconds, "the cost model did not answer", runner.answer("priced"))
        return {"cost": priced["cost"], "model": priced["model"]}

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[Runner]:
        """One that is there for this alone, and of which nothing is left."""
        if self._closed:
            raise RunnerFailed(STOPPING)
        runner = await Runner.spawn(self._memory)
        try:
            await runner.ready()
            yield runner
        finally:
            await runner.kill()

    async def _within(self, seconds: float, otherwise: str, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            detail = f"{otherwise} within {seconds:g} s"
            raise RunnerFailed(Reason(code="runner_unresponsive", detail=detail)) from None

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


class _Turns:
    """One after the other, and not too many waiting."""

    def __init__(self) -> None:
        self._asked = 0
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def turn(self, most: int) -> AsyncIterator[None]:
        """Wait for it. Raises `Busy` where ``most`` are on or waiting already."""
        if self._asked >= most:
            raise Busy
        self._asked += 1
        try:
            async with self._lock:
                yield
        finally:
            self._asked -= 1


def _plain(judged: Any) -> Submission:
    """What a process in which other people's code ran says that a specification is. Raises `RunnerFailed`."""
    try:
        document = msgspec.convert(judged, dict[str, Any])
        label = msgspec.convert(document["label"], Name | None)
        msgspec.json.encode(document)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        detail = "a strategy made its process send what no runner sends"
        raise RunnerFailed(Reason(code="strategy", detail=detail)) from None
    return Submission(document, label, foreign=True)
