"""The steps of jobs while a run goes on: kept with their job until it ends, then in columns."""

# Theory of operation
# -------------------
# A step is written when it ends, but whether it happened is decided when its *job* ends. A stop at t leaves what was in
# service at t as cancelled, whatever ended after t: and a pool may have gone on for a moment, before the pump noticed that t
# had come. It may have ended the step that was in service at t, and begun another, which then never came.
#
# So the rows of a job wait with the job (`open`), and are decided together with it:
#
#     end      the job has ended by itself: its steps stand as they were told
#     cancel   it was in service at t: steps that ended by t stand, the one in service at t is cancelled at t, one that
#              waited at t is cancelled and never started, those that were meant to begin at t or later were not reached
#     forget   it never began, so no step of it was reached, and none of them could have been
#
# What a cancelled step had seen until then is dropped, as it is of a job.
#
# Rows are tuples until some thousands of them have come together; then they become columns in one go, and are counted. Where
# records are kept, the columns stay in pieces, and are joined and sorted at the end, since jobs end in any order.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.errors import InvalidReport
from aurea_engine.records.batch import NEVER, Instants, JobBatch
from aurea_engine.records.reports import MOST, ReportReader
from aurea_engine.records.steps import StepBatch, schema_of_steps
from aurea_engine.run.failure_column import FailureNames
from aurea_engine.run.shard import Shard
from aurea_engine.run.step_meters import StepMeters, StepParts
from aurea_engine.spec import KEPT_JOBS, RunSpec
from aurea_engine.workload.callbacks import StepTimes
from aurea_engine.workload.job_steps import name_step_groups
from aurea_engine.workload.jobs import Job

ROWS_AT_ONCE = 2048
"""Steps that become columns in one go: some tenths of a millisecond, in which no job is released."""

Row = tuple[int, ...]
"""job, step (its place among those of the run), intended, released, started, finished, outcome, number of the class of its
failure, and what was reported.
"""

Reports = tuple[Sequence[int], Sequence[int]]
"""Marks and measures, each whole or empty."""

_FIXED = 8
_COMPLETED, _FAILED, _CANCELLED = int(Outcome.COMPLETED), int(Outcome.FAILED), int(Outcome.CANCELLED)


