"""The runner processes of a server: one warm process for runs, and others for a moment each."""

# Starting a process and loading the engine takes a third of a second, which a run of a few milliseconds must not pay. So
# one process is kept warm, and executes one run after the other:
#
#     (none) ── warm ──▶ loading ── ready ──▶ idle ── execute ──▶ busy ──▶ idle, or killed and begun again
#
# It is used again only where nothing of the last run can be left in it: the run came to a result, ran none but our own
# code, and left no memory fragmented. Everything else is killed with all below it, and the next one is started at once.
#
# Judging a specification with kinds of installed packages, and pricing a stored run, call code of others too. Each gets a
# process of its own, which ends with the answer. They queue by themselves, so that nobody can start processes without
# end.

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Protocol

import msgspec

from aurea_engine import Access
from aurea_engine.processes.frames import Message, Pieces
from aurea_engine.processes.messages import Reason, Snapshot, check_snapshot
from aurea_engine.processes.spawn import Command
from aurea_engine.processes.supervisor import STOP_PATIENCE, TERM_PATIENCE, ProcessFailed, SupervisedProcess
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.split import Sharding
from aurea_server.runner.messages import ExecutedRun, RunEnd, check_executed
from aurea_server.runner.submissions import Submission
from aurea_server.runner.turns import Turns
from aurea_server.settings.limits import Limits
from aurea_server.settings.settings import VARIABLES
from aurea_server.settings.targets import hidden_variables, secret_variables

Name = Annotated[str, msgspec.Meta(max_length=256)]

MAX_JUDGED = 16
"""Specifications with kinds of installed packages that are judged or wait for it."""

LOAD_SECONDS, JUDGE_SECONDS = 10.0, 5.0
"""How long an installed package may take to load, and how long its strategies may then take to be made and asked."""

MAX_PRICED = 8
"""Stored runs that are priced again or wait for it."""

MAX_COMPARED = 4
"""Pairs of stored runs that are compared, and runs that are drawn, or that wait for it."""
COMPARE_SECONDS = 60.0

STOPPING = Reason(code="server_stopped", detail="the server is stopping")

MALFORMED = Reason(code="strategy", detail="a strategy made its process send what no runner sends")

MAX_SENT = 384 * 1024 * 1024
"""Bytes that a process may send of one run: its result and its records."""


class RunOrder(Protocol):
    """A run that is to be executed. ``document``: the whole specification, as plain data; ``foreign``: it names kinds of
    installed packages; ``stopping``: the status that a stop asked for, once one has; ``sharding``: in how many
    processes and how often, None for once in one; ``keeps_records``: those of its jobs are wanted.
    """

    @property
    def id(self) -> str: ...
    @property
    def document(self) -> Mapping[str, object]: ...
    @property
    def foreign(self) -> bool: ...
    @property
    def stopping(self) -> str | None: ...
    @property
    def sharding(self) -> Sharding | None: ...
    @property
    def keeps_records(self) -> bool: ...


class _Priced(msgspec.Struct):
    cost: dict[str, Any]
    model: Any


