"""The column of the classes by which jobs failed or timed out: beside the recorder's own, from the first failure on."""

# Most runs have no failure, so nothing is kept until a job names a class; then a byte a job. There are names for
# `MOST_FAILURE_CLASSES`, in the order in which they came. What leaves a run has them in the order of the alphabet instead:
# which came first is chance, and differs from shard to shard.

from __future__ import annotations

from array import array

import numpy as np

from aurea_engine.closed_sets import MOST_FAILURE_CLASSES, MOST_FAILURE_NAME, OTHER, UNCLASSED
from aurea_engine.records.batch import NEVER, Groups, Instants, Outcomes

_NONE = b"\xff"
"""−1, `NEVER`, as a signed byte."""


class FailureNames:
    """Numbers for the classes of failures of one run, in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def number(self, error: str) -> int:
        """The number of a class."""
        error = error[:MOST_FAILURE_NAME]
        # Whoever makes an exception's class for each job gets no name for each of them.
        if error not in self._numbers and len(self._numbers) >= MOST_FAILURE_CLASSES:
            error = OTHER
        return self._numbers.setdefault(error, len(self._numbers))

    def name(self, numbers: Groups | None, outcome: Outcomes) -> tuple[Groups | None, tuple[str, ...]]:
        """The classes of jobs that ended like that: a column, and the names that it counts in, as `JobBatch` takes them.

        ``numbers``: of the class of each, `NEVER` for none; None if none has any.
        """
        own = np.full(len(outcome), NEVER, np.int32) if numbers is None else numbers
        # What nobody named gets its name here, so that no driver has to.
        unnamed = {name: (outcome == each) & (own == NEVER) for each, name in UNCLASSED.items()}
        unnamed = {name: mask for name, mask in unnamed.items() if mask.any()}
        by_number = list(self._numbers)
        # Not `np.unique`: its first call imports numpy.ma, in the middle of a run, perhaps with no descriptor left for it.
        used = {by_number[number] for number in np.flatnonzero(np.bincount(own[own >= 0])).tolist()}
        names = tuple(sorted(used | unnamed.keys()))
        if not names:
            return None, ()
        # Number → place in the alphabet; the last entry is what −1 picks.
        places = {name: place for place, name in enumerate(names)}
        column = np.array([*(places.get(name, NEVER) for name in by_number), NEVER], np.int32)[own]
        for name, mask in unnamed.items():
            column[mask] = places[name]
        return column, names


class FailureColumn:
    """Rows count as the recorder's do, from the first that is still kept."""

    def __init__(self) -> None:
        self._column = array("b")
        self._names = FailureNames()

    def extend(self, rows: int) -> None:
        """So many more rows."""
        if self._names:
            self._column.frombytes(_NONE * rows)

    def write(self, row: int, rows: int, error: str) -> None:
        """The job of ``row``, of so many rows, failed or timed out, and ``error`` is the class of that."""
        if not self._names:
            self._column.frombytes(_NONE * rows)
        self._column[row] = self._names.number(error)

    def select(self, rows: Instants | slice, outcome: Outcomes) -> tuple[Groups | None, tuple[str, ...]]:
        """The column of ``rows``, whose jobs ended like that, and the names that it counts in, as `JobBatch` takes them."""
        numbers = np.frombuffer(self._column, np.int8)[rows].astype(np.int32) if self._names else None
        return self._names.name(numbers, outcome)

    def forget(self, rows: int) -> None:
        """Drop the first ``rows``."""
        del self._column[:rows]
