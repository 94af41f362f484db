"""Durations and rates as people write them: ``"250ms"``, ``"500/s"``. They are read exactly, as fractions.

One number and one unit, without a space, a sign, an exponent or a comma: ``"1.5h"``, ``"30000/m"``. Units are lower case,
because ``M`` might be a minute, a month or a million. Text that is nearly right is refused with a suggestion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

UNITS: dict[str, Fraction] = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "\N{MICRO SIGN}s": Fraction(1, 10**6),
    "\N{GREEK SMALL LETTER MU}s": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
"""Unit → seconds."""

PER: dict[str, Fraction] = {"s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}
"""The units of time that a rate may have → seconds."""

# At most 40 digits before and after the point: a pattern without a limit would let a text of megabytes become a fraction.
_NUMBER = r"[0-9]{1,40}(?:\.[0-9]{1,40})?"
DURATION_PATTERN = rf"^{_NUMBER}(?:{'|'.join(UNITS)})$"
RATE_PATTERN = rf"^{_NUMBER}/(?:{'|'.join(PER)})$"
_DURATION = re.compile(rf"({_NUMBER})({'|'.join(UNITS)})")
_RATE = re.compile(rf"({_NUMBER})/({'|'.join(PER)})")
_NEARLY = re.compile(r"\+?([0-9]{1,18}(?:[.,][0-9]{1,18})?)(/|per)?([a-z\u00b5\u03bc]*)")
# Spellings that are understood well enough to suggest the right one, and no further: "m" for months would be a guess.
_SPELLED = {
    spelling: unit
    for unit, spellings in {
        "ms": "msec msecs millis millisecond milliseconds",
        "us": "usec micros microsecond microseconds",
        "ns": "nsec nanos nanosecond nanoseconds",
        "s": "sec secs second seconds",
        "m": "min mins minute minutes",
        "h": "hr hrs hour hours",
    }.items()
    for spelling in ("" if unit == "s" else unit, *spellings.split())
}


def parse_duration(text: str) -> Fraction | None:
    """Seconds, exactly. None if ``text`` is not a duration."""
    found = _DURATION.fullmatch(text)
    return Fraction(found[1]) * UNITS[found[2]] if found else None


def parse_rate(text: str) -> Fraction | None:
    """Jobs per second, exactly. None if ``text`` is not a rate."""
    found = _RATE.fullmatch(text)
    return Fraction(found[1]) / PER[found[2]] if found else None


@dataclass(frozen=True)
class Unit:
    """An annotation: beside numbers the field accepts text with a unit. ``noun``: what such a field is, in one word."""

    noun: str
    form: str
    pattern: str

    def read(self, text: str) -> Fraction | None:
        """The number that ``text`` stands for, in seconds or jobs per second."""
        reads = {"duration": (parse_duration,), "rate": (parse_rate,), "bound": (parse_duration, parse_rate)}[self.noun]
        return next((number for read in reads if (number := read(text)) is not None), None)

    def suggest(self, text: str) -> str:
        """`` (did you mean "5s"?)`` if only the spelling is wrong, else nothing."""
        found = _NEARLY.fullmatch(re.sub(r"\s", "", text).lower())
        if found is None:
            return ""
        number, per, name = found[1].replace(",", "."), found[2] or "", found[3]
        if name == "rps":
            per, name = "/", "s"
        unit = _SPELLED.get(name, name)
        # Only a suggestion that would be accepted is made.
        right = f"{number}{'/' if per else ''}{unit}"
        return "" if self.read(right) is None else f' (did you mean "{right}"?)'


DURATION = Unit("duration", 'a duration such as "250ms" (ns, us, ms, s, m, h)', DURATION_PATTERN)
RATE = Unit("rate", 'a rate such as "500/s" (/s, /m, /h)', RATE_PATTERN)
BOUND = Unit("bound", 'for a time "250ms", for a rate "500/s"', f"{DURATION_PATTERN}|{RATE_PATTERN}")
"""The bound of an objective: its unit depends on the metric."""
