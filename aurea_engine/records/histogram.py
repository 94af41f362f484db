"""A histogram of durations with a bounded relative error, in fixed memory.

Buckets are log-linear: every octave (2ᵉ⁻¹, 2ᵉ] seconds is cut into 128 equal parts, open below and closed above::

    bucket of x:   x = m·2ᵉ with ½ ≤ m < 1   →   128·e + ⌈256·(m − ½)⌉ − 1

so a power of two always falls in the last part of the octave below it, and the number of values ≤ 2ᵏ seconds is *exact*:
these are Prometheus' ``le`` buckets. A quantile is answered with the middle of its bucket, clamped to the exact minimum and
maximum, hence at most ½·1/128 = 0.39 % from the true sample quantile. Count, sum, sum of squares, minimum and maximum are
exact; two histograms merge by adding, and the merged one is the one that all values would have made.

Sums are of integer nanoseconds about the first value seen, so the variance does not cancel when every value is large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aurea_engine.records.batch import NS, Instants
from aurea_engine.records.exact_sums import sum_squares, summed
from aurea_engine.records.quantiles import find_rank

PARTS = 128
"""Buckets an octave."""

_LOWEST, _HIGHEST = -30, 34
"""Octaves kept: 2⁻³⁰ s is just under a nanosecond, 2³⁴ s are 544 years, more than int64 nanoseconds hold."""

_SIZE = (_HIGHEST - _LOWEST + 1) * PARTS
BUCKETS = _SIZE + 1
"""All buckets, with number 0 for what is not above 0."""

_BITS = 52 - 7
"""Bits of a double's mantissa below the 7 that number the part of its octave."""
_FIRST = (1022 + _LOWEST) * PARTS - 1
"""What stands above those bits just below bucket 1; 1022 is the exponent's bias where ½ ≤ m < 1."""
RELATIVE_ERROR = 1 / (2 * PARTS)

LE_EXPONENTS = range(-20, 8)
"""Powers of two that are shown as Prometheus buckets: 0.95 µs to 128 s."""


def buckets_of(ns: Instants) -> NDArray[np.int64]:
    """Bucket number of every duration (ns), 0 for zero and below."""
    # The bits of a positive double count up through its mantissa and on into its exponent: shifted down to the part of an
    # octave they are the bucket. One less before the shift puts a boundary into the bucket below it.
    index = (((ns / NS).view(np.int64) - 1) >> _BITS) - _FIRST
    return np.where(ns <= 0, 0, np.clip(index, 1, _SIZE))


def _upper(index: int) -> float:
    """Upper bound of a bucket, seconds."""
    octave, part = divmod(index - 1, PARTS)
    return math.ldexp(1 + (part + 1) / PARTS, octave + _LOWEST - 1)


def value_of(index: int) -> float:
    """The middle of a bucket, seconds: what a quantile that falls into it is answered with."""
    return (_upper(index - 1) + _upper(index)) / 2 if index else 0.0


def bounds_of(index: int) -> tuple[float, float]:
    """What a bucket holds: values above the first of these and at most the second, seconds."""
    return (_upper(index - 1), _upper(index)) if index else (0.0, 0.0)


