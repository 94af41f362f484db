"""What of a recorded run can be replayed: the jobs that were served, and what speaks against taking them for all jobs.

Contradictions are looked for where records are. The sharpest is that service times depend on the load: then a job that
starts beside many others takes longer than one that starts beside few. While they do not depend on it, the service time of
a job is independent of how many were in service when it started, since that follows from other jobs alone. So
r·√n of their rank correlation r is close to a standard normal, whatever the queue did (its products are differences of a
martingale; Hall and Heyde 1980, chapter 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.errors import SpecError
from aurea_engine.records.batch import NS, Floats, Instants, JobBatch
from aurea_engine.records.histogram import LatencyHistogram, value_of
from aurea_engine.results.result import RunResult
from aurea_engine.run.plan import JobPlan
from aurea_engine.workload.recorded_jobs import SERVED, RecordedSample
from aurea_engine.workload.schedulers import Fifo, Lifo, Priority
from aurea_engine.workload.streams import Streams

FEWEST = 30
"""Served jobs below which nothing is replayed: their own error would be larger than any answer."""

MOST_FROM_HISTOGRAM = 1_000_000

CERTAIN = 4.0
"""Standard deviations from which on a correlation is no chance: 6 in 100,000 runs without any are above."""

MATTERS = 0.05
"""A difference in the mean service time, relative, from which on it is told."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A ``sample`` of the recorded run. ``block``: so many consecutive jobs stay together when it is resampled."""

    sample: RecordedSample
    block: int
    warnings: list[str] = field(default_factory=list)


def take_sample(result: RunResult, records: JobBatch | None, *, ranked: bool) -> Recorded:
    """The served jobs of ``records``, or of the histogram of ``result``'s service times. ``ranked``: priorities matter.

    Raises `SpecError` where there are too few.
    """
    if records is None:
        return _from_histogram(result)
    since = round(result.window[0] * NS)
    usable = np.isin(records.outcome, SERVED) & records.was_started & (records.intended >= since)
    rows = np.flatnonzero(usable)
    _refuse_too_few(len(rows))
    priority = _plan_priorities(result, len(records))[rows] if ranked else None
    sample = RecordedSample.of_records(records[rows], priority)
    warnings = [
        *_judge_completeness(result, records, len(rows), since),
        *_judge_load(records, rows, blind=isinstance(result.spec.scheduler, (Fifo, Lifo, Priority))),
        *_judge_neighbours(sample.service),
        *_judge_run(result),
    ]
    return Recorded(sample, find_block(len(rows)), warnings)


def find_block(n: int) -> int:
    """How many consecutive jobs of ``n`` stay together: n^⅓, which keeps what neighbours have in common and leaves enough
    blocks to draw from (Künsch 1989; Lahiri 2003, chapter 5).
    """
    return max(1, round(math.cbrt(n)))


def _refuse_too_few(served: int) -> None:
    if served < FEWEST:
        raise SpecError(f"a what-if needs the service times of {FEWEST} jobs, and this result has those of {served}")


def _from_histogram(result: RunResult) -> Recorded:
    histogram = result.histograms.get("service_time", LatencyHistogram())
    _refuse_too_few(histogram.count)
    members: Mapping[str, Any] = histogram.to_dict()
    values = [min(max(value_of(bucket) * NS, histogram.minimum), histogram.maximum) for bucket in members["buckets"]]
    ends = np.cumsum(np.array(members["counts"], np.int64))
    n = min(histogram.count, MOST_FROM_HISTOGRAM)
    # The values at evenly spaced ranks: all of them, where there are no more than n.
    ranks = (np.arange(n) * histogram.count) // n
    service = np.rint(np.array(values))[np.searchsorted(ends, ranks, side="right")].astype(np.int64)
    counts = result.counts
    failed = round(n * (counts.failed + counts.timed_out) / max(counts.completed + counts.failed + counts.timed_out, 1))
    outcome = np.full(n, Outcome.COMPLETED, np.uint8)
    # Evenly spread over short and long ones: a histogram of those that completed says nothing about the others.
    outcome[np.linspace(0, n - 1, failed).astype(np.intp)] = Outcome.FAILED
    costs = [
        "the records of its jobs are not in the result: times come from a histogram, within 0.4 %, without their order"
    ]
    if result.groups or result.marks or result.measures:
        costs.append("without records groups, marks and measures cannot be replayed: all jobs are alike")
    if failed:
        costs.append("without records failed jobs are taken to last as long as those that completed")
    return Recorded(RecordedSample(service, outcome, np.zeros(n, np.int64)), 1, [*costs, *_judge_run(result)])


