"""What happened to each step of jobs that consist of steps, such as a user's requests one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.records.measures import Schema


@dataclass(frozen=True, eq=False)
class StepBatch:
    """A row for each step that was reached, in the order of its job's number and then of the steps.

    ``rows`` are the columns that jobs have, with the step as their group; ``jobs`` is the number of each row's job. A step
    is like a job in every respect but one: it is not in the counts of the run.
    """

    # A second batch, and no columns of the first: a job has any number of steps, and a run without steps has no cost.
    rows: JobBatch
    jobs: Instants

    def __len__(self) -> int:
        return len(self.jobs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StepBatch):
            return NotImplemented
        return np.array_equal(self.jobs, other.jobs) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, rows: slice) -> StepBatch:
        return StepBatch(self.rows[rows], self.jobs[rows])

    @classmethod
    def empty(cls, schema: Schema) -> StepBatch:
        """No steps of a run whose jobs have ``schema``."""
        return cls(JobBatch.empty(schema_of_steps(schema)), np.empty(0, np.int64))

    @classmethod
    def join(cls, parts: list[StepBatch]) -> StepBatch:
        """The steps of all ``parts``, each of other jobs, in the order of their jobs."""
        jobs = np.concatenate([part.jobs for part in parts])
        # Stable: the steps of one job stand together, in their order, and stay so.
        order = np.argsort(jobs, kind="stable")
        return cls(JobBatch.concatenate([part.rows for part in parts])[order], jobs[order])

    def of_job(self, number: int) -> JobBatch:
        """The steps that the job of that number has reached."""
        begin, end = np.searchsorted(self.jobs, [number, number + 1]).tolist()
        return self.rows[begin:end]


def find_groups_without_steps(groups: Iterable[str], steps: Iterable[str]) -> tuple[str, ...]:
    """Those of ``groups`` of jobs that have no step among ``steps``."""
    # The name of a step has no slash, so what stands before the last one is the group of its job.
    have_steps = {step.rpartition("/")[0] for step in steps}
    return tuple(group for group in groups if group not in have_steps)


def schema_of_steps(schema: Schema) -> Schema:
    """The columns of the steps of a run whose jobs have ``schema``: steps report what their jobs do."""
    return Schema(schema.marks, schema.measures, schema.steps)
