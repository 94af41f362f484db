"""How often a run is repeated, as people and requests write it: so many times, or until an interval is narrow enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import show_value

MOST_REPLICATIONS = 1000
"""Replications of one run: far more than any interval needs."""

MOST_UNTIL = 100
"""The most where nobody says how many there may be: an interval that is not narrow by then needs longer runs, not more."""

FEWEST_UNTIL = 10
"""Replications before an interval may end a study. With fewer the first ones that happen to agree would end it, and
intervals would cover less than they say (Law, *Simulation Modeling and Analysis*, 9.4.1, on sequential procedures).
"""


@dataclass(frozen=True)
class Repetition:
    """``most``: so many replications. ``until``: the relative half-width of the 95 % interval of the mean response time at
    which fewer are enough, None to run them all.
    """

    most: int
    until: float | None = None

    @classmethod
    def of(cls, repeat: object, until: object = None) -> Repetition:
        """Both as they are written: a whole number, and a share such as 0.01 or ``"1%"``. Raises SpecError with all that is
        wrong.
        """
        problems = []
        wanted = MOST_UNTIL if repeat is None and until is not None else repeat
        if not isinstance(wanted, int) or isinstance(wanted, bool) or not 1 <= wanted <= MOST_REPLICATIONS:
            text = f"must be a whole number from 1 to {MOST_REPLICATIONS}"
            problems.append(Problem("repeat", text, show_value(repeat)))
        share = None if until is None else _read_share(until)
        if until is not None and (share is None or not 0 < share < 1):
            text = 'must be a share above 0 and below 1, such as 0.01 or "1%"'
            problems.append(Problem("until", text, show_value(until)))
        if problems:
            raise SpecError(problems)
        assert isinstance(wanted, int)
        return cls(wanted, share)

    @classmethod
    def take_from(cls, document: Mapping[str, object]) -> Repetition | None:
        """What the members ``repeat`` and ``until`` of ``document`` say; None where it has neither. Raises SpecError."""
        if "repeat" not in document and "until" not in document:
            return None
        return cls.of(document.get("repeat"), document.get("until"))


def _read_share(written: object) -> float | None:
    if isinstance(written, bool):
        return None
    if isinstance(written, (int, float, Decimal)):
        return float(written)
    if not isinstance(written, str) or not written.endswith("%"):
        return None
    number = written[:-1].strip()
    # Digits only: `float` also reads "nan", "1_0" and the digits of other scripts.
    if not number.isascii() or not number.replace(".", "", 1).isdigit() or len(number) > 30:
        return None
    return float(number) / 100
