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


class FailureColumn:
    """Rows count as the recorder's do, from the first that is still kept."""

    def __init__(self) -> None:
        self._column = array("b")
        self._numbers: dict[str, int] = {}

    def extend(self, rows: int) -> None:
        """So many more rows."""
        if self._numbers:
            self._column.frombytes(_NONE * rows)

    def write(self, row: int, rows: int, error: str) -> None:
        """The job of ``row``, of so many rows, failed or timed out, and ``error`` is the class of that."""
        if not self._numbers:
            self._column.frombytes(_NONE * rows)
        error = error[:MOST_FAILURE_NAME]
        # Whoever makes an exception's class for each job gets no name for each of them.
        if error not in self._numbers and len(self._numbers) >= MOST_FAILURE_CLASSES:
            error = OTHER
        self._column[row] = self._numbers.setdefault(error, len(self._numbers))

    def select(self, rows: Instants | slice, outcome: Outcomes) -> tuple[Groups | None, tuple[str, ...]]:
        """The column of ``rows``, whose jobs ended like that, and the names that it counts in, as `JobBatch` takes them."""
        has_class = False if not self._numbers else (own := np.frombuffer(self._column, np.int8)[rows]) != NEVER
        # What nobody named gets its name here, so that no driver has to.
        unclassed = {name: (outcome == each) & ~np.asarray(has_class) for each, name in UNCLASSED.items()}
        unclassed = {name: mask for name, mask in unclassed.items() if mask.any()}
        names = tuple(sorted({*self._numbers, *unclassed}))
        if not names:
            return None, ()
        places = {name: place for place, name in enumerate(names)}
        column = np.full(len(outcome), NEVER, np.int32)
        if self._numbers:
            # Number → place in the alphabet; the last entry is what −1 picks.
            column = np.array([*(places[name] for name in self._numbers), NEVER], np.int32)[own]
        for name, mask in unclassed.items():
            column[mask] = places[name]
        return column, names

    def forget(self, rows: int) -> None:
        """Drop the first ``rows``."""
        del self._column[:rows]
