"""Reading what one job reports of itself: from what its ``run`` returned to whole numbers, or `InvalidReport`.

A job's report comes from outside, so nothing of it is believed: a number that is none, negative, or outside the job's
service makes the job *failed*, and leaves its columns as if it had said nothing. A sum that a bill is made of must not
depend on whether a job counted right.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from aurea_engine.errors import InvalidReport
from aurea_engine.fields.checked import show_value
from aurea_engine.records.batch import NEVER
from aurea_engine.records.measures import Mark, Measure

MOST = 2**63 - 1
"""What an int64 column holds."""


class ReportReader:
    """Reads the reports of one kind of job. ``marks`` and ``measures``: its declarations, in order."""

    def __init__(self, marks: Sequence[Mark], measures: Sequence[Measure]) -> None:
        self.declared: tuple[Mark | Measure, ...] = (*marks, *measures)
        self._names = [each.name for each in self.declared]
        self._scales = [each.scale if isinstance(each, Measure) else 0 for each in self.declared]
        self.sizes = len(marks), len(measures)
        self.whole = all(each.scale == 1 for each in measures)
        """Whether every measure is stored as it is reported."""

    def read(self, returned: object, opened: int, started: int, finished: int) -> list[int]:
        """A number for each of ``declared``, `NEVER` where the job did not report it. Raises `InvalidReport`.

        ``opened``: the instant of the clock at which the run's window opened; ``started`` and ``finished`` count from there.
        """
        values = self._arrange(returned)
        numbers = []
        for name, scale, value in zip(self._names, self._scales, values, strict=True):
            if value is None:
                numbers.append(NEVER)
            elif scale:
                numbers.append(read_amount(name, value, scale))
            else:
                at = _read_whole(name, value, "an instant of time.perf_counter_ns()") - opened
                if not started <= at <= finished:
                    raise InvalidReport(f"{name} must lie between the job's start and its end, got {show_value(value)}")
                numbers.append(at)
        return numbers

    def read_parts(self, marks: Sequence[int], measures: Sequence[int], started: int, finished: int) -> list[int]:
        """The same of marks and measures apart, either of which may be left out whole; marks count from the window."""
        missing = [NEVER] * (len(self.declared) - len(marks) - len(measures))
        arranged = (*marks, *missing, *measures) if marks else (*missing, *measures)
        return self.read(tuple(None if value == NEVER else value for value in arranged), 0, started, finished)

    def _arrange(self, returned: object) -> Sequence[object]:
        """The values in the order of ``declared``."""
        if isinstance(returned, tuple):
            if len(returned) != len(self._names):
                raise InvalidReport(f"a report must hold {len(self._names)} values ({', '.join(self._names)})")
            return returned
        if isinstance(returned, Mapping):
            unknown = [show_value(name) for name in returned if name not in self._names]
            if unknown:
                raise InvalidReport(f"{unknown[0]} is not declared: known are {', '.join(self._names)}")
            return [returned.get(name) for name in self._names]
        if returned is None:  # nothing to report, as of a job that had no answer
            return [None] * len(self._names)
        raise InvalidReport(f"a report must be a tuple or a mapping by name, not {type(returned).__name__}")


def read_amount(name: str, value: object, scale: int) -> int:
    """``value × scale`` as it is stored. Raises `InvalidReport` for what is not an amount, or does not fit int64."""
    if scale == 1:
        number = _read_whole(name, value, "a whole number; a measure with a scale takes fractions")
    elif isinstance(value, (int, float, Decimal, Fraction)) and not isinstance(value, bool) and math.isfinite(value):
        # As a fraction: a float times the scale would round twice.
        number = round(Fraction(value) * scale)
    else:
        raise InvalidReport(f"{name} must be a number, got {show_value(value)}")
    if not 0 <= number <= MOST:
        raise InvalidReport(f"{name} must be >= 0 and fit into 63 bits, got {show_value(value)}")
    return number


def _read_whole(name: str, value: object, wanted: str) -> int:
    if type(value) is int:  # nearly always; the rest is for numpy's integers
        return value
    if not isinstance(value, (bool, str, bytes)):
        try:
            return operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            pass
    raise InvalidReport(f"{name} must be {wanted}, got {show_value(value)}")
