"""The contract of cost models, how they are added, and the built-ins that fit beside it.

A cost model is meter → rate → adjustment. It names its `Component`s: each is a quantity (which says what must be metered)
at a rate. Whatever a vendor's rule is, it sits in exactly one of the three. ::

    @dataclass(frozen=True)
    class PerStartedMinute(CostModel):
        price: Price = "0.01"

        def components(self):
            yield Component("minutes", BilledTime(step=60).times(Fraction(1, 60)), Flat(self.price), "Minutes")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from aurea_engine.costs.bill_lines import Basis, Currency, Line, SheetRef
from aurea_engine.costs.decimals import Price
from aurea_engine.costs.meters import Meter
from aurea_engine.costs.quantities import BilledTime, Jobs, Quantity
from aurea_engine.costs.rates import Flat, Rate
from aurea_engine.costs.safe_call import call_safely
from aurea_engine.costs.started_jobs import STARTED, Billed
from aurea_engine.costs.usage import Usage
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, Seconds, non_empty
from aurea_engine.records.batch import Floats, JobBatch
from aurea_engine.records.measures import Schema


@dataclass(frozen=True)
class Component:
    """``quantity`` at ``rate``. ``unit`` is what one of the quantity is called. ``consumed``, ``used``: see `Line`."""

    name: str
    quantity: Quantity
    rate: Rate
    unit: str
    basis: Basis = "usage"
    consumed: Quantity | None = None
    used: Quantity | None = None
    source: str = ""

    def meters(self) -> list[Meter]:
        wanted = (self.quantity, self.consumed, self.used)
        return [meter for quantity in wanted if quantity is not None for meter in quantity.meters()]

    def lines(self, usage: Usage) -> Iterator[Line]:
        """One line for each price that the quantity meets."""
        quantity = self.quantity.read(usage)
        rests = [None if each is None else min(each.read(usage), quantity) for each in (self.consumed, self.used)]
        charges = self.rate.charges(quantity)
        for i, charge in enumerate(charges):
            name = self.name if len(charges) == 1 else f"{self.name}, tier {i + 1}"
            # What was consumed fills the tiers from the lowest up, as the quantity does.
            consumed, used = (None if rest is None else min(rest, charge.quantity) for rest in rests)
            rests = [None if rest is None else rest - min(rest, charge.quantity) for rest in rests]
            yield Line(
                name, charge.quantity, self.unit, charge.unit_price, self.basis, consumed, used, self.source, self.name
            )

    @property
    def monotone(self) -> bool:
        """Whether its lines can only grow while a run goes on."""
        return self.quantity.monotone and self.rate.monotone

    def per_job(self, batch: JobBatch) -> Floats:
        price = self.rate.single()
        if self.basis == "fixed":
            return np.zeros(len(batch))
        if price is None:
            return np.full(len(batch), np.nan)
        quantity = self.quantity if self.used is None else self.used
        return quantity.per_job(batch) * float(price)


class CostModel(ABC, Checked):
    """What a run costs. A model of your own needs `components`; the rest follows from it."""

    @property
    def currency(self) -> str:
        """Three capital letters. A dataclass field of this name takes its place."""
        return "USD"

    @abstractmethod
    def components(self) -> Iterable[Component]:
        """What is paid for. Asked before the run, for the meters, and after it, for the prices: no state, no I/O."""

    def meters(self) -> list[Meter]:
        """All that must be counted during the run."""
        return [meter for component in self.components() for meter in component.meters()]

    def lines(self, usage: Usage) -> list[Line]:
        """The bill. Override it for what comes last: discounts, commitments, currency, rounding."""
        return [line for component in self.components() for line in component.lines(usage)]

    def per_job(self, batch: JobBatch) -> Floats:
        """Each job's own cost as float64, for the jobs list and histograms only; money is summed elsewhere, exactly.

        A job that is not billed costs 0. Of instances kept ready (``packed``, ``instance_busy``, ``fleet``) a job costs
        the share it filled, so the idle rest is nobody's; of a fixed fee, 0. NaN where a job has no cost of its own (tiers).
        """
        return sum((component.per_job(batch) for component in self.components()), np.zeros(len(batch)))

    def check_measures(self, schema: Schema) -> list[Problem]:
        """What keeps it from pricing a run whose records have the columns of ``schema``: a measure that no job reports."""
        problems = (meter.find_problem(schema) for meter in self.meters())
        return [Problem("", problem) for problem in dict.fromkeys(problems) if problem is not None]

    def sheets(self) -> tuple[SheetRef, ...]:
        """The price sheets behind the prices."""
        return ()

    @property
    def monotone(self) -> bool:
        """Whether the bill can only grow while a run goes on: then what it comes to meanwhile is spent, whatever follows.

        An objective on the cost ends a run (``abort``) only then. It follows from the components. False where nobody knows,
        as of a model that makes `lines` of its own: write True there only where no component of the bill, its credits taken
        off, can ever fall.
        """
        grows, _ = call_safely(lambda: all(component.monotone for component in self.components()))
        return type(self).lines is CostModel.lines and grows is True

    def __add__(self, other: CostModel) -> CostModel:
        if not isinstance(other, CostModel):
            return NotImplemented
        mine = self.of if isinstance(self, Composite) else (self,)
        theirs = other.of if isinstance(other, Composite) else (other,)
        return Composite((*mine, *theirs))


@dataclass(frozen=True)
class Composite(CostModel):
    """All of ``of`` on one bill. All in one currency: convert with ``discounts`` where they are not."""

    of: Annotated[tuple[CostModel, ...], non_empty("must hold at least one cost model")]

    @property
    def currency(self) -> str:
        return next((model.currency for model in self.of if not isinstance(model, Free)), "USD")

    def check(self) -> Iterator[Problem]:
        for i, model in enumerate(self.of):
            if not isinstance(model, Free) and model.currency != self.currency:
                remedy = 'wrap it in {"kind": "discounts", "convert": …} with a dated rate'
                yield Problem(
                    f"of[{i}].currency", f"must be {self.currency} as in the others: {remedy}", model.currency
                )

    def components(self) -> Iterator[Component]:
        for model in self.of:
            yield from model.components()

    def meters(self) -> list[Meter]:
        return [meter for model in self.of for meter in model.meters()]

    def check_measures(self, schema: Schema) -> list[Problem]:
        return [
            problem.within(f"of[{i}]") for i, model in enumerate(self.of) for problem in model.check_measures(schema)
        ]

    def lines(self, usage: Usage) -> list[Line]:
        return [line for model in self.of for line in model.lines(usage)]

    def per_job(self, batch: JobBatch) -> Floats:
        return sum((model.per_job(batch) for model in self.of), np.zeros(len(batch)))

    def sheets(self) -> tuple[SheetRef, ...]:
        return tuple(dict.fromkeys(sheet for model in self.of for sheet in model.sheets()))

    @property
    def monotone(self) -> bool:
        return all(model.monotone for model in self.of)


@dataclass(frozen=True)
class Free(CostModel):
    """Nothing costs anything."""

    currency: Currency = "USD"

    def components(self) -> tuple[Component, ...]:
        return ()


@dataclass(frozen=True)
class PerSecond(CostModel):
    """``price`` per second of service; each job's time rounded up to ``step`` seconds, at least ``minimum``."""

    price: Price = "0.001"
    step: Seconds = 0
    minimum: Seconds = 0
    billed: Billed = STARTED
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        time = BilledTime(self.step, self.minimum, billed=self.billed)
        yield Component("time", time, Flat(self.price), "Seconds", consumed=BilledTime(billed=self.billed))


@dataclass(frozen=True)
class PerJob(CostModel):
    """``price`` for each started job: a request fee."""

    price: Price
    billed: Billed = STARTED
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        yield Component("jobs", Jobs(self.billed), Flat(self.price), "Jobs")
