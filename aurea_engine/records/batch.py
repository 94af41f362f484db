"""What happened to each job, as columns: int64 nanoseconds since the window opened, and an outcome.

Instants are stored, durations derived. A run of a million jobs is five arrays (33 bytes a job), never a million objects.
Marks, measures and a group are further columns, which only a run whose jobs declare them has, and the class of a failure is
one where any job failed by a class: a plain record never pays for what others report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.errors import NotReported
from aurea_engine.records.column_names import COLUMNS
from aurea_engine.records.job_record import JobRecord
from aurea_engine.records.measures import Mark, Measure, Schema, find_declared

Instants = NDArray[np.int64]
Floats = NDArray[np.float64]
Outcomes = NDArray[np.uint8]
Groups = NDArray[np.int32]
Column = NDArray[Any]

NS = 1_000_000_000
"""Nanoseconds in a second."""


NEVER = -1
"""Stands for an instant that did not come (a rejected job never started), for an amount that a job did not report, and for
the group of a job that belongs to none.
"""


@dataclass(frozen=True, eq=False)
class JobBatch:
    """Columns of ``len(batch)`` ended jobs, in any order. Instants in ns since the window opened; `NEVER` where none came.

    ``intended``: when the workload meant the job to start; ``released``: when the generator really let it go;
    ``started``, ``finished``: its service. A job that was rejected when it arrived has only the first two, and so has one
    that was cancelled while it waited. A job that left the queue (abandoned, or rejected at its deadline) never started,
    and ``finished`` is when it left.

    ``marks`` and ``measures`` hold what jobs reported, one column for each that they declare; ``group`` is the position in
    ``groups`` of each job's group, None if the run has no groups. ``failure`` is the position in ``failures``, which are
    sorted, of the class by which each job failed or timed out, `NEVER` for none; None if no job has any. Two batches are
    equal where all their columns are.
    """

    intended: Instants
    released: Instants
    started: Instants
    finished: Instants
    outcome: Outcomes
    # Keyed by the declaration and not by the name alone: a batch then knows units and scales, wherever it is read.
    marks: Mapping[Mark, Instants] = field(default_factory=dict)
    measures: Mapping[Measure, Instants] = field(default_factory=dict)
    group: Groups | None = None
    groups: tuple[str, ...] = ()
    failure: Groups | None = None
    failures: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.outcome)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> JobBatch:
        return self.map_columns(lambda column: column[rows])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JobBatch):
            return NotImplemented
        mine, theirs = self.columns(), other.columns()
        alike = self.schema == other.schema and self.failures == other.failures and mine.keys() == theirs.keys()
        return alike and all(np.array_equal(mine[name], theirs[name]) for name in mine)

    __hash__ = None  # type: ignore[assignment]  # arrays can be written to

    def map_columns(self, change: Callable[[Column], Column]) -> JobBatch:
        """The batch whose columns are those of this one after ``change``."""
        return JobBatch(
            change(self.intended),
            change(self.released),
            change(self.started),
            change(self.finished),
            change(self.outcome),
            {mark: change(column) for mark, column in self.marks.items()},
            {measure: change(column) for measure, column in self.measures.items()},
            None if self.group is None else change(self.group),
            self.groups,
            None if self.failure is None else change(self.failure),
            self.failures,
        )

    def columns(self) -> dict[str, Column]:
        """Every column by its name: the built-in ones, then marks, measures, group and failure, where there are any."""
        # No mark and no measure has the name of another column (`columns.RESERVED`), so none hides one here.
        named: dict[str, Column] = {name: getattr(self, name) for name in COLUMNS}
        named.update({mark.name: column for mark, column in self.marks.items()})
        named.update({measure.name: column for measure, column in self.measures.items()})
        last = {"group": self.group, "failure": self.failure}
        return named | {name: column for name, column in last.items() if column is not None}

    @property
    def schema(self) -> Schema:
        """Which columns it has beside the built-in ones."""
        return Schema(tuple(self.marks), tuple(self.measures), self.groups)

    def mark(self, name: str) -> Instants:
        """The column of a mark. Raises `NotReported` if no job of the run declares it."""
        found = find_declared(self.marks, name)
        if found is None:
            raise _not_reported("mark", name, [each.name for each in self.marks])
        return self.marks[found]

    def measure(self, name: str) -> Instants:
        """The column of a measure, ``value × scale``. Raises `NotReported` if no job of the run declares it."""
        return self.measures[self.declared_measure(name)]

    def declared_measure(self, name: str) -> Measure:
        """The declaration of a measure, which knows its unit and scale. Raises `NotReported` as `measure` does."""
        found = find_declared(self.measures, name)
        if found is None:
            raise _not_reported("measure", name, [each.name for each in self.measures])
        return found

    def of_group(self, name: str) -> JobBatch:
        """The jobs of one group. Raises `NotReported` if the run has none of that name."""
        if self.group is None or name not in self.groups:
            raise _not_reported("group", name, self.groups)
        return self.only(np.asarray(self.group == self.groups.index(name)))

    def only(self, mask: NDArray[np.bool_]) -> JobBatch:
        """The rows that ``mask`` picks: this very batch where it picks all, which is the common case and spares a copy."""
        # The rows' numbers are looked up once, and not anew in every column.
        return self if mask.all() else self[np.flatnonzero(mask)]

    @classmethod
    def empty(cls, schema: Schema | None = None) -> JobBatch:
        """No jobs, with the columns of ``schema``."""
        # One array for all of them: nothing can be written into an array without elements.
        none, schema = np.empty(0, np.int64), schema or Schema()
        marks, measures = dict.fromkeys(schema.marks, none), dict.fromkeys(schema.measures, none)
        group = np.empty(0, np.int32) if schema.groups else None
        return cls(none, none, none, none, np.empty(0, np.uint8), marks, measures, group, schema.groups)

    @classmethod
    def concatenate(cls, parts: list[JobBatch]) -> JobBatch:
        """All rows of ``parts``, in that order: merging runs is nothing more.

        What only some of them have is `NEVER` in the others; groups, or failures, of one name are one. Raises ValueError if
        two parts declare a measure of one name otherwise: their sum would be of nothing.
        """
        if not parts:
            return cls.empty()
        marks = _in_all(parts, [part.marks for part in parts])
        measures = _in_all(parts, [part.measures for part in parts])
        # Declarations that differ in unit or scale are two keys, and would be two columns of one name.
        names = [mark.name for mark in marks] + [measure.name for measure in measures]
        if len({*names}) < len(names):
            raise ValueError(f"the parts declare one name in different ways: {', '.join(sorted(names))}")
        # In the order of their first appearance: the parts of one run all have the same names in the same order.
        groups = tuple(dict.fromkeys(name for part in parts for name in part.groups))
        # In the order of the alphabet: which class came first differs from shard to shard.
        failures = tuple(sorted({name for part in parts for name in part.failures}))
        built_in = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
        return cls(
            **built_in,
            marks=marks,
            measures=measures,
            group=_join_named([(part.group, part.groups, len(part)) for part in parts], groups),
            groups=groups,
            failure=_join_named([(part.failure, part.failures, len(part)) for part in parts], failures),
            failures=failures,
        )

    @property
    def was_started(self) -> NDArray[np.bool_]:
        """Mask of the jobs that entered service (a cost model's default for what is billed)."""
        return self.started >= 0

    @property
    def was_served(self) -> NDArray[np.bool_]:
        """Mask of the jobs that completed: the ones whose times are reported."""
        return np.asarray(self.outcome == Outcome.COMPLETED)

    @property
    def waiting_ns(self) -> Instants:
        """Start − intended start. Only of jobs that started."""
        return self.started - self.intended

    @property
    def service_ns(self) -> Instants:
        """Finish − start. Only of jobs that started."""
        return self.finished - self.started

    @property
    def response_ns(self) -> Instants:
        """Finish − intended start: what a user waits. Only of jobs that started."""
        return self.finished - self.intended

    @property
    def left_queue(self) -> NDArray[np.bool_]:
        """Mask of the jobs that waited and left unserved, at ``finished``: abandoned, or rejected at their deadline."""
        return np.asarray((self.started < 0) & (self.finished >= 0))

    @property
    def waited_ns(self) -> Instants:
        """How long each job was in the queue, also those that left it unserved. `NEVER` for a job that was cancelled there
        or rejected on arrival: nobody knows how long it would have waited.
        """
        # Who was cancelled in the queue has neither instant; who left it has the second alone.
        until = np.where(self.was_started, self.started, self.finished)
        return np.where(until >= 0, until - self.intended, NEVER)

    @property
    def lag_ns(self) -> Instants:
        """How late the generator itself released each job."""
        return self.released - self.intended

    def record(self, index: int) -> JobRecord:
        """Row ``index`` as an object."""
        # Python's own numbers: a record that is kept must not keep the arrays alive.
        started, finished = int(self.started[index]), int(self.finished[index])
        group = NEVER if self.group is None else int(self.group[index])
        return JobRecord(
            index,
            Outcome(int(self.outcome[index])),
            int(self.intended[index]) / NS,
            started / NS if started >= 0 else None,
            finished / NS if finished >= 0 else None,
            self.groups[group] if group >= 0 else None,
            {mark.name: int(at[index]) / NS for mark, at in self.marks.items() if at[index] >= 0},
            {
                each.name: each.to_unit(int(column[index]))
                for each, column in self.measures.items()
                if column[index] >= 0
            },
            self.failure_of(index),
        )

    def failure_of(self, index: int) -> str | None:
        """The class by which the job of row ``index`` failed or timed out; None for any other job."""
        position = NEVER if self.failure is None else int(self.failure[index])
        return self.failures[position] if position >= 0 else None


def _not_reported(what: str, name: str, known: Iterable[str]) -> NotReported:
    remedy = "" if what == "group" else f": declare it in the job's {what}s"
    declared = ", ".join(known) or "none"
    return NotReported(f"no job of the run reports the {what} {ascii(name)[:80]}{remedy} (declared are {declared})")


Kind = TypeVar("Kind", Mark, Measure)


def _in_all(parts: Iterable[JobBatch], columns: list[Mapping[Kind, Instants]]) -> dict[Kind, Instants]:
    """What any of ``parts`` declares, as columns over all of them."""
    sizes = [len(part) for part in parts]
    kinds = dict.fromkeys(kind for each in columns for kind in each)
    return {
        kind: np.concatenate(
            [each[kind] if kind in each else np.full(n, NEVER) for each, n in zip(columns, sizes, strict=True)]
        )
        for kind in kinds
    }


def _join_named(parts: Iterable[tuple[Groups | None, tuple[str, ...], int]], names: tuple[str, ...]) -> Groups | None:
    """A column of positions in ``names``, joined of columns of positions in names of their own: (column, names, length)."""
    if not names:
        return None
    places, columns = {name: place for place, name in enumerate(names)}, []
    for column, own, length in parts:
        # Position in the part's own names → position in all names; the last entry is what -1, no name, picks.
        position = np.array([*(places[name] for name in own), NEVER], np.int32)
        columns.append(position[-1].repeat(length) if column is None else position[column])
    return np.concatenate(columns)
