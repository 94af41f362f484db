"""The figures of the steps of a run, under the warm-up that holds for its jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aurea_engine.records.batch import JobBatch
from aurea_engine.run.job_times import CountingRules
from aurea_engine.run.meters import Meters
from aurea_engine.run.step_meters import StepParts


@dataclass(frozen=True)
class StepFigures:
    """``meters``: of all steps, with those of each in ``groups``; ``counted``: the records of the steps that were meant to
    start after the warm-up, None if none are kept. ``not_reached`` is by step, and of the whole run.
    """

    meters: Meters
    counted: JobBatch | None
    not_reached: Mapping[str, int]


def work_out_step_figures(parts: StepParts | None, warmup_ns: int) -> StepFigures | None:
    """Of the steps in ``parts``. A step is in the warm-up if it was itself meant to start in it, as a job is."""
    if parts is None:
        return None
    rows, metered = None if parts.records is None else parts.records.rows, parts.meters
    return StepFigures(
        _count_under(warmup_ns, metered.meters, rows),
        rows if rows is None or not warmup_ns else rows.only(rows.intended >= warmup_ns),
        metered.not_reached,
    )


def _count_under(warmup_ns: int, metered: Meters, rows: JobBatch | None) -> Meters:
    if metered.rules.warmup_ns == warmup_ns:
        return metered
    if rows is not None:
        meters = Meters(CountingRules(warmup_ns))
        meters.feed(rows)
        return meters
    # The warm-up was found in the records of the jobs, and those of the steps were too many to keep. What the steps were is
    # known all the same; their times after that warm-up are not, and are left out.
    return _without_times(metered, CountingRules(warmup_ns))


def _without_times(metered: Meters, rules: CountingRules) -> Meters:
    counts = Meters(
        rules,
        Counter(metered.counts),
        totals=Counter(metered.totals),
        statuses=Counter(metered.statuses),
        failures=Counter(metered.failures),
        last_ns=metered.last_ns,
    )
    groups = {step: _without_times(each, rules) for step, each in metered.groups.items()}
    return replace(counts, groups=groups)
