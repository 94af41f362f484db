"""Jobs that a `CallbackPool` does: it is handed each of them, and calls back at its end."""

# The pool is third-party code, and its calls come from anywhere: from within `start`, from a callback of the event
# loop, or after the run is over. So each is checked, which costs tenths of a microsecond: a stamp from the future or an
# end that is told twice would make every figure of the run wrong, and no later check could find out which.

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from aurea_engine.closed_sets import Outcome
from aurea_engine.errors import InvalidReport, StrategyError
from aurea_engine.records.batch import NEVER
from aurea_engine.records.reports import ReportReader
from aurea_engine.run.executors.contract import Executor, ExecutorContext
from aurea_engine.run.executors.job_exceptions import FAILED, name_failure
from aurea_engine.run.plan import UNKNOWN
from aurea_engine.run.step_columns import LeafSteps
from aurea_engine.workload.callbacks import CallbackPool, StepTimes

_COMPLETED, _TIMED_OUT, _CANCELLED = int(Outcome.COMPLETED), int(Outcome.TIMED_OUT), int(Outcome.CANCELLED)


class Callbacks(Executor):
    """The jobs of one leaf, done by ``pool``."""

    def __init__(
        self,
        context: ExecutorContext,
        pool: CallbackPool,
        reader: ReportReader | None = None,
        steps: LeafSteps | None = None,
    ) -> None:
        self._context, self._pool, self._reader, self._steps = context, pool, reader, steps
        self._running: set[int] = set()
        self._over = False
        pool.now, pool.done, pool.record_step = context.now, self._done, self._record_step
        pool.number, pool.turn = context.recorder.number, context.recorder.turn

    def start(self, jobs: Sequence[int], demands: Sequence[float], limits: Sequence[int]) -> None:
        context, running, begin = self._context, self._running, self._pool.start
        for job, demand, limit in zip(jobs, demands, limits, strict=True):
            now = context.now()
            left = context.wait_limits.left_ns(job, now)
            # It waits for a slot no longer; the pool will say when its service really began.
            context.recorder.start(job, now)
            # Before the pool has it, since it may be done with it before it returns.
            running.add(job)
            if self._steps is not None:
                self._steps.open(job)
            try:
                begin(job, demand, None if limit == UNKNOWN else limit, None if left is None else now + left)
            except StrategyError:
                raise  # of `_break`: not the job's failure but the pool's
            except Exception as raised:  # noqa: BLE001 - as for a job that raises
                # It may have called back before it raised; then that was the job's end.
                if job in running:
                    self._done(job, now, context.now(), FAILED, error=name_failure(raised))

    def _done(
        self,
        job: int,
        started: int,
        finished: int,
        outcome: int,
        marks: Sequence[int] = (),
        measures: Sequence[int] = (),
        error: str | None = None,
    ) -> None:
        """`Done`: hot, since it is called for every job. It logs, and starts nothing."""
        if self._over:
            return  # what a pool says of a cancelled job is in no figure
        if job not in self._running:
            self._break(f"is done with job {job}, which it was not given, or twice")
        if not 0 <= started <= finished or outcome not in (_COMPLETED, FAILED, _TIMED_OUT):
            self._break(f"says that job {job} was in service from {started} to {finished}, with outcome {outcome}")
        # Before what may still raise below: whatever becomes of its report, this job has ended, and once.
        self._running.discard(job)
        planned = self._context.recorder.planned_outcome(job)
        if outcome == _COMPLETED:
            error = None
        # The pool did the work; a failure that the workload injects is of no class, and one of the job's own is its own.
        if outcome == _COMPLETED and planned == FAILED:
            outcome, error = FAILED, None
        if self._reader is not None and (marks or measures):
            try:
                # Its instants count from the opening of the window already, unlike those of a coroutine.
                values = self._reader.read_parts(marks, measures, started, finished)
                self._context.recorder.report(job, self._reader.declared, values)
            except InvalidReport as raised:
                outcome, error = FAILED, name_failure(raised)
        self._context.log_end(job, started, finished, outcome, error)

    def _record_step(
        self,
        job: int,
        step: int,
        times: StepTimes,
        outcome: int,
        marks: Sequence[int] = (),
        measures: Sequence[int] = (),
        error: str | None = None,
    ) -> None:
        """`StepDone`: its rows wait with the job, and are decided with it (`aurea_engine.run.step_columns`)."""
        if job not in self._running:
            if self._over:
                return
            self._break(f"has ended a step of job {job}, which it was not given, or is done with")
        if self._steps is None:
            self._break("has ended a step, and the steps() of its job names none")
        intended, released, started, finished = times
        if step == 0:
            # Nobody but the run knows when the job was meant to start.
            recorder = self._context.recorder
            row = job - recorder.base
            intended, released = recorder.intended[row], recorder.released[row]
        if self._over:
            # It is being given up: the instant at which it is cancelled is the run's to say.
            right = outcome == _CANCELLED and intended <= released and (started == NEVER or released <= started)
            finished = NEVER
        else:
            right = intended <= released <= started <= finished and outcome in (_COMPLETED, FAILED, _TIMED_OUT)
        if not right:
            self._break(f"says that step {step} of job {job} was in service from {started} to {finished}")
        exact = (intended, released, started, finished)
        if wrong := self._steps.record(job, step, exact, outcome, (marks, measures), error):
            self._break(wrong)

    def _break(self, how: str) -> NoReturn:
        """Raised twice: here, where the pool's author sees it, and by the pump, since a callback's exception goes no further
        than the event loop.
        """
        self._context.broken = StrategyError(f"{type(self._pool).__name__} {how}")
        self._context.bell.ring()
        raise self._context.broken

    def give_up(self) -> list[int]:
        # First: a pool may call back as it cancels.
        self._over = True
        recorder, jobs = self._context.recorder, list(self._running)
        for job in jobs:
            # The stamp of `start` was when the pool took it; one that still waits there never began.
            began = self._pool.cancel(job)
            recorder.start(job, NEVER if began is None else began)
            self._running.discard(job)
        return jobs
