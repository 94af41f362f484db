"""Exact numbers: prices, amounts and money are fractions from the first character to the last.

A binary float cannot hold 0.1. So a price is text, a whole number, a `Decimal` or a `Fraction`, and a float is refused with
the remedy. Bounds are checked *before* a `Fraction` is made: ``Decimal("1e999999999")`` is a few bytes, and its fraction
would fill the memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Annotated

from aurea_engine.fields.checked import Invalid

PLACES = 30
"""Most decimal places that a price may have."""

_NUMBER = re.compile(r"([0-9]{1,40})(?:\.([0-9]{0,40}))?(?:[eE]([+-]?[0-9]{1,3}))?", re.ASCII)
_RATIO = re.compile(r"([0-9]{1,60})/([0-9]{1,60})", re.ASCII)


@dataclass(frozen=True)
class Exact:
    """An annotation: the field is an exact number between ``least`` and ``most``.

    ``floats`` accepts Python floats, as the shortest decimal that reads back as the same float (0.7 is 7/10).
    """

    what: str
    least: int = 0
    most: int = 10**12
    floats: bool = False
    above: bool = False

    def coerce(self, value: object) -> Fraction:
        """``value`` as a fraction. Raises `Invalid` with what would be right."""
        if isinstance(value, float) and not self.floats:
            raise Invalid(f'must be {self.what} as text, such as "0.001", or a Decimal: a binary float is not exact')
        number = _to_fraction(value)
        if number is None:
            raise Invalid(f'must be {self.what}: a number such as "0.001", with at most {PLACES} decimal places')
        if number < self.least or number > self.most or (self.above and number == self.least):
            raise Invalid(f"must be {self.what} {'>' if self.above else '>='} {self.least} and <= {self.most:g}")
        return number


Number = str | int | Decimal | Fraction
Price = Annotated[Number, Exact("a price")]
"""Money per unit, >= 0. Never a float."""
Amount = Annotated[Number | float, Exact("an amount", most=10**18, floats=True)]
"""A quantity, >= 0."""
Size = Annotated[Number | float, Exact("a size", floats=True, above=True)]
"""A quantity > 0, such as vCPUs or a target utilization."""
Share = Annotated[Number | float, Exact("a share", most=1, floats=True)]
"""A part of a whole, 0 to 1."""


def _to_fraction(value: object) -> Fraction | None:
    # repr gives the shortest decimal that reads back as the same float: the number that its author typed.
    if isinstance(value, float):
        value = repr(value)
    if isinstance(value, Decimal):
        # As text, so that it passes the same bounds as everything else. The patterns allow 40 digits on either side.
        value = str(value) if len(value.as_tuple().digits) <= 80 else None
    if isinstance(value, str):
        return _parse_number(value.strip())
    if isinstance(value, Fraction):
        return value if value.denominator <= 10**PLACES and abs(value.numerator) < 10**60 else None
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value) if value.bit_length() <= 100 else None
    return None


def _parse_number(text: str) -> Fraction | None:
    sign = -1 if text.startswith("-") else 1
    text = text[1:] if text[:1] in ("-", "+") else text
    if ratio := _RATIO.fullmatch(text):
        below = int(ratio[2])
        return sign * Fraction(int(ratio[1]), below) if 0 < below <= 10**PLACES else None
    number = _NUMBER.fullmatch(text)
    if number is None:
        return None
    digits = (number[2] or "").rstrip("0")
    exponent = int(number[3] or 0) - len(digits)
    # From here on number = whole × 10^exponent. Trailing zeros move into the exponent, so that 1000000000 and 1e9 are
    # judged alike.
    whole = int(number[1] + digits)
    if whole == 0:
        return Fraction(0)
    while whole % 10 == 0:
        whole, exponent = whole // 10, exponent + 1
    if not -PLACES <= exponent <= 60:
        return None
    return sign * whole * Fraction(10) ** exponent


def decimal_text(value: Fraction, places: int = 18) -> str:
    """``value`` in decimal notation: exact if it ends within `PLACES`, else rounded (half even) to ``places``."""
    digits = _count_decimal_places(value.denominator)
    exact = digits is not None and digits <= PLACES
    # A local context: the caller's may have any precision, and a quotient must not be rounded before its last place.
    with localcontext() as context:
        context.prec = 400
        shift = digits if exact and digits is not None else places
        scaled = value * 10**shift
        whole = Decimal(scaled.numerator) / Decimal(scaled.denominator)
        text = f"{whole.to_integral_value(ROUND_HALF_EVEN).scaleb(-shift):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def exact_text(value: Fraction) -> str:
    """``value`` as text that reads back as itself: a decimal if it ends, else ``p/q``."""
    digits = _count_decimal_places(value.denominator)
    if digits is not None and digits <= PLACES:
        return decimal_text(value)
    return f"{value.numerator}/{value.denominator}"


def _count_decimal_places(denominator: int) -> int | None:
    """The number of decimal places of 1 ÷ ``denominator``, or None if it never ends."""
    # A fraction in lowest terms ends in base 10 if and only if its denominator has no prime factors but 2 and 5.
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def money_text(value: Fraction) -> str:
    """For people: at least two places, at most four significant digits below one, never in powers of ten."""
    if value == 0 or abs(value) >= 1:
        return f"{Decimal(decimal_text(value, 2)):,.2f}"
    places = 3 - math.floor(math.log10(abs(value.numerator)) - math.log10(value.denominator))
    text = f"{Decimal(decimal_text(value, places)):.{places}f}".rstrip("0")
    return text + "0" * (2 - len(text.partition(".")[2]))


def largest_remainder(units: int, weights: Sequence[int | Fraction]) -> tuple[int, ...]:
    """``units`` divided in proportion to ``weights``, in whole units that sum to ``units`` exactly (Hamilton's method).

    Everyone gets the floor of their share. The rest goes, one unit each, to the largest remainders, and among equals to the
    lower index: ``largest_remainder(100, [1, 1, 1]) == (34, 33, 33)``. If all weights are 0, they count as equal.
    """
    if not weights:
        raise ValueError("there must be at least one weight to share among")
    if units < 0 or any(weight < 0 for weight in weights):
        raise ValueError("units and weights must be >= 0")
    total = sum(weights) or len(weights)
    given = list(weights) if any(weights) else [1] * len(weights)
    shares = [Fraction(units * weight) / total for weight in given]
    floors = [share.numerator // share.denominator for share in shares]
    order = sorted(range(len(shares)), key=lambda i: (floors[i] - shares[i], i))
    for i in order[: units - sum(floors)]:
        floors[i] += 1
    return tuple(floors)
