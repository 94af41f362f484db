"""What happened second by second: for plots, for the steady-state check, and for watching a run.

A bin keeps counts and a sparse histogram of response times. When there are more than `MOST` bins, neighbours are merged and
the bin width doubles, so a run of any length keeps a bounded series.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aurea_engine.histogram import buckets_of, rank_of, value_of
from aurea_engine.records import NS, JobBatch, Outcome

MOST = 2048
"""Bins kept before their width doubles."""


class Point(NamedTuple):
    """One bin. ``at``: its beginning, seconds; rates in jobs per second; quantiles of response time in seconds, or None."""

    at: float
    arrived: int
    completed: int
    failed: int
    rejected: int
    throughput: float
    in_system: int
    p50: float | None
    p99: float | None


class _Bin:
    __slots__ = ("arrived", "buckets", "completed", "ended", "failed", "rejected")

    def __init__(self) -> None:
        self.arrived = self.completed = self.failed = self.rejected = self.ended = 0
        self.buckets: Counter[int] = Counter()

    def merge(self, other: _Bin) -> None:
        for name in ("arrived", "completed", "failed", "rejected", "ended"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.buckets.update(other.buckets)

    def quantile(self, q: float) -> float | None:
        """Within the histogram's relative error, or None for a bin in which nothing completed."""
        if not self.completed:
            return None
        rank, seen = rank_of(q, self.completed), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return value_of(bucket)
        raise AssertionError("the bin's counts and its histogram disagree")


class Series:
    """Bins of `width` seconds, filled from batches of ended jobs in any order."""

    def __init__(self) -> None:
        self.width = 1
        self._bins: dict[int, _Bin] = {}

    def add(self, batch: JobBatch) -> None:
        """Count every job of ``batch``: by its intended start as arrived, by its end as completed, failed or rejected."""
        if not len(batch):
            return
        width = self.width * NS
        ends = np.where(batch.finished >= 0, batch.finished, batch.released) // width
        for at, count in zip(*_counts(batch.intended // width), strict=True):
            self._bin(at).arrived += count
        order = np.argsort(ends, kind="stable")
        edges = np.flatnonzero(np.diff(ends[order])) + 1
        for rows in np.split(order, edges):
            self._count_ended(self._bin(int(ends[rows[0]])), batch[rows])
        while len(self._bins) > MOST:
            self._coarsen()

    def _bin(self, at: int) -> _Bin:
        found = self._bins.get(at)
        if found is None:
            found = self._bins[at] = _Bin()
        return found

    @staticmethod
    def _count_ended(bin_: _Bin, batch: JobBatch) -> None:
        served = batch.was_served
        completed, rejected = int(served.sum()), int((batch.outcome == Outcome.REJECTED).sum())
        bin_.completed += completed
        bin_.rejected += rejected
        bin_.failed += int(((batch.outcome == Outcome.FAILED) | (batch.outcome == Outcome.TIMED_OUT)).sum())
        bin_.ended += len(batch)
        if completed:
            bin_.buckets.update(dict(zip(*_counts(buckets_of(batch.response_ns[served])), strict=True)))

    def _coarsen(self) -> None:
        fine, self._bins = self._bins, {}
        self.width *= 2
        for at, bin_ in fine.items():
            self._bin(at // 2).merge(bin_)

    def points(self) -> list[Point]:
        """The bins in order, without holes."""
        points, in_system = [], 0
        for at in range(max(self._bins, default=-1) + 1):
            bin_ = self._bins.get(at) or _Bin()
            in_system += bin_.arrived - bin_.ended
            points.append(
                Point(
                    float(at * self.width),
                    bin_.arrived,
                    bin_.completed,
                    bin_.failed,
                    bin_.rejected,
                    bin_.completed / self.width,
                    in_system,
                    bin_.quantile(0.5),
                    bin_.quantile(0.99),
                )
            )
        return points


def _counts(values: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    found, counts = np.unique(values, return_counts=True)
    return found.tolist(), counts.tolist()
