"""Adjustments come last, in this order: free allowances, discounts, a commitment, a currency, rounding to an invoice.

Each adds lines and changes none, so the bill still says what everything cost before. Allowances and commitments belong to a
billing period: they apply to projections only, because a run of ten seconds would cost nothing under any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Annotated, Literal

from msgspec import Meta

from aurea_engine._fields import Checked, Name
from aurea_engine.costs.exact import Amount, Price, Share, Size
from aurea_engine.costs.meters import Meter
from aurea_engine.costs.model import Component, CostModel, Currency, Line, SheetRef
from aurea_engine.costs.usage import Usage
from aurea_engine.distributions import Floats
from aurea_engine.errors import Problem
from aurea_engine.records import NS, JobBatch

ROUNDING = "rounding to the invoice"


def _is(line: Line, name: str) -> bool:
    """Whether ``line`` is of the component ``name``, in any tier."""
    return line.basis != "credit" and (line.name == name or line.name.startswith(f"{name}, tier "))


def _of(lines: Iterable[Line]) -> Fraction:
    return sum((line.amount for line in lines if line.amount is not None), Fraction(0))


@dataclass(frozen=True)
class Allowance(Checked):
    """The first ``amount`` of the component ``on`` is free in each ``hours``: a quantity in its unit, or money (spend)."""

    on: Name
    amount: Amount
    kind: Literal["quantity", "spend"] = "quantity"
    hours: Size = 730

    def credits(self, lines: list[Line], hours: Fraction) -> Iterator[Line]:
        left = Fraction(self.amount) * hours / Fraction(self.hours)
        # From the highest tier down: the same bill as tiers that begin after the free quantity.
        for line in reversed([line for line in lines if _is(line, self.on)]):
            if line.unit_price is None or line.amount is None:
                continue
            if self.kind == "spend":
                part = min(left, line.amount)
                yield Line(f"{line.name}: allowance", part, "Credit", Fraction(-1), "credit", source=line.source)
            else:
                part = min(left, line.quantity)
                yield Line(f"{line.name}: allowance", part, line.unit, -line.unit_price, "credit", source=line.source)
            left -= part


@dataclass(frozen=True)
class Discount(Checked):
    """``share`` off the price of the components ``on`` (all where empty): 0.2 is 20 % off."""

    share: Share
    on: tuple[Name, ...] = ()

    def credits(self, lines: list[Line]) -> Iterator[Line]:
        for line in [line for line in lines if line.basis != "credit"]:
            if line.amount is None or (self.on and not any(_is(line, name) for name in self.on)):
                continue
            # What an allowance or an earlier discount already gave back is not given back again.
            due = line.amount + _of(each for each in lines if each.name.startswith(f"{line.name}: "))
            yield Line(f"{line.name}: discount", due, "Discounted", -Fraction(self.share), "credit", source=line.source)


@dataclass(frozen=True)
class Commitment(Checked):
    """``per_hour`` is paid whether used or not, and covers what would list at ``per_hour ÷ (1 − discount)`` an hour."""

    per_hour: Price
    discount: Share
    on: tuple[Name, ...] = ()

    def check(self) -> list[Problem]:
        return [] if Fraction(self.discount) < 1 else [Problem("discount", "must be < 1", str(self.discount))]

    def lines(self, lines: list[Line], hours: Fraction) -> Iterator[Line]:
        paid = Fraction(self.per_hour)
        eligible = [line for line in lines if not self.on or any(_is(line, name) for name in self.on)]
        names = {line.name for line in eligible if line.basis != "credit"}
        due = _of(line for line in lines if line.name.partition(":")[0] in names)
        listed = paid * hours / (1 - Fraction(self.discount))
        covered = max(Fraction(0), min(due, listed))
        used = covered * (1 - Fraction(self.discount)) / paid if paid else Fraction(0)
        yield Line("covered by the commitment", covered, "Credit", Fraction(-1), "credit")
        yield Line("commitment", hours, "Hours", paid, "allocated", used=used)


@dataclass(frozen=True)
class Conversion(Checked):
    """Into the currency ``to``: one unit of the model's currency is ``rate`` of it, as of ``date``."""

    to: Currency
    rate: Size
    date: Name

    def converted(self, line: Line) -> Line:
        return replace(line, unit_price=None if line.unit_price is None else line.unit_price * Fraction(self.rate))


@dataclass(frozen=True, kw_only=True)
class Discounts(CostModel):
    """The bill of ``of``, adjusted. ``round_to``: decimal places of the invoice, half to even."""

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
        known = [component.name for component in self.of.components()]
        for path, names in self._named():
            for name in names:
                if name not in known:
                    yield Problem(path, f"must name a component: one of {', '.join(dict.fromkeys(known))}", name)

    def _named(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from ((f"allowances[{i}].on", (each.on,)) for i, each in enumerate(self.allowances))
        yield from ((f"discounts[{i}].on", each.on) for i, each in enumerate(self.discounts))
        if self.commitment is not None:
            yield "commitment.on", self.commitment.on

    def components(self) -> Iterable[Component]:
        return self.of.components()

    def meters(self) -> list[Meter]:
        return self.of.meters()

    def lines(self, usage: Usage) -> list[Line]:
        lines = self.of.lines(usage)
        hours = Fraction(usage.run.window_ns, NS * 3600)
        if usage.factor is not None:
            for allowance in self.allowances:
                lines += list(allowance.credits(lines, hours))
        for discount in self.discounts:
            lines += list(discount.credits(lines))
        if usage.factor is not None and self.commitment is not None:
            lines += list(self.commitment.lines(lines, hours))
        if self.convert is not None:
            lines = [self.convert.converted(line) for line in lines]
        if self.round_to is not None:
            lines.append(self._rounding(_of(lines), self.round_to))
        return lines

    def _rounding(self, total: Fraction, places: int) -> Line:
        unit = 10**places
        rounded = Fraction(round(total * unit), unit)
        return Line(ROUNDING, Fraction(1), "Invoices", rounded - total, "credit")

    def per_job(self, batch: JobBatch) -> Floats:
        """At list price, in the currency of the bill: what comes off belongs to the bill, not to a job."""
        rate = 1.0 if self.convert is None else float(Fraction(self.convert.rate))
        return self.of.per_job(batch) * rate

    def sheets(self) -> tuple[SheetRef, ...]:
        return self.of.sheets()
