"""Running a specification: picks the driver, makes the streams, the dispatcher and the recorder, and closes the result."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from time import perf_counter_ns

from aurea_engine.closed_sets import Outcome, Status
from aurea_engine.costs import Cost, Metering, RunInfo
from aurea_engine.errors import SpecError, StrategyError
from aurea_engine.records.batch import NS
from aurea_engine.results.checks import findings_so_far
from aurea_engine.results.observers import Observer, Observers, Progress
from aurea_engine.results.result import RunResult
from aurea_engine.results.run_state import Measured, Standing, heavy_tailed, latest_release
from aurea_engine.results.summarize import Ended, close
from aurea_engine.run.clock import Clock, MonotonicClock
from aurea_engine.run.context import RunContext
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.driver import pick_driver, step_to_end
from aurea_engine.run.environment import GarbageWatch, describe
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import Recorder
from aurea_engine.run.stop_conditions import StopConditions
from aurea_engine.spec import RunSpec
from aurea_engine.workload.jobs import Job, Run
from aurea_engine.workload.streams import Streams

PROGRESS_NS = NS // 2
"""Real time between two reports to observers."""


class Stop:
    """Ends a run from outside: hand it to `run`, keep it, and call `now` when the run must end with what it has."""

    def __init__(self) -> None:
        self.status: Status | None = None

    def now(self, status: Status = "cancelled") -> None:
        """End the run within a tenth of a second; the first status stands."""
        self.status = self.status or status


class _Desk:
    """One run's state that outlives its drivers: who watches, when to report, whether to stop."""

    def __init__(self, spec: RunSpec, observers: Iterable[Observer], stop: Stop | None) -> None:
        self.spec = spec if spec.seed is not None else replace(spec, seed=secrets.randbits(53))
        assert self.spec.seed is not None
        self.observers = Observers(observers)
        self.stop = stop or Stop()
        self.metering = Metering(self.spec.cost)
        self.live = bool(self.observers)
        self.recorder = Recorder(self.spec, self.metering, self.live)
        self.dispatcher = Dispatcher(self.spec.scheduler)
        self.plan = JobPlan(self.spec.workload, Streams(self.spec.seed), simulated=self.spec.clock == "virtual")
        self.started_at = datetime.now(UTC)  # noqa: TID251 - a label
        parts = (self.spec, self.plan, self.dispatcher, self.recorder)
        self.conditions = StopConditions.of(*parts, self.watch, lambda: self.started_at)
        self.measured: Callable[[int], Measured] = lambda _: Measured()
        self._reported = perf_counter_ns()

    def context(self, clock: Clock | None = None, runs: Sequence[Run | None] = ()) -> RunContext:
        """What the driver gets."""
        return RunContext(self.spec, self.plan, self.dispatcher, self.recorder, self.conditions, clock, runs)

    def watch(self, elapsed_ns: int) -> bool:
        """Called by the drivers now and then. Reports, and says whether to stop."""
        if self.live and perf_counter_ns() - self._reported >= PROGRESS_NS:
            self._reported = perf_counter_ns()
            self.recorder.digest()
            self.observers.on_progress(self.progress(elapsed_ns))
        return self.stop.status is not None

    def progress(self, elapsed_ns: int, result: RunResult | None = None) -> Progress:
        """The run as it stands; once there is a result, with its bill and its findings."""
        meters, dispatcher = self.recorder.meters, self.dispatcher
        response, service = meters.times["response_time"], meters.times["service_time"]
        elapsed = elapsed_ns / NS
        share = self._share_done(elapsed) if result is None or result.status != "completed" else 1.0
        bill = self._bill(elapsed_ns) if result is None else result.cost
        return Progress(
            elapsed=elapsed,
            arrived=dispatcher.arrived,
            in_flight=dispatcher.busy,
            queued=dispatcher.waiting,
            counts=dict(meters.counts),
            throughput=meters.counts[Outcome.COMPLETED] / elapsed if elapsed else 0.0,
            mean_latency=service.mean if service.count else None,
            p99=response.quantile(0.99) if response.count else None,
            utilization=dispatcher.busy / dispatcher.slots if self.spec.scheduler.slots else None,
            cost=None if bill is None else bill.total,
            bill=bill,
            fraction_done=share,
            time_left=elapsed * (1 - share) / share if share else None,
            findings=findings_so_far(self._standing(elapsed_ns, bill)) if result is None else result.findings,
            meters=meters,
        )

    def _share_done(self, elapsed: float) -> float | None:
        """The share of the workload that was released, by jobs or by time, times the share of those jobs that have ended."""
        workload, arrived = self.spec.workload, self.dispatcher.arrived
        released = [arrived / workload.jobs] if workload.jobs else []
        released += [elapsed / end for end in (workload.duration, workload.stop_at) if end]
        if not released:
            return None
        ended = sum(self.recorder.meters.counts.values()) / arrived if arrived else 1.0
        return min(max(released), 1.0) * min(ended, 1.0)

    def _bill(self, elapsed_ns: int) -> Cost | None:
        counts = dict(self.recorder.meters.counts)
        slots, day = self.spec.scheduler.slots, self.started_at
        return self.metering.bill_so_far(RunInfo(elapsed_ns, slots, counts, started_at=day))

    def _standing(self, elapsed_ns: int, bill: Cost | None) -> Standing:
        dispatcher = self.dispatcher
        due, released = latest_release(self.recorder, dispatcher.arrived)
        return Standing(
            spec=self.spec,
            elapsed=elapsed_ns / NS,
            meters=self.recorder.meters,
            dispatcher=dispatcher,
            measured=self.measured(elapsed_ns),
            cost_problem=None if bill is None else bill.problem,
            recorded=self.recorder.keep,
            heavy_tailed=self._heavy_tailed,
            due_ns=due,
            released_ns=released,
        )

    @cached_property
    def _heavy_tailed(self) -> bool:
        return heavy_tailed(self.spec)

    def finish(self, elapsed_ns: int, measured: Measured, benchmark_id: str | None) -> RunResult:
        """Close the books, and tell everybody what came of it."""
        if self.conditions.lost():
            self.stop.now("aborted")
        jobs = self.recorder.close()
        result = close(
            Ended(
                self.spec,
                benchmark_id or f"benchmark-{int(self.started_at.timestamp() * 1000)}",
                self.stop.status or "completed",
                self.started_at,
                elapsed_ns,
                self.recorder,
                self.dispatcher,
                self.plan,
                measured,
                jobs,
                None if self.conditions.aborts is None else self.conditions.aborts.lost,
            )
        )
        if self.observers:
            self.observers.on_progress(self.progress(elapsed_ns, result))
        return result


