"""Jobs that are coroutines, each as an asyncio task: whatever one raises is its outcome, and never leaves here.

A job is *cancelled* only when the run is over. What happens when one raises is in `job_exceptions`.
"""

# Where the time goes. A job that does nothing costs what its task costs, so this is the hottest code of a run of users'
# jobs. Measured on Python 3.13, an empty coroutine in a closed loop: 7.8 µs of CPU time a job with a task and a timeout
# scope each, 3.1 µs as it is here, of which the task and the two coroutines are 2.
#
# - *Eager start.* From Python 3.12 on a task may run its first step as it is made. A job that never waits ends within
#   `Tasks.start`: it is never scheduled, never in ``_running``, and needs no second look. One that waits goes on like any
#   task.
# - *No scope without a limit.* ``asyncio.timeout`` costs nearly as much as the task. Only jobs that have a limit, or are
#   in a run that has a deadline, get one.
# - *One closure for each run, none for each job.* What ``serve`` uses lives in cells, which are cheaper than attributes.
#
# What must not be saved: the task itself. A first step that ran in the pump's task would have the pump as its current
# task: its ``asyncio.timeout`` would cancel the pump, and what it set in context variables would be seen by every later
# job.

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NS
from aurea_engine.records.reports import ReportReader
from aurea_engine.run.executors.contract import End, Executor, ExecutorContext
from aurea_engine.run.executors.job_exceptions import FAILED, name_failure
from aurea_engine.run.plan import UNKNOWN
from aurea_engine.workload.jobs import Run

GRACE = 2.0
"""Seconds that cancelled jobs have to end before they are left behind."""

LONG_STEP = NS // 100
"""First steps that together take longer than this are timed one by one."""

_COMPLETED, _TIMED_OUT = int(Outcome.COMPLETED), int(Outcome.TIMED_OUT)

