"""Rates turn a quantity into money: one price, or tiers. Tiers need a mode, because the two modes differ by factors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal, NamedTuple

from aurea_engine.costs.decimals import Amount, Price
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked

Mode = Literal["graduated", "cliff"]


class Charge(NamedTuple):
    """A part of a quantity, and the price of one unit of it. ``None`` if the price is not known."""

    quantity: Fraction
    unit_price: Fraction | None


class Rate(ABC):
    """Turns a quantity into money: one price, or several."""

    @abstractmethod
    def charges(self, quantity: Fraction) -> list[Charge]:
        """Parts that add up to ``quantity``, each with its price."""

    def single(self) -> Fraction | None:
        """The price of every unit, if it is the same for all, else None."""
        return None

    @property
    def monotone(self) -> bool:
        """Whether more of the quantity never costs less. False if unknown."""
        return False


@dataclass(frozen=True)
class Flat(Checked, Rate):
    """Every unit at ``price``."""

    price: Price

    def charges(self, quantity: Fraction) -> list[Charge]:
        return [Charge(quantity, self.single())]

    def single(self) -> Fraction:
        return Fraction(self.price)

    @property
    def monotone(self) -> bool:
        return True


@dataclass(frozen=True)
class Unpriced(Rate):
    """The price is not known. The bill is then unpriced; a missing price is never taken for 0."""

    def charges(self, quantity: Fraction) -> list[Charge]:
        return [Charge(quantity, None)]


@dataclass(frozen=True)
class Tier(Checked):
    """``price`` per unit for quantities up to and including ``up_to``. The last tier has no end."""

    price: Price
    up_to: Amount | None = None


def find_tier_problems(tiers: tuple[Tier, ...]) -> Iterator[Problem]:
    """The reasons why ``tiers`` do not cover every quantity exactly once."""
    if not tiers:
        yield Problem("tiers", "must hold at least one tier")
        return
    for i, tier in enumerate(tiers[:-1]):
        if tier.up_to is None:
            yield Problem(f"tiers[{i}].up_to", "must be given: only the last tier has no end")
    if tiers[-1].up_to is not None:
        yield Problem(
            f"tiers[{len(tiers) - 1}].up_to", "must be left out: the last tier has no end", str(tiers[-1].up_to)
        )
    # The first end must be above 0, too, or its tier would hold nothing.
    ends = [Fraction(tier.up_to) for tier in tiers[:-1] if tier.up_to is not None]
    if any(b <= a for a, b in pairwise([Fraction(0), *ends])):
        yield Problem("tiers", "must be in order of up_to, each above the one before it")


@dataclass(frozen=True)
class Tiers(Checked, Rate):
    """``graduated``: each tier's price applies to the units inside it. ``cliff``: the tier that the whole quantity reaches
    prices every unit, so one unit more can cost less in total.
    """

    mode: Mode
    tiers: tuple[Tier, ...]

    def check(self) -> Iterator[Problem]:
        return find_tier_problems(self.tiers)

    def charges(self, quantity: Fraction) -> list[Charge]:
        return self._charge_graduated(quantity) if self.mode == "graduated" else self._charge_cliff(quantity)

    def single(self) -> Fraction | None:
        return Fraction(self.tiers[0].price) if len(self.tiers) == 1 else None

    @property
    def monotone(self) -> bool:
        # Prices are >= 0, so a graduated total never falls. A cliff falls where the next tier is cheaper for all units.
        return self.mode == "graduated"

    def _charge_graduated(self, quantity: Fraction) -> list[Charge]:
        parts: list[Charge] = []
        below = Fraction(0)
        for tier in self.tiers:
            end = quantity if tier.up_to is None else min(quantity, Fraction(tier.up_to))
            # The first tier is kept even for a quantity of 0: a bill of nothing still names what is billed.
            if end > below or not parts:
                parts.append(Charge(max(end - below, Fraction(0)), Fraction(tier.price)))
            below = max(below, end)
        return parts

    def _charge_cliff(self, quantity: Fraction) -> list[Charge]:
        # The bound belongs to the lower tier, as in graduated mode: exactly up_to units are still at its price.
        reached = next(t for t in self.tiers if t.up_to is None or quantity <= Fraction(t.up_to))
        return [Charge(quantity, Fraction(reached.price))]
