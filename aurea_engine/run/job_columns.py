"""The columns of a run: what drivers write, and the only place in which it is written."""

# How a row lives. A block of the plan makes rows (`extend`), one for each of its jobs. A driver then tells what happens to a
# job, and each method is one event of its life:
#
#     arrive   it was released                     arrive_all   many, in order of arrival
#     serve    it starts, for its planned time     serve_many, serve_block
#     start    it starts; its end is not known
#     finish   it has ended                        finish_all, finish_as_planned
#     reject, leave, cancel: it has ended without having been served to its end     write
#
# The events of the last two lines give the job its outcome and log it in ``done``. Nothing is written after that.
#
# Before its time, a cell holds what is planned, so that a record takes no byte more than it needs in the end (33 of them;
# ten million jobs are 330 MB):
#
# - ``finished`` holds the *service time* until the job starts in virtual time, or ends in real time.
# - ``outcome`` holds the *planned outcome*, with the bit `PENDING`, until the job ends. So "has it ended?" is one
#   comparison, and a block of jobs that end as planned loses its bit in one vector operation.
#
# Rows are counted from ``base``. While records are kept, ``base`` stays 0. Where they are not, rows are dropped up to the
# first job that is still in the system (`forget`): memory follows the number of jobs in the system, not of those that came.
# So a job's number is not its row; every method takes numbers, and who reads a column must subtract ``base`` anew after
# anything that may digest.
#
# Hazard: a numpy view of a growing array forbids it to grow (BufferError). Views are made, used and dropped in one
# expression or function, and never kept.

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NEVER, Instants, JobBatch, Outcomes
from aurea_engine.records.measures import Mark, Measure
from aurea_engine.run.failure_column import FailureColumn
from aurea_engine.run.plan import Block
from aurea_engine.run.report_columns import ReportColumns
from aurea_engine.run.shard import Shard
from aurea_engine.run.step_columns import StepColumns
from aurea_engine.spec import KEPT_JOBS, RunSpec

PENDING = 0x80
"""Set in the outcome of a job that has not ended; the other bits say how it will, if nothing comes between."""

# Plain numbers: the hot methods store them millions of times, and storing a member of an enumeration costs twice as much.
_REJECTED, _CANCELLED = int(Outcome.REJECTED), int(Outcome.CANCELLED)


