"""What a quantile is, and how many values support one."""

from __future__ import annotations

import math

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The quantiles of every table, by their labels."""

CONFIDENCE = 0.95


def find_rank(q: float, n: int) -> int:
    """1-based rank of quantile ``q`` in ``n`` values by the inverse distribution function: smallest r with r/n ≥ q."""
    return min(max(math.ceil(q * n - 1e-9 * max(1.0, q * n)), 1), n)


def count_samples_needed(q: float) -> int:
    """Fewest values that support quantile ``q``: the smallest n with qⁿ ≤ 0.05."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(q))
