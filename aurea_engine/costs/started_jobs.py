"""What meters get: the jobs that started, split by outcome, in read-only columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.fields.checked import non_empty
from aurea_engine.records.batch import JobBatch

Column = TypeVar("Column", bound=NDArray[Any])
Billed = Annotated[
    tuple[Literal["completed", "failed", "timed_out", "cancelled"], ...],
    non_empty("must hold at least one outcome: without any the run is free"),
]
"""The outcomes that are billed, of jobs that started. A job that never started is never billed."""
STARTED: Billed = ("completed", "failed", "timed_out", "cancelled")

_BILLABLE = {Outcome[name.upper()]: name for name in STARTED}


def lock_columns(batch: JobBatch) -> JobBatch:
    """The same jobs in read-only columns. Writing to one raises ValueError."""
    return batch.map_columns(_lock)


def _lock(column: Column) -> Column:
    view = column.view()
    view.setflags(write=False)
    return view


class StartedJobs:
    """The started jobs of one batch, by outcome. A batch of completed jobs, the usual case, is not copied."""

    def __init__(self, batch: JobBatch) -> None:
        self.by_outcome: dict[str, JobBatch] = {}
        # Most batches hold completed jobs only. For them both selections below are skipped, and the columns are views.
        present = np.flatnonzero(np.bincount(batch.outcome, minlength=len(Outcome)))
        # NEVER is below 0, so one minimum tells whether every job started.
        all_started = len(batch) > 0 and int(batch.started.min()) >= 0
        for outcome in present.tolist():
            if outcome not in _BILLABLE:
                continue
            rows = batch if len(present) == 1 else batch[batch.outcome == outcome]
            rows = rows if all_started else rows[rows.was_started]
            if len(rows):
                self.by_outcome[_BILLABLE[Outcome(outcome)]] = lock_columns(rows)

    def billed(self, outcomes: Billed) -> Iterator[JobBatch]:
        """The started jobs with one of these outcomes."""
        for name, rows in self.by_outcome.items():
            if name in outcomes:
                yield rows
