"""A cost model that takes its prices from a price sheet, and the sizes that the sheet leaves open."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date
from fractions import Fraction
from typing import Annotated

from msgspec import Meta

from aurea_engine.closed_sets import PRICED_UNITS
from aurea_engine.costs.bill_lines import Line, SheetRef
from aurea_engine.costs.billing_step import round_up
from aurea_engine.costs.cloud_models import FleetTime, InstanceTime, Megabytes, PackedTime, Places
from aurea_engine.costs.cost_model import Component, CostModel
from aurea_engine.costs.decimals import Amount, Price, Size
from aurea_engine.costs.discounts import Allowance
from aurea_engine.costs.interval_meters import BusyTime
from aurea_engine.costs.price_sheets import DayRule, PriceSheet, SheetMeter, SheetPrice
from aurea_engine.costs.quantities import BilledTime, Jobs, MeterTotal, Quantity, Window, to_nanoseconds
from aurea_engine.costs.rates import Flat, Rate, Unpriced
from aurea_engine.costs.reported_meters import TokenCount
from aurea_engine.costs.sheet_files import shipped_sheet
from aurea_engine.costs.step_billing import Per
from aurea_engine.costs.usage import Usage
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, Count, Name
from aurea_engine.records.batch import NS


class _DayTextRule:
    pattern, format = DayRule.pattern, DayRule.format

    def coerce(self, value: object) -> str:
        return _DAY.coerce(value).isoformat()


_DAY = DayRule()


@dataclass(frozen=True)
class Override(Checked):
    """Your own ``price`` per unit of the ``sku``, instead of the one in the sheet: a negotiated one, or a what-if."""

    sku: Name
    price: Price


@dataclass(frozen=True, kw_only=True)
class Sizes(CostModel):
    """What a sheet leaves open: the size of instances, and how jobs share them. Only what the sheet uses is required."""

    memory_mb: Megabytes | None = None
    vcpu: Size | None = None
    bytes_per_job: Amount | None = None
    concurrency: Places | None = None
    instances: Count | None = None
    target_utilization: Size = "0.7"
    as_of: Annotated[str | date, _DayTextRule()] | None = None
    prices: tuple[Override, ...] = ()
    per: Per = "job"

    @abstractmethod
    def sheet(self) -> PriceSheet:
        """The sheet of the prices."""

    @property
    def currency(self) -> str:
        return self.sheet().currency

    def sheets(self) -> tuple[SheetRef, ...]:
        return (self.sheet().ref,)

    def check(self) -> Iterator[Problem]:
        sheet = self.sheet()
        # A dict keeps the order of the file, which is also the order of the lines of a bill.
        skus = dict.fromkeys(price.sku for price in sheet.prices)
        for i, override in enumerate(self.prices):
            if override.sku not in skus:
                yield Problem(f"prices[{i}].sku", f"must be one of {', '.join(skus)}", override.sku)
        # A size that no price uses is not asked for, and one that several use is reported once.
        missing: dict[str, str] = {}
        for price in sheet.prices:
            for field in _list_sizes_needed(price.meter):
                if getattr(self, field) is None:
                    missing.setdefault(field, price.sku)
        for field, sku in missing.items():
            yield Problem(field, f"must be given: the sheet {sheet.id} prices {sku!r} by it")

    def components(self) -> Iterator[Component]:
        yield from (component for _, component in self._find_prices(self._choose_day(None)))

    @property
    def monotone(self) -> bool:
        # All prices of the sheet, not only today's: the day of the run is not known here. `lines` differs from the default
        # only in projections, so its override does not make the bill fall during a run.
        return all(self._make_component(price, price.rate, "").monotone for price in self.sheet().prices)

    def _choose_day(self, started: date | None) -> date | None:
        return started if self.as_of is None else _DAY.coerce(self.as_of)

    def lines(self, usage: Usage) -> list[Line]:
        started_at = usage.run.started_at
        day = self._choose_day(None if started_at is None else started_at.astimezone(UTC).date())
        hours = Fraction(usage.run.window_ns, NS * 3600)
        lines: list[Line] = []
        for entry, component in self._find_prices(day):
            own = list(component.lines(usage))
            # Free units are per month, so they apply to a projection only.
            if usage.factor is not None and entry.allowance:
                own += list(Allowance(component.name, entry.allowance).credits(own, hours))
            lines += own
        return lines

    def _find_prices(self, day: date | None) -> Iterator[tuple[SheetPrice, Component]]:
        """Each sku with the price that held on ``day``, or the newest without a day. `Unpriced` if none held."""
        sheet = self.sheet()
        for sku in dict.fromkeys(price.sku for price in sheet.prices):
            entries = sorted((p for p in sheet.prices if p.sku == sku), key=lambda p: p.effective_from)
            # None held: the newest entry still says what would be metered, so the bill has the line, unpriced.
            held = [entry for entry in entries if day is None or entry.held_on(day)]
            entry = held[-1] if held else entries[-1]
            own = next((Flat(override.price) for override in self.prices if override.sku == sku), None)
            rate: Rate = own or (entry.rate if held else Unpriced())
            source = f"{sheet.id}@{sheet.version}#{sku}" + (" (own price)" if own else "")
            yield entry, self._make_component(entry, rate, source)

    def _make_component(self, entry: SheetPrice, rate: Rate, source: str) -> Component:
        factor = PRICED_UNITS[entry.meter.dimension][entry.unit]
        billed, consumed, used = self._make_quantities(entry.meter)
        allocated = used is not None
        return Component(
            entry.sku,
            billed.times(factor),
            rate,
            entry.unit,
            "allocated" if allocated else "fixed" if entry.meter.kind == "window" else "usage",
            None if consumed is None else consumed.times(factor),
            None if used is None else used.times(factor),
            source,
        ).billed_per(self.per)

    def _make_quantities(self, meter: SheetMeter) -> tuple[Quantity, Quantity | None, Quantity | None]:
        """The quantity billed, the same before rounding, and the one that jobs filled; in base units."""
        size, exact_size = self._find_sizes(meter)
        step, minimum = max(1, to_nanoseconds(meter.step)), to_nanoseconds(meter.minimum)
        # `check` requires the concurrency if the sheet uses it. 1 is only for sheets that do not.
        shared = self.concurrency or 1
        filled = BilledTime().times(size / shared)
        match meter.kind:
            case "jobs":
                return Jobs().times(size), None, None
            case "time":
                return BilledTime(meter.step, meter.minimum).times(size), BilledTime().times(exact_size), None
            case "tokens":
                assert meter.measure is not None
                return MeterTotal(TokenCount(meter.measure)), None, None
            case "window":
                return Window().times(size), None, None
            case "instance_busy":
                busy = BusyTime(shared, step, meter.scope)
                return InstanceTime(busy).times(size), InstanceTime(busy, "busy").times(size), filled
            case "packed":
                return PackedTime(shared, step).times(size), PackedTime(shared).times(size), filled
            case "fleet":
                target = Fraction(self.target_utilization)
                return FleetTime(shared, target, self.instances, step, minimum).times(size), None, filled

    def _find_sizes(self, meter: SheetMeter) -> tuple[Fraction, Fraction]:
        """The factor of a second (or a job): as billed, and as given."""
        # Only memory is rounded by the vendors: configured memory may be billed in steps of its own.
        if meter.size == "memory":
            memory = self.memory_mb or 0
            billed = round_up(memory, meter.memory_step, meter.memory_minimum)
            return Fraction(billed, 1024), Fraction(memory, 1024)
        size = {"vcpu": self.vcpu, "bytes": self.bytes_per_job, None: 1}[meter.size]
        return Fraction(size or 0), Fraction(size or 0)


def _list_sizes_needed(meter: SheetMeter) -> Iterator[str]:
    if meter.size is not None:
        yield {"memory": "memory_mb", "vcpu": "vcpu", "bytes": "bytes_per_job"}[meter.size]
    if meter.kind in ("instance_busy", "packed", "fleet"):
        yield "concurrency"


@dataclass(frozen=True, kw_only=True)
class SheetPrices(Sizes):
    """Priced by a sheet of your own. `load_sheet` reads one from a file."""

    of: PriceSheet

    def sheet(self) -> PriceSheet:
        return self.of


@dataclass(frozen=True, kw_only=True)
class Sheet(Sizes):
    """Priced by the shipped sheet ``name``: ``<id>`` for its newest version, or ``<id>@<version>``.

    The prices are those that held when the run started, or on ``as_of``. They are examples: check the vendor.
    """

    name: Annotated[str, Meta(max_length=256)]

    def sheet(self) -> PriceSheet:
        return shipped_sheet(self.name)
