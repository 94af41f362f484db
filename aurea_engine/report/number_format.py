"""How figures are written for people, in terminals and in reports: three digits, with a unit, never in powers of ten."""

from __future__ import annotations

import math


def format_digits(value: float) -> str:
    """Three significant digits, never in powers of ten: ``0.0524``, ``5.24``, ``52.4``, ``524``, ``52,400``."""
    if not value:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    # Once more, since rounding may have made a digit: 9.996 has become 10.0.
    places = 2 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(places, 0)}f}"


def format_seconds(value: float | None) -> str:
    """A time to three digits, with its unit."""
    if value is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        # Not from 1.0 on: 0.9996 s would become "1000 ms" once it is rounded to three digits.
        if abs(value) >= size * 0.9995:
            return f"{value:,.0f} s" if abs(value) >= 1000 else f"{format_digits(value / size)} {unit}"
    return "0 s"


def format_number(value: float | None, unit: str = "") -> str:
    """A count or a rate: whole where it is whole or large, three digits where it is small."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else format_digits(value)
    return f"{text}{unit}"


def format_percent(value: float) -> str:
    """A share."""
    return f"{value * 100:.1f} %"


def format_money(value: float | None, currency: str) -> str:
    """An amount that can be read: never in powers of ten."""
    if value is None:
        return "unpriced"
    if value == 0:
        return f"0 {currency}"
    size = math.floor(math.log10(abs(value)))
    # A price of a single job is often far below a cent: so small it is read more easily by the million.
    if size < -9:
        return f"{format_digits(value * 1e6)} {currency} per million"
    places = 2 if size >= 2 else 4 if size >= -2 else 3 - size
    return f"{value:,.{places}f} {currency}"


def format_amount(value: float | None, unit: str) -> str:
    """An amount of a measure in ``unit``: a time as one."""
    return format_seconds(value) if unit.partition("/")[0] == "s" else format_number(value)


def name_unit(unit: str) -> str:
    """What stands behind amounts of ``unit``: a time has its unit with each number."""
    if unit.partition("/")[0] != "s":
        return unit
    return f"per {unit[2:]}" if "/" in unit else ""
