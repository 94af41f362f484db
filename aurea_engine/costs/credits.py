"""What is still to be paid of each charge of a bill, after the credits that belong to it.

A bill is a list of lines; credits are lines below 0. For the total they need not be assigned to anything. But shares of a
bill (what was idle, what each component cost) need to know which charge a credit reduces: half the price of an idle machine
is half the idle cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from aurea_engine.costs.bill_lines import Line


@dataclass
class NetCharge:
    """What is left of ``line``: the ``money``, and the ``quantity`` that no allowance has made free."""

    line: Line
    money: Fraction
    quantity: Fraction

    def scale_to_due(self, part: Fraction) -> Fraction:
        """``part`` of the line's amount, reduced in the same proportion as the whole line was."""
        return part * self.money / self.line.amount if self.line.amount else part

    def deduct(self, credit: Line, money: Fraction) -> None:
        """Take ``money`` off, which is a part of ``credit``. Below 0 it is added."""
        self.money -= money
        # A credit in the unit of its one line is an allowance: so much of the quantity is free. Discounts are in money.
        if credit.unit == self.line.unit and len(credit.of) == 1:
            self.quantity = max(Fraction(0), self.quantity - credit.quantity)


def separate_lines(lines: Iterable[Line]) -> list[Line]:
    """``lines``, each with a key of its own. The same object twice on a bill becomes two lines."""
    seen: set[object] = set()
    found = []
    for line in lines:
        found.append(replace(line, key=object()) if line.key in seen else line)
        seen.add(line.key)
    return found


def apply_credits(lines: Iterable[Line]) -> list[NetCharge]:
    """The net amount of each charge, in the order of the bill. Together they are the total of the bill.

    A credit for several charges is taken off them in their order, each down to 0. A credit for none of them is taken off the
    whole bill.
    """
    bill = [line for line in lines if line.amount is not None]
    charges = {
        line.key: NetCharge(line, line.amount or Fraction(0), line.quantity) for line in bill if line.basis != "credit"
    }
    # Credits on a bill without charges. They stay, as entries of their own, so that the sum remains the total.
    alone = []
    for credit in (line for line in bill if line.basis == "credit"):
        owners = [charges[key] for key in credit.of if key in charges] or list(charges.values())
        if owners:
            _deduct_credit(credit, owners)
        else:
            alone.append(NetCharge(credit, credit.amount or Fraction(0), credit.quantity))
    return [*charges.values(), *alone]


def _deduct_credit(credit: Line, owners: Sequence[NetCharge]) -> None:
    left = -(credit.amount or Fraction(0))
    for due in owners:
        money = max(Fraction(0), min(left, due.money))
        due.deduct(credit, money)
        left -= money
    # More credit than charges: the rest makes one charge negative. A total below 0 is reported by validate_lines.
    owners[0].money -= left
