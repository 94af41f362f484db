"""Jobs that are more than a timer, each as a task of its own: whatever one raises is its outcome, and never leaves here.

A job is *cancelled* only when the run is over. A `CancelledError` of its own (it cancelled its task, a child of it did, it
awaited something that was cancelled) is a failure like any other exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NS
from aurea_engine.run.patience import WaitLimits
from aurea_engine.run.plan import UNKNOWN
from aurea_engine.run.recorder import Recorder
from aurea_engine.workload.jobs import Run

GRACE = 2.0
"""Seconds that cancelled jobs have to end before they are left behind."""


class JobTasks:
    """The jobs of one run that run as tasks. ``now``: ns since the window opened; ``ended`` is told (at, job, outcome)."""

    def __init__(
        self, recorder: Recorder, waits: WaitLimits, now: Callable[[], int], ended: Callable[[int, int, int], None]
    ) -> None:
        self._recorder, self._wait_limits, self._now, self._ended = recorder, waits, now, ended
        self.running: dict[int, asyncio.Task[None]] = {}
        self._over = False

    def start(self, job: int, run: Run, demand: float, limit: int) -> None:
        """Begin ``job``, which may take ``limit`` ns (`UNKNOWN`: any time)."""
        self.running[job] = asyncio.create_task(self._serve(job, run, demand, limit))

    async def _serve(self, job: int, run: Run, demand: float, limit: int) -> None:
        recorder = self._recorder
        recorder.started[job - recorder.base] = started = self._now()
        outcome = recorder.abnormal.pop(job, int(Outcome.COMPLETED))
        if outcome == Outcome.TIMED_OUT:  # known to be too long; whether it really is shows when it runs
            outcome = int(Outcome.COMPLETED)
        error: str | None = None
        limits = (None if limit == UNKNOWN else limit, self._wait_limits.left_ns(job, started))
        most = min((ns for ns in limits if ns is not None), default=None)
        scope = asyncio.timeout(None if most is None else most / NS)
        try:
            async with scope:
                await run(demand)
        except BaseException as raised:  # noqa: BLE001 - whatever a job raises, sys.exit too, is its outcome
            outcome, error = int(Outcome.FAILED), type(raised).__name__
        if self._over:  # it was cancelled when the run was; what it did then is in no figure
            return
        if scope.expired():  # also when the job took no notice of being stopped
            outcome = int(Outcome.TIMED_OUT)
        elif error is not None:
            recorder.errors[error] += 1
        del self.running[job]
        self._ended(self._now(), job, outcome)

    async def cancel(self) -> None:
        """The run is over: stop what runs, and wait until it has ended, for `GRACE` seconds at most."""
        self._over = True
        tasks = list(self.running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
