"""What happened to each job, as columns: int64 nanoseconds since the window opened, and an outcome.

Instants are stored, durations derived. A run of a million jobs is five arrays (33 bytes a job), never a million objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome

Instants = NDArray[np.int64]
Outcomes = NDArray[np.uint8]

NS = 1_000_000_000
"""Nanoseconds in a second."""


def summed(ns: Instants) -> int:
    """Exact sum, also where it leaves int64: ten jobs of the longest service that may be asked for do."""
    if not len(ns):
        return 0
    fits = max(abs(int(ns.min())), abs(int(ns.max()))) * len(ns) < 2**63
    return int(ns.sum()) if fits else sum(ns.tolist())


NEVER = -1
"""Stands for an instant that did not come: a rejected job never started."""


class JobRecord(NamedTuple):
    """One job, made on demand as a view of the columns. Instants and durations in seconds."""

    number: int
    outcome: Outcome
    intended: float
    started: float | None
    finished: float | None

    @property
    def waiting_time(self) -> float | None:
        until = self.finished if self.started is None else self.started
        return None if until is None else until - self.intended

    @property
    def service_time(self) -> float | None:
        return None if self.started is None or self.finished is None else self.finished - self.started

    @property
    def response_time(self) -> float | None:
        return None if self.started is None or self.finished is None else self.finished - self.intended


@dataclass(frozen=True)
class JobBatch:
    """Columns of ``len(batch)`` ended jobs, in any order. Instants in ns since the window opened; `NEVER` where none came.

    ``intended``: when the workload meant the job to start; ``released``: when the generator really let it go;
    ``started``, ``finished``: its service. A job that was rejected when it arrived has only the first two, and so has one
    that was cancelled while it waited. A job that left the queue (abandoned, or rejected at its deadline) never started,
    and ``finished`` is when it left.
    """

    intended: Instants
    released: Instants
    started: Instants
    finished: Instants
    outcome: Outcomes

    def __len__(self) -> int:
        return len(self.outcome)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> JobBatch:
        return JobBatch(
            self.intended[rows], self.released[rows], self.started[rows], self.finished[rows], self.outcome[rows]
        )

    def only(self, mask: NDArray[np.bool_]) -> JobBatch:
        """The rows that ``mask`` picks: this very batch where it picks all, which is the common case and spares a copy."""
        return self if mask.all() else self[mask]

    @classmethod
    def empty(cls) -> JobBatch:
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, np.empty(0, np.uint8))

    @classmethod
    def concatenate(cls, parts: list[JobBatch]) -> JobBatch:
        """All rows of ``parts``, in that order: merging runs is nothing more."""
        if not parts:
            return cls.empty()
        return cls(
            *(
                np.concatenate([getattr(part, column) for part in parts])
                for column in ("intended", "released", "started", "finished", "outcome")
            )
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
        until = np.where(self.was_started, self.started, self.finished)
        return np.where(until >= 0, until - self.intended, NEVER)

    @property
    def lag_ns(self) -> Instants:
        """How late the generator itself released each job."""
        return self.released - self.intended

    def record(self, index: int) -> JobRecord:
        """Row ``index`` as an object."""
        started, finished = int(self.started[index]), int(self.finished[index])
        return JobRecord(
            index,
            Outcome(int(self.outcome[index])),
            int(self.intended[index]) / NS,
            started / NS if started >= 0 else None,
            finished / NS if finished >= 0 else None,
        )
