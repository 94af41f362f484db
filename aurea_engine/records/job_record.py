"""One job as an object: a view of a row of columns, made on demand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from aurea_engine.closed_sets import Outcome

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class JobRecord(NamedTuple):
    """One job, made on demand as a view of the columns. Instants and durations in seconds.

    ``marks`` and ``measures`` hold what the job reported, by name; ``group`` is the name of its group, None for none;
    ``failure`` is the class of its failure or timeout, None if it has none.
    """

    number: int
    outcome: Outcome
    intended: float
    started: float | None
    finished: float | None
    group: str | None = None
    marks: Mapping[str, float] = _NOTHING
    measures: Mapping[str, float] = _NOTHING
    failure: str | None = None

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
