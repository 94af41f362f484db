"""What happened second by second: for plots, for the steady-state check, and for watching a run.

A bin keeps counts and a sparse histogram of response times. When a run is longer than `MOST` bins, neighbours are merged and
the bin width doubles, so a run of any length keeps a bounded series.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.records.histogram import BUCKETS, buckets_of, value_of
from aurea_engine.records.quantiles import find_rank

Buckets = NDArray[np.int64]

_KEY = 2**14
"""More than there are buckets: bin · _KEY + bucket is one number."""

_MOST_PARTS = 16

MOST = 2048
"""Bins from the opening of the window on, empty ones too, before their width doubles."""


class Point(NamedTuple):
    """One bin. ``at``: its beginning, seconds; quantiles of response time in seconds, or None.

    ``throughput``: completed jobs per second of the part of the bin that lies inside the run; None if no time passed.
    """

    at: float
    arrived: int
    completed: int
    failed: int
    rejected: int
    abandoned: int
    throughput: float | None
    in_system: int
    p50: float | None
    p99: float | None
    p90: float | None = None


_COUNTED = ("arrived", "completed", "failed", "rejected", "abandoned", "ended")
"""What a bin counts."""

_WIDEST = 2**40
"""Seconds, 35,000 years: no run is so long."""


class BinRow(NamedTuple):
    """One bin as plain values: its number, what it counts, and the response times of its completed jobs by bucket."""

    at: int
    arrived: int
    completed: int
    failed: int
    rejected: int
    abandoned: int
    ended: int
    buckets: list[int]
    counts: list[int]


class _Bin:
    """Counts of one stretch of time; response times as pairs of arrays (bucket, count), joined when they are read."""

    __slots__ = (*_COUNTED, "parts")

    def __init__(self) -> None:
        self.arrived = self.completed = self.failed = self.rejected = self.abandoned = self.ended = 0
        self.parts: list[tuple[Buckets, Buckets]] = []

    def merge(self, other: _Bin) -> None:
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.parts += other.parts
        if len(self.parts) > _MOST_PARTS:
            self.joined()

    def fill(self, row: BinRow) -> None:
        """Take the values of ``row``. Raises ValueError if they are not those of a bin."""
        buckets, counts = np.array(row.buckets, np.int64), np.array(row.counts, np.int64)
        rising = len(buckets) == len(counts) and bool((np.diff(buckets) > 0).all() and (counts > 0).all())
        in_range = not len(buckets) or bool(buckets[0] >= 0 and buckets[-1] < BUCKETS)
        if not (rising and in_range and sum(row.counts) == row.completed and min(row[1:7]) >= 0):
            raise ValueError("a bin of a series must count its completed jobs by bucket, in order")
        for name in _COUNTED:
            setattr(self, name, getattr(row, name))
        self.parts = [(buckets, counts)] if len(buckets) else []

    def joined(self) -> tuple[Buckets, Buckets]:
        """Buckets in rising order and how many values each holds."""
        # A batch only appends its pair of arrays; sorting all of a bin at every batch would cost more than the batch.
        if not self.parts:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        if len(self.parts) > 1:
            buckets = np.concatenate([part[0] for part in self.parts])
            counts = np.concatenate([part[1] for part in self.parts])
            found, where = np.unique(buckets, return_inverse=True)
            self.parts = [(found, np.bincount(where, weights=counts).astype(np.int64))]
        return self.parts[0]

    def quantile(self, q: float) -> float | None:
        """Within the histogram's relative error, or None for a bin in which nothing completed."""
        if not self.completed:
            return None
        buckets, counts = self.joined()
        return value_of(int(buckets[np.searchsorted(np.cumsum(counts), find_rank(q, self.completed))]))


