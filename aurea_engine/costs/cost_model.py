"""The contract of cost models, how they are added, and the simplest built-in ones.

A cost model is meter → rate → adjustment. It names its `Component`s: each is a quantity (which says what must be metered)
at a rate. Every rule of a vendor belongs to exactly one of the three. ::

    @dataclass(frozen=True)
    class PerStartedMinute(CostModel):
        price: Price = "0.01"

        def components(self):
            yield Component("minutes", BilledTime(step=60).times(Fraction(1, 60)), Flat(self.price), "Minutes")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np

from aurea_engine.costs.bill_lines import Basis, Currency, Line, SheetRef
from aurea_engine.costs.decimals import Price
from aurea_engine.costs.meters import Meter
from aurea_engine.costs.quantities import BilledTime, Jobs, Quantity
from aurea_engine.costs.rates import Flat, Rate
from aurea_engine.costs.safe_call import call_safely
from aurea_engine.costs.started_jobs import STARTED, Billed
from aurea_engine.costs.step_billing import Per, PerStep
from aurea_engine.costs.usage import Usage
from aurea_engine.errors import Problem
from aurea_engine.fields.checked import Checked, Seconds, non_empty
from aurea_engine.records.batch import Floats, JobBatch
from aurea_engine.records.measures import Schema


@dataclass(frozen=True)
class Component:
    """``quantity`` at ``rate``. ``unit`` names one of the quantity. For ``consumed`` and ``used`` see `Line`."""

    name: str
    quantity: Quantity
    rate: Rate
    unit: str
    basis: Basis = "usage"
    consumed: Quantity | None = None
    used: Quantity | None = None
    source: str = ""

    def billed_per(self, per: Per) -> Component:
        """The same component, of steps where ``per`` says so."""
        if per == "job":
            return self
        consumed, used = (None if each is None else PerStep(each) for each in (self.consumed, self.used))
        return replace(self, quantity=PerStep(self.quantity), consumed=consumed, used=used)

    def meters(self) -> list[Meter]:
        wanted = (self.quantity, self.consumed, self.used)
        return [meter for quantity in wanted if quantity is not None for meter in quantity.meters()]

    def lines(self, usage: Usage) -> Iterator[Line]:
        """One line for each price that applies to a part of the quantity."""
        quantity = self.quantity.read(usage)
        rests = [None if each is None else min(each.read(usage), quantity) for each in (self.consumed, self.used)]
        charges = self.rate.charges(quantity)
        for i, charge in enumerate(charges):
            name = self.name if len(charges) == 1 else f"{self.name}, tier {i + 1}"
            # Consumed and used fill the tiers from the lowest up, as the quantity does; what rounding added is on top.
            consumed, used = (None if rest is None else min(rest, charge.quantity) for rest in rests)
            rests = [None if rest is None else rest - min(rest, charge.quantity) for rest in rests]
            yield Line(
                name, charge.quantity, self.unit, charge.unit_price, self.basis, consumed, used, self.source, self.name
            )

    @property
    def monotone(self) -> bool:
        """Whether its lines can only grow during a run."""
        return self.quantity.monotone and self.rate.monotone

    def per_job(self, batch: JobBatch) -> Floats:
        price = self.rate.single()
        # A fee belongs to no job. With several prices a job has no price of its own: NaN, which lists show as null.
        if self.basis == "fixed":
            return np.zeros(len(batch))
        if price is None:
            return np.full(len(batch), np.nan)
        # Of instances kept ready, a job costs the share that it filled, so idle time is charged to no job.
        quantity = self.quantity if self.used is None else self.used
        return quantity.per_job(batch) * float(price)


class CostModel(ABC, Checked):
    """What a run costs. A model of your own needs `components` only; the rest follows from it."""

    @property
    def currency(self) -> str:
        """Three capital letters. A dataclass field of this name overrides it."""
        return "USD"

    @abstractmethod
    def components(self) -> Iterable[Component]:
        """What is paid for. Called before the run, for the meters, and after it, for the prices. No state, no I/O."""

    def meters(self) -> list[Meter]:
        """All meters that must count during the run."""
        return [meter for component in self.components() for meter in component.meters()]

    def lines(self, usage: Usage) -> list[Line]:
        """The bill. Override it for adjustments: discounts, commitments, currency, rounding."""
        return [line for component in self.components() for line in component.lines(usage)]

    def per_job(self, batch: JobBatch) -> Floats:
        """Each job's own cost as float64, for the list of jobs and histograms only. Money is summed elsewhere, exactly.

        A job that is not billed costs 0. Of instances kept ready (``packed``, ``instance_busy``, ``fleet``) a job costs the
        share that it filled, and the idle rest belongs to no job. A fixed fee adds 0. NaN if a job has no cost of its own
        (tiers).
        """
        return sum((component.per_job(batch) for component in self.components()), np.zeros(len(batch)))

    def check_measures(self, schema: Schema) -> list[Problem]:
        """What keeps it from pricing a run whose records have the columns of ``schema``: a measure that no job reports."""
        problems = (meter.find_problem(schema) for meter in self.meters())
        return [Problem("", problem) for problem in dict.fromkeys(problems) if problem is not None]

    def sheets(self) -> tuple[SheetRef, ...]:
        """The price sheets that the prices come from."""
        return ()

    @property
    def monotone(self) -> bool:
        """Whether the bill can only grow during a run. Then the bill so far is spent, whatever follows.

        An objective on the cost ends a run (``abort``) only then. By default it follows from the components. It is False if
        unknown, as for a model with its own `lines`: override it with True there only if no component of the bill, less its
        credits, can ever fall.
        """
        # A component of a user's model may raise here. Unknown is then the safe answer: a run that is not aborted only
        # costs time, one that is aborted wrongly has a wrong result.
        grows, _ = call_safely(lambda: all(component.monotone for component in self.components()))
        return type(self).lines is CostModel.lines and grows is True

    def __add__(self, other: CostModel) -> CostModel:
        if not isinstance(other, CostModel):
            return NotImplemented
        # Flat, so that (a + b) + c equals a + (b + c) also as a value, and a bill has no levels.
        mine = self.of if isinstance(self, Composite) else (self,)
        theirs = other.of if isinstance(other, Composite) else (other,)
        return Composite((*mine, *theirs))


@dataclass(frozen=True)
class Composite(CostModel):
    """All models of ``of`` on one bill, in one currency. Convert other currencies with ``discounts``."""

    of: Annotated[tuple[CostModel, ...], non_empty("must hold at least one cost model")]

    @property
    def currency(self) -> str:
        # What is free is free in every currency.
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
        # Each model is asked, not their components: one of them may override `lines`, and with it this property.
        return all(model.monotone for model in self.of)


@dataclass(frozen=True)
class Free(CostModel):
    """Nothing costs anything: a bill without lines."""

    currency: Currency = "USD"

    def components(self) -> tuple[Component, ...]:
        return ()


@dataclass(frozen=True)
class PerSecond(CostModel):
    """``price`` per second of service. Each job's time is rounded up to ``step`` seconds, at least ``minimum``.

    ``per``: whether each job is billed, with the time in which a user of a flow thinks, or each of its steps.
    """

    price: Price = "0.001"
    step: Seconds = 0
    minimum: Seconds = 0
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def components(self) -> tuple[Component, ...]:
        return self._components

    # The default of every run. It is asked four times for each, and building the parts checks all of their fields anew.
    @cached_property
    def _components(self) -> tuple[Component, ...]:
        time = BilledTime(self.step, self.minimum, billed=self.billed)
        consumed = BilledTime(billed=self.billed)
        return (Component("time", time, Flat(self.price), "Seconds", consumed=consumed).billed_per(self.per),)


@dataclass(frozen=True)
class PerJob(CostModel):
    """``price`` for each started job, or each step of one (``per``): a request fee."""

    price: Price
    billed: Billed = STARTED
    per: Per = "job"
    currency: Currency = "USD"

    def components(self) -> Iterator[Component]:
        name, unit = ("jobs", "Jobs") if self.per == "job" else ("steps", "Steps")
        yield Component(name, Jobs(self.billed), Flat(self.price), unit).billed_per(self.per)