class JobColumns:
    """The columns of one run, as they grow. ``keep`` may turn False under way, when the run outgrows `KEPT_JOBS`."""

    def __init__(self, spec: RunSpec, shard: Shard | None = None) -> None:
        self.intended, self.released = array("q"), array("q")
        self.started, self.finished = array("q"), array("q")
        self.outcome = bytearray()
        self.patience = array("q")
        # Of jobs whose leaf asks for it, else empty.
        self._turns = array("q")
        self._shard = shard or Shard()
        self.base = 0
        # The jobs that have ended and were not digested yet, in the order of their ends.
        self.done = array("q")
        self.plans_failures = False
        """Whether any job so far is planned to end otherwise than as completed."""
        self._failures = FailureColumn()
        self.keep = spec.keep_jobs
        # A run keeps its records or drops them as a whole, and it must not depend on the number of shards which.
        self._most_kept = self._shard.count_of(KEPT_JOBS)
        self.reports = ReportColumns(spec.workload.job)
        self._has_reports = bool(self.reports.schema)
        self.steps = StepColumns(spec, shard) if spec.workload.schema.steps else None

    def extend(self, block: Block) -> None:
        """Rows for the jobs of ``block``: in the open model they are meant to arrive, and to be released, as it says.

        Until a job starts, ``finished`` holds its service time; until it ends, ``outcome`` holds the planned one, marked as
        `PENDING`. So a record takes no byte more than it has to in the end.
        """
        n = len(block)
        never = np.full(n, NEVER, np.int64).tobytes()
        intended = never if block.intended is None else block.intended.tobytes()
        self.intended.frombytes(intended)
        self.released.frombytes(intended)
        self.started.frombytes(never)
        self.finished.frombytes(block.service.tobytes())
        if block.patience is not None:
            self.patience.frombytes(block.patience.tobytes())
        if block.turn is not None:
            self._turns.frombytes(block.turn.tobytes())
        self.outcome.extend((block.outcome | PENDING).tobytes())
        if not self.plans_failures and (block.outcome != Outcome.COMPLETED).any():
            self.plans_failures = True
        if self._has_reports:
            self.reports.extend(block)
        self._failures.extend(n)
        if len(self.outcome) > self._most_kept:
            self.keep = False
        if self.steps is not None and (not self.keep or len(self.outcome) > self.steps.most_jobs_kept):
            self.steps.drop_records()

    def arrive(self, job: int, intended: int, released: int) -> None:
        """``job``, which was meant to arrive at ``intended``, was released."""
        row = job - self.base
        self.intended[row] = intended
        self.released[row] = released

    def arrive_all(self, first: int, intended: list[int], released: list[int]) -> None:
        """`arrive` for consecutive jobs, from number ``first`` on."""
        row = first - self.base
        if len(intended) == 1:  # nearly always in the open model, and a slice costs more
            self.intended[row], self.released[row] = intended[0], released[0]
            return
        rows = slice(row, row + len(intended))
        self.intended[rows] = array("q", intended)
        self.released[rows] = array("q", released)

    def start(self, job: int, at: int) -> None:
        """``job`` enters service; `finish` will say when it ended. Called again, the later instant stands."""
        self.started[job - self.base] = at

    def serve(self, job: int, at: int) -> int:
        """``job`` enters service for its planned service time. Returns the instant at which that ends."""
        row = job - self.base
        self.started[row] = at
        finished = self.finished
        finished[row] = end = at + finished[row]
        return end

    def serve_many(self, jobs: Instants, at: Instants) -> None:
        """`serve` for many, job by job. Raises `OverflowError` if an end is out of an instant's reach."""
        self._serve_rows(jobs - self.base, at)

    def serve_block(self, first: int, at: Instants) -> None:
        """`serve_many` for jobs in order of arrival, from number ``first`` on."""
        self._serve_rows(slice(first - self.base, first - self.base + len(at)), at)

    def _serve_rows(self, rows: Instants | slice, at: Instants) -> None:
        finished = np.frombuffer(self.finished, np.int64)
        ends = at + finished[rows]
        # Both are less than 2**63, so a sum out of reach wraps round to a negative number.
        if (ends < at).any():
            raise OverflowError
        finished[rows] = ends
        np.frombuffer(self.started, np.int64)[rows] = at

    def service_ns(self, job: int) -> int:
        """The planned service time of ``job``, which has not started yet (`UNKNOWN`: it is not known)."""
        return self.finished[job - self.base]

    def limit_service(self, job: int, service_ns: int) -> None:
        """``job``, which is about to start, is stopped after so long: it then times out."""
        self.finished[job - self.base] = service_ns
        self.outcome[job - self.base] = PENDING | Outcome.TIMED_OUT

    def planned_outcome(self, job: int) -> int:
        """How ``job``, which has not ended, will end if nothing comes between."""
        return self.outcome[job - self.base] & ~PENDING

    def number(self, job: int) -> int:
        """The number of ``job`` in the whole run, over all shards."""
        return self._shard.index + self._shard.of * job

    def turn(self, job: int) -> int:
        """The number of ``job``, which has not ended, among those of its leaf in the whole run."""
        return self._turns[job - self.base]

    def waits(self, job: int) -> bool:
        """Whether ``job``, which has arrived, has neither started nor ended."""
        row = job - self.base
        return row >= 0 and self.outcome[row] >= PENDING and self.started[row] < 0

    def finish(self, job: int, at: int, outcome: int) -> None:
        """``job`` was in service until ``at``."""
        row = job - self.base
        self.finished[row] = at
        self.outcome[row] = outcome
        self.done.append(job)

    def finish_all(self, ends: Sequence[tuple[int, int, int, int, str | None]]) -> None:
        """`start` and `finish` for many jobs, in the order in which they ended: (finished, job, started, outcome, class of
        the failure).
        """
        finished, jobs, started, outcomes, errors = zip(*ends, strict=True)
        row, n = jobs[0] - self.base, len(jobs)
        if jobs == tuple(range(jobs[0], jobs[0] + n)):
            # Jobs that do not wait for anything end in the order in which they came: their rows are written in one piece.
            rows = slice(row, row + n)
            self.started[rows], self.finished[rows] = array("q", started), array("q", finished)
            self.outcome[rows] = bytes(outcomes)
        else:
            for at, job, began, outcome, _ in ends:
                row = job - self.base
                self.started[row], self.finished[row], self.outcome[row] = began, at, outcome
        self.done.extend(jobs)
        if self.steps is not None:
            self.steps.end_all(jobs)
        if any(errors):
            for job, error in zip(jobs, errors, strict=True):
                if error is not None:
                    self._failures.write(job - self.base, len(self.outcome), error)

    def finish_as_planned(self, jobs: array[int] | Instants) -> None:
        """These, which have started, have ended when they were to end: ``jobs`` in the order of their ends."""
        numbers = np.asarray(jobs, np.int64)
        np.frombuffer(self.outcome, np.uint8)[numbers - self.base] &= PENDING - 1
        self.done.frombytes(numbers.tobytes())

    def report(self, job: int, declared: Iterable[Mark | Measure], values: Iterable[int]) -> None:
        """``job``, which is in service, says what it has seen: a value for each of ``declared``, `NEVER` for none."""
        self.reports.write(job - self.base, declared, values)

    def row(self, job: int) -> JobBatch:
        """The record of ``job``, which has ended, as a batch of one."""
        row = job - self.base
        return self.select(slice(row, row + 1))

    def reject(self, job: int) -> None:
        """There was no room for ``job``."""
        row = job - self.base
        self.finished[row] = NEVER
        self.outcome[row] = _REJECTED
        self.done.append(job)

    def leave(self, job: int, at: int, outcome: int) -> None:
        """``job`` waited until ``at``, and left the queue."""
        self.finish(job, at, outcome)

    def cancel(self, job: int, finished: int) -> None:
        """``job`` was stopped in service at ``finished``, or while it waited (`NEVER`)."""
        self.finish(job, finished, _CANCELLED)
        if self.steps is not None:
            self.steps.cancel(job, finished)

    def write(self, jobs: Instants, started: Instants, finished: Instants, outcomes: Outcomes | Outcome) -> None:
        """How many jobs ended, in that order; `NEVER` where one did not start. ``outcomes``: of each, or one of all."""
        rows = jobs - self.base
        np.frombuffer(self.started, np.int64)[rows] = started
        np.frombuffer(self.finished, np.int64)[rows] = finished
        np.frombuffer(self.outcome, np.uint8)[rows] = outcomes
        self.done.frombytes(jobs.tobytes())

    def select(self, rows: Instants | slice) -> JobBatch:
        """The records of ``rows``, whose jobs have all ended; copies, since the columns may grow."""

        def column(values: array[int]) -> Instants:
            return np.frombuffer(values, np.int64)[rows].copy()

        started, outcome = column(self.started), np.frombuffer(self.outcome, np.uint8)[rows].copy()
        reported = self.reports.select(rows, started, outcome)
        return JobBatch(
            column(self.intended),
            column(self.released),
            started,
            column(self.finished),
            outcome,
            *reported,
            *self._failures.select(rows, outcome),
        )

    def select_ended(self) -> JobBatch:
        """The records of all jobs, in order of arrival, once the run is over. Rows of jobs that never arrived are left out.

        Views: nothing is written any more, and a copy of a million records would be 33 MB.
        """
        ended = np.flatnonzero(np.frombuffer(self.outcome, np.uint8) < PENDING)
        last = int(ended[-1]) + 1 if len(ended) else 0
        # Jobs arrive in the order of their numbers, so those that did not are the last.
        columns = (self.intended, self.released, self.started, self.finished)
        intended, released, started, finished = (np.frombuffer(column, np.int64)[:last] for column in columns)
        outcome = np.frombuffer(self.outcome, np.uint8)[:last]
        rows = slice(0, last)
        reported = self.reports.select(rows, started, outcome)
        return JobBatch(
            intended, released, started, finished, outcome, *reported, *self._failures.select(rows, outcome)
        )

    def forget(self) -> None:
        """Drop the rows before the first job that has not ended, or has ended and was not digested yet."""
        pending = np.frombuffer(self.outcome, np.uint8) >= PENDING
        ended = int(pending.argmax()) if pending.any() else len(pending)
        if self.done:
            ended = min(ended, int(np.min(np.array(self.done, np.int64))) - self.base)
        if ended:
            # The last two are empty where no job has any.
            columns = (self.intended, self.released, self.started, self.finished, self.outcome)
            for column in (*columns, self.patience, self._turns):
                del column[:ended]
            self.reports.forget(ended)
            self._failures.forget(ended)
            self.base += ended
