"""The classes by which jobs failed or timed out, read from their records.

Most jobs do not fail, and most that do share a class. So a record has a small number in place of a name, and the table of
names once; and a run without failures has neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from aurea_engine.closed_sets import MOST_FAILURE_CLASSES, OTHER, UNCLASSED, Outcome
from aurea_engine.records.batch import NEVER, JobBatch


def name_failures(jobs: JobBatch) -> list[str | None]:
    """The class of each of ``jobs`` that failed or timed out; None for all others."""
    if jobs.failure is None:
        return [None] * len(jobs)
    names = [*jobs.failures, None]  # the last is what -1 picks
    return [names[position] for position in jobs.failure.tolist()]


def count_failures(jobs: JobBatch) -> dict[str, int]:
    """Class → jobs that failed or timed out by it. Classes that no job has are left out."""
    if jobs.failure is None:
        return {}
    counted = np.bincount(jobs.failure[jobs.failure != NEVER], minlength=len(jobs.failures)).tolist()
    return {name: count for name, count in zip(jobs.failures, counted, strict=True) if count}


def name_unclassed(named: Mapping[str, int], failed: int, timed_out: int) -> Counter[str]:
    """``named`` (class → jobs) with what so many failed and timed out jobs have besides: what nobody named a class of."""
    counted = Counter(named)
    missing = max(failed + timed_out - counted.total(), 0)
    timeouts = min(missing, max(timed_out - counted[UNCLASSED[Outcome.TIMED_OUT]], 0))
    counted[UNCLASSED[Outcome.TIMED_OUT]] += timeouts
    counted[UNCLASSED[Outcome.FAILED]] += missing - timeouts
    return +counted


def fold_failures(counted: Mapping[str, int]) -> dict[str, int]:
    """The classes that most jobs failed by, in the order of the alphabet; at the end all others as `OTHER`."""
    # By number and then by name: which of two equal ones is kept must not depend on the order of shards.
    ranked = sorted((name for name in counted if name != OTHER), key=lambda name: (-counted[name], name))
    kept = {name: counted[name] for name in sorted(ranked[:MOST_FAILURE_CLASSES])}
    others = sum(counted.values()) - sum(kept.values())
    return {**kept, OTHER: others} if others else kept
