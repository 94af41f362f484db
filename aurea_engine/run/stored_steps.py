"""What was measured of steps as plain values and bytes, within the parts of a run; see `aurea_engine.run.parts_file`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from aurea_engine.errors import DamagedParts
from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.records.steps import StepBatch
from aurea_engine.run.step_meters import StepMeters, StepParts
from aurea_engine.run.stored_meters import StoredRunMeters, Whole, load_run_meters, store_run_meters

Names = Annotated[str, Meta(max_length=1000)]


@dataclass(frozen=True)
class StoredSteps:
    """The meters of steps. Their records, if there are any, are columns beside the head."""

    meters: StoredRunMeters
    not_reached: dict[Names, Whole]


def store_steps(steps: StepParts | None) -> StoredSteps | None:
    """The meters of ``steps``; equal ones have equal values."""
    if steps is None:
        return None
    meters = steps.meters
    # Zeros are left out, so that it does not matter whether a count was ever touched.
    return StoredSteps(
        store_run_meters(meters.meters),
        {step: n for step, n in meters.not_reached.items() if n},
    )


def load_steps(stored: StoredSteps, rows: JobBatch | None, jobs: Instants | None) -> StepParts:
    """The inverse, with the records that stood beside it. Raises `DamagedParts` where they do not fit each other."""
    if (rows is None) != (jobs is None):
        raise DamagedParts("these parts of a run are damaged: records of steps do not say of which jobs they are")
    meters = StepMeters(load_run_meters(stored.meters), Counter(stored.not_reached))
    if rows is None or jobs is None:
        return StepParts(meters)
    # Every row is of a step, and the meters are of the same rows: figures come from both.
    if rows.group is None or (len(rows) and not 0 <= int(rows.group.min()) <= int(rows.group.max()) < len(rows.groups)):
        raise DamagedParts("these parts of a run are damaged: a record is of no step")
    if meters.meters.counts.total() != len(rows):
        raise DamagedParts("these parts of a run are damaged: records and counts are not of the same steps")
    return StepParts(meters, StepBatch(rows, jobs))
