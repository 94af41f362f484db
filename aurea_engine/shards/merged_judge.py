"""Objectives that end a run, judged by what all of its shards have reported so far."""

# In one process `aurea_engine.run.aborts` is told of each job as it ends. Here there are only counts and histograms, a few
# times a second. The question is the same: is the objective lost whatever is still to come? So each count errs on the side
# of going on. Of a quantile, only those jobs are above the limit whose bucket lies above it as a whole (0.4 % wide). The
# answer is late, by half a second at most, and never wrong.

from __future__ import annotations

import math

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs import RunInfo, price
from aurea_engine.costs.budget import Budget
from aurea_engine.records.batch import NS
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Measure, find_declared
from aurea_engine.records.quantiles import count_samples_needed, find_rank
from aurea_engine.run.aborts import BAD, aborting
from aurea_engine.run.meters import Meters
from aurea_engine.run.parts import RunParts
from aurea_engine.spec import TIMES, Objective, RunSpec


class MergedJudge:
    """The objectives of ``spec`` that may end it."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        able = aborting(spec)
        self._watched = [(i, each) for i, each in enumerate(spec.objectives) if any(each is other for other in able)]
        has_steps = bool(spec.workload.schema.steps)
        # Money that a model may take back, or that depends on jobs together, is only known in the end.
        self._can_be_spent = Budget(spec.cost, 0.0, has_steps=has_steps).is_watching

    def __bool__(self) -> bool:
        """Whether there is anything to judge."""
        return bool(self._watched)

    def find_lost(self, parts: RunParts) -> int | None:
        """The position of the first objective that can no longer be met."""
        return next((i for i, objective in self._watched if self._is_lost(objective, parts)), None)

    def _is_lost(self, objective: Objective, parts: RunParts) -> bool:
        limit = objective.at_most
        assert limit is not None
        if objective.metric == "cost":
            return self._can_be_spent and self._is_spent(limit, parts)
        most = self._count_most(objective, parts)
        meters = parts.meters if objective.group is None else parts.meters.groups.get(objective.group)
        # With a duration alone any number of good jobs may still come.
        if most is None or meters is None or most <= 0:
            return False
        if objective.figure == "failure_ratio":
            # As a float, since that is how the result compares it.
            return sum(meters.counted[each] for each in BAD) / most > limit
        return self._is_quantile_lost(objective, meters, most)

    def _is_spent(self, limit: float, parts: RunParts) -> bool:
        run = RunInfo(parts.elapsed_ns, counts=dict(parts.meters.counts), started_at=parts.started_at)
        total = price(parts.metered.usage(run), self._spec.cost).total
        return total is not None and float(total) > limit

    def _count_most(self, objective: Objective, parts: RunParts) -> int | None:
        """How many jobs can count at most: all that are still to come, and good."""
        jobs, whole = self._spec.workload.jobs, parts.meters
        if jobs is None:
            return None
        ended, counted = whole.counts.total(), whole.counted.total()
        # Jobs of the warm-up that have ended do not count; there may be more of them, which nobody has reported yet.
        most = jobs - (ended - counted)
        if objective.group is None:
            return most
        group = whole.groups.get(objective.group)
        return most - (counted - (0 if group is None else group.counted.total()))

    def _is_quantile_lost(self, objective: Objective, meters: Meters, most: int) -> bool:
        assert objective.quantile is not None
        assert objective.at_most is not None
        schema = self._spec.workload.schema
        reported = find_declared(schema.declared, objective.figure)
        histogram = meters.times[objective.figure] if objective.figure in TIMES else None
        if histogram is None:
            histogram = meters.reported.get(objective.figure, LatencyHistogram())
        # Histograms count in the whole numbers of the columns; a bound is in the unit of its measure.
        unit = reported.scale if isinstance(reported, Measure) else NS
        above = histogram.count_above(min(objective.at_most * unit / NS, math.ldexp(1.0, 62) / NS))
        # What has ended and is not in the histogram did not complete, or did not report it: it can never count.
        left = most - (meters.counted.total() - meters.counted[Outcome.CANCELLED] - histogram.count)
        enough = histogram.count >= count_samples_needed(objective.quantile)
        return enough and left > 0 and above > left - find_rank(objective.quantile, left)
