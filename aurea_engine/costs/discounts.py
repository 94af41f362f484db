"""Adjustments of a bill: free allowances, discounts, a commitment, a currency, rounding to an invoice; in this order.

Each adds lines and changes none, so the bill still says what everything cost before. A credit refers to its line by key,
never by name: two lines may have the same name. Allowances and commitments belong to a billing period. They apply to
projections only, because a run of ten seconds would cost nothing under any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Annotated, Literal

from msgspec import Meta

from aurea_engine.costs.bill_lines import Currency, Line, SheetRef
from aurea_engine.costs.cost_model import Component, CostModel
from aurea_engine.costs.credits import NetCharge, apply_credits, separate_lines
from aurea_engine.costs.decimals import Amount, Price, Share, Size
from aurea_engine.costs.meters import Meter
from aurea_engine.costs.usage import Usage
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, Name
from aurea_engine.records.batch import NS, Floats, JobBatch
from aurea_engine.records.measures import Schema

ROUNDING = "rounding to the invoice"


def _make_credit(due: NetCharge, kind: str, quantity: Fraction, unit: str, unit_price: Fraction) -> Line:
    """A credit for the line of ``due``."""
    line = due.line
    name = f"{line.name}: {kind}"
    return Line(name, quantity, unit, unit_price, "credit", None, None, line.source, line.component, (line.key,))


def _select_charges(lines: Iterable[Line], on: tuple[str, ...]) -> list[NetCharge]:
    """The net charges of the components ``on``, in any tier. Of all components if it is empty."""
    return [due for due in apply_credits(lines) if due.line.basis != "credit" and (not on or due.line.component in on)]


@dataclass(frozen=True)
class Allowance(Checked):
    """The first ``amount`` of the component ``on`` is free in each ``hours``: a quantity in its unit, or money (spend)."""

    on: Name
    amount: Amount
    kind: Literal["quantity", "spend"] = "quantity"
    hours: Size = 730

    def credits(self, lines: list[Line], hours: Fraction) -> Iterator[Line]:
        left = Fraction(self.amount) * hours / Fraction(self.hours)
        # From the highest tier down. Then the bill is the same as if the tiers began after the free quantity, which is how
        # clouds bill it: the free units are the first ones, so it is the last ones that are not reached.
        for due in reversed(_select_charges(lines, (self.on,))):
            part = min(left, due.money if self.kind == "spend" else due.quantity)
            if self.kind == "spend":
                yield _make_credit(due, "allowance", part, "Credit", Fraction(-1))
            else:
                # The net price of a unit: an earlier credit on the same line must not be given back twice.
                each = due.money / due.quantity if due.quantity else Fraction(0)
                yield _make_credit(due, "allowance", part, due.line.unit, -each)
            left -= part


@dataclass(frozen=True)
class Discount(Checked):
    """``share`` off the price of the components ``on`` (all where empty): 0.2 is 20 % off."""

    share: Share
    on: tuple[Name, ...] = ()

    def credits(self, lines: list[Line]) -> Iterator[Line]:
        """Credits on the net charges. So an allowance or an earlier discount is not given back twice."""
        for due in _select_charges(lines, self.on):
            yield _make_credit(due, "discount", due.money, "Discounted", -Fraction(self.share))


@dataclass(frozen=True)
class Commitment(Checked):
    """``per_hour`` is paid whether used or not. It covers usage of ``per_hour ÷ (1 − discount)`` an hour at list price."""

    per_hour: Price
    discount: Share
    on: tuple[Name, ...] = ()

    def check(self) -> list[Problem]:
        return [] if Fraction(self.discount) < 1 else [Problem("discount", "must be < 1", str(self.discount))]

    def lines(self, lines: list[Line], hours: Fraction) -> Iterator[Line]:
        paid = Fraction(self.per_hour)
        eligible = _select_charges(lines, self.on)
        due = sum((each.money for each in eligible), Fraction(0))
        # Committing to 0.50 an hour at 17 % off covers what lists at 0.602: AWS Savings Plans User Guide.
        listed = paid * hours / (1 - Fraction(self.discount))
        covered = max(Fraction(0), min(due, listed))
        # How many of the committed hours were needed. The rest of the commitment is idle.
        used = covered * (1 - Fraction(self.discount)) / paid if paid else Fraction(0)
        keys = tuple(each.line.key for each in eligible)
        yield Line("covered by the commitment", covered, "Credit", Fraction(-1), "credit", of=keys)
        yield Line("commitment", hours, "Hours", paid, "allocated", used=used)


@dataclass(frozen=True)
class Conversion(Checked):
    """Conversion into the currency ``to``. One unit of the model's currency is ``rate`` of it, as of ``date``."""

    to: Currency
    rate: Size
    date: Name

    def convert(self, line: Line) -> Line:
        return replace(line, unit_price=None if line.unit_price is None else line.unit_price * Fraction(self.rate))


