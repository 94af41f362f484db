"""One warm runner process, replaced whenever it cannot be trusted any more, so that a tiny run does not pay for a start."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any, Protocol

import msgspec

from aurea_engine.processes.frames import Message, Pieces
from aurea_engine.processes.messages import Reason, Snapshot, check_snapshot
from aurea_engine.processes.spawn import Command
from aurea_engine.processes.supervisor import STOP_PATIENCE, TERM_PATIENCE, ProcessFailed, SupervisedProcess
from aurea_server.runner.messages import ExecutedRun, RunEnd, check_executed
from aurea_server.runner.submissions import Submission

Name = Annotated[str, msgspec.Meta(max_length=256)]

MOST_JUDGED = 16
"""Specifications with other people's kinds that are judged at a time, but for one all waiting."""

LOADING, JUDGING = 10.0, 5.0
"""Seconds that an installed package has to load, and that its strategies then have to say what the server must know."""

MOST_PRICED = 8
"""Stored runs that are priced again at a time, but for one all waiting."""

STOPPING = Reason(code="server_stopped", detail="the server is stopping")


SECRETS = ("AUREA_TOKEN", "AUREA_TOKEN_FILE")
"""Environment variables that jobs must not see."""

MAX_SENT = 384 * 1024 * 1024
"""Bytes that a process may send of one run: its result and its records."""


class RunOrder(Protocol):
    """A run that is to be executed. ``document``: the whole specification, as plain data; ``foreign``: it names kinds of
    installed packages; ``stopping``: the status that a stop asked for, once one has.
    """

    @property
    def id(self) -> str: ...
    @property
    def document(self) -> Mapping[str, object]: ...
    @property
    def foreign(self) -> bool: ...
    @property
    def stopping(self) -> str | None: ...


class Busy(Exception):
    """Too many wait already."""