StartTask = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Tasks(Executor):
    """The jobs of one leaf. Made inside the running event loop, before the window opens."""

    def __init__(self, context: ExecutorContext, run: Run, reader: ReportReader | None = None) -> None:
        self._context, self._run, self._reader = context, run, reader
        self._running: dict[int, asyncio.Task[None]] = {}
        self._eager_task = find_eager_start(asyncio.get_running_loop())
        self._began = 0

    def open(self) -> None:
        self._begin = self._eager_task or asyncio.get_running_loop().create_task
        self._serve = self._make_serve()

    def start(self, jobs: Sequence[int], demands: Sequence[float], limits: Sequence[int]) -> None:
        serve, begin, running, recorder = self._serve, self._begin, self._running, self._context.recorder
        context, bounded, logged = self._context, self._context.wait_limits.stops_service, len(self._context.ends)
        self._began = first = context.now()
        for job, demand, limit in zip(jobs, demands, limits, strict=True):
            # Never raises: whatever the job does in an eager first step is caught in the coroutines below.
            if limit == UNKNOWN and not bounded:
                task = begin(serve(job, demand))
            else:
                task = begin(self._serve_within(job, demand, limit))
            if not task.done():
                running[job] = task
                # Registered only now, so that a job that is done needs no entry. The event loop holds tasks weakly: this
                # is also what keeps it alive. An eager one has just said when it began. Any other has not begun: it is in
                # service from the stamp of this batch on, and its first step will say when it really was.
                recorder.start(job, self._began)
        if self._eager_task is not None and (now := context.now()) - first > LONG_STEP:
            self._note_longest_step(jobs, context.ends[logged:], now)

    def _note_longest_step(self, jobs: Sequence[int], ends: Sequence[End], now: int) -> None:
        """The first steps of these eager tasks took long: the longest of them blocked the event loop for as long."""
        # Elsewhere the pump notices a blocked loop by waking late. A first step runs within its turn, while it waits for
        # nothing. Steps follow one another, so each lasted until the next began, and no job pays for a stamp more.
        recorder = self._context.recorder
        waiting = [recorder.started[job - recorder.base] for job in jobs if job in self._running]
        began = sorted([*waiting, *(began for _, _, began, *_ in ends), now])
        longest = max(until - since for since, until in pairwise(began))
        self._context.stats.late_ns = max(self._context.stats.late_ns, longest)

    def _make_serve(self) -> Callable[[int, float], Coroutine[Any, Any, None]]:
        """What does one job that has no limit."""
        context, run, reader, eager = self._context, self._run, self._reader, self._eager_task is not None
        clock, opened, ends, ring = context.clock.now, context.opened, context.ends, context.bell.ring
        running, recorder = self._running, context.recorder
        start = recorder.start

        async def serve(job: int, demand: float) -> None:
            self._began = began = clock() - opened
            if not eager:  # else `start` above writes it down, for those that did not end at once
                start(job, began)
            try:
                returned = await run(demand)
                # The first thing after the job: what follows is ours, and no service.
                finished = clock() - opened
                if reader is not None:  # what makes no sense raises, and so fails the job as anything that it raises
                    recorder.report(job, reader.declared, reader.read(returned, opened, began, finished))
            # Everything: see `job_exceptions`. A GeneratorExit is the job's own as well: nobody closes this coroutine but an
            # interpreter that shuts down.
            except BaseException as raised:  # noqa: BLE001
                self._end(job, began, FAILED, raised)
                return
            # Empty if all jobs end in their first step.
            if running:
                running.pop(job, None)
            if not ends:  # as `ExecutorContext.log_end`, without the call
                ring()
            ends.append(
                (finished, job, began, self._planned_outcome(job) if recorder.plans_failures else _COMPLETED, None)
            )

        return serve

    async def _serve_within(self, job: int, demand: float, limit: int) -> None:
        """The same for a job that may take ``limit`` ns, or that has a deadline."""
        context = self._context
        self._began = began = context.now()
        if self._eager_task is None:
            context.recorder.start(job, began)
        limits = (None if limit == UNKNOWN else limit, context.wait_limits.left_ns(job, began))
        most = min((ns for ns in limits if ns is not None), default=None)
        # The scope cancels the task, and turns that one cancellation into a TimeoutError. It counts requests: one of the
        # job's own that comes with it stays a CancelledError, and a failure.
        scope = asyncio.timeout(None if most is None else most / NS)
        failure: BaseException | None = None
        try:
            async with scope:
                returned = await self._run(demand)
            if (reader := self._reader) is not None:
                values = reader.read(returned, context.opened, began, context.now())
                context.recorder.report(job, reader.declared, values)
        except BaseException as raised:  # noqa: BLE001 - as in ``serve``
            failure = raised
        if scope.expired():  # also when the job took no notice of being stopped
            self._end(job, began, _TIMED_OUT)
        elif failure is not None:
            self._end(job, began, FAILED, failure)
        else:
            self._end(job, began, self._planned_outcome(job))

    def _planned_outcome(self, job: int) -> int:
        """How a job ends that did its work: as completed, or as the failure that the workload injects.

        One that was planned to time out was known to be too long; whether it really is shows when it runs.
        """
        planned = self._context.recorder.planned_outcome(job)
        return _COMPLETED if planned == _TIMED_OUT else planned

    def _end(self, job: int, began: int, outcome: int, raised: BaseException | None = None) -> None:
        """Log it. Once the run is over nobody reads the log: the job was cancelled, whatever it did then."""
        finished = self._context.now()
        self._running.pop(job, None)
        self._context.log_end(job, began, finished, outcome, None if raised is None else name_failure(raised))

    def give_up(self) -> list[int]:
        return list(self._running)

    async def stop(self) -> None:
        """Cancel what runs, and wait until it has ended, for `GRACE` seconds at most."""
        # A copy: tasks leave ``_running`` as they end. One that takes no notice is left behind; the one who closes the event
        # loop cancels it again.
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)


def find_eager_start(loop: asyncio.AbstractEventLoop) -> StartTask | None:
    """What makes tasks of ``loop`` that run their first step as they are made; None if nothing does.

    It is tried out, since more than a version decides it. A loop with a task factory makes its tasks in a way of its own,
    which is left to it.
    """
    start = _make_eager_start(loop)
    return start if start is not None and start(_do_nothing()).done() else None


async def _do_nothing() -> None:
    pass


def _make_eager_start(loop: asyncio.AbstractEventLoop) -> StartTask | None:
    if sys.version_info >= (3, 12):
        if loop.get_task_factory() is not None:
            return None
        task = asyncio.Task

        # By the class itself: `loop.create_task(..., eager_start=True)` is silently not eager on 3.12.1, and
        # `asyncio.eager_task_factory` raises on 3.13.0. The arguments are spelt out: `partial` and `**kwargs` would build
        # a dictionary for each job. The task copies the context, so what a job sets there, eagerly too, stays with it.
        def start(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            return task(coroutine, loop=loop, eager_start=True)

        return start
    return None
