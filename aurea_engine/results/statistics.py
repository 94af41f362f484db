"""Figures from samples, and how far each can be trusted.

A quantile is the inverse of the distribution function: the smallest x with F(x) ≥ q. It is given only where the
sample can carry it: with fewer than ln 0.05 / ln q values the largest one is not even a 95 % upper bound of the
quantile, and the answer is None, never a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aurea_engine.records.batch import NS, Floats, Instants
from aurea_engine.records.exact_sums import summed
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import CONFIDENCE, QUANTILES, count_samples_needed, find_rank

BATCHES = 30
T_29 = 2.0452296
"""97.5 % point of Student's t with `BATCHES` − 1 degrees of freedom."""


@dataclass(frozen=True)
class Interval:
    """A two-sided 95 % confidence interval, in the unit of the figure."""

    low: float
    high: float


@dataclass(frozen=True)
class Timing:
    """One kind of time over all counted jobs, seconds; or the amounts of a measure, in its unit. What the sample cannot
    carry is None.

    ``exact``: quantiles are sample quantiles; otherwise they come from a histogram and are within 0.4 %.
    """

    count: int
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    mean_interval: Interval | None = None
    intervals: tuple[tuple[str, Interval], ...] = ()
    exact: bool = True

    def quantile(self, name: str) -> float | None:
        """``"p99"`` → its value."""
        value: float | None = getattr(self, name)
        return value


def find_quantile(ordered: Instants, q: float, unit: int = NS) -> float | None:
    """Quantile ``q`` of whole numbers in rising order, ``unit`` of them to the unit; None if there are too few."""
    n = len(ordered)
    return int(ordered[find_rank(q, n) - 1]) / unit if n >= count_samples_needed(q) else None