async def run(
    spec: RunSpec,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    benchmark_id: str | None = None,
    clock: Clock | None = None,
) -> RunResult:
    """Run ``spec`` by the clock it names, and return what came of it.

    A run in virtual time takes a thread of its own, so the event loop stays free. Cancelling the task ends the run without
    a result; `Stop` ends it with one. Raises `SpecError` for what cannot be run, `StrategyError` where a strategy breaks
    its contract; what jobs raise is their outcome and never comes here.
    """
    if spec.clock == "virtual":
        stop = stop or Stop()
        try:
            return await asyncio.to_thread(simulate, spec, observers, stop=stop, benchmark_id=benchmark_id)
        finally:
            stop.now()
    desk = _Desk(spec, observers, stop)
    async with AsyncExitStack() as opened:
        runs: list[Run | None] = [
            None if leaf.executor == "timers" else await opened.enter_async_context(_opened(leaf))
            for leaf in desk.spec.workload.job.leaves()
        ]
        elapsed, measured = await _drive(desk, runs, clock or MonotonicClock())
    return desk.finish(elapsed, measured, benchmark_id)


@asynccontextmanager
async def _opened(leaf: Job) -> AsyncIterator[Run]:
    """`Job.opened`, but a `CancelledError` of its own is a fault of the job and no wish that the run should end."""
    task = asyncio.current_task()
    assert task is not None
    asked = task.cancelling()
    try:
        async with leaf.opened() as run_one:
            yield run_one
    except asyncio.CancelledError as error:
        if task.cancelling() > asked:
            raise
        raise StrategyError(
            f"{type(leaf).__name__}.opened raised CancelledError though nobody had cancelled it"
        ) from error


async def _drive(desk: _Desk, runs: Sequence[Run | None], clock: Clock) -> tuple[int, Measured]:
    desk.observers.on_start(desk.spec)
    context = desk.context(clock, runs)
    stats = context.stats
    with GarbageWatch(hold=all(run is None for run in runs)) as garbage:

        def measured(elapsed_ns: int) -> Measured:
            busy = 1 - stats.waited_ns / elapsed_ns if elapsed_ns else 0.0
            return Measured(busy, stats.late_ns, garbage.total_ns, garbage.longest_ns)

        desk.measured = measured
        desk.started_at = datetime.now(UTC)  # noqa: TID251 - a label
        await pick_driver(desk.spec).drive(context)
    return stats.window_ns, replace(measured(stats.window_ns), environment=describe())


def simulate(
    spec: RunSpec,
    observers: Iterable[Observer] = (),
    *,
    stop: Stop | None = None,
    benchmark_id: str | None = None,
) -> RunResult:
    """Run ``spec`` in virtual time, whatever clock it names: the same figures, as fast as they can be worked out.

    The same specification and seed give bit-identical figures. Raises `NotSimulable` for a job whose demand is not known
    before it runs.
    """
    if spec.clock != "virtual":
        spec = replace(spec, clock="virtual")
    desk = _Desk(spec, observers, stop)
    desk.observers.on_start(desk.spec)
    stats = step_to_end(pick_driver(desk.spec).drive(desk.context()))
    return desk.finish(stats.window_ns, Measured(environment=describe()), benchmark_id)


def run_sync(spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None) -> RunResult:
    """`run` for a program without an event loop. uvloop runs it where it is installed."""
    if spec.clock == "virtual":
        return simulate(spec, observers, stop=stop)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(run(spec, observers, stop=stop))
    raise SpecError("run_sync was called inside a running event loop: await aurea_engine.run(spec) instead")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the fastest event loop there is: uvloop's where it is installed."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop
