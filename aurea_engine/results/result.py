"""What came of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aurea_engine.closed_sets import ObjectiveOutcome, Reason, Status, Verdict
from aurea_engine.costs import Cost, Usage
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.series import Point
from aurea_engine.records.steps import StepBatch
from aurea_engine.results.findings import Finding, find_verdict
from aurea_engine.results.floor import Floor
from aurea_engine.results.replications import Replications
from aurea_engine.results.shard_figures import ShardResult
from aurea_engine.results.statistics import Interval, Timing
from aurea_engine.run.parts import RunParts
from aurea_engine.spec import Objective, RunSpec


@dataclass(frozen=True)
class Counts:
    """Every job that arrived, by what became of it: arrived is always the sum of the others."""

    arrived: int
    completed: int
    failed: int
    timed_out: int
    rejected: int
    abandoned: int
    cancelled: int


@dataclass(frozen=True)
class Concurrency:
    """Jobs in service: averaged over the window, and the most at any instant. ``peak`` is None of a run without records that
    was measured in shards, or whose jobs waited in a pool: only records tell then.
    """

    mean: float | None
    peak: int | None


@dataclass(frozen=True)
class ObjectiveResult:
    """``outcome`` is inconclusive where the data allow neither answer: no data is never a pass. ``interval``: the one-sided
    95 % bounds by which an estimate was judged, one from below and one from above; None of what is no estimate.
    """

    objective: Objective
    outcome: ObjectiveOutcome
    observed: float | None
    detail: str
    interval: Interval | None = None


@dataclass(frozen=True)
class TheoryRow:
    """A figure that queueing theory gives for this very specification, beside the measured one.

    ``z``: how many standard errors lie between them, None if no standard error is known.
    """

    model: str
    figure: str
    expected: float
    measured: float | None
    z: float | None


@dataclass(frozen=True)
class MarkTimes:
    """When a mark came, over the completed jobs that reported it: after the intended start, and after the start."""

    from_intended: Timing
    from_start: Timing


@dataclass(frozen=True)
class MeasureAmounts:
    """What jobs reported of a measure, in ``unit``. ``total`` is of all jobs of the run that reported it, ``amounts`` are of
    the completed ones after the warm-up, as all times are. ``rate`` is what jobs reported that completed in the window, per
    second of it. A ratio has neither total nor rate. Of a status, which is the name of an answer and no quantity, only their
    ``count`` is known, of all jobs that have one.
    """

    unit: str
    scale: int
    total: float | None
    amounts: Timing
    rate: float | None = None

    @property
    def is_quantity(self) -> bool:
        """Whether it is an amount, and not the name of an answer."""
        return self.unit != "code"


@dataclass(frozen=True)
class GroupResult:
    """The jobs of one group. ``counts``, ``failures`` and ``statuses`` are of the whole run, times of completed jobs after
    the warm-up.

    Of a step, ``counts`` are of the jobs that reached it, and ``not_reached`` are those that were served and ended before.
    It is None of a group of jobs.
    """

    name: str
    counts: Counts
    failures: Mapping[str, int]
    response_time: Timing
    waiting_time: Timing
    service_time: Timing
    lag: Timing
    marks: Mapping[str, MarkTimes] = field(default_factory=dict)
    measures: Mapping[str, MeasureAmounts] = field(default_factory=dict)
    not_reached: int | None = None
    statuses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """The figures of one run; ``spec`` (with its seed) repeats it.

    Times in seconds. ``duration`` runs from the opening of the window to the end of the last job; rates are over ``window``
    (begin, end), which leaves the warm-up out and never closes before the arrivals' own end, so that 100 jobs at 100/s are
    100/s and not 101. ``reason`` says why a run did not complete, and is None if it did. ``histograms`` holds one for
    each kind of time, mark and measure, of the same jobs as its `Timing`. ``marks`` and ``measures`` are by name; ``groups``
    are in the order of the workload, and empty if jobs are not told apart. ``failures`` counts jobs by the class of their
    failure or timeout, ``statuses`` by the code that they reported. ``jobs`` are the records, in order of arrival, None if
    they were not kept; ``steps`` are those of the jobs' steps, None if there are none, or too many to keep. ``floor`` is
    what the same client reached against a null target, where that was measured. ``shards`` are the processes that ran it
    together, none where the caller's own did. ``replications`` is None of a single run; of a repeated one, counts, cost,
    usage and duration are totals, rates and times are means over replications with their intervals, and there are no
    records. ``parts`` is what all of it was computed from, None if the result was read from elsewhere or is of
    replications.
    """

    # What it was, and how it ended.
    benchmark_id: str
    status: Status
    spec: RunSpec
    started_at: datetime
    duration: float
    window: tuple[float, float]
    # What happened to the jobs, all of them; the rates and times below leave the warm-up out.
    counts: Counts
    good: int
    failures: Mapping[str, int]
    offered_rate: float | None
    throughput: float | None
    goodput: float | None
    utilization: float | None
    concurrency: Concurrency
    # Times of the jobs that completed; those that failed or timed out have their own, so that neither hides the other.
    response_time: Timing
    waiting_time: Timing
    service_time: Timing
    lag: Timing
    failure_time: Timing
    # What it cost, and what any other cost model needs to price it again.
    cost: Cost
    usage: Usage
    # How it is judged.
    objectives: tuple[ObjectiveResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    theory: tuple[TheoryRow, ...] = ()
    series: tuple[Point, ...] = ()
    series_width: int = 1
    environment: Mapping[str, object] = field(default_factory=dict)
    jobs: JobBatch | None = None
    steps: StepBatch | None = None
    marks: Mapping[str, MarkTimes] = field(default_factory=dict)
    measures: Mapping[str, MeasureAmounts] = field(default_factory=dict)
    groups: tuple[GroupResult, ...] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    reason: Reason | None = None
    histograms: Mapping[str, LatencyHistogram] = field(default_factory=dict)
    floor: Floor | None = None
    shards: tuple[ShardResult, ...] = ()
    replications: Replications | None = None
    # Left out of comparison: parts tell of processes and instants, which equal results may differ in.
    parts: RunParts | None = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> Verdict:
        """Whether the measurement can be trusted: ``valid``, ``degraded`` or ``invalid``."""
        return find_verdict(self.findings)

    @property
    def good_share(self) -> float | None:
        """Good jobs ÷ all jobs that arrived, those included that failed or never started; None if none arrived."""
        good, arrived = self.usage.run.good, self.counts.arrived
        return (self.counts.completed if good is None else good) / arrived if arrived else None

    @property
    def ended_at(self) -> datetime:
        """``started_at`` plus ``duration``: the wall clock is never asked twice."""
        return self.started_at + timedelta(seconds=self.duration)
