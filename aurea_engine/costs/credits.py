"""What is still to be paid of each charge of a bill, once the credits that belong to it are taken off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from aurea_engine.costs.bill_lines import Line


@dataclass
class NetCharge:
    """What is left of ``line``: ``money``, and the ``quantity`` that no allowance has made free."""

    line: Line
    money: Fraction
    quantity: Fraction

    def scale_to_due(self, part: Fraction) -> Fraction:
        """``part`` of the line's amount, as far as the line is still to be paid."""
        return part * self.money / self.line.amount if self.line.amount else part

    def deduct(self, credit: Line, money: Fraction) -> None:
        """Take ``money`` off (put it on where it is below 0): a part of what ``credit`` gives back."""
        self.money -= money
        if credit.unit == self.line.unit and len(credit.of) == 1:
            self.quantity = max(Fraction(0), self.quantity - credit.quantity)


def separate_lines(lines: Iterable[Line]) -> list[Line]:
    """``lines``, each with a key of its own, so that a line that stands on a bill twice is two lines."""
    seen: set[object] = set()
    found = []
    for line in lines:
        found.append(replace(line, key=object()) if line.key in seen else line)
        seen.add(line.key)
    return found


def apply_credits(lines: Iterable[Line]) -> list[NetCharge]:
    """What is due of each charge, in the order of the bill; together it is the total, whatever the credits.

    A credit for several charges is taken off them in their order, each down to 0; one for none of them, off the whole bill.
    """
    bill = [line for line in lines if line.amount is not None]
    charges = {
        line.key: NetCharge(line, line.amount or Fraction(0), line.quantity) for line in bill if line.basis != "credit"
    }
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
    owners[0].money -= left
