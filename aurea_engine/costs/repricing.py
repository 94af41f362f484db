"""Prices a stored run again: from its usage if that is enough, from its records if a model needs another meter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from aurea_engine.costs.cost_model import CostModel
from aurea_engine.costs.metering import Metering
from aurea_engine.costs.pricing import Cost, price, price_from
from aurea_engine.costs.usage import RunInfo, Usage
from aurea_engine.errors import NeedsRecords
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.steps import StepBatch

Records = JobBatch | Iterable[JobBatch]


def measure(records: Records, run: RunInfo, *models: CostModel, steps: StepBatch | None = None) -> Usage:
    """The usage of ended jobs, with all meters that ``models`` need. ``steps``: those of the jobs, where they have any."""
    metering = Metering(*models, steps=() if steps is None else steps.rows.groups)
    for batch in (records,) if isinstance(records, JobBatch) else records:
        metering.feed(batch)
    if steps is not None:
        metering.feed_steps(steps.rows)
    return metering.close(run)


def reprice(usage: Usage, model: CostModel, records: Records | None = None, steps: StepBatch | None = None) -> Cost:
    """The exact cost of the run of ``usage`` under another model.

    ``records``, and ``steps`` of jobs that have any, are counted only if the run did not keep what ``model`` meters. Raises
    `NeedsRecords` if there are none.
    """
    try:
        return price_from(usage, model)
    except NeedsRecords:
        # Without its steps a run would be counted as one without any.
        if records is None or (usage.has_steps and steps is None):
            raise
        return price(measure(records, usage.run, model, steps=steps), model)


def complete(usage: Usage, records: Records, *models: CostModel) -> Usage:
    """``usage`` with all meters that ``models`` need, counted from the ``records`` of the same run.

    Raises ValueError if the records cannot belong to that run, because a meter that both have differs.
    """
    # The common meters are in both, so records of another run, or only a part of this one's, are found out here.
    counted = measure(records, usage.run, *models)
    for key in counted.quanta.keys() & usage.quanta.keys():
        mine, theirs = ({label: n for label, n in each.quanta[key].items() if n} for each in (counted, usage))
        if mine != theirs:
            raise ValueError(f"its jobs and its usage are not of one run: they differ in {key!r}")
    # Counts of the usage stand, even if the same meter breaks now: the user's model may have changed since the run.
    broken = {key: text for key, text in counted.broken.items() if key not in usage.quanta}
    return replace(usage, quanta={**usage.quanta, **counted.quanta}, broken={**broken, **usage.broken})


def compare(usage: Usage, models: Mapping[str, CostModel], records: Records | None = None) -> dict[str, Cost]:
    """The same run under several models, by name. Raises `NeedsRecords` like `reprice`."""
    return {name: reprice(usage, model, records) for name, model in models.items()}
