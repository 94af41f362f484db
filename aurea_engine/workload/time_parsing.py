"""One cell of a file of recorded times, as whole nanoseconds: a number with a unit, a duration, or a date."""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Literal

from aurea_engine.fields.units import parse_duration
from aurea_engine.records.batch import NS

TimeUnit = Literal["s", "ms", "us", "ns"]

NS_PER: dict[TimeUnit, int] = {"s": NS, "ms": 10**6, "us": 1000, "ns": 1}
_1970 = date(1970, 1, 1).toordinal()
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,12}))?"
    r"(?: ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?",
    re.ASCII,
)


def parse_time(cell: object, unit: TimeUnit | None) -> tuple[int, bool | None] | None:
    """(ns, zone) for a number or a date, else None. ``zone``: whether a date has a time zone, None for a number.

    A plain number needs a ``unit``. Dates count from 1970.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if (found := _DATE.fullmatch(text)) is not None:
            return _count_ns_since_1970(found)
        if (duration := parse_duration(text)) is not None:
            return round(duration * NS), None
        cell = Decimal(text) if _NUMBER.fullmatch(text) else None
    # JSON numbers come as int or Decimal, never as float: a float of nanoseconds since 1970 is only exact to 256 ns. The
    # bounds keep a hostile file from making integers of millions of digits.
    if isinstance(cell, int) and not isinstance(cell, bool) and cell.bit_length() < 200:
        cell = Decimal(cell)
    if isinstance(cell, Decimal) and unit is not None and cell.is_finite() and cell.adjusted() < 40:
        return int((cell * NS_PER[unit]).to_integral_value(ROUND_HALF_EVEN)), None
    return None


def is_plain_number(cell: object) -> bool:
    """Whether it is a number that needs a unit."""
    if isinstance(cell, str):
        return _NUMBER.fullmatch(cell.strip()) is not None
    return isinstance(cell, (int, Decimal)) and not isinstance(cell, bool)


def _count_ns_since_1970(found: re.Match[str]) -> tuple[int, bool] | None:
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, zone = found[7], found[8]
    # By hand, not with datetime: it has microseconds only, and traces have up to twelve decimals. Leap seconds are refused,
    # like datetime does.
    try:
        days = date(year, month, day).toordinal() - _1970
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    if zone and zone[0] in "+-":
        ahead = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        seconds -= ahead if zone[0] == "+" else -ahead
    ns = (
        0
        if not fraction
        else int(fraction.ljust(9, "0"))
        if len(fraction) <= 9
        else round(Fraction(f"0.{fraction}") * NS)
    )
    return seconds * NS + ns, bool(zone)
