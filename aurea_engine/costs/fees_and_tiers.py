"""Cost models of a fee for a period, and of quantities priced in tiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from aurea_engine.closed_sets import SECONDS_AS_HOURS
from aurea_engine.costs.bill_lines import Currency
from aurea_engine.costs.cloud_models import Megabytes
from aurea_engine.costs.cost_model import Component, CostModel
from aurea_engine.costs.decimals import Price, Size
from aurea_engine.costs.quantities import BilledTime, Jobs, Quantity, Window
from aurea_engine.costs.rates import Flat, Mode, Tier, Tiers, find_tier_problems
from aurea_engine.costs.started_jobs import STARTED, Billed
from aurea_engine.costs.step_billing import Per
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Seconds


@dataclass(frozen=True)
class FlatPeriod(CostModel):
    """A fee of ``price`` for each ``hours``, in proportion to the measured window: a licence, hardware, a cluster."""

    price: Price
    hours: Size = 730
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        # Seconds of the window → hours → periods.
        periods = Window().times(SECONDS_AS_HOURS / Fraction(self.hours))
        yield Component("period", periods, Flat(self.price), "Periods", "fixed")


@dataclass(frozen=True, kw_only=True)
class Tiered(CostModel):
    """A price that depends on the amount used: the run's, or in a projection the month's.

    ``mode`` is required: ``graduated`` charges each tier's units at its own price, ``cliff`` charges all units at the price
    of the tier reached. ``quantity``: ``jobs``, ``seconds`` of service, or ``gb_seconds`` at ``memory_mb``. Each job's time
    is rounded up to ``step``, at least ``minimum``.
    """

    mode: Mode
    tiers: tuple[Tier, ...]
    quantity: Literal["jobs", "seconds", "gb_seconds"] = "jobs"
    memory_mb: Megabytes | None = None
    step: Seconds = 0
    minimum: Seconds = 0
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def check(self) -> Iterator[Problem]:
        if (self.quantity == "gb_seconds") != (self.memory_mb is not None):
            got = "null" if self.memory_mb is None else str(self.memory_mb)
            yield Problem("memory_mb", "must be given with gb_seconds, and only with it", got)
        # The same check as of `Tiers`, with the paths of this model's members.
        yield from find_tier_problems(self.tiers)

    def components(self) -> Iterator[Component]:
        rate = Tiers(self.mode, self.tiers)
        if self.quantity == "jobs":
            name, unit = ("jobs", "Jobs") if self.per == "job" else ("steps", "Steps")
            yield Component(name, Jobs(self.billed), rate, unit).billed_per(self.per)
            return
        # Without a memory size the quantity is seconds: a factor of 1.
        size = Fraction(self.memory_mb or 1024, 1024)
        unit = "GB-Seconds" if self.quantity == "gb_seconds" else "Seconds"
        billed: Quantity = BilledTime(self.step, self.minimum, billed=self.billed).times(size)
        consumed = BilledTime(billed=self.billed).times(size)
        yield Component("time", billed, rate, unit, consumed=consumed).billed_per(self.per)
