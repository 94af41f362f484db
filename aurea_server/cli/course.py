"""How rate and p99 of a run have gone so far, in as many points as a chart can show.

Reports are of a run so far, so a point is the difference of two of them. Its p99 is that of the jobs that ended between
the two: of all jobs so far it would hardly move any more after some minutes, whatever happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aurea_engine import LatencyHistogram
from aurea_engine.records.histogram import value_of
from aurea_engine.records.quantiles import find_rank

MOST_POINTS = 512
"""More are joined in pairs: a run may last a week."""

Figures = list[float | None]


class CoursePoint(NamedTuple):
    """From the point before until ``end``, s: jobs that completed, and their p99, s; None where it is not known."""

    end: float
    completed: int
    p99: float | None

    def join(self, later: CoursePoint) -> CoursePoint:
        """One point of both. The higher p99 stands for both, so that no peak is lost."""
        known = [each for each in (self.p99, later.p99) if each is not None]
        return CoursePoint(later.end, self.completed + later.completed, max(known, default=None))


@dataclass
class Course:
    """The points of a run so far, without a gap from 0 on. ``planned``: how long it is to last, s, where that is known."""

    planned: float | None = None
    points: list[CoursePoint] = field(default_factory=list)
    elapsed: float = 0.0
    _completed: int = 0
    _lasted: float = 0.0
    _width: float = 0.0

    def add(self, elapsed: float, completed: int, p99: float | None) -> None:
        """A report: ``completed`` of all jobs so far, ``p99`` of those since the last report."""
        # Reports may take something back where a shard is lost; what was drawn stays.
        if elapsed <= self.elapsed:
            return
        point = CoursePoint(elapsed, max(completed - self._completed, 0), p99)
        before, self._lasted = self._lasted, elapsed - self.elapsed
        self.elapsed, self._completed = elapsed, completed
        # The last report may come at once after another, and a few jobs in a millisecond are no rate.
        if self.points and (self._lasted < before / 2 or self._measure_last() < self._width):
            point = self.points.pop().join(point)
        self.points.append(point)
        if len(self.points) > MOST_POINTS:
            self._coarsen()

    def _measure_last(self) -> float:
        return self.points[-1].end - (self.points[-2].end if len(self.points) > 1 else 0.0)

    def _coarsen(self) -> None:
        """Join neighbours in pairs. From now on a point is filled until it is as long as these."""
        self._width = 2 * self.elapsed / len(self.points)
        pairs = zip(self.points[:-1:2], self.points[1::2], strict=True)
        self.points = [one.join(other) for one, other in pairs] + self.points[-1:]

    def find_peaks(self) -> tuple[float, float]:
        """The highest rate, and the highest p99, of all points; 0 where there is none."""
        begins = [0.0, *(point.end for point in self.points[:-1])]
        rates = [point.completed / (point.end - begin) for point, begin in zip(self.points, begins, strict=True)]
        return max(rates, default=0.0), _find_worst(self.points) or 0.0

    def cut(self, end: float, columns: int) -> tuple[Figures, Figures]:
        """Rates and p99 of ``columns`` equal stretches from 0 to ``end``; None where there is none.

        A rate is the mean over the part of the stretch that has passed, a p99 the highest of the points within it.
        """
        edges = np.linspace(0.0, end, columns + 1)
        ends = np.array([0.0, *(point.end for point in self.points)])
        jobs = np.interp(edges, ends, np.cumsum([0, *(point.completed for point in self.points)]))
        passed = np.diff(np.minimum(edges, self.elapsed))
        rates = [more / lasted if lasted > 0 else None for more, lasted in zip(np.diff(jobs), passed, strict=True)]
        # Point i lies between ends i and i + 1; those within a stretch are neighbours.
        firsts = np.searchsorted(ends[1:], edges[:-1], side="right").tolist()
        lasts = np.searchsorted(ends[:-1], edges[1:], side="left").tolist()
        return rates, [_find_worst(self.points[i:j]) for i, j in zip(firsts, lasts, strict=True)]


def _find_worst(points: Sequence[CoursePoint]) -> float | None:
    return max((point.p99 for point in points if point.p99 is not None), default=None)


class NewValues:
    """The p99 of what came into a histogram since it was last looked at."""

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.int64], NDArray[np.int64]] = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def take_p99(self, histogram: LatencyHistogram) -> float | None:
        """None where nothing came."""
        (old, less), (buckets, counts) = self._before, histogram.list_filled()
        self._before = buckets, counts.copy()
        # What was there is there still, unless a shard was lost.
        at = np.minimum(np.searchsorted(buckets, old), max(len(buckets) - 1, 0))
        same = buckets[at] == old if len(buckets) else np.zeros(len(old), bool)
        counts[at[same]] = np.maximum(counts[at[same]] - less[same], 0)
        total = int(counts.sum())
        if not total:
            return None
        return value_of(int(buckets[np.searchsorted(np.cumsum(counts), find_rank(0.99, total))]))
