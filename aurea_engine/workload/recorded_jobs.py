"""Jobs that were served once and come again: each takes as long as one of them did, and ends as it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NEVER, NS, Instants, JobBatch, Outcomes
from aurea_engine.records.measures import Mark, Measure
from aurea_engine.workload.jobs import Job, JobSource, Plan, Sleep
from aurea_engine.workload.streams import Streams

SERVED = (Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT)
"""The outcomes of jobs whose service time is known to its end."""


@dataclass(frozen=True, eq=False)
class RecordedSample:
    """Columns of jobs that were served, in order of arrival. ``service``: ns; ``priority``: higher is more urgent.

    ``group``: positions in ``groups``, None if jobs are not told apart. ``marks``: ns after the start, and ``measures``:
    value × scale, `NEVER` where a job reported none.
    """

    service: Instants
    outcome: Outcomes
    priority: Instants
    group: NDArray[np.intp] | None = None
    groups: tuple[str, ...] = ()
    marks: Mapping[Mark, Instants] = field(default_factory=dict)
    measures: Mapping[Measure, Instants] = field(default_factory=dict)

    @classmethod
    def of_records(cls, jobs: JobBatch, priority: Instants | None = None) -> RecordedSample:
        """The sample of ``jobs``, all of which were served."""
        # A job whose group is not known, or reported nothing, has NEVER there, which no arithmetic may touch.
        grouped = jobs.group is not None and bool((jobs.group >= 0).all())
        return cls(
            jobs.service_ns,
            jobs.outcome,
            np.zeros(len(jobs), np.int64) if priority is None else priority,
            np.asarray(jobs.group, np.intp) if grouped else None,
            jobs.groups if grouped else (),
            {mark: np.where(at >= 0, at - jobs.started, NEVER) for mark, at in jobs.marks.items()},
            dict(jobs.measures),
        )

    def __len__(self) -> int:
        return len(self.service)


class RecordedJobs(JobSource):
    """Job i is row ``order[i]`` of ``sample``; when all have come, they come again from the first."""

    # No dataclass: its columns are no members that a specification could hold, so none of them is checked or written.
    def __init__(self, sample: RecordedSample, order: NDArray[np.intp]) -> None:
        self._sample, self._order = sample, order
        self._leaf = _declare_leaf(sample)

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        sample, rows = self._sample, self._order[np.arange(first, first + n) % len(self._order)]
        seconds, outcome = sample.service[rows] / NS, sample.outcome[rows]
        timed_out = outcome == Outcome.TIMED_OUT
        return Plan(
            # A job that was stopped asks for more than it was given; how much more does not matter to the clock.
            demand=np.where(timed_out, seconds * 2 + 1, seconds),
            limit=np.where(timed_out, seconds, np.inf),
            fails=np.asarray(outcome == Outcome.FAILED),
            priority=sample.priority[rows],
            leaf=np.zeros(n, np.intp) if sample.group is None else sample.group[rows],
            reports={mark.name: column[rows] for mark, column in sample.marks.items()}
            | {measure.name: column[rows] for measure, column in sample.measures.items()},
        )

    def leaves(self) -> tuple[Job, ...]:
        return (self._leaf,) * max(len(self._sample.groups), 1)

    def groups(self) -> tuple[str, ...]:
        return self._sample.groups


def _declare_leaf(sample: RecordedSample) -> Job:
    """A job that only lets time pass, and declares what the recorded ones reported."""

    class Recorded(Sleep):
        marks = tuple(sample.marks)
        measures = tuple(sample.measures)

    return Recorded()
