"""The bill of several runs, each priced by itself: line by line, their sum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce

from aurea_engine.costs import Cost, Line, Usage

# Each replication is a run of its own, and what was spent was spent on each: a step that is rounded up, a minimum and a tier
# begin anew with each. So bills are added, and the whole is not priced again as one long run.


def add_bills(bills: Sequence[Cost]) -> Cost:
    """What all of them cost together. Where one could not be priced, the whole has no total, and says why."""
    problem = next((bill.problem for bill in bills if bill.problem is not None), None)
    return Cost(
        bills[0].currency,
        _add_lines(line for bill in bills for line in bill.lines),
        sum((bill.attempts for bill in bills), Fraction(0)),
        sum((bill.successes for bill in bills), Fraction(0)),
        _add_known([bill.good for bill in bills]),
        problem,
        tuple(dict.fromkeys(sheet for bill in bills for sheet in bill.sheets)),
        all(bill.monotone for bill in bills),
    )


def add_usages(usages: Sequence[Usage]) -> Usage:
    """What was metered of all of them, one after the other."""
    return reduce(Usage.merge, usages)


def _add_lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line for each thing that was paid for at one price, in the order in which they first come."""
    whole: dict[tuple[object, ...], Line] = {}
    known_as: dict[int, object] = {}
    for line in lines:
        same = (line.name, line.unit, line.unit_price, line.basis, line.source, line.component)
        known_as[id(line.key)] = whole[same].key if same in whole else line.key
        whole[same] = _add_two(whole[same], line) if same in whole else line
    # A credit names the charges that it belongs to by their identity, and these are in lines of the whole now.
    return tuple(replace(line, of=tuple(known_as.get(id(key), key) for key in line.of)) for line in whole.values())


def _add_two(one: Line, other: Line) -> Line:
    return replace(
        one,
        quantity=one.quantity + other.quantity,
        consumed=_add_known([one.consumed, other.consumed]),
        used=_add_known([one.used, other.used]),
        of=tuple(dict.fromkeys((*one.of, *other.of))),
    )


def _add_known(amounts: Sequence[Fraction | None]) -> Fraction | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Fraction(0)) if len(known) == len(amounts) else None
