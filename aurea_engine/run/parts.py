"""What a run measured, as a value: the parts of one shard, of several, or of the whole.

`execute` ends in `RunParts`, and everything after it (figures, cost, findings, verdict) is computed from them alone. So
parts can be sent from a process or a machine, stored, merged with those of other shards, and summarised again years later.

Merging
-------
``a.merge(b, c)`` is associative and commutative, and `RunParts.empty` changes nothing. The parts of all shards of a run,
merged, are the parts of the same run in one piece:

- Counts, histograms and series are whole numbers that add up (`aurea_engine.run.meters`).
- Records are put in the order of their job numbers, which every part of a cut run carries with it.
- Where a scheduler is ``divided``, there is no run in one piece to be equal to, for each shard was a queue of its own. Parts
  add up all the same. Users of a closed model may leave holes in the numbers, and rows are then not quite by instant.
- What depends on more than one job at a time does not add up: the most jobs in service at once, and what interval meters
  count (``packed``, ``fleet``, ``instance_busy``). It is left out here, and computed again from the merged records; where
  no records were kept, the result has null and says why.
- What each process knows of itself (how late it was, where it ran) stays apart, one `ShardReport` for each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

import numpy as np

from aurea_engine.closed_sets import Outcome, Reason, Status
from aurea_engine.costs.metered_counts import MeteredCounts
from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.records.series import Series
from aurea_engine.run.job_times import CountingRules
from aurea_engine.run.meters import Meters
from aurea_engine.run.parts_file import decode_parts, encode_parts
from aurea_engine.run.shard import GeneratorStats, ShardReport
from aurea_engine.run.step_meters import StepParts
from aurea_engine.spec import RunSpec
from aurea_engine.workload.callbacks import PoolState

SERIOUS_FIRST: tuple[Status, ...] = ("failed", "interrupted", "aborted", "timed_out", "cancelled", "completed")
"""A run whose shards ended differently, or a study whose runs did, ended as the first of these that any of them did."""


@dataclass(frozen=True, eq=False)
class RunParts:
    """The parts of one run, or of some of its shards.

    ``seed``: of the run, also where the specification left it open. ``shards``: a report of each shard, by index.
    ``records``: a row for each job, None if none were kept. ``numbers``: the number of the job of each row, rising; None
    where row i is job i. ``meters``, ``series``, ``metered``: of all jobs of these shards. ``steps``: what was measured of
    their steps, None if they have none. Two parts are equal where everything in them is.

    Parts of a run that is not over yet, as they are made for observers, share their meters and series with the run.
    """

    seed: int | None
    shards: tuple[ShardReport, ...]
    records: JobBatch | None
    numbers: Instants | None
    meters: Meters
    series: Series
    metered: MeteredCounts
    steps: StepParts | None = None

    @classmethod
    def empty(cls, spec: RunSpec) -> RunParts:
        """No shard of ``spec``: what merging starts from."""
        records = JobBatch.empty(spec.workload.schema) if spec.keep_jobs else None
        meters = Meters(CountingRules.of(spec))
        return cls(spec.seed, (), records, None, meters, Series(), MeteredCounts(), StepParts.empty(spec))

    def merge(self, *others: RunParts) -> RunParts:
        """These and ``others`` together. Raises ValueError if they are not different shards of one run."""
        # Parts without a shard are the identity, whatever specification they were made for.
        filled = [parts for parts in (self, *others) if parts.shards]
        if len(filled) < 2:
            return filled[0] if filled else self
        # Order does not matter to any of what follows: reports are sorted by shard, rows by job number, and the rest is sums
        # and extremes of whole numbers. That is why merging is associative and commutative, and a tree of machines may merge
        # in whatever order answers come in.
        shards = _merge_shards(filled)
        records, numbers = _interleave(filled, whole=len(shards) == shards[0].shard.of)
        # Copies, since meters add up in place, and parts are values: those that were given must stay what they are.
        meters, series = filled[0].meters.copy(), filled[0].series.copy()
        for parts in filled[1:]:
            meters.merge(parts.meters)
            series.merge(parts.series)
        # Every merge keeps only what adds up, so it does not matter that three parts take two of them.
        metered = reduce(MeteredCounts.merge, [parts.metered for parts in filled])
        steps = StepParts.merge(parts.steps for parts in filled)
        return RunParts(filled[0].seed, shards, records, numbers, meters, series, metered, steps)

    def to_bytes(self) -> bytes:
        """All of it, to be sent or stored. Equal parts have equal bytes."""
        columns = (self.records, self.numbers)
        return encode_parts(self.seed, self.shards, columns, self.meters, self.series, self.metered, self.steps)

    @classmethod
    def from_bytes(cls, content: bytes) -> RunParts:
        """The inverse of `to_bytes`. Raises `DamagedParts` for anything that it did not write."""
        return cls(*decode_parts(content))

    def __eq__(self, other: object) -> bool:
        # Bytes are written in one canonical form: sorted keys, sums about 0, bins joined. Two parts with the same bytes are
        # the same to everything that can be asked of them.
        return self.to_bytes() == other.to_bytes() if isinstance(other, RunParts) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @property
    def missing(self) -> tuple[int, ...]:
        """The shards of the run that are not among these."""
        here = {report.shard.index for report in self.shards}
        return tuple(index for index in range(self.shards[0].shard.of if self.shards else 1) if index not in here)

    @property
    def started_at(self) -> datetime:
        """When the window of the earliest shard opened, by the calendar. Raises ValueError if there is no shard."""
        return min(report.timeline.started_at for report in self.shards)

    @property
    def elapsed_ns(self) -> int:
        """How long the run lasted, or has lasted so far: as long as the longest of its shards."""
        return max((report.timeline.elapsed_ns for report in self.shards), default=0)

    @property
    def release_end_ns(self) -> int | None:
        """When releasing ended, as far as anything says. Shards know of the same workload, so they differ only where one was
        ended before its time, and then nothing is known of what comes later.
        """
        # Every shard draws the whole plan, so each knows by itself when the last job of all was released.
        ends = [report.timeline.release_end_ns for report in self.shards]
        return min((end for end in ends if end is not None), default=None)

    @property
    def latest_release(self) -> tuple[int, int]:
        """(when it was meant to be, when it was), ns, of the latest job that was released."""
        return max(((each.timeline.due_ns, each.timeline.released_ns) for each in self.shards), default=(0, 0))

    @property
    def arrived(self) -> int:
        """Jobs that arrived, by the books of the dispatchers."""
        return sum(report.totals.arrived for report in self.shards)

    def count_planned(self, jobs: int | None) -> int:
        """How many of the first ``jobs`` jobs of the workload are in these shards; 0 where there is no such number."""
        return sum(report.shard.count_of(jobs or 0) for report in self.shards)

    @property
    def in_service(self) -> int:
        """Jobs in service at this instant."""
        return sum(report.totals.in_service for report in self.shards)

    @property
    def waiting(self) -> int:
        """Jobs that wait at this instant."""
        return sum(report.totals.waiting for report in self.shards)

    @property
    def conserved(self) -> bool:
        """Whether the books of every dispatcher balance."""
        return all(report.totals.conserved for report in self.shards)

    @property
    def status(self) -> Status | None:
        """How the run ended: as badly as the worst of its shards. None while one of them runs."""
        # One shard that still runs is a run that still runs.
        # A run that was told to go on without a shard is judged by the others, as long as there are any.
        kept = [report for report in self.shards if report.loss is None or not report.loss.tolerated]
        statuses = {report.status for report in kept or self.shards}
        return None if None in statuses else next((each for each in SERIOUS_FIRST if each in statuses), None)

    @property
    def reason(self) -> Reason | None:
        """Why the run did not complete, by the first shard that ended as the run did."""
        # Reports are in the order of their shards, so this is the same reason whatever was merged first.
        return next((report.reason for report in self.shards if report.status == self.status), None)

    @property
    def lost(self) -> int | None:
        """The position of the objective that ended the run, where one did."""
        return next((report.lost for report in self.shards if report.lost is not None), None)

    @property
    def generator(self) -> GeneratorStats:
        """The worst of what any process saw of itself: one that was held up spoils its part of the measurement."""
        # The greatest and not the mean: a quantile of the whole is spoilt by the one process that was late.
        each = [report.generator for report in self.shards]
        return GeneratorStats(
            max((stats.busy for stats in each), default=0.0),
            max((stats.late_ns for stats in each), default=0),
            sum(stats.gc_total_ns for stats in each),
            max((stats.gc_longest_ns for stats in each), default=0),
        )

    @property
    def pool(self) -> PoolState | None:
        """The connections of all shards; None if their jobs need none."""
        return PoolState.join(report.pool for report in self.shards if report.pool is not None)

    @property
    def paced(self) -> int:
        """Requests that a ceiling on the rate held back."""
        return sum(report.totals.paced for report in self.shards)

    @property
    def losses(self) -> tuple[ShardReport, ...]:
        """The shards that were lost under way."""
        return tuple(report for report in self.shards if report.loss is not None)

    @property
    def used_up(self) -> int | None:
        """The supply of jobs, such as rows of data, that ended the arrivals; None if something else did."""
        # All shards end at the same job. One that was stopped before does not know.
        return max((report.used_up for report in self.shards if report.used_up is not None), default=None)

    @property
    def peak(self) -> int | None:
        """The most jobs in service at once. None if only records would tell, and there are none: of several shards, and of
        jobs that wait in a pool.
        """
        # Shards have their peaks at different instants: their sum would be too high, and their greatest too low.
        if len(self.shards) == 1 and (peak := self.shards[0].totals.peak) is not None:
            return peak
        return None if self.records is None else find_peak(self.records)


def find_peak(jobs: JobBatch) -> int:
    """The most of ``jobs`` in service at any instant. As the dispatcher has it, jobs that end at an instant make room before
    others start, and a job that takes no time is in service at its instant all the same.
    """
    # At its k-th start (in order) k jobs have started, and those are still there that have not ended: since the number in
    # service only rises with a start, its greatest value stands right after one of them.
    started = np.sort(jobs.started[jobs.was_started])
    if not len(started):
        return 0
    # What was cancelled was in service when the run was ended, together with whatever had started at that very instant.
    until = np.maximum(jobs.finished + (jobs.outcome == Outcome.CANCELLED), jobs.started + 1)[jobs.was_started]
    ended = np.searchsorted(np.sort(until), started, side="right")
    return int((np.arange(1, len(started) + 1) - ended).max())


def _merge_shards(filled: list[RunParts]) -> tuple[ShardReport, ...]:
    """All reports by index. Raises ValueError if they are not different shards of one run."""
    shards = sorted((report for parts in filled for report in parts.shards), key=lambda report: report.shard)
    # No proof that they are of one run, but what mixing up two runs nearly always trips over.
    if len({parts.seed for parts in filled}) > 1 or len({report.shard.of for report in shards}) > 1:
        raise ValueError(
            "these are parts of different runs: they differ in their seed, or in how many shards there are"
        )
    # Counted twice, a job would make every sum wrong and no figure look odd.
    if len({report.shard for report in shards}) < len(shards):
        raise ValueError("a shard is in these parts twice")
    return tuple(shards)


def _interleave(filled: list[RunParts], *, whole: bool) -> tuple[JobBatch | None, Instants | None]:
    """The records of all in the order of their job numbers, and those numbers."""
    # One shard without records leaves the whole without: half of the jobs would look like all of them.
    records = [parts.records for parts in filled if parts.records is not None]
    if len(records) < len(filled):
        return None, None
    numbers = np.concatenate([number_rows(parts) for parts in filled])
    # Each part is in order by itself, which the stable sort (a merge of runs) makes use of.
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    # In a whole run that nothing stopped row i is job i, and that goes without saying.
    is_complete = whole and bool((numbers == np.arange(len(numbers))).all())
    return JobBatch.concatenate(records)[order], None if is_complete else numbers


def number_rows(parts: RunParts) -> Instants:
    """The number of the job of each row of the records."""
    if parts.numbers is not None:
        return parts.numbers
    return np.arange(0 if parts.records is None else len(parts.records))


def with_seed(spec: RunSpec, parts: RunParts) -> RunSpec:
    """``spec`` with the seed of the run, which it may leave open. Raises ValueError if it has another."""
    # The seed is the one member of a specification that execution may fill in, so it is the one that parts bring along.
    if spec.seed is not None and parts.seed is not None and spec.seed != parts.seed:
        raise ValueError(f"these parts are of a run with the seed {parts.seed}, not {spec.seed}")
    # A specification is checked whenever it is made, and this one has been.
    return spec if parts.seed in (None, spec.seed) else replace(spec, seed=parts.seed)
