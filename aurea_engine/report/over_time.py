"""A run over time, in at most as many steps as a chart can show: from the result's series, and from its records if any.

A step is one point of the series or several neighbours. Jobs are summed. A quantile of several points is not known from
theirs, so the point with the highest p99 stands for its step: every quantile that is drawn is one of the result's, and no
peak is lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs import job_costs
from aurea_engine.records.batch import NS, Instants, JobBatch
from aurea_engine.records.series import Point
from aurea_engine.results.result import RunResult

MOST_STEPS = 160
COUNTED = ("arrived", "completed", "failed", "rejected", "abandoned")

FEWEST_POINTS = 3
"""Points of a series from which on it shows a course."""

LONGEST = 9e9
"""Seconds."""

Column = list[float | None]


@dataclass(frozen=True)
class Steps:
    """Each a stretch of ``width`` seconds from ``begins`` on, the last one as long as the run was. ``counts``: jobs by what
    became of them; ``in_system``: jobs at the end of a step; quantiles in seconds. ``end``: of the run, seconds.
    """

    width: int
    end: float
    begins: list[float]
    lengths: list[float]
    counts: dict[str, list[int]]
    in_system: list[int]
    p50: Column
    p90: Column
    p99: Column

    @property
    def middles(self) -> list[float]:
        """Where a step is drawn, seconds."""
        return [begin + length / 2 for begin, length in zip(self.begins, self.lengths, strict=True)]

    def rates(self, name: str) -> Column:
        """Jobs per second of a count."""
        lengths = zip(self.counts[name], self.lengths, strict=True)
        return [count / length if length > 0 else None for count, length in lengths]

    @property
    def edges(self) -> Instants:
        """The ends of the steps, ns."""
        ends = [begin + length for begin, length in zip(self.begins, self.lengths, strict=True)]
        # A result that was read from elsewhere may name any instant; no run is longer than nanoseconds in 64 bits.
        return np.array([round(min(max(end, 0.0), LONGEST) * NS) for end in ends], np.int64)


def take_steps(result: RunResult, most: int = MOST_STEPS, fewest: int = FEWEST_POINTS) -> Steps | None:
    """The steps of the run; None if it is too short to have a course."""
    points, width = result.series, max(result.series_width, 1)
    if len(points) < fewest:
        return None
    size = math.ceil(len(points) / most)
    groups = [points[first : first + size] for first in range(0, len(points), size)]
    # The window may stay open after the last job, until releasing ends; a run that was stopped has no such end.
    end = max(result.window[1], result.duration)
    begins = [group[0].at for group in groups]
    worst = [max(group, key=lambda point: -1.0 if point.p99 is None else point.p99) for group in groups]
    return Steps(
        width * size,
        end,
        begins,
        [max(min(end, begin + width * len(group)) - begin, 0.0) for begin, group in zip(begins, groups, strict=True)],
        {name: [sum(getattr(point, name) for point in group) for group in groups] for name in COUNTED},
        [group[-1].in_system for group in groups],
        *_take_quantiles(worst),
    )


def _take_quantiles(points: Iterable[Point]) -> tuple[Column, Column, Column]:
    points = list(points)
    return [each.p50 for each in points], [each.p90 for each in points], [each.p99 for each in points]


@dataclass(frozen=True)
class Occupancy:
    """Jobs in service and jobs that wait, at the end of each step."""

    in_service: list[int]
    waiting: list[int]


def count_occupancy(jobs: JobBatch, edges: Instants) -> Occupancy:
    """Of every job: where it was at each of ``edges``, instants in ns that rise. One that was cancelled in the queue waits
    to the end, as in the series.
    """
    started, done = np.sort(jobs.started[jobs.was_started]), np.sort(jobs.finished[jobs.was_started])
    # What ends at an instant has ended, and what arrives or starts then is counted next: as in the series.
    begun = np.searchsorted(started, edges, side="left")
    in_service = np.maximum(begun - np.searchsorted(done, edges, side="right"), 0)
    # A job that was rejected as it arrived never waited.
    queued = jobs.was_started | jobs.left_queue | (jobs.outcome == Outcome.CANCELLED)
    arrived = np.searchsorted(np.sort(jobs.intended[queued]), edges, side="left")
    left = np.searchsorted(np.sort(jobs.finished[jobs.left_queue]), edges, side="right")
    waiting = np.maximum(arrived - begun - left, 0)
    return Occupancy(in_service.tolist(), waiting.tolist())


def find_worst_lags(jobs: JobBatch, edges: Instants) -> Column:
    """How late the latest release of each step was, seconds, by when jobs were meant to start; None where none was."""
    worst = np.full(len(edges), -1, np.int64)
    # An arrival on an edge belongs to the step that begins there.
    np.maximum.at(worst, np.minimum(np.searchsorted(edges, jobs.intended, side="right"), len(edges) - 1), jobs.lag_ns)
    return [lag / NS if lag >= 0 else None for lag in worst.tolist()]


def sum_costs(result: RunResult, edges: Instants) -> list[float] | None:
    """What jobs had cost by the end of each step; None where the bill is not the sum of what its jobs cost each."""
    jobs, total = result.jobs, result.cost.total
    if jobs is None or not total:
        return None
    costs = np.array(job_costs(result.spec.cost, jobs), float)
    # A job that never started is never billed, whatever a model says of it.
    costs = np.where(jobs.was_started, costs, 0.0)
    # A fee, a fleet or a tier is in the total and in no job: a curve that ends elsewhere would be another bill.
    if not math.isclose(float(costs.sum()), float(total), rel_tol=1e-6):
        return None
    ends = np.where(jobs.finished >= 0, jobs.finished, jobs.released)
    step = np.minimum(np.searchsorted(edges, ends, side="left"), len(edges) - 1)
    summed: list[float] = np.cumsum(np.bincount(step, weights=costs, minlength=len(edges))).tolist()
    return summed


def list_known(*columns: Sequence[float | None]) -> list[float]:
    return [value for column in columns for value in column if value is not None]
