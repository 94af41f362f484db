"""The lines of a bill, each with its exact amount, and what they refer to: the currency and the price sheet."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Literal

from aurea_engine.fields.checked import Invalid

Basis = Literal["usage", "allocated", "fixed", "credit"]
"""What a line pays for: what jobs used; what was kept ready for jobs; neither (a fee); or money back."""


class _CurrencyRule:
    """Three capital letters, as in ISO 4217. Whether the currency exists is not checked."""

    pattern = "^[A-Z]{3}$"

    def coerce(self, value: object) -> str:
        # isalpha alone would let letters of other alphabets in, which a metric's label and a CSV should not have.
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper():
            return value
        raise Invalid("must be a currency's three capital letters, such as USD")


Currency = Annotated[str, _CurrencyRule()]


@dataclass(frozen=True)
class Line:
    """One line of a bill. ``amount`` is exactly ``quantity × unit_price``, and None if the price is not known.

    ``consumed``: the quantity before it was rounded up to steps and minimums. ``used``: the part of what was kept ready that
    jobs filled (allocated lines). Both are in ``unit``, and None if they have no meaning. ``source``: the price sheet.
    ``component``: the name of its component, by default its own. ``of``: a credit belongs to the lines with these
    keys, or to the whole bill if it is empty.
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
    # Identity, not content: two lines may be equal in every field and still be two charges. Neither may decide equality.
    of: tuple[object, ...] = field(default=(), repr=False, compare=False)
    key: object = field(default_factory=object, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A frozen dataclass sets its fields only this way. Tiers have names of their own and share a component.
        object.__setattr__(self, "component", self.component or self.name)

    # Kept: a bill asks for it dozens of times, and each product of fractions looks for a common divisor.
    @cached_property
    def amount(self) -> Fraction | None:
        return None if self.unit_price is None else self.quantity * self.unit_price

    @property
    def wasted(self) -> Fraction:
        """The money that only rounding added."""
        if self.unit_price is None or self.consumed is None:
            return Fraction(0)
        return (self.quantity - self.consumed) * self.unit_price

    @property
    def idle(self) -> Fraction:
        """The money for what was kept ready and filled by no job. It includes rounding."""
        if self.unit_price is None or self.used is None:
            return Fraction(0)
        return (self.quantity - self.used) * self.unit_price


@dataclass(frozen=True)
class SheetRef:
    """A reference to a price sheet: enough to find it again, and to see that it is unchanged."""

    id: str
    version: str
    currency: str
    checked: str
    sha256: str