def summarize_values(values: Instants, unit: int = NS) -> Timing:
    """Of whole numbers, such as ns, ``unit`` of them to the unit, such as a second. They are in order of arrival, which
    matters to the interval of the mean: neighbours are alike.
    """
    n = len(values)
    if not n:
        return Timing(0)
    ordered = _order_partly(values)
    # The sum is exact in whole numbers. Squares are taken about the mean, since about 0 those of large values that differ
    # little would cancel (Welford 1962), and what the whole-number mean is off by is taken out again.
    total = summed(values)
    centred = (values - total // n).astype(float)
    p50, p90, p95, p99, p999 = [find_quantile(ordered, q, unit) for q in QUANTILES.values()]
    # Not a dot product: BLAS would spread it over threads, which wait for one another for milliseconds where others work,
    # and add in an order that depends on the machine.
    squares = float(np.square(centred).sum())
    variance = max(squares - float(centred.sum()) ** 2 / n, 0.0) / (n - 1) if n > 1 else None
    found = {name: find_quantile_interval(ordered, q, unit) for name, q in QUANTILES.items()}
    return Timing(
        n,
        total / n / unit,
        None if variance is None else math.sqrt(variance) / unit,
        int(ordered[0]) / unit,
        int(ordered[-1]) / unit,
        p50,
        p90,
        p95,
        p99,
        p999,
        mean_interval=estimate_mean_interval(values, unit),
        intervals=tuple((name, interval) for name, interval in found.items() if interval is not None),
    )


def summarize_histogram(histogram: LatencyHistogram, unit: int = NS) -> Timing:
    """The same figures where only a histogram is left; it has forgotten the order, so no intervals."""
    n = histogram.count
    if not n:
        return Timing(0, exact=False)
    p50, p90, p95, p99, p999 = [
        convert_to_unit(histogram.quantile(q), unit) if n >= count_samples_needed(q) else None
        for q in QUANTILES.values()
    ]
    return Timing(
        n,
        histogram.total / n / unit,
        math.sqrt(histogram.variance) * (NS / unit) if n > 1 else None,
        histogram.minimum / unit,
        histogram.maximum / unit,
        p50,
        p90,
        p95,
        p99,
        p999,
        exact=False,
    )


def convert_to_unit(seconds: float, unit: int) -> float:
    """What a histogram takes for seconds, in ``unit``. Amounts are whole numbers, so the middle of a bucket is made one."""
    return seconds if unit == NS else round(seconds * NS) / unit


def estimate_mean_interval(values: Instants, unit: int = NS) -> Interval | None:
    """Of the mean, by 30 batch means: consecutive waits are alike, so their plain standard error would be far too small."""
    size = len(values) // BATCHES
    if size < 2:
        return None
    # Means of long batches are nearly independent of one another, whatever their jobs are (Law and Kelton, *Simulation
    # Modeling and Analysis*, on batch means). What is left over at the end is in the mean and not in the spread.
    means = values[: size * BATCHES].reshape(BATCHES, size).mean(axis=1)
    half = T_29 * float(means.std(ddof=1)) / math.sqrt(BATCHES)
    middle = float(values.mean())
    return Interval(max(middle - half, 0.0) / unit, (middle + half) / unit)


def find_quantile_interval(ordered: Instants, q: float, unit: int = NS) -> Interval | None:
    """Of quantile ``q``, between two order statistics whose ranks are binomial: no assumption on the distribution.

    It takes values as independent. None if the sample has no value far enough out.
    """
    ranks = find_interval_ranks(len(ordered), q)
    return None if ranks is None else Interval(int(ordered[ranks[0] - 1]) / unit, int(ordered[ranks[1] - 1]) / unit)


# The four times of a run, and of each of its groups, often have as many values: the ranks depend on nothing else.
@lru_cache(maxsize=64)
def find_interval_ranks(n: int, q: float) -> tuple[int, int] | None:
    """The ranks (the first is 1) of the two values of ``n`` that are the interval of quantile ``q``, or None."""
    tail = (1 - CONFIDENCE) / 2
    # All values on one side of it. The sum below would say so, too, in thirty times as long.
    if max(q, 1 - q) ** n > 1.001 * tail:
        return None
    # The values at these ranks enclose the quantile whatever the distribution is (Conover 1999, 3.2).
    low, high = find_quantile_ranks(n, q, tail)
    return None if low is None or high is None else (low, high)


def _order_partly(values: Instants) -> Instants:
    """``values`` with those in place, as if sorted, that a `Timing` reads: its quantiles, their intervals, both ends."""
    # Some twenty of perhaps a million. To put just these in place takes a quarter of the time of sorting them all.
    n = len(values)
    if values[0] == values[-1] and (values == values[0]).all():
        return values  # as all lags in virtual time are
    ranks = {1, n}
    for q in QUANTILES.values():
        ranks |= {find_rank(q, n), *(find_interval_ranks(n, q) or ())}
    return np.partition(values, [rank - 1 for rank in sorted(ranks)])


def find_quantile_ranks(n: int, q: float, tail: float) -> tuple[int | None, int | None]:
    """Ranks (the first is 1) of ``n`` values between which quantile ``q`` lies; each end errs with chance ``tail`` at most.

    How many values do not exceed the quantile is binomial. None if the sample has no value far enough out.
    """
    # Eight standard deviations on either side hold all of a binomial distribution that a float can tell from none.
    spread = 8 * math.sqrt(n * q * (1 - q)) + 8
    first, last = max(0, math.floor(n * q - spread)), min(n, math.ceil(n * q + spread))
    below = np.cumsum(_binomial(n, q, np.arange(first, last + 1)))
    low = first + int(np.searchsorted(below, tail, side="right"))
    high = first + int(np.searchsorted(below, 1 - tail)) + 1
    return (low if low >= 1 else None), (high if high <= n else None)


def _binomial(n: int, p: float, k: NDArray[np.int64]) -> Floats:
    """P(K = k) for K ~ Binomial(n, p), by recurrence from the first k in log space."""
    first = int(k[0])
    start = math.lgamma(n + 1) - math.lgamma(first + 1) - math.lgamma(n - first + 1)
    start += first * math.log(p) + (n - first) * math.log1p(-p)
    steps = np.log((n - k[:-1]) / (k[:-1] + 1)) + math.log(p) - math.log1p(-p)
    return np.asarray(np.exp(start + np.concatenate([[0.0], np.cumsum(steps)])))


def find_warmup_mser5(values: Instants) -> int:
    """How many leading values to leave out as warm-up, by MSER-5 (White 1997).

    Means of five are cut where the standard error of what is left is smallest; a cut in the second half means that no steady
    state was found, and then the answer is the whole sample.
    """
    groups = len(values) // 5
    if groups < 10:
        return 0
    means = values[: groups * 5].reshape(groups, 5).mean(axis=1)
    # The variance of what is left after each possible cut, from cumulated sums from the end: one pass instead of n.
    left = np.arange(groups, 0, -1)
    sums = np.cumsum(means[::-1])[::-1]
    squares = np.cumsum((means**2)[::-1])[::-1]
    errors = (squares - sums**2 / left) / left**2
    cut = int(np.argmin(errors[: groups - 5]))
    return cut * 5 if cut <= groups // 2 else len(values)


def integrate_jobs_in_system(intended: Instants, finished: Instants) -> int:
    """∫N(t)dt in ns, from the instants in order of time and not job by job: Little's law says it is Σ response times."""
    arrivals, ends = np.sort(intended), np.sort(finished)
    at = np.concatenate([arrivals, ends])
    step = np.concatenate([np.ones(len(arrivals), np.int64), -np.ones(len(ends), np.int64)])
    order = np.argsort(at, kind="stable")
    level = np.cumsum(step[order])
    spans = np.diff(at[order])
    # The sum of level × span leaves int64 for long runs with many jobs; it is then taken in Python's whole numbers.
    if len(spans) and float(level[:-1].max()) * float(at.max()) < 2**62:
        return int((level[:-1] * spans).sum())
    return sum(n * span for n, span in zip(level[:-1].tolist(), spans.tolist(), strict=True))