class RunnerPool:
    """Executes one run at a time. ``memory``: bytes of address space that a runner process may have; ``access``: what its
    jobs may reach, which goes with each order. ``cluster``: where runs in several processes are executed, None for here.
    """

    def __init__(self, memory: int, access: Access) -> None:
        self.access = access
        self.cluster: ClusterAddress | None = None
        # A secret is read where the run opens, so its variable is there; what prices or judges sends nothing.
        hidden = hidden_variables(access, VARIABLES)
        self._command = Command("aurea_server.runner.program:start", memory, hidden)
        self._asking = replace(self._command, secrets=hidden | secret_variables(access))
        self._starting: asyncio.Task[SupervisedProcess] | None = None
        self._loading: SupervisedProcess | None = None
        self._idle: SupervisedProcess | None = None
        self._busy: SupervisedProcess | None = None
        self._judging, self._pricing, self._comparing = Turns(), Turns(), Turns()
        self._closed = False

    def warm(self) -> None:
        """Start a process where none is there or loading. To be called again now and then."""
        if self._closed or self._busy is not None or (self._idle is not None and self._idle.alive):
            return
        # A start that failed is tried again with the next call, one that succeeded has cleared the task.
        if self._starting is None or (self._starting.done() and (self._starting.cancelled() or self._has_failed())):
            self._starting = asyncio.create_task(self._start())

    def _has_failed(self) -> bool:
        task = self._starting
        return task is not None and task.done() and not task.cancelled() and task.exception() is not None

    async def _start(self) -> SupervisedProcess:
        process = self._loading = await SupervisedProcess.spawn(self._command)
        if self._closed:  # meanwhile: `kill_now` did not see this process
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
            # Shielded: a run that is cancelled while it waits must not take the process from the next one.
            await asyncio.shield(self._starting)
        assert self._idle is not None
        process, self._idle = self._idle, None
        return process

    async def execute(
        self, run: RunOrder, on_progress: Callable[[Snapshot], None], seconds: float, on_timeout: Callable[[], None]
    ) -> ExecutedRun:
        """Execute a run. ``on_timeout`` is called if that takes longer than ``seconds``, without the start of its process.

        Raises `ProcessFailed` where it came to no result.
        """
        process = self._busy = await self._take()
        deadline = asyncio.get_running_loop().call_later(seconds, on_timeout)
        reusable = False
        try:
            where = {"access": self.access.to_plain(), "cluster": self.cluster and self.cluster.to_plain()}
            executed = await execute_run(process, run, on_progress, where)
            # Whatever a package left in the process would be the next run's: threads, patches, a changed seed.
            reusable = executed.reusable and not run.foreign
            return executed
        finally:
            deadline.cancel()
            process.cancel_ladder()
            self._busy = None
            if reusable and process.alive and not self._closed:
                self._idle = process
            else:
                await process.kill()
                self.warm()

    def stop(self, run: RunOrder) -> None:
        """Stop the run that is executed. Where it waits for a process that loads, that has as long as any run to obey."""
        if self._busy is not None and run.stopping is not None:
            self._busy.stop(run.id, run.stopping)
        elif (loading := self._loading) is not None:
            asyncio.get_running_loop().call_later(STOP_PATIENCE + TERM_PATIENCE, self._give_up, loading)

    def _give_up(self, loading: SupervisedProcess) -> None:
        if self._loading is loading:
            loading.kill_now()

    async def judge(self, content: bytes, limits: Limits) -> Submission:
        """Judge a specification (JSON) that names other people's kinds, one at a time, in a process of its own.

        Raises `ProcessFailed`, also where they take longer than they may, or `Busy` where `MAX_JUDGED` are there already.
        """
        async with self._judging.turn(MAX_JUDGED), self._process() as process:
            order = {"judge": limits.jobs, "shared": limits.is_shared, "access": self.access.to_plain()}
            process.send_order(order, document=content)
            await process.answer("loaded", LOAD_SECONDS, "the package was not loaded")
            judged = await process.answer("judged", JUDGE_SECONDS, "the strategies did not answer")
        return _read_submission(judged)

    async def price(
        self, body: bytes, usage: object, records: Callable[[], Awaitable[bytes]], seconds: float = 30
    ) -> dict[str, Any]:
        """Price a stored run, one at a time, in a process of its own: a cost model may be anyone's.

        ``body``: JSON with the member ``cost``; the answer has ``cost`` and ``model``, that model in full. ``records`` are
        read when it is its turn. Raises `ProcessFailed`, or `Busy` where `MAX_PRICED` are there already.
        """
        async with self._pricing.turn(MAX_PRICED):
            content = await records()
            async with self._process() as process:
                process.send_order({"price": body, "usage": usage}, records=content)
                priced = await process.answer("priced", seconds, "the cost model did not answer")
        try:
            checked = msgspec.convert(priced, _Priced)
        except msgspec.ValidationError:
            raise ProcessFailed(MALFORMED) from None
        return {"cost": checked.cost, "model": checked.model}

    async def compare(self, order: Message, collect: Callable[[], Awaitable[dict[str, bytes]]]) -> dict[str, Any]:
        """Compare two stored runs, one pair at a time. ``collect``: what is stored of them, read when it is their turn.

        Raises `ProcessFailed`, or `Busy` where `MAX_COMPARED` are there already.
        """
        compared: dict[str, Any] = await self._ask({"compare": {**order, "page": False}}, "compared", collect)
        return compared

    async def draw(self, order: Message, collect: Callable[[], Awaitable[dict[str, bytes]]]) -> bytes:
        """What `stored_runs` draws by ``order``. It waits its turn with comparisons, and raises as those do."""
        drawn = await self._ask(order, "drawn", collect)
        if not isinstance(drawn, bytes):
            raise ProcessFailed(MALFORMED)
        return drawn

    async def _ask(self, order: Message, member: str, collect: Callable[[], Awaitable[dict[str, bytes]]]) -> Any:
        """The ``member`` of what a process of its own answers, to which the stored runs are sent with the order."""
        async with self._comparing.turn(MAX_COMPARED):
            attached = await collect()
            async with self._process() as process:
                process.send_order(order, **attached)
                return await process.answer(member, COMPARE_SECONDS, "there was no answer")

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[SupervisedProcess]:
        """A process for one question, of which nothing is left afterwards."""
        if self._closed:
            raise ProcessFailed(STOPPING)
        process = await SupervisedProcess.spawn(self._asking)
        try:
            await process.ready()
            yield process
        finally:
            await process.kill()

    def wind_down(self) -> None:
        """Start no process any more."""
        self._closed = True

    def kill_now(self) -> None:
        """End every process without waiting: the server itself ends."""
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


async def execute_run(
    process: SupervisedProcess, run: RunOrder, on_progress: Callable[[Snapshot], None], where: Message
) -> ExecutedRun:
    """Have ``process`` execute it. Raises `ProcessFailed` where it came to no result."""
    order = {"id": run.id, "spec": run.document, "foreign": run.foreign, "keeps_records": run.keeps_records, **where}
    if run.sharding is not None:
        order["sharding"] = run.sharding.to_plain()
    process.send_order(order)
    if run.stopping is not None:  # that was asked for while the process was being started
        process.stop(run.id, run.stopping)

    def take(message: Message, values: Pieces) -> ExecutedRun | None:
        if "progress" in message:
            on_progress(check_snapshot(msgspec.convert(message["progress"], Snapshot)))
            return None
        end = msgspec.convert(message["end"], RunEnd)
        return check_executed(end, values, run.id, run.stopping)

    return await process.converse(take, MAX_SENT)


def _read_submission(judged: Any) -> Submission:
    """What a process in which other people's code ran says that a specification is. Raises `ProcessFailed`."""
    try:
        document = msgspec.convert(judged, dict[str, Any])
        label = msgspec.convert(document["label"], Name | None)
        msgspec.json.encode(document)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        raise ProcessFailed(MALFORMED) from None
    return Submission(document, label, foreign=True)
