"""Cost models in the shapes that clouds bill: by gigabyte-second, by container, by busy instance, by fleet.

Prices are per the unit that price lists use, and sizes are exact numbers. The models have more fields than a function should
have parameters, because each is a row of a price list: give them by name.

With ``per="step"`` each of them bills the steps of jobs instead of jobs: a flow's thinking is then no time of a function.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from msgspec import Meta

from aurea_engine.closed_sets import SECONDS_AS_HOURS
from aurea_engine.costs.bill_lines import Currency
from aurea_engine.costs.billing_step import round_up
from aurea_engine.costs.cost_model import Component, CostModel
from aurea_engine.costs.decimals import Price, Size
from aurea_engine.costs.interval_meters import BusyTime, Concurrency, Scope
from aurea_engine.costs.meters import Meter
from aurea_engine.costs.quantities import BilledTime, Jobs, Quantity, to_nanoseconds
from aurea_engine.costs.rates import Flat
from aurea_engine.costs.started_jobs import STARTED, Billed
from aurea_engine.costs.step_billing import Per
from aurea_engine.costs.usage import Usage
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Count, Seconds
from aurea_engine.records.batch import NS, Floats, JobBatch

Megabytes = Annotated[int, Meta(ge=1, le=10**9)]
Places = Annotated[int, Meta(ge=1, le=1_000_000)]


@dataclass(frozen=True, kw_only=True)
class Serverless(CostModel):
    """Functions: ``price`` per GB-second of ``memory_mb`` (1 GB-s is 1,024,000 MB·ms), and ``request_price`` per request.

    Each job's time is rounded up to ``step``, at least ``minimum``; memory up to ``memory_step``, at least
    ``memory_minimum``. ``init``: seconds of initialisation added to every job before rounding; 0 for warm instances.
    """

    price: Price
    request_price: Price = "0"
    memory_mb: Megabytes = 128
    step: Seconds = 0.001
    minimum: Seconds = 0.001
    memory_step: Megabytes = 1
    memory_minimum: Megabytes = 1
    init: Seconds = 0
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        # Vendors' GB is 1,024 MB here: AWS Lambda and Azure Functions both bill 128 MB as 0.125 GB.
        billed_gb = Fraction(round_up(self.memory_mb, self.memory_step, self.memory_minimum), 1024)
        # Rounded and not rounded, from two meters: the difference is what the bill calls wasted.
        time = BilledTime(self.step, self.minimum, self.init, self.billed).times(billed_gb)
        consumed = BilledTime(extra=self.init, billed=self.billed).times(Fraction(self.memory_mb, 1024))
        yield Component("duration", time, Flat(self.price), "GB-Seconds", consumed=consumed).billed_per(self.per)
        yield Component("requests", Jobs(self.billed), Flat(self.request_price), "Requests").billed_per(self.per)


@dataclass(frozen=True, kw_only=True)
class ContainerTask(CostModel):
    """A container for each job: ``vcpu`` at ``vcpu_price`` per vCPU-hour and ``memory_gb`` at ``memory_price`` per GB-hour.

    Each job's time is rounded up to ``step`` seconds, at least ``minimum``.
    """

    vcpu_price: Price
    memory_price: Price
    vcpu: Size = 1
    memory_gb: Size = 1
    step: Seconds = 1
    minimum: Seconds = 60
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        time, raw = BilledTime(self.step, self.minimum, billed=self.billed), BilledTime(billed=self.billed)
        for name, size, price, unit in (
            ("vcpu", Fraction(self.vcpu), self.vcpu_price, "vCPU-Hours"),
            ("memory", Fraction(self.memory_gb), self.memory_price, "GB-Hours"),
        ):
            hours = size * SECONDS_AS_HOURS
            consumed = raw.times(hours)
            yield Component(name, time.times(hours), Flat(price), unit, consumed=consumed).billed_per(self.per)


@dataclass(frozen=True)
class InstanceTime(Quantity):
    """Seconds for which instances were busy. ``part``: rounded (``billed``), not rounded (``busy``), or the time that jobs
    filled, Σd ÷ concurrency (``jobs``).
    """

    meter: BusyTime
    part: str = "billed"

    def meters(self) -> tuple[Meter, ...]:
        return (self.meter,)

    def read(self, usage: Usage) -> Fraction:
        # A job fills one of `concurrency` places of its instance, so Σd counts as Σd ÷ concurrency of instance time.
        shared = self.meter.concurrency if self.part == "jobs" else 1
        return Fraction(usage.of(self.meter).get(self.part, 0)) / (NS * shared)

    def per_job(self, batch: JobBatch) -> Floats:
        return BilledTime(billed=self.meter.billed).per_job(batch) / self.meter.concurrency


@dataclass(frozen=True, kw_only=True)
class InstanceBusy(CostModel):
    """Instances that take ``concurrency`` jobs at once, and cost ``price`` per second while they have any.

    Overlapping jobs are billed once. Each job goes to the lowest-numbered instance with a free place. ``scope`` is what is
    rounded up to ``step`` seconds: each busy period, each instance, or the whole run.
    """

    price: Price
    concurrency: Places
    request_price: Price = "0"
    step: Seconds = 0.1
    scope: Scope = "period"
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        # One meter for all three readings: routing the jobs is the expensive part, and is done once.
        meter = BusyTime(self.concurrency, max(1, to_nanoseconds(self.step)), self.scope, self.billed)
        billed, busy, filled = (InstanceTime(meter, part) for part in ("billed", "busy", "jobs"))
        rate = Flat(self.price)
        instances = Component("instances", billed, rate, "Instance-Seconds", "allocated", consumed=busy, used=filled)
        yield instances.billed_per(self.per)
        yield Component("requests", Jobs(self.billed), Flat(self.request_price), "Requests").billed_per(self.per)


@dataclass(frozen=True)
class PackedTime(Quantity):
    """∫⌈L/c⌉dt in seconds: the least instance time for the jobs as they ran, with ``concurrency`` jobs to an instance."""

    concurrency: int
    step: int = 1
    billed: Billed = STARTED

    def meters(self) -> tuple[Meter, ...]:
        return (Concurrency(self.billed),)

    def read(self, usage: Usage) -> Fraction:
        levels = usage.of(Concurrency(self.billed))
        # The histogram of levels has all that the integral needs: level L lasted ns, and needed ⌈L/c⌉ instances.
        time = sum((Fraction(ns) * -(-int(level) // self.concurrency) for level, ns in levels.items()), Fraction(0))
        # A projection is a month of many runs. Rounding the total once, as for one run, would mean nothing there.
        return Fraction(round_up(math.ceil(time), self.step), NS) if usage.factor is None else time / NS

    def per_job(self, batch: JobBatch) -> Floats:
        return BilledTime(billed=self.billed).per_job(batch) / self.concurrency


@dataclass(frozen=True, kw_only=True)
class Packed(CostModel):
    """Like `InstanceBusy` without knowing which instance served which job: at each instant, as few as the jobs need.

    This is a lower bound for every router. The total of the run is rounded up to ``step`` seconds.
    """

    price: Price
    concurrency: Places
    request_price: Price = "0"
    step: Seconds = 0
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        time = PackedTime(self.concurrency, max(1, to_nanoseconds(self.step)), self.billed)
        exact = PackedTime(self.concurrency, 1, self.billed)
        filled = BilledTime(billed=self.billed).times(Fraction(1, self.concurrency))
        rate = Flat(self.price)
        instances = Component("instances", time, rate, "Instance-Seconds", "allocated", consumed=exact, used=filled)
        yield instances.billed_per(self.per)
        yield Component("requests", Jobs(self.billed), Flat(self.request_price), "Requests").billed_per(self.per)


@dataclass(frozen=True)
class FleetTime(Quantity):
    """Instance-seconds of a fleet that runs for the whole window, each rounded up to ``step``, at least ``minimum`` (ns).

    If ``instances`` is not given, there are ⌈Σd ÷ (window · slots · target)⌉. This is Little's law (Little 1961): Σd ÷
    window is λ·S, the mean number of jobs in service.
    """

    slots: int
    target: Fraction
    instances: int | None
    step: int
    minimum: int

    def meters(self) -> tuple[Meter, ...]:
        return BilledTime().meters()

    def count(self, usage: Usage) -> int:
        """The number of instances."""
        if self.instances is not None:
            return self.instances
        if not usage.run.window_ns:
            return 0
        # A ceiling in integers: a float could lose or add a machine exactly at a multiple.
        needed = BilledTime().read(usage) * NS / (usage.run.window_ns * self.slots * self.target)
        return -(-needed.numerator // needed.denominator)

    def read(self, usage: Usage) -> Fraction:
        # Every instance is up for the whole window, so rounding one and multiplying rounds them all.
        lasts = round_up(usage.run.window_ns, self.step, self.minimum)
        return Fraction(self.count(usage) * lasts, NS)

    def per_job(self, batch: JobBatch) -> Floats:
        return BilledTime().per_job(batch) / self.slots


@dataclass(frozen=True)
class _FleetWindow(FleetTime):
    """Instance-seconds of the fleet before they are rounded up."""

    def read(self, usage: Usage) -> Fraction:
        return Fraction(self.count(usage) * usage.run.window_ns, NS)


@dataclass(frozen=True, kw_only=True)
class Fleet(CostModel):
    """Machines that run all the time: ``price`` per instance-hour, with ``slots`` jobs at once on each.

    Give ``instances``. Otherwise Little's law finds how many keep the utilization at or below ``target_utilization``. The
    whole window is billed, rounded up to ``step`` seconds for each instance, at least ``minimum``.
    """

    price: Price
    slots: Places = 1
    target_utilization: Size = "0.7"
    instances: Count | None = None
    step: Seconds = 1
    minimum: Seconds = 60
    per: Per = "job"
    currency: Currency = "USD"

    def check(self) -> list[Problem]:
        if Fraction(self.target_utilization) <= 1:
            return []
        return [Problem("target_utilization", "must be <= 1", str(self.target_utilization))]

    def components(self) -> Iterator[Component]:
        size = (
            self.slots, Fraction(self.target_utilization), self.instances, max(1, to_nanoseconds(self.step)),
            to_nanoseconds(self.minimum),
        )  # fmt: skip
        filled = BilledTime().times(SECONDS_AS_HOURS / self.slots)
        window = _FleetWindow(*size).times(SECONDS_AS_HOURS)
        hours, rate = FleetTime(*size).times(SECONDS_AS_HOURS), Flat(self.price)
        instances = Component("instances", hours, rate, "Instance-Hours", "allocated", consumed=window, used=filled)
        yield instances.billed_per(self.per)