class Series:
    """Bins of `width` seconds, filled from batches of ended jobs in any order: arrivals in [a, b), ends in (a, b]."""

    def __init__(self) -> None:
        self.width = 1
        self._bins: dict[int, _Bin] = {}

    def add(self, batch: JobBatch) -> None:
        """Count every job of ``batch``: by its intended start as arrived, by its end by outcome."""
        if not len(batch):
            return
        width = self.width * NS
        arrivals = batch.intended // width
        # On the edge of a bin ends come first and arrivals after, as everywhere: an end belongs to the bin that it
        # closes. So jobs that end with the run are never in a bin of which no part lies inside the run. A job that takes
        # no time ends where it arrives.
        ends = np.where(batch.finished >= 0, batch.finished - 1, batch.released) // width
        ends = np.maximum(ends, arrivals)
        failed = (batch.outcome == Outcome.FAILED) | (batch.outcome == Outcome.TIMED_OUT)
        self._tally("arrived", arrivals)
        # What is cancelled was in the system when the run was ended: that the last point shows how much was left.
        self._tally("ended", ends[batch.outcome != Outcome.CANCELLED])
        self._tally("completed", ends[batch.was_served])
        self._tally("rejected", ends[batch.outcome == Outcome.REJECTED])
        self._tally("abandoned", ends[batch.outcome == Outcome.ABANDONED])
        self._tally("failed", ends[failed])
        self._note_times(ends[batch.was_served], buckets_of(batch.response_ns[batch.was_served]))
        while max(self._bins) >= MOST:
            self._coarsen()

    def _tally(self, name: str, at: Buckets) -> None:
        for where, count in zip(*_counts(at), strict=True):
            bin_ = self._bin(where)
            setattr(bin_, name, getattr(bin_, name) + count)

    def _note_times(self, at: Buckets, buckets: Buckets) -> None:
        # Bin and bucket as one number, so that one sort groups by both.
        keys, counts = np.unique(at * _KEY + buckets, return_counts=True)
        bins = keys // _KEY
        edges = (np.flatnonzero(np.diff(bins)) + 1).tolist()
        buckets = keys % _KEY
        for first, last in pairwise([0, *edges, len(keys)] if len(keys) else []):
            bin_ = self._bin(int(bins[first]))
            # Copies: a slice would keep the arrays of the whole batch alive.
            bin_.parts.append((buckets[first:last].copy(), counts[first:last].copy()))
            if len(bin_.parts) > _MOST_PARTS:
                bin_.joined()

    def _bin(self, at: int) -> _Bin:
        found = self._bins.get(at)
        if found is None:
            found = self._bins[at] = _Bin()
        return found

    def _coarsen(self) -> None:
        fine, self._bins = self._bins, {}
        self.width *= 2
        # Pairs of neighbours become one: the edges of wider bins are edges of the narrower ones, so nothing is shared out.
        for at, bin_ in fine.items():
            self._bin(at // 2).merge(bin_)
        for bin_ in self._bins.values():
            if bin_.parts:
                bin_.joined()

    def merge(self, other: Series) -> None:
        """Take over what ``other`` counted of other jobs of the same run: afterwards this is the series of both."""
        while self.width < other.width:
            self._coarsen()
        # Widths are powers of two, so bins of the finer series never straddle an edge of the coarser one.
        factor = self.width // other.width
        for at, bin_ in other._bins.items():
            self._bin(at // factor).merge(bin_)

    def copy(self) -> Series:
        """An independent series of the same jobs."""
        twin = Series()
        twin.width = self.width
        for at, bin_ in self._bins.items():
            twin._bin(at).merge(bin_)
        return twin

    def to_rows(self) -> list[BinRow]:
        """The bins in order, as plain values: with `width`, all that the series holds."""
        return [
            BinRow(at, *(getattr(bin_, name) for name in _COUNTED), *(each.tolist() for each in bin_.joined()))
            for at, bin_ in sorted(self._bins.items())
        ]

    @classmethod
    def from_rows(cls, width: int, rows: list[BinRow]) -> Series:
        """The inverse of `to_rows`. Raises ValueError if the rows are no bins of a series."""
        series, last = cls(), -1
        if width < 1 or width & (width - 1) or width > _WIDEST:
            raise ValueError(f"the width of a series must be a power of two, not {width}")
        series.width = width
        for row in rows:
            if not last < row.at < MOST:
                raise ValueError("the bins of a series must be in order")
            series._bin(row.at).fill(row)
            last = row.at
        return series

    def points(self, end_ns: int) -> list[Point]:
        """The bins in order, without holes, of a run that lasted from 0 to ``end_ns``."""
        points, in_system = [], 0
        width = self.width * NS
        for at in range(max(self._bins, default=-1) + 1):
            bin_ = self._bins.get(at) or _Bin()
            in_system += bin_.arrived - bin_.ended
            # The last bin is only as wide as the run was in it, or its rate would fall for no reason.
            inside = min(end_ns, (at + 1) * width) - at * width
            points.append(
                Point(
                    float(at * self.width),
                    bin_.arrived,
                    bin_.completed,
                    bin_.failed,
                    bin_.rejected,
                    bin_.abandoned,
                    bin_.completed * NS / inside if inside > 0 else None,
                    in_system,
                    bin_.quantile(0.5),
                    bin_.quantile(0.99),
                    bin_.quantile(0.9),
                )
            )
        return points


def _counts(values: Buckets) -> tuple[list[int], list[int]]:
    found, counts = np.unique(values, return_counts=True)
    return found.tolist(), counts.tolist()
