"""Jobs that a `CallbackPool` does: it is handed each of them, and calls back at its end."""

# The pool is third-party code, and its calls come from anywhere: from within `start`, from a callback of the event
# loop, or after the run is over. So each is checked, which costs tenths of a microsecond: a stamp from the future or an
# end that is told twice would make every figure of the run wrong, and no later check could find out which.
#
# Where the time goes. A request on a kept connection costs the kernel five microseconds, so what is done here for each job
# counts. A job that does nothing, with three marks and three measures, takes 1.9 µs of CPU time in a closed loop, with the
# figures at the end of the run.
# `ReportColumns.make_writer` says how its report is stored without being read.

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
from aurea_engine.workload.callbacks import CallbackPool, Done, StepTimes

_COMPLETED, _CANCELLED = int(Outcome.COMPLETED), int(Outcome.CANCELLED)
_ENDS = (_COMPLETED, FAILED, int(Outcome.TIMED_OUT))


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
        self._now = context.now
        pool.now, pool.record_step = context.now, self._record_step
        pool.number, pool.turn = context.recorder.number, context.recorder.turn
        pool.is_counted = context.recorder.is_counted
        pool.leaves_at, pool.leave = context.wait_limits.leaves_at, self._leave

    def open(self) -> None:
        clock, opened = self._context.clock.now, self._context.opened
        # A closure of two cells: a pool asks for the time three times a job, and a method costs half as much again.
        self._pool.now = self._now = lambda: clock() - opened
        self._pool.done = self._done = self._make_done()

    def start(self, jobs: Sequence[int], demands: Sequence[float], limits: Sequence[int]) -> None:
        recorder, begin, opening, running = self._context.recorder, self._pool.start, self._steps, self._running
        waits, now = self._context.wait_limits, self._now()
        # Where no job may leave the queue or be stopped, nobody asks when each was handed over: two reads of the clock and a
        # write a job are spared. The pool says at the end when the service really began.
        is_stamped, is_bounded, left = waits.anyone, waits.stops_service, None
        for job, demand, limit in zip(jobs, demands, limits, strict=True):
            if is_stamped:
                now = self._now()
                left = waits.left_ns(job, now) if is_bounded else None
                # It waits for a slot no longer.
                recorder.start(job, now)
            # Before the pool has it, since it may be done with it before it returns.
            running.add(job)
            if opening is not None:
                opening.open(job)
            try:
                begin(job, demand, None if limit == UNKNOWN else limit, None if left is None else now + left)
            except StrategyError:
                raise  # of `_break`: not the job's failure but the pool's
            except Exception as raised:  # noqa: BLE001 - as for a job that raises
                # It may have called back before it raised; then that was the job's end.
                if job in running:
                    self._done(job, now, self._now(), FAILED, error=name_failure(raised))

    def _make_done(self) -> Done:
        """The run's `Done`. It is called for every job, so its variables are cells of a closure. It starts nothing."""
        context, recorder, running, reader = self._context, self._context.recorder, self._running, self._reader
        ends, ring, forget = context.ends, context.bell.ring, self._running.discard
        write = None if reader is None else recorder.reports.make_writer(reader)

        def done(
            job: int,
            started: int,
            finished: int,
            outcome: int,
            marks: Sequence[int] = (),
            measures: Sequence[int] = (),
            error: str | None = None,
        ) -> None:
            if self._over:
                return  # what a pool says of a cancelled job is in no figure
            if job not in running:
                self._break(f"is done with job {job}, which it was not given, or twice")
            if not 0 <= started <= finished or outcome not in _ENDS:
                self._break(f"says that job {job} was in service from {started} to {finished}, with outcome {outcome}")
            # Before what may still raise below: this job has ended, and once, even if its report is refused.
            forget(job)
            if outcome == _COMPLETED:
                error = None
                # The pool did the work; a failure that the workload injects has no class.
                if recorder.plans_failures and recorder.planned_outcome(job) == FAILED:
                    outcome = FAILED
            if write is not None and (marks or measures):
                try:
                    write(job - recorder.base, marks, measures, started, finished)
                except InvalidReport as raised:
                    outcome, error = FAILED, name_failure(raised)
            if not ends:  # as `ExecutorContext.log_end`, without the call
                ring()
            ends.append((finished, job, started, outcome, error))

        return done

    def _leave(self, job: int) -> None:
        """``job`` waited too long for the pool's service."""
        context = self._context
        if job not in self._running:
            if self._over:
                return
            self._break(f"lets job {job} leave, which it was not given, or is done with")
        if not context.wait_limits.anyone:
            self._break(f"lets job {job} leave, and no job of this workload may")
        self._running.discard(job)
        if context.recorder.steps is not None:
            context.recorder.steps.cancel(job, NEVER)  # none of its steps was reached, and none could have been
        context.log_end(job, NEVER, self._now(), int(context.wait_limits.outcome_of_leaving(job)))

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
            right = intended <= released <= started <= finished and outcome in _ENDS
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