@dataclass(frozen=True, kw_only=True)
class Discounts(CostModel):
    """The bill of ``of``, adjusted. ``round_to``: decimal places of the invoice, rounded half to even."""

    of: CostModel
    allowances: tuple[Allowance, ...] = ()
    discounts: tuple[Discount, ...] = ()
    commitment: Commitment | None = None
    convert: Conversion | None = None
    round_to: Annotated[int, Meta(ge=0, le=12)] | None = None

    @property
    def currency(self) -> str:
        return self.of.currency if self.convert is None else self.convert.to

    def check(self) -> Iterator[Problem]:
        # Only names can be checked here: which lines a bill has depends on the run.
        known = [component.name for component in self.of.components()]
        for path, names in self._list_component_names():
            for name in names:
                if name not in known:
                    yield Problem(path, f"must name a component: one of {', '.join(dict.fromkeys(known))}", name)

    def _list_component_names(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from ((f"allowances[{i}].on", (each.on,)) for i, each in enumerate(self.allowances))
        yield from ((f"discounts[{i}].on", each.on) for i, each in enumerate(self.discounts))
        if self.commitment is not None:
            yield "commitment.on", self.commitment.on

    def components(self) -> Iterable[Component]:
        return self.of.components()

    def meters(self) -> list[Meter]:
        return self.of.meters()

    def check_measures(self, schema: Schema) -> list[Problem]:
        return [problem.within("of") for problem in self.of.check_measures(schema)]

    def lines(self, usage: Usage) -> list[Line]:
        lines = separate_lines(self.of.lines(usage))
        hours = Fraction(usage.run.window_ns, NS * 3600)
        if usage.factor is not None:
            for allowance in self.allowances:
                lines += list(allowance.credits(lines, hours))
        for discount in self.discounts:
            lines += list(discount.credits(lines))
        if usage.factor is not None and self.commitment is not None:
            lines += list(self.commitment.lines(lines, hours))
        if self.convert is not None:
            lines = [self.convert.convert(line) for line in lines]
        if self.round_to is not None:
            total = sum((due.money for due in apply_credits(lines)), Fraction(0))
            lines.append(self._make_rounding_line(total, self.round_to))
        return lines

    def _make_rounding_line(self, total: Fraction, places: int) -> Line:
        unit = 10**places
        rounded = Fraction(round(total * unit), unit)
        return Line(ROUNDING, Fraction(1), "Invoices", rounded - total, "credit")

    def per_job(self, batch: JobBatch) -> Floats:
        """Each job at list price, in the currency of the bill. Credits belong to the bill, not to a job."""
        rate = 1.0 if self.convert is None else float(Fraction(self.convert.rate))
        return self.of.per_job(batch) * rate

    def sheets(self) -> tuple[SheetRef, ...]:
        return self.of.sheets()

    @property
    def monotone(self) -> bool:
        # The rounding line changes sign as the total grows, so a component's share of it can fall.
        return self.of.monotone and self.round_to is None
