"""The lines of a bill, each with its exact amount, and what every line refers to: its currency and its price sheet."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Literal

from aurea_engine.fields.checked import Invalid

Basis = Literal["usage", "allocated", "fixed", "credit"]
"""What is paid for: what jobs used; what was kept ready for them; neither (a fee); or money back."""


class _CurrencyRule:
    """Three capital letters, as in ISO 4217."""

    pattern = "^[A-Z]{3}$"

    def coerce(self, value: object) -> str:
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper():
            return value
        raise Invalid("must be a currency's three capital letters, such as USD")


Currency = Annotated[str, _CurrencyRule()]


@dataclass(frozen=True)
class Line:
    """One line of a bill. ``amount`` is ``quantity × unit_price`` exactly, and None where the price is not known.

    ``consumed``: the quantity before it was rounded up to steps and minimums. ``used``: what the jobs themselves filled
    of what was kept ready (allocated lines). Both in ``unit``, None where it makes no sense. ``source``: which price sheet.
    ``component``: the name of the component that it is a line of, its own where none is given. A credit belongs to the lines
    whose ``key`` is in ``of``, whatever their names are; to the whole bill where ``of`` is empty.
    """

    name: str
    quantity: Fraction
    unit: str
    unit_price: Fraction | None
    basis: Basis = "usage"
    consumed: Fraction | None = None
    used: Fraction | None = None
    source: str = ""
    component: str = ""
    of: tuple[object, ...] = field(default=(), repr=False, compare=False)
    key: object = field(default_factory=object, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "component", self.component or self.name)

    @property
    def amount(self) -> Fraction | None:
        return None if self.unit_price is None else self.quantity * self.unit_price

    @property
    def wasted(self) -> Fraction:
        """Money for what only rounding added."""
        if self.unit_price is None or self.consumed is None:
            return Fraction(0)
        return (self.quantity - self.consumed) * self.unit_price

    @property
    def idle(self) -> Fraction:
        """Money for what was kept ready and no job filled, rounding included."""
        if self.unit_price is None or self.used is None:
            return Fraction(0)
        return (self.quantity - self.used) * self.unit_price


@dataclass(frozen=True)
class SheetRef:
    """Which price sheet priced something: enough to find it again and to see that it is unchanged."""

    id: str
    version: str
    currency: str
    checked: str
    sha256: str