def _plan_priorities(result: RunResult, n: int) -> Instants:
    """The priority of each of the first ``n`` jobs, which no record holds: planned again from the specification."""
    priorities = np.zeros(n, np.int64)
    if result.spec.seed is None:
        return priorities
    filled = 0
    try:
        for block in JobPlan(result.spec.workload, Streams(result.spec.seed)).blocks():
            taken = min(len(block), n - filled)
            priorities[filled : filled + taken] = block.priority[:taken]
            filled += taken
            if filled == n:
                break
    except SpecError:  # a kind that is not known on this machine
        return np.zeros(n, np.int64)
    return priorities


def _judge_completeness(result: RunResult, records: JobBatch, served: int, since: int) -> list[str]:
    told = []
    arrived = result.counts.arrived
    if len(records) < arrived:
        told.append(f"only the first {len(records):,} of {arrived:,} jobs are in the result, and stand for all")
    counted = int(np.count_nonzero(records.intended >= since))
    if served < counted:
        told.append(
            f"{counted - served:,} of {counted:,} jobs were not served to their end, so their service times are not known: "
            "the others stand for them"
        )
    return told


def _judge_load(records: JobBatch, rows: Instants, *, blind: bool) -> list[str]:
    """Whether jobs that started beside many others took longer, or shorter. ``blind``: the scheduler knew no demands."""
    started = records[np.flatnonzero(records.was_started)]
    starts, ends = np.sort(started.started), np.sort(started.finished)
    # A scheduler that prefers short jobs starts them where there is a queue. When a job arrives, it has had no say yet.
    at = records.started[rows] if blind else records.intended[rows]
    # In service right before its start: those that had started before, less those that had ended by then.
    beside = np.searchsorted(starts, at, side="left") - np.searchsorted(ends, at, side="right")
    # Within groups: under load a mix may start other jobs first, which is no change of any service time.
    service = records.service_ns[rows].astype(float)
    if records.group is not None:
        for group in np.unique(records.group[rows]):
            mine = records.group[rows] == group
            service[mine] /= max(float(service[mine].mean()), 1e-9)
    score = _correlate(service, beside.astype(float))
    busy = beside > np.median(beside)
    if score is None or not busy.any() or busy.all():
        return []
    quiet_mean, busy_mean = float(service[~busy].mean()), float(service[busy].mean())
    shift = busy_mean / quiet_mean - 1 if quiet_mean else math.inf
    if abs(score * math.sqrt(len(rows))) < CERTAIN or abs(shift) < MATTERS:
        return []
    longer = "longer" if shift > 0 else "shorter"
    told = f"service times depended on the load: jobs that started beside more than {np.median(beside):g} others took "
    told += (
        f"{abs(shift) * 100:.0f} % {longer} (correlation {score:+.2f}). The answer takes them as they were, at any load"
    )
    return [told]


def _judge_neighbours(service: Instants) -> list[str]:
    score = _correlate(service[:-1].astype(float), service[1:].astype(float))
    if score is None or score < 0.1 or score * math.sqrt(len(service)) < CERTAIN:
        return []
    told = f"jobs in a row had service times alike (correlation {score:+.2f}): it is kept within short blocks only, so "
    return [told + "queues may be longer than the answer has them"]


def _correlate(a: Floats, b: Floats) -> float | None:
    """Spearman's rank correlation; None where all values are alike. Ranks, so that a few very long jobs do not decide."""
    a, b = _rank(a), _rank(b)
    if not (a.std() and b.std()):
        return None
    return float(((a - a.mean()) * (b - b.mean())).mean() / (a.std() * b.std()))


def _rank(values: Floats) -> Floats:
    """Mean ranks: equal values have the same."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


def _judge_run(result: RunResult) -> list[str]:
    told = []
    if result.verdict != "valid":
        codes = ", ".join(finding.code for finding in result.findings)
        told.append(f"the recorded run is {result.verdict}: {codes}")
    if any(leaf.pool_limits() for leaf in result.spec.workload.job.leaves()):
        told.append("the recorded jobs shared a limited number of connections, and no replayed job waits for one")
    return told
