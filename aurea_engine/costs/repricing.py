"""Pricing a stored run again: from its usage where it suffices, from its records where a model needs another meter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aurea_engine.costs.metering import Metering
from aurea_engine.costs.model import CostModel
from aurea_engine.costs.pricing import Cost, price, price_from
from aurea_engine.costs.usage import RunInfo, Usage
from aurea_engine.errors import NeedsRecords
from aurea_engine.records import JobBatch

Records = JobBatch | Iterable[JobBatch]


def measure(records: Records, run: RunInfo, *models: CostModel) -> Usage:
    """The usage of jobs that have ended, with all that ``models`` need."""
    metering = Metering(*models)
    for batch in (records,) if isinstance(records, JobBatch) else records:
        metering.feed(batch)
    return metering.close(run)


def reprice(usage: Usage, model: CostModel, records: Records | None = None) -> Cost:
    """What the run of ``usage`` costs under another model, exactly.

    Looks at ``records`` only where the run did not keep what ``model`` meters. Raises `NeedsRecords` where there are none.
    """
    try:
        return price_from(usage, model)
    except NeedsRecords:
        if records is None:
            raise
        return price(measure(records, usage.run, model), model)


def compare(usage: Usage, models: Mapping[str, CostModel], records: Records | None = None) -> dict[str, Cost]:
    """The same run under several models, by name. Raises `NeedsRecords` as `reprice` does."""
    return {name: reprice(usage, model, records) for name, model in models.items()}