class StepColumns:
    """The steps of one run of ``spec``, or of one shard of it. ``keep`` may turn False under way."""

    def __init__(self, spec: RunSpec, shard: Shard | None = None) -> None:
        leaves, groups = spec.workload.job.leaves(), spec.workload.job.groups()
        self.schema = schema_of_steps(spec.workload.schema)
        self.meters = StepMeters.of(spec)
        self.keep = spec.keep_jobs
        self._shard = shard or Shard()
        names = name_step_groups(leaves, groups)
        self.leaves = tuple(
            LeafSteps(self, leaf, each) if each else None for leaf, each in zip(leaves, names, strict=True)
        )
        """For each leaf of the workload what takes its steps; None for one whose jobs have none."""
        # As of jobs: a shard must not keep what the run would drop, so it is decided by the number of jobs, not of steps.
        self.most_jobs_kept = self._shard.count_of(KEPT_JOBS // max(map(len, names)))
        self._open: dict[int, tuple[LeafSteps, list[Row]]] = {}
        self.failures = FailureNames()
        self._ended: list[Row] = []
        self._kept: list[StepBatch] = []
        self._remembered: dict[int, list[Row]] | None = None

    def open(self, job: int, leaf: LeafSteps) -> None:
        """``job`` is about to begin, and its steps are those of ``leaf``."""
        self._open[job] = leaf, []

    def steps_of(self, job: int) -> list[Row]:
        """The steps of ``job`` so far, which has not ended; to be written to."""
        return self._open[job][1]

    def end_all(self, jobs: Iterable[int]) -> None:
        """These have ended by themselves. Jobs without steps may be among them."""
        opened = self._open
        for job in jobs:
            if (found := opened.pop(job, None)) is not None:
                self._take(job, *found)

    def cancel(self, job: int, at: int) -> None:
        """``job`` was in service when the run ended, at this instant; `NEVER`: it had not begun."""
        found = self._open.pop(job, None)
        if found is None or at < 0:
            return
        leaf, rows = found
        self._take(job, leaf, [row for each in rows if (row := cut_step(each, at, first=each is rows[0])) is not None])

    def remember_ended(self) -> None:
        """Keep the steps of each job that ends, until `recall_ended` asks for them."""
        self._remembered = {}

    def recall_ended(self, job: int) -> JobBatch | None:
        """The steps of ``job``, which has just ended; None if it has none, or nobody wanted to know."""
        rows = None if self._remembered is None else self._remembered.pop(job, None)
        return None if rows is None else self._make_columns(rows).rows

    def _take(self, job: int, leaf: LeafSteps, rows: list[Row]) -> None:
        self._ended += rows
        if self._remembered is not None:
            self._remembered[job] = rows
        if len(rows) == len(leaf.places):
            return  # nearly always
        names, reached = self.schema.groups, {row[1] for row in rows}
        self.meters.not_reached.update(names[place] for place in leaf.places if place not in reached)

    def digest(self, least: int = 1) -> JobBatch | None:
        """The steps that have ended since the last call, metered; None if there are fewer than ``least``."""
        if len(self._ended) < least:
            return None
        batch = self._make_columns(self._ended)
        self._ended = []
        self.meters.meters.feed(batch.rows)
        if self.keep:
            self._kept.append(batch)
        return batch.rows

    def _make_columns(self, rows: list[Row]) -> StepBatch:
        schema, width = self.schema, _FIXED + len(self.schema.declared)
        # One pass through all numbers, then one copy for each column: as tuples they take ten times the memory.
        table = np.fromiter(chain.from_iterable(rows), np.int64, width * len(rows)).reshape(len(rows), width)
        jobs, group, intended, released, started, finished, outcome, failure = (
            table[:, i].copy() for i in range(_FIXED)
        )
        reported: list[Instants] = [table[:, i].copy() for i in range(_FIXED, width)]
        marks = dict(zip(schema.marks, reported, strict=False))
        measures = dict(zip(schema.measures, reported[len(marks) :], strict=True))
        ended = outcome.astype(np.uint8)
        failures = self.failures.name(failure.astype(np.int32), ended)
        optional = (marks, measures, group.astype(np.int32), schema.groups, *failures)
        batch = JobBatch(intended, released, started, finished, ended, *optional)
        return StepBatch(batch, self._shard.index + self._shard.of * jobs)

    def drop_records(self) -> None:
        """The run has outgrown what is kept."""
        self.keep, self._kept = False, []

    def close(self) -> StepParts:
        """All jobs have ended, and all of their steps were digested."""
        nothing = StepBatch(JobBatch.empty(self.schema), np.empty(0, np.int64))
        return StepParts(self.meters, StepBatch.join([nothing, *self._kept]) if self.keep else None)


class LeafSteps:
    """Takes the steps of the jobs of one leaf, ``names`` being the groups that they are."""

    def __init__(self, columns: StepColumns, leaf: Job, names: Sequence[str]) -> None:
        self.columns = columns
        self.places = tuple(columns.schema.groups.index(name) for name in names)
        """For each step of the job its place among those of the run."""
        self._reader = ReportReader(leaf.marks, leaf.measures)
        # Where other jobs of the run declare more, each value of a report has to find its column.
        declared = columns.schema.declared
        self._spread = None if declared == self._reader.declared else [declared.index(x) for x in self._reader.declared]
        self._nothing = [NEVER] * len(declared)

    def open(self, job: int) -> None:
        """``job`` is about to begin."""
        self.columns.open(job, self)

    def record(
        self, job: int, step: int, times: StepTimes, outcome: int, reports: Reports, error: str | None
    ) -> str | None:
        """A step of ``job`` has ended. Returns what is wrong with that; a false report only makes the step failed."""
        rows = self.columns.steps_of(job)
        if not 0 <= step < len(self.places):
            return f"has steps 0 to {len(self.places) - 1}, and step {step} is none"
        place = self.places[step]
        if rows and self.places.index(rows[-1][1]) >= step:
            return f"told of step {step} of job {job} after a later one, or twice"
        values: Sequence[int] = self._nothing
        if outcome != _CANCELLED and any(reports):
            try:
                values = self._read(*reports, times[2], times[3])
            except InvalidReport as raised:
                outcome, error = _FAILED, type(raised).__name__
        # Only a failure or a timeout has a class, whatever else a pool may say.
        has_class = error is not None and outcome not in (_COMPLETED, _CANCELLED)
        failure = self.columns.failures.number(error or "") if has_class else NEVER
        rows.append((job, place, *times, outcome, failure, *values))
        return None

    def _read(self, marks: Sequence[int], measures: Sequence[int], started: int, finished: int) -> Sequence[int]:
        """A value for each column of the run's reports. Raises `InvalidReport`."""
        # Nearly every report is as declared, and its numbers are stored as they are (`ReportColumns.make_writer`).
        if self._spread is None and (len(marks), len(measures)) == self._reader.sizes and self._reader.whole:
            for mark in marks:
                if mark.__class__ is not int or (mark != NEVER and not started <= mark <= finished):
                    break
            else:
                for value in measures:
                    if value.__class__ is not int or not NEVER <= value <= MOST:
                        break
                else:
                    return (*marks, *measures)
        values = self._reader.read_parts(marks, measures, started, finished)
        if self._spread is None:
            return values
        arranged = self._nothing.copy()
        for column, value in zip(self._spread, values, strict=True):
            arranged[column] = value
        return arranged


def cut_step(row: Row, at: int, *, first: bool) -> Row | None:
    """A step of a job that was in service ``at`` the end of the run, as it was then; None if it was not reached."""
    job, place, intended, released, started, finished, _, _, *reported = row
    # The first was meant to begin when its job was, and its job was in service.
    if intended >= at and not first:
        return None
    if 0 <= finished <= at:
        return row
    # One that failed after the run had ended is cancelled, without a class, or was not reached.
    nothing = [NEVER] * (1 + len(reported))
    # No instant of a record may precede another: a job that began a moment after the stop ends where it began.
    if started < 0 or (started > at and not first):
        return job, place, intended, min(released, at), NEVER, NEVER, _CANCELLED, *nothing
    return job, place, intended, released, started, max(at, started), _CANCELLED, *nothing
