"""Price sheets: price lists (rate cards) as dated data, in TOML with exact decimals.

A released version never changes: a new price is a new file, ``<id>@<version>.toml``. Each price says since when it is known
to have held. Each sheet says when it was last compared with its evidence, and every bill carries the sheet's hash. A missing
price is reported as unpriced, never taken for 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Annotated, Literal

from msgspec import Meta

from aurea_engine.closed_sets import PRICED_UNITS
from aurea_engine.costs.bill_lines import Currency, SheetRef
from aurea_engine.costs.decimals import Amount, Price, Size
from aurea_engine.costs.interval_meters import Scope
from aurea_engine.costs.rates import Flat, Mode, Rate, Tier, Tiers
from aurea_engine.costs.reported_meters import CACHED_LEFT_OUT, do_share_tokens, leave_out_cached
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Invalid, Name, Seconds, show_value
from aurea_engine.records.measures import ColumnName

STALE_AFTER_DAYS = 90

_Whole = Annotated[int, Meta(ge=1, le=10**9)]


class DayRule:
    """A date, or its text in the long form of ISO 8601."""

    pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
    format = "date"

    def coerce(self, value: object) -> date:
        # A datetime is a date, too, and TOML has both: only the day counts.
        if isinstance(value, date):
            return date(value.year, value.month, value.day)
        try:
            # Python also accepts 20261122 and 2026-W47-7, which the format "date" of JSON Schema does not.
            text = value if isinstance(value, str) and len(value) == 10 and "W" not in value else ""
            return date.fromisoformat(text)
        except ValueError:
            raise Invalid("must be a date such as 2026-11-22") from None


Day = Annotated[date, DayRule()]


@dataclass(frozen=True, kw_only=True)
class SheetMeter(Checked):
    """What a price applies to. ``size``: the memory, the vCPUs or the bytes that multiply it. ``measure``: which tokens are
    counted: ``input`` (without cached ones), ``cached``, ``output``, or a measure of the jobs.
    """

    kind: Literal["jobs", "time", "instance_busy", "packed", "fleet", "window", "tokens"]
    size: Literal["memory", "vcpu", "bytes"] | None = None
    measure: ColumnName | None = None
    step: Seconds = 0
    minimum: Seconds = 0
    scope: Scope = "period"
    memory_step: _Whole = 1
    memory_minimum: _Whole = 1

    @property
    def dimension(self) -> str:
        if self.kind == "tokens":
            return "tokens"
        if self.kind == "jobs":
            return "data" if self.size == "bytes" else "jobs"
        if self.size is not None:
            return {"memory": "memory time", "vcpu": "vCPU time", "bytes": "no dimension"}[self.size]
        return "time" if self.kind in ("time", "window") else "instance time"

    def check(self) -> Iterator[Problem]:
        if (self.kind == "tokens") != (self.measure is not None):
            problem = "must be input, cached, output or a measure of the jobs"
            yield Problem(
                "measure", problem if self.kind == "tokens" else "goes with the kind tokens", show_value(self.measure)
            )
        if self.kind == "tokens" and self.size is not None:
            yield Problem("size", "must be left out if tokens are counted", self.size)
        if self.kind == "jobs" and self.size in ("memory", "vcpu"):
            yield Problem("size", "must be bytes, or left out, if jobs are counted", self.size)
        if self.kind not in ("jobs", "tokens") and self.size == "bytes":
            yield Problem("size", "must be memory or vcpu if time is measured", "bytes")


@dataclass(frozen=True, kw_only=True)
class SheetPrice(Checked):
    """One price of one ``sku``: ``price`` for each ``per`` units, or ``steps`` with their ``mode``.

    It held from ``effective_from`` until the day before ``effective_to``. ``allowance``: free units in each month.
    """

    sku: Name
    unit: Name
    meter: SheetMeter
    effective_from: Day
    mode: Literal["flat", "graduated", "cliff"] | None = None
    price: Price | None = None
    steps: tuple[Tier, ...] = ()
    per: Size = 1
    effective_to: Day | None = None
    allowance: Amount = 0
    currency: Currency | None = None

    def check(self) -> Iterator[Problem]:
        units = PRICED_UNITS.get(self.meter.dimension, {})
        if self.unit not in units:
            yield Problem(
                "unit", f"must be one of {', '.join(units)} for {self.meter.dimension}", show_value(self.unit)
            )
        if self.effective_to is not None and self.effective_to <= self.effective_from:
            yield Problem("effective_to", "must be after effective_from", str(self.effective_to))
        yield from self._find_mode_problems()

    def _find_mode_problems(self) -> Iterator[Problem]:
        if self.steps and self.mode not in ("graduated", "cliff"):
            yield Problem("mode", "must be graduated or cliff if there are steps", show_value(self.mode))
        elif self.steps:
            try:
                Tiers(self.mode, self.steps)  # type: ignore[arg-type]  # the branch above holds the other modes
            except SpecError as error:
                yield from (problem._replace(path=problem.path.replace("tiers", "steps")) for problem in error.problems)
        # Exactly one of the two: with neither there is no price, with both there are two.
        if bool(self.steps) == (self.price is not None):
            yield Problem("price", "must be given, or steps, and not both", show_value(self.price))
        if self.price is not None and self.mode not in (None, "flat"):
            yield Problem("mode", "must be flat if there is one price", show_value(self.mode))

    @property
    def rate(self) -> Rate:
        """The price of one unit of the quantity."""
        # Vendors print "0.20 per 1M requests"; rates are per unit.
        per = Fraction(self.per)
        if self.price is not None:
            return Flat(Fraction(self.price) / per)
        mode: Mode = "cliff" if self.mode == "cliff" else "graduated"
        return Tiers(mode, tuple(Tier(Fraction(tier.price) / per, tier.up_to) for tier in self.steps))

    def held_on(self, day: date) -> bool:
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


@dataclass(frozen=True, kw_only=True)
class PriceSheet(Checked):
    """All prices of one offer, and where they come from."""

    id: Name
    version: Name
    title: Annotated[str, Meta(max_length=300)]
    currency: Currency
    checked: Day
    source: Annotated[str, Meta(max_length=1000)]
    notice: Annotated[str, Meta(max_length=1000)]
    evidence: Annotated[str, Meta(max_length=1000)] = ""
    region: Name = ""
    prices: tuple[SheetPrice, ...] = ()
    # Set by parse_sheet, from the content of the file: a sheet that is made in Python has none.
    sha256: Name = ""

    def check(self) -> Iterator[Problem]:
        if not self.prices:
            yield Problem("price", "must hold at least one [[price]]")
        for i, price in enumerate(self.prices):
            if price.currency not in (None, self.currency):
                yield Problem(f"price[{i}].currency", f"must be {self.currency}, as the sheet: one sheet, one currency",
                              str(price.currency))  # fmt: skip
            # Two prices on one day would make the bill depend on their order in the file.
            for other in self.prices[:i]:
                if other.sku == price.sku and _do_overlap(other, price):
                    yield Problem(f"price[{i}].effective_from", f"two prices of {price.sku!r} hold on the same day: end "
                                  "the older one with effective_to", str(price.effective_from))  # fmt: skip
                if other.sku != price.sku and _do_overlap(other, price):
                    yield from _find_shared_tokens(i, price.meter.measure, other)
        measures = [price.meter.measure for price in self.prices]
        if leave_out_cached(measures):
            yield Problem(f"price[{measures.index('input')}].meter.measure", CACHED_LEFT_OUT, "input")

    @property
    def ref(self) -> SheetRef:
        return SheetRef(self.id, self.version, self.currency, self.checked.isoformat(), self.sha256)

    def is_stale(self, today: date) -> bool:
        """Whether it was last compared with its evidence more than `STALE_AFTER_DAYS` ago."""
        return (today - self.checked).days > STALE_AFTER_DAYS


def _find_shared_tokens(i: int, measure: str | None, other: SheetPrice) -> Iterator[Problem]:
    if do_share_tokens(measure, other.meter.measure):
        problem = f"must not count tokens that the price of {other.sku!r} counts too: they would be billed twice"
        yield Problem(f"price[{i}].meter.measure", problem, str(measure))


def _do_overlap(a: SheetPrice, b: SheetPrice) -> bool:
    # Periods are half-open, so one may begin on the day on which the other ends.
    first, second = sorted((a, b), key=lambda price: price.effective_from)
    return first.effective_to is None or second.effective_from < first.effective_to
