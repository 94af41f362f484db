"""Prometheus' native histograms: exponential buckets, as many as hold anything, in one series instead of one a bucket.

Schema s has 2ˢ buckets an octave: number i holds what is above 2^((i − 1)/2ˢ) seconds and at most 2^(i/2ˢ). Ours are
log-linear, 128 an octave, and each goes where its middle lies. A value may so be counted in the neighbour of its own
bucket, hence a quantile is within one bucket of the exact one. Source: the Prometheus specification "Native Histograms".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aurea_engine import LatencyHistogram
from aurea_engine.records.histogram import value_of

SCHEMA = 4
"""16 buckets an octave: each bound is 4.4 % above the one before."""

ZERO_THRESHOLD = 2.0**-30
"""Seconds up to which a value counts as zero: just under a nanosecond, so of ours only those that are."""


@dataclass(frozen=True)
class NativeHistogram:
    """``numbers``: of the buckets that hold anything, rising; ``counts``: how many values each of them holds. OpenTelemetry
    lists the same buckets without gaps: `metrics.otlp`.
    """

    count: int
    total: float
    zeros: int
    numbers: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """(gap to the bucket before, number of buckets) of each run of buckets without a gap; the gap of the first is its
        number.
        """
        return _find_spans(self.numbers)

    @property
    def deltas(self) -> tuple[int, ...]:
        """The count of each bucket, less that of the one before it."""
        return tuple(count - before for before, count in pairwise((0, *self.counts)))


def make_native(histogram: LatencyHistogram) -> NativeHistogram:
    """What ``histogram`` holds, in buckets of `SCHEMA`."""
    filled = histogram.to_dict()
    buckets, counts = np.array(filled["buckets"], np.int64), np.array(filled["counts"], np.int64)
    zeros = int(counts[buckets == 0].sum())
    middles = np.array([value_of(bucket) for bucket in buckets[buckets > 0].tolist()])
    numbers, place = np.unique(np.ceil(np.log2(middles) * 2**SCHEMA).astype(np.int64), return_inverse=True)
    joined = np.zeros(len(numbers), np.int64)
    np.add.at(joined, place, counts[buckets > 0])
    return NativeHistogram(
        histogram.count, histogram.total_seconds, zeros, tuple(numbers.tolist()), tuple(joined.tolist())
    )


def _find_spans(numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Runs of neighbours among rising numbers."""
    breaks = [at for at, (one, other) in enumerate(pairwise(numbers), 1) if other != one + 1]
    edges = [0, *breaks, len(numbers)] if numbers else [0]
    spans, end = [], 0
    for low, high in pairwise(edges):
        spans.append((numbers[low] - end, high - low))
        end = numbers[high - 1] + 1
    return tuple(spans)