class LatencyHistogram:
    """Counts of durations by bucket, with exact count, sum, minimum and maximum. Durations are integer nanoseconds.

    Only the octaves between the least and the greatest value have memory: a run has a histogram for each kind of time of
    each group, and most of them span a few of the 64.
    """

    __slots__ = ("_counts", "_first", "_shift", "_zeros", "count", "maximum", "minimum", "squares", "total")

    def __init__(self) -> None:
        # Bucket 0 by itself: a wait of nothing is common, and would stretch the octaves down to the first.
        self._zeros = 0
        self._first = 1
        self._counts = np.zeros(0, np.int64)
        self._shift = 0
        self.count = 0
        self.total = 0
        self.squares = 0
        self.minimum = 0
        self.maximum = 0

    def record(self, ns: Instants) -> None:
        """Add every duration of an array."""
        if not len(ns):
            return
        low, high = int(ns.min()), int(ns.max())
        # Squares are taken about the first value: of values that are large and alike, Σx² − (Σx)²/n leaves no digit.
        if not self.count:
            self._shift, self.minimum, self.maximum = low, low, high
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        self.count += len(ns)
        if low == high:
            self._record_alike(low, len(ns))
            return
        buckets = buckets_of(ns)
        if low <= 0:
            buckets = buckets[buckets > 0]
            self._zeros += len(ns) - len(buckets)
        if len(buckets):
            self._make_room(int(buckets.min()), int(buckets.max()))
            self._counts += np.bincount(buckets - self._first, minlength=len(self._counts))
        centred = ns - self._shift
        self.total += len(ns) * self._shift + summed(centred)
        self.squares += sum_squares(np.abs(centred))

    def _record_alike(self, ns: int, count: int) -> None:
        """The bucket and the sums of ``count`` durations that are all the same."""
        # Common enough for a way of its own: in virtual time every lag is 0, and constant durations are all alike.
        bucket = int(buckets_of(np.array([ns], np.int64))[0])
        if bucket:
            self._make_room(bucket, bucket)
            self._counts[bucket - self._first] += count
        else:
            self._zeros += count
        self.total += count * ns
        self.squares += count * (ns - self._shift) ** 2

    def _make_room(self, low: int, high: int) -> None:
        """Memory for the octaves of the buckets ``low`` to ``high``, beside those that there are."""
        # In whole octaves, so that a run whose times drift grows a few times and not with every batch.
        if not len(self._counts):
            self._first = (low - 1) // PARTS * PARTS + 1
        before = max(0, -(-(self._first - low) // PARTS)) * PARTS
        after = max(0, -(-(high + 1 - self._first - len(self._counts)) // PARTS)) * PARTS
        if before or after:
            # By hand: `np.pad` takes twenty times as long, and a server rebuilds a dozen histograms for a run of one job.
            counts = np.zeros(before + len(self._counts) + after, np.int64)
            counts[before : before + len(self._counts)] = self._counts
            self._counts = counts
            self._first -= before

    def list_filled(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The buckets that hold anything, in rising order, and how many values each holds."""
        # Readers of a histogram take them from here, whatever memory lies around them.
        filled = np.flatnonzero(self._counts)
        buckets, counts = filled + self._first, self._counts[filled]
        if not self._zeros:
            return buckets, counts
        return np.concatenate([[0], buckets]), np.concatenate([[self._zeros], counts])

    def merge(self, other: LatencyHistogram) -> None:
        """Add all that ``other`` holds: afterwards this is the histogram of both sets of values."""
        if not other.count:
            return
        if not self.count:
            self._shift, self.minimum, self.maximum = other._shift, other.minimum, other.maximum
        # Σ(x − a)² from Σ(x − b)²: Python integers, so moving the centre is exact.
        move = other._shift - self._shift
        self.squares += (
            other.squares + 2 * move * (other.total - other.count * other._shift) + other.count * move * move
        )
        self._zeros += other._zeros
        if len(other._counts):
            self._make_room(other._first, other._first + len(other._counts) - 1)
            begin = other._first - self._first
            self._counts[begin : begin + len(other._counts)] += other._counts
        self.count += other.count
        self.total += other.total
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same values, as far as a histogram knows them, in whatever order they came."""
        if not isinstance(other, LatencyHistogram):
            return NotImplemented
        sums = ("count", "total", "minimum", "maximum", "squares_about_0")
        same = all(getattr(self, name) == getattr(other, name) for name in sums)
        return same and all(map(np.array_equal, self.list_filled(), other.list_filled()))

    __hash__ = None  # type: ignore[assignment]  # it changes with every value

    def copy(self) -> LatencyHistogram:
        """An independent histogram of the same values."""
        twin = LatencyHistogram()
        twin.merge(self)
        return twin

    @property
    def mean(self) -> float:
        """Exact mean, seconds."""
        return self.total / self.count / NS

    @property
    def total_seconds(self) -> float:
        """Sum of all durations, seconds."""
        return self.total / NS

    @property
    def squares_about_0(self) -> int:
        """Σx², ns². ``squares`` is about the first value, so it depends on which one came first; this does not."""
        return self.squares + 2 * self._shift * self.total - self.count * self._shift**2

    @property
    def variance(self) -> float:
        """Exact sample variance (n − 1), seconds²; 0 for fewer than two values."""
        if self.count < 2:
            return 0.0
        about = self.total - self.count * self._shift
        return (self.squares * self.count - about * about) / (self.count * (self.count - 1)) / NS**2

    def quantile(self, q: float) -> float:
        """Smallest x with F(x) ≥ ``q``, seconds, within `RELATIVE_ERROR`. Raises ValueError on an empty histogram."""
        if not self.count:
            raise ValueError("an empty histogram has no quantiles")
        rank = find_rank(q, self.count)
        if rank == self.count:
            return self.maximum / NS
        buckets, counts = self.list_filled()
        index = int(buckets[np.searchsorted(np.cumsum(counts), rank)])
        return min(max(value_of(index), self.minimum / NS), self.maximum / NS)

    def count_above(self, seconds: float) -> int:
        """How many values are certainly greater: those in buckets that begin at or above ``seconds``."""
        most = np.iinfo(np.int64).max
        index = int(buckets_of(np.array([min(round(seconds * NS), most)], np.int64))[0])
        buckets, counts = self.list_filled()
        return int(counts[buckets > index].sum())

    def le_counts(self, exponents: range = LE_EXPONENTS) -> list[tuple[float, int]]:
        """Exact number of values ≤ 2ᵏ seconds, for each k of ``exponents``: Prometheus' cumulative buckets."""
        buckets, counts = self.list_filled()
        running = np.concatenate([[0], np.cumsum(counts)])
        ends = np.searchsorted(buckets, [(k - _LOWEST + 1) * PARTS for k in exponents], side="right")
        return [(math.ldexp(1.0, k), count) for k, count in zip(exponents, running[ends].tolist(), strict=True)]

    def le_largest(self, exponents: range = LE_EXPONENTS) -> list[float | None]:
        """The largest value, seconds, in each of Prometheus' buckets and at last in the one above them, within
        `RELATIVE_ERROR`; None if a bucket has none: an example for each.
        """
        filled, _ = self.list_filled()
        bounds = [(k - _LOWEST + 1) * PARTS for k in exponents]
        ends = np.searchsorted(filled, bounds, side="right").tolist()
        return [
            min(max(value_of(int(filled[end - 1])), self.minimum / NS), self.maximum / NS) if end > start else None
            for start, end in pairwise([0, *ends, len(filled)])
        ]

    def find_contradiction(self) -> str | None:
        """What no set of values can have, of a histogram that was read: figures made of it would be nonsense, or raise."""
        buckets, counts = self.list_filled()
        low, high, count = self.minimum, self.maximum, self.count
        if sum(counts.tolist()) != count:
            return f"its buckets hold {sum(counts.tolist())} values, and count is {count}"
        if not count:
            return "a sum of no values must be 0" if low or high or self.total or self.squares else None
        if not -(2**63) < low <= high < 2**63:
            return "min_ns must not be above max_ns, and both must fit 64 bits"
        # The clamp of quantiles to minimum and maximum relies on it.
        if buckets_of(np.array([low, high])).tolist() != [buckets[0], buckets[-1]]:
            return "min_ns and max_ns must lie in its first and last bucket"
        if not count * low <= self.total <= count * high:
            return "total_ns must be the sum of count values between min_ns and max_ns"
        # n·Σx² ≥ (Σx)², of any values (Cauchy and Schwarz); so a root of the variance can be taken.
        return "squares must be a sum of squares" if self.variance < 0 or self.squares < 0 else None

    def to_dict(self) -> dict[str, object]:
        """All of it, sparse, JSON-able; large sums as decimal strings."""
        buckets, counts = self.list_filled()
        return {
            "count": self.count,
            "total_ns": str(self.total),
            "squares": str(self.squares),
            "shift_ns": self._shift,
            "min_ns": self.minimum,
            "max_ns": self.maximum,
            "buckets": buckets.tolist(),
            "counts": counts.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> LatencyHistogram:
        """The inverse of `to_dict`. Raises ValueError, KeyError or TypeError for what it did not write."""
        made: LatencyHistogram = cls()
        buckets, counts = np.array(data["buckets"], np.int64), np.array(data["counts"], np.int64)
        if len(buckets):
            low, high = int(buckets.min()), int(buckets.max())
            # Before memory is taken for it: what a process reports a job may have written.
            if low < 0 or high >= BUCKETS:
                raise ValueError(f"bucket {high if low >= 0 else low} is not on the scale of a histogram")
            if low == 0:
                made._zeros = int(counts[buckets == 0].sum())
                buckets, counts = buckets[buckets > 0], counts[buckets > 0]
        if len(buckets):
            made._make_room(int(buckets.min()), high)
            made._counts[buckets - made._first] = counts
        made.count, made._shift = int(str(data["count"])), int(str(data["shift_ns"]))
        made.total, made.squares = int(str(data["total_ns"])), int(str(data["squares"]))
        made.minimum, made.maximum = int(str(data["min_ns"])), int(str(data["max_ns"]))
        return made
