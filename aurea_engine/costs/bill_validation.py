"""Checks the lines that a cost model returns: exact numbers and plain text, so that every bill can be written as JSON.

A model of a user may return anything. Everything after this module may rely on what is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from fractions import Fraction
from numbers import Rational
from typing import Any, get_args

from aurea_engine.costs.bill_lines import Basis, Line, SheetRef
from aurea_engine.costs.credits import apply_credits, separate_lines
from aurea_engine.costs.decimals import decimal_text
from aurea_engine.costs.safe_call import make_printable
from aurea_engine.errors import StrategyError
from aurea_engine.fields.checked import show_value

MOST = 10**100
"""The largest number of a bill. Larger ones come near the end of a float, which metrics and JSON readers use."""

MOST_DIGITS = 1000
"""Most digits of a denominator. With more, the exact text of a sum would grow without bound."""

_BASES = get_args(Basis)
_PLAIN = (Fraction, type(None))
_LONGEST = 10**MOST_DIGITS
_TEXTS = ("name", "unit", "source", "component")
_NUMBERS = ("quantity", "unit_price", "consumed", "used")


def validate_lines(given: Iterable[Any]) -> tuple[tuple[Line, ...], str | None]:
    """The lines in exact numbers, and the problem that keeps them from adding up to a total, or None."""
    lines: list[Line] = []
    for line in given:
        # Almost every line takes this branch. A bill is validated at each report of a run, so the long way must be rare.
        if _is_plain(line):
            plain = line
        else:
            problem = _find_form_problem(line)
            if problem is not None:
                return (), problem
            plain = _make_plain(line)
        problem = _find_number_problem(plain)
        if problem is not None:
            return (), problem
        lines.append(plain)
    # A model may return one Line object twice. As one line, its credits would be taken off only once.
    lines = separate_lines(lines)
    return tuple(lines), _find_sum_problem(lines)


def _is_plain(line: object) -> bool:
    """Whether nothing must be checked or changed, as of the lines of all built-in models."""
    return (
        type(line) is Line
        and all(type(text) is str and text.isascii() for text in (line.name, line.unit, line.source, line.component))
        and type(line.quantity) is Fraction
        and all(type(number) in _PLAIN for number in (line.unit_price, line.consumed, line.used))
        and line.basis in _BASES
        and type(line.key) is object
        and not line.of
    )


def _find_form_problem(line: object) -> str | None:
    if not isinstance(line, Line):
        return f"its lines must be Line objects, got {type(line).__name__}"
    for name in _TEXTS:
        if not isinstance(getattr(line, name), str):
            return f"the {name} of a line must be text, got {show_value(getattr(line, name))}"
    if line.basis not in _BASES:
        return f"{line.name}: its basis must be one of {', '.join(_BASES)}, got {show_value(line.basis)}"
    for name in _NUMBERS:
        number = getattr(line, name)
        if not isinstance(number, Rational) and (number is not None or name == "quantity"):
            return f"{line.name}: quantities and prices must be exact: make them Fractions"
    return None


def _make_plain(line: Line) -> Line:
    """The same line in Python's own numbers and texts. A numpy integer would overflow silently."""
    # Credits find their line by its key. An unhashable key raises here, where it is reported as the model's mistake.
    hash((line.key, *line.of))
    texts = {name: make_printable(getattr(line, name)) for name in _TEXTS}
    numbers: dict[str, Any] = {name: _to_fraction(getattr(line, name)) for name in _NUMBERS}
    return Line(**texts, **numbers, basis=str(line.basis), of=tuple(line.of), key=line.key)  # type: ignore[arg-type]


def _to_fraction(number: Any) -> Fraction | None:
    return None if number is None else Fraction(int(number.numerator), int(number.denominator))


def _find_number_problem(line: Line) -> str | None:
    numbers = (line.quantity, line.unit_price, line.consumed, line.used, line.amount)
    if any(number is not None and _is_unwieldy(number) for number in numbers):
        return f"{line.name}: {_UNWIELDY}"
    if any(part is not None and not 0 <= part <= line.quantity for part in (line.consumed, line.used)):
        return f"{line.name}: what was consumed and what was used must be from 0 to the quantity"
    return None


_UNWIELDY = f"its numbers must be at most 1e+100, with at most {MOST_DIGITS} digits below the fraction bar"


def _is_unwieldy(number: Fraction) -> bool:
    below = number.denominator
    return below > _LONGEST or abs(number.numerator) > MOST * below


def _find_sum_problem(lines: list[Line]) -> str | None:
    amounts = [(line, line.amount) for line in lines]
    for line, amount in amounts:
        if amount is not None and amount.numerator < 0 and line.basis != "credit":
            return f"{line.name} costs {decimal_text(amount)}: a line below 0 must be a credit"
    # An unknown price is no price of 0: without it there is no total.
    missing = [line.name for line, amount in amounts if amount is None]
    if missing:
        return f"unpriced: no price is known for {', '.join(missing)}"
    total = sum((amount for _, amount in amounts if amount is not None), Fraction(0))
    # Sums of lines that are each in bounds can leave them, and net charges can where the total does not.
    has_credits = any(line.basis == "credit" for line in lines)
    if _is_unwieldy(total) or (has_credits and any(_is_unwieldy(due.money) for due in apply_credits(lines))):
        return f"the sum of its lines: {_UNWIELDY}"
    if total < 0:
        return f"its lines add up to {decimal_text(total)}, which is less than nothing"
    return None


def validate_sheets(given: Iterable[Any]) -> tuple[SheetRef, ...]:
    """The price sheets of a bill, as plain text. Raises `StrategyError` for anything else."""
    return tuple(_validate_sheet(sheet) for sheet in given)


def _validate_sheet(sheet: object) -> SheetRef:
    if not isinstance(sheet, SheetRef):
        raise StrategyError(f"its sheets must be SheetRef objects, got {type(sheet).__name__}")
    texts = [getattr(sheet, field.name) for field in fields(SheetRef)]
    if not all(isinstance(text, str) for text in texts):
        raise StrategyError("what a SheetRef holds must be text")
    return SheetRef(*(make_printable(text) for text in texts))
