"""What is known of the steps of jobs that have ended, in fixed memory; and the parts of a run that are of steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce

from aurea_engine.records.steps import StepBatch
from aurea_engine.run.job_times import CountingRules
from aurea_engine.run.meters import Meters
from aurea_engine.spec import RunSpec

# A step is metered as a job of a group is: `Meters` does both, so that a figure of a step and one of a group are one thing.
# What a job has not, and a step has: the jobs that never came to it. They are counted when a job ends, by its own steps, and
# not worked out as a difference. So the two can be held against each other:
#
#     reached + not reached = jobs that were served and have the step        for every step, in every run
#
# All of it adds up, in any order, as the meters of jobs do.


@dataclass
class StepMeters:
    """``meters``: of all steps together, with one for each step in ``groups``. ``not_reached``: step → jobs that ended
    before it.
    """

    meters: Meters = field(default_factory=Meters)
    not_reached: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, spec: RunSpec) -> StepMeters:
        """Of no step yet. No step is *good*: objectives on single jobs are about jobs."""
        return cls(Meters(CountingRules(spec.warmup_ns)))

    def merge(self, other: StepMeters) -> None:
        """Take over all that ``other`` holds of steps of *other* jobs of the same run."""
        self.meters.merge(other.meters)
        self.not_reached.update(other.not_reached)

    def copy(self) -> StepMeters:
        """Independent meters of the same steps."""
        twin = StepMeters(Meters(self.meters.rules))
        twin.merge(self)
        return twin


@dataclass(frozen=True)
class StepParts:
    """What a run, or some of its shards, measured of steps. ``records``: None if none were kept."""

    meters: StepMeters
    records: StepBatch | None = None

    @classmethod
    def empty(cls, spec: RunSpec) -> StepParts | None:
        """Of no job yet; None if the jobs of ``spec`` have no steps."""
        schema = spec.workload.schema
        if not schema.steps:
            return None
        return cls(StepMeters.of(spec), StepBatch.empty(schema) if spec.keep_jobs else None)

    @classmethod
    def merge(cls, parts: Iterable[StepParts | None]) -> StepParts | None:
        """All of them together; None if the run has no steps."""
        there = [each for each in parts if each is not None]
        if len(there) < 2:
            return there[0] if there else None
        # One shard without records leaves the whole without, as for jobs.
        records = [each.records for each in there if each.records is not None]
        joined = StepBatch.join(records) if len(records) == len(there) else None
        return cls(reduce(_add, (each.meters for each in there[1:]), there[0].meters.copy()), joined)


def _add(meters: StepMeters, more: StepMeters) -> StepMeters:
    meters.merge(more)
    return meters
