"""Billing by step: a price that is per request where a job is a whole session of them.

A model with ``"per": "step"`` is the same model, asked about other rows: its meters count the steps of the run instead of
its jobs. A job without steps is one step, so a mix of single requests and flows is billed by request.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from aurea_engine.costs.meters import Meter, MeterState
from aurea_engine.costs.quantities import Quantity
from aurea_engine.costs.usage import STEPS, Usage
from aurea_engine.records.batch import Floats, JobBatch
from aurea_engine.records.measures import Schema

Per = Literal["job", "step"]
"""What a cost model bills: jobs as they are, or each of their steps by itself."""


@dataclass(frozen=True)
class OfSteps(Meter):
    """``of``, fed the steps of a run. Of a run without steps it is ``of`` itself, fed the jobs."""

    of: Meter

    @property
    def key(self) -> str:
        return STEPS + self.of.key

    def state(self) -> MeterState:
        return self.of.state()

    def find_problem(self, schema: Schema) -> str | None:
        return self.of.find_problem(schema)


@dataclass(frozen=True)
class PerStep(Quantity):
    """``of``, counted over steps."""

    of: Quantity

    def meters(self) -> tuple[Meter, ...]:
        return tuple(OfSteps(meter) for meter in self.of.meters())

    def read(self, usage: Usage) -> Fraction:
        return self.of.read(usage.of_steps())

    def per_job(self, batch: JobBatch) -> Floats:
        # The record of a job does not tell how long its steps took.
        return np.full(len(batch), np.nan)

    @property
    def monotone(self) -> bool:
        return self.of.monotone
