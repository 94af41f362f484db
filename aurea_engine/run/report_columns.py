"""The columns of what jobs report, and of their groups: beside the recorder's own, and only where a job declares any.

Two kinds of reports come in, and both end in the same columns:

- A job that *runs* says at its end what it has seen. An instant is then absolute, an amount final.
- A job that does *not* run (every job in virtual time, and timers in real time) has its report planned (`Job.reports`), when
  its row is made: a mark is then so many nanoseconds after a start that nobody knows yet.

So a planned value v is stored as −2 − v, below `NEVER`, until it is read: by then the job has started, or never will. No
driver knows of reports, which is why all of them, the fast ones too, agree on them.

A report is of a job that was served to some end. A job that was cancelled, or turned away, has none, whatever was planned or
said; one that failed or timed out keeps what it said itself, and loses what was planned for its completion.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NEVER, Groups, Instants, Outcomes
from aurea_engine.records.measures import Mark, Measure
from aurea_engine.records.reports import MOST, ReportReader
from aurea_engine.run.plan import Block
from aurea_engine.workload.jobs import JobSource, map_leaves_to_groups, read_schema

# A table instead of comparisons: one look-up for each row of a batch, whatever the outcomes are.
_SERVED = np.isin(np.arange(len(Outcome)), [Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT])
"""By number of the outcome: whether such a job may have reported anything."""


class Reported(NamedTuple):
    """The optional columns of some rows, as `JobBatch` takes them after the built-in ones."""

    marks: dict[Mark, Instants]
    measures: dict[Measure, Instants]
    group: Groups | None
    groups: tuple[str, ...]


class ReportColumns:
    """The optional columns of one run of ``source``. Rows count as the recorder's do, from the first that is still kept."""

    def __init__(self, source: JobSource) -> None:
        self.schema = read_schema(source)
        # Row by row, so that what a job reports is one store and not one for each number.
        self._table = array("q")
        self._places = {each: place for place, each in enumerate(self.schema.declared)}
        self._width = len(self._places)
        self._group = array("i")
        self._group_of_leaf = map_leaves_to_groups(source)
        # By leaf, since a tuple that a job returns is in the order of its own declarations.
        self.readers = tuple(
            ReportReader(leaf.marks, leaf.measures) if leaf.marks or leaf.measures else None for leaf in source.leaves()
        )
        """For each leaf what reads its jobs' reports; None for one that declares nothing."""

    def extend(self, block: Block) -> None:
        """Rows for the jobs of ``block``, with what is planned for them."""
        # Every column gets a value for every row, also where the leaf of the job does not declare it: rows must line up.
        if self._places:
            rows = np.full((len(block), self._width), NEVER, np.int64)
            for each, place in self._places.items():
                if (planned := block.reports.get(each.name)) is not None:
                    rows[:, place] = encode_planned(planned)
            self._table.frombytes(rows.tobytes())
        # The leaf is known when the job is planned and never changes, so its group need not wait for an end.
        if self.schema.groups:
            self._group.frombytes(self._group_of_leaf[block.leaf].tobytes())

    def write(self, row: int, declared: Iterable[Mark | Measure], values: Iterable[int]) -> None:
        """What the job of ``row`` says of itself: a value for each of ``declared``."""
        # The row is pending until the pump logs the end, so nothing has been read of it, and nothing was dropped.
        for each, value in zip(declared, values, strict=True):
            self._table[row * self._width + self._places[each]] = value

    def make_writer(self, reader: ReportReader) -> Callable[[int, Sequence[int], Sequence[int], int, int], None]:
        """``write(row, marks, measures, started, finished)``: what a job of the leaf of ``reader`` says of itself, as
        `ReportReader.read_parts` takes it. Raises `InvalidReport`, and then has written nothing.
        """
        table, width, read = self._table, self._width, reader.read_parts
        places = [self._places[each] for each in reader.declared]
        first, store = places[0], Struct(f"{len(places)}q").pack_into
        # Side by side, unless another leaf declares more, or the same in another order.
        adjacent = places == list(range(first, first + len(places)))
        (n_marks, n_measures), whole = reader.sizes, reader.whole

        def write(row: int, marks: Sequence[int], measures: Sequence[int], started: int, finished: int) -> None:
            # Nearly every report is as declared, and then its numbers are stored as they are: to read one costs as much
            # as the rest of its job's bookkeeping together. In one function, and with loops that break where a number is
            # not fit to be stored: up to Python 3.11 a call costs as much as three of these comparisons.
            if whole and len(marks) == n_marks and len(measures) == n_measures:
                for mark in marks:
                    if mark.__class__ is not int or (mark != NEVER and not started <= mark <= finished):
                        break
                else:
                    for value in measures:
                        if value.__class__ is not int or not NEVER <= value <= MOST:
                            break
                    else:
                        if adjacent:
                            store(table, 8 * (row * width + first), *marks, *measures)
                        else:
                            for place, value in zip(places, (*marks, *measures)):  # noqa: B905 - equally many: see above
                                table[row * width + place] = value
                        return
            for place, value in zip(places, read(marks, measures, started, finished), strict=True):
                table[row * width + place] = value

        return write

    def read(self, row: int, declared: Mark | Measure, started: int) -> int:
        """What the job of ``row``, which has completed, reported; `NEVER` for nothing."""
        # For one job, as objectives that end a run ask at each end; `select` does the same for many.
        stored = self._table[row * self._width + self._places[declared]]
        if stored >= NEVER:
            return stored
        return -2 - stored + (started if isinstance(declared, Mark) else 0)

    def group_of(self, row: int) -> str | None:
        """The name of the group of the job of ``row``."""
        return self.schema.groups[self._group[row]] if self.schema.groups else None

    def select(self, rows: Instants | slice, started: Instants, outcome: Outcomes) -> Reported:
        """The columns of ``rows``, whose jobs started and ended like that."""
        # The usual run declares nothing, and this is asked for each of its batches.
        if not self.schema:
            return Reported({}, {}, None, ())

        table = np.frombuffer(self._table, np.int64).reshape(-1, max(self._width, 1))

        def column(declared: Mark | Measure) -> Instants:
            return table[rows, self._places[declared]]

        # A job that was stopped may have a report in its row all the same: it came between the instant of the stop and the
        # moment at which the pump noticed. By its outcome it is told apart here, so that no driver has to clean up.
        served = _SERVED[outcome]
        completed = outcome == Outcome.COMPLETED
        marks = {mark: decode_planned(column(mark), started, served, completed) for mark in self.schema.marks}
        measures = {measure: decode_planned(column(measure), 0, served, completed) for measure in self.schema.measures}
        group = np.frombuffer(self._group, np.int32)[rows].copy() if self.schema.groups else None
        return Reported(marks, measures, group, self.schema.groups)

    def forget(self, rows: int) -> None:
        """Drop the first ``rows``."""
        # Together with the recorder's own columns, or rows and reports would be of different jobs.
        del self._table[: rows * self._width]
        del self._group[:rows]


def encode_planned(planned: Instants) -> Instants:
    """Planned values as they stand in a column until their job has ended; `NEVER` stays."""
    # −2 − v turns 0, 1, 2, … into −2, −3, −4, …: every planned value is below `NEVER`, and no reported one is.
    return np.where(planned == NEVER, NEVER, -2 - planned)


def decode_planned(
    column: Instants, start: Instants | int, served: NDArray[np.bool_], completed: NDArray[np.bool_]
) -> Instants:
    """The values of ``column`` once its jobs have ended: a planned one counts from ``start``, and is of completed jobs."""
    # Most columns hold one kind of value: in real time none is planned, and the copy is spared.
    planned = column < NEVER
    if planned.any():
        column = np.where(planned, np.where(completed, start - 2 - column, NEVER), column)
    return np.where(served, column, NEVER)