class RunnerPool:
    """Executes one run at a time. ``memory``: bytes of address space that a runner process may have."""

    def __init__(self, memory: int) -> None:
        self._command = Command("aurea_server.runner.child:start", memory, SECRETS)
        self._starting: asyncio.Task[SupervisedProcess] | None = None
        self._loading: SupervisedProcess | None = None
        self._idle: SupervisedProcess | None = None
        self._busy: SupervisedProcess | None = None
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

    async def _start(self) -> SupervisedProcess:
        process = self._loading = await SupervisedProcess.spawn(self._command)
        if self._closed:
            process.kill_now()
        try:
            await process.ready()
        finally:
            self._loading = None
        if self._closed:
            await process.kill()
            raise ProcessFailed(STOPPING)
        self._idle, self._starting = process, None
        return process

    async def _take(self) -> SupervisedProcess:
        if self._idle is None or not self._idle.alive:
            self._idle = None
            self.warm()
            if self._starting is None:
                raise ProcessFailed(STOPPING)
            await asyncio.shield(self._starting)
        assert self._idle is not None
        process, self._idle = self._idle, None
        return process

    async def execute(
        self, run: RunOrder, progressed: Callable[[Snapshot], None], seconds: float, late: Callable[[], None]
    ) -> ExecutedRun:
        """Run it. ``late`` is called if it takes longer than ``seconds``, its process's start apart.

        Raises `ProcessFailed` where it came to no result.
        """
        process = self._busy = await self._take()
        deadline = asyncio.get_running_loop().call_later(seconds, late)
        reusable = False
        try:
            executed = await execute_run(process, run, progressed)
            # Whatever a package left in the process would be the next run's: threads, patches, a changed seed.
            reusable = executed.reusable and not run.foreign
            return executed
        finally:
            deadline.cancel()
            process.obeyed()
            self._busy = None
            if reusable and process.alive and not self._closed:
                self._idle = process
            else:
                await process.kill()
                self.warm()

    def stop(self, run: RunOrder) -> None:
        """End the run in progress; it may still wait for its process, which then has as long as any to obey."""
        if self._busy is not None and run.stopping is not None:
            self._busy.stop(run.id, run.stopping)
        elif (loading := self._loading) is not None:
            asyncio.get_running_loop().call_later(STOP_PATIENCE + TERM_PATIENCE, self._give_up, loading)

    def _give_up(self, loading: SupervisedProcess) -> None:
        if self._loading is loading:
            loading.kill_now()

    async def judge(self, content: bytes, most_jobs: int) -> Submission:
        """Judge a specification (JSON) that names other people's kinds, one at a time, in a process of its own.

        Raises `ProcessFailed`, also where they take longer than they may, or `Busy` where `MOST_JUDGED` are on or waiting.
        """
        async with self._judging.turn(MOST_JUDGED), self._process() as process:
            process.send_order({"judge": most_jobs}, document=content)
            await process.answer("loaded", LOADING, "the package was not loaded")
            judged = await process.answer("judged", JUDGING, "the strategies did not answer")
        return _plain(judged)

    async def price(
        self, body: bytes, usage: object, records: Callable[[], Awaitable[bytes]], seconds: float = 30
    ) -> dict[str, Any]:
        """Price a stored run, one at a time, in a process of its own: a cost model may be anyone's.

        ``body``: JSON with the member ``cost``; the answer has ``cost`` and ``model``, that model in full. ``records`` are
        read when it is its turn. Raises `ProcessFailed`, or `Busy` where `MOST_PRICED` are on or waiting.
        """
        async with self._pricing.turn(MOST_PRICED):
            content = await records()
            async with self._process() as process:
                process.send_order({"price": body, "usage": usage}, records=content)
                priced = await process.answer("priced", seconds, "the cost model did not answer")
        return {"cost": priced["cost"], "model": priced["model"]}

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[SupervisedProcess]:
        """One that is there for this alone, and of which nothing is left."""
        if self._closed:
            raise ProcessFailed(STOPPING)
        process = await SupervisedProcess.spawn(self._command)
        try:
            await process.ready()
            yield process
        finally:
            await process.kill()

    def wind_down(self) -> None:
        """Start no process any more."""
        self._closed = True

    def kill_now(self) -> None:
        """End every process, without waiting: the server itself is going."""
        self.wind_down()
        for process in (self._idle, self._busy, self._loading):
            if process is not None:
                process.kill_now()

    async def close(self) -> None:
        """End every process and wait until they are reaped."""
        self.kill_now()
        if self._starting is not None:
            with contextlib.suppress(ProcessFailed, asyncio.CancelledError):
                await self._starting
        for process in (self._idle, self._busy):
            if process is not None:
                await process.kill()
        self._idle = None


async def execute_run(process: SupervisedProcess, run: RunOrder, progressed: Callable[[Snapshot], None]) -> ExecutedRun:
    """Have ``process`` execute it. Raises `ProcessFailed` where it came to no result."""
    process.send_order({"id": run.id, "spec": run.document, "foreign": run.foreign})
    if run.stopping is not None:  # that was asked for while the process was being started
        process.stop(run.id, run.stopping)

    def take(message: Message, values: Pieces) -> ExecutedRun | None:
        if "progress" in message:
            progressed(check_snapshot(msgspec.convert(message["progress"], Snapshot)))
            return None
        end = msgspec.convert(message["end"], RunEnd)
        return check_executed(end, values, run.id, run.stopping)

    return await process.converse(take, MAX_SENT)


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
    """What a process in which other people's code ran says that a specification is. Raises `ProcessFailed`."""
    try:
        document = msgspec.convert(judged, dict[str, Any])
        label = msgspec.convert(document["label"], Name | None)
        msgspec.json.encode(document)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        detail = "a strategy made its process send what no runner sends"
        raise ProcessFailed(Reason(code="strategy", detail=detail)) from None
    return Submission(document, label, foreign=True)
