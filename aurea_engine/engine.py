"""Running a specification: execute it, which gives the run's parts, and summarize them, which gives its result.

`execute` is all that a process or a machine does for a run or for a shard of one: it draws the plan, lets the driver that
fits carry the jobs through, and puts what was measured into a value, `RunParts`. What follows is computed from that value
alone, by `summarize`. So `run` and `simulate` are execute and summarize, one after the other, and no more.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from time import perf_counter_ns
from typing import Protocol

from aurea_engine.closed_sets import Status
from aurea_engine.errors import SpecError, StrategyError
from aurea_engine.records.batch import NS
from aurea_engine.results.observers import Observer, Observers
from aurea_engine.results.progress import ProgressReports
from aurea_engine.results.result import RunResult
from aurea_engine.results.summarize import summarize
from aurea_engine.run.clock import Clock, MonotonicClock, wait_until
from aurea_engine.run.driver import pick_driver, step_to_end
from aurea_engine.run.environment import GarbageWatch
from aurea_engine.run.execution import Execution
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Shard
from aurea_engine.spec import RunSpec
from aurea_engine.workload.access import LOCAL_USER, Access
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.jobs import Job, OpenedJob

# Often enough for eyes, seldom enough that a report (some hundred microseconds) is lost in what a run does meanwhile.
PROGRESS_NS = NS // 2
"""Real time between two reports to observers."""

# The reports of several shards become one of the whole run, and objectives that end the run are judged by it. With twice as
# many, that is at most half a second late.
PROGRESS_OF_SHARD_NS = PROGRESS_NS // 2
"""The same in a shard that starts together with others."""

WHOLE = Shard()


class Stop:
    """Ends a run from outside: hand it to `run`, keep it, and call `now` when the run must end with what it has."""

    def __init__(self) -> None:
        self.status: Status | None = None

    def now(self, status: Status = "cancelled") -> None:
        """End the run within a tenth of a second; the first status stands."""
        # Safe from any thread and from a signal handler: one attribute is set, and the driver looks at it now and then.
        self.status = self.status or status


class StartGate(Protocol):
    """**Protocol:** holds a run in real time back between the set-up of its jobs and the opening of its window, so that the
    shards of a run start together. ``processes``: so many of them run on this machine, this one included.
    """

    processes: int

    async def pass_when_open(self) -> int | None:
        """Called once, when all jobs are set up. Returns the instant of the machine's monotonic clock, in ns, at which the
        window opens; None if the run was stopped before there was one.
        """


class _Watch:
    """Who looks at a run from outside, while it goes on: observers, who are told, and a `Stop`, which is obeyed. ``access``
    is what the run's jobs may reach; ``start`` holds it back until all shards are ready.
    """

    def __init__(
        self,
        spec: RunSpec,
        observers: Iterable[Observer],
        stop: Stop | None,
        access: Access,
        start: StartGate | None = None,
    ) -> None:
        self.spec = spec if spec.seed is not None else replace(spec, seed=secrets.randbits(53))
        self.observers, self.stop, self.access = Observers(observers), stop or Stop(), access
        self.start, self._interval_ns = start, PROGRESS_NS if start is None else PROGRESS_OF_SHARD_NS
        self._reports = ProgressReports.of(self.spec) if self.observers else None
        self._reported = perf_counter_ns()

    def look(self, execution: Execution, elapsed_ns: int) -> bool:
        """Reports if it is time, and says whether the run must stop. Observers are told by real time, whatever the clock."""
        if self._reports is not None and perf_counter_ns() - self._reported >= self._interval_ns:
            self._reported = perf_counter_ns()
            parts = execution.take_snapshot(elapsed_ns)
            self.observers.on_parts(parts)
            self.observers.on_progress(self._reports.report(parts, recorded=execution.is_recording))
        return self.stop.status is not None

    def describe_setup(self, execution: Execution, leaf: int) -> JobSetup:
        """What the leaf of this position is told when it is set up."""
        return replace(execution.describe_setup(leaf), processes=1 if self.start is None else self.start.processes)

    def close(self, execution: Execution) -> RunParts:
        """The driver is done: the parts. A lost objective ended the run, unless something else had."""
        if execution.context.conditions.lost():
            self.stop.now("aborted")
        parts = execution.close(self.stop.status or "completed")
        self.observers.on_parts(parts)
        return parts

    def summarize(self, parts: RunParts, benchmark_id: str | None) -> RunResult:
        """The result, which observers are told of too."""
        result = summarize(self.spec, parts, benchmark_id=benchmark_id)
        if self._reports is not None:
            self.observers.on_progress(self._reports.report_end(parts, result))
        return result


def execute(
    spec: RunSpec,
    shard: Shard = WHOLE,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    access: Access = LOCAL_USER,
    start: StartGate | None = None,
) -> RunParts:
    """Run ``spec``, or one shard of it, and return what was measured: `summarize` makes the result of it.

    Blocks until the run has ended, by the clock that ``spec`` names. `Shard` says what cannot be run in shards. ``access``:
    what its jobs may reach. ``start``: when the window opens, in real time. Raises as `run` does.
    """
    # Before a seed is drawn: shards that draw their own would each run another workload.
    shard.check(spec)
    return _execute(_Watch(spec, observers, stop, access, start), shard)


def _execute(watch: _Watch, shard: Shard) -> RunParts:
    if watch.spec.clock == "virtual":
        return _simulate(watch, shard)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_drive(watch, shard, MonotonicClock()))
    raise SpecError("a run in real time needs the event loop to itself: await aurea_engine.run(spec) instead")


def _simulate(watch: _Watch, shard: Shard) -> RunParts:
    execution = Execution(watch.spec, shard, watch.look, live=bool(watch.observers), access=watch.access)
    watch.observers.on_start(watch.spec)
    step_to_end(pick_driver(watch.spec).drive(execution.context))
    return watch.close(execution)


async def _drive(watch: _Watch, shard: Shard, clock: Clock) -> RunParts:
    execution = Execution(watch.spec, shard, watch.look, live=bool(watch.observers), access=watch.access)
    # What jobs open (pools, worker processes) is closed after the window, whatever ended the run, a cancellation too.
    async with AsyncExitStack() as opened:
        runs: list[OpenedJob | None] = [
            None
            if leaf.executor == "timers"
            else await opened.enter_async_context(_opened(leaf, watch.describe_setup(execution, number)))
            for number, leaf in enumerate(watch.spec.workload.job.leaves())
        ]
        watch.observers.on_start(watch.spec)
        opens_at = None
        if watch.start is not None:
            execution.tell_of_process()  # also if it is stopped before it begins
            opens_at = await watch.start.pass_when_open()
            if opens_at is None:
                return watch.close(execution)
        # Where the engine alone makes objects, it makes no cycles, and a collection would only hold jobs up.
        with GarbageWatch(hold=all(run is None for run in runs)) as garbage:
            if opens_at is not None:
                await wait_until(clock, opens_at)
            await pick_driver(watch.spec).drive(execution.open_window(clock, runs, garbage, opens_at))
        return watch.close(execution)


@asynccontextmanager
async def _opened(leaf: Job, setup: JobSetup) -> AsyncIterator[OpenedJob]:
    """`Job.opened_in`, but a `CancelledError` of its own is a fault of the job and no wish that the run should end."""
    task = asyncio.current_task()
    assert task is not None
    # Hazard: a job's own CancelledError looks just like that of a caller who cancels the run. Only the count of requests
    # tells them apart: it rises on request, and never when a job raises.
    asked = task.cancelling()
    try:
        async with leaf.opened_in(setup) as run_one:
            yield run_one
    except asyncio.CancelledError as error:
        if task.cancelling() > asked:
            raise
        raise StrategyError(
            f"{type(leaf).__name__}.opened raised CancelledError though nobody had cancelled it"
        ) from error


async def run(
    spec: RunSpec,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    benchmark_id: str | None = None,
    clock: Clock | None = None,
    access: Access = LOCAL_USER,
) -> RunResult:
    """Run ``spec`` by the clock it names, and return the run's result. ``access``: what its jobs may reach.

    A run in virtual time takes a thread of its own, so the event loop stays free. Cancelling the task ends the run without
    a result; `Stop` ends it with one. Raises `SpecError` for what cannot be run, `StrategyError` if a strategy breaks
    its contract; what jobs raise is their outcome and never comes here.
    """
    if spec.clock == "virtual":
        # A thread cannot be cancelled: if this task is, the run in the thread is told to stop, and its result is dropped.
        stop = stop or Stop()
        try:
            return await asyncio.to_thread(
                simulate, spec, observers, stop=stop, benchmark_id=benchmark_id, access=access
            )
        finally:
            stop.now()
    watch = _Watch(spec, observers, stop, access)
    return watch.summarize(await _drive(watch, WHOLE, clock or MonotonicClock()), benchmark_id)


def simulate(
    spec: RunSpec,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    benchmark_id: str | None = None,
    access: Access = LOCAL_USER,
) -> RunResult:
    """Run ``spec`` in virtual time, whatever clock it names: the same figures, as fast as they can be computed.

    ``access`` is taken as by `run`, but in virtual time no job reaches for anything. The same specification and seed give
    bit-identical figures. Raises `NotSimulable` for a job whose demand is not known before it runs.
    """
    if spec.clock != "virtual":
        spec = replace(spec, clock="virtual")
    watch = _Watch(spec, observers, stop, access)
    return watch.summarize(_simulate(watch, WHOLE), benchmark_id)


def run_sync(
    spec: RunSpec,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    access: Access = LOCAL_USER,
) -> RunResult:
    """`run` for a program without an event loop. uvloop runs it where it is installed."""
    if spec.clock == "virtual":
        return simulate(spec, observers, stop=stop, access=access)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(run(spec, observers, stop=stop, access=access))
    raise SpecError("run_sync was called inside a running event loop: await aurea_engine.run(spec) instead")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the fastest event loop there is: uvloop's where it is installed."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop
