"""The definition of a quantile, and how many values one needs."""

from __future__ import annotations

import math

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The quantiles of every table, by their labels."""

CONFIDENCE = 0.95


def find_rank(q: float, n: int) -> int:
    """1-based rank of quantile ``q`` among ``n`` sorted values: the smallest r with r/n ≥ q.

    This is the inverse of the empirical distribution function, type 1 of Hyndman and Fan (1996). It is always a value that
    occurred; types that interpolate give one that did not.
    """
    # q·n may exceed a whole number by its last bit (0.07 × 100 does), and the ceiling would be one rank too high.
    return min(max(math.ceil(q * n - 1e-9 * max(1.0, q * n)), 1), n)


def count_samples_needed(q: float, confidence: float = CONFIDENCE) -> int:
    """The fewest values that support quantile ``q``: the smallest n with qⁿ ≤ 0.05, or 1 − ``confidence``.

    qⁿ is the probability that all n values lie below the true quantile. Above 0.05, even the largest value is no 95 % upper
    bound of it (Hahn and Meeker, *Statistical Intervals*, chapter 5).
    """
    return math.ceil(math.log(1 - confidence) / math.log(q))
