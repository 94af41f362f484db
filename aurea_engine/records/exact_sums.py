"""Exact sums of columns of whole numbers, by numpy as far as its int64 reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def summed(ns: NDArray[np.int64]) -> int:
    """Exact sum, also where it leaves int64: ten jobs of the longest service that may be asked for do."""
    if not len(ns):
        return 0
    # No partial sum is beyond rows × the largest size, so where that fits, numpy's sum cannot wrap around.
    fits = max(abs(int(ns.min())), abs(int(ns.max()))) * len(ns) < 2**63
    return int(ns.sum()) if fits else sum(ns.tolist())


def sum_squares(sizes: NDArray[np.int64]) -> int:
    """Exact, whatever the sizes: in 21-bit digits no product of two sums leaves int64 for up to 2²⁰ values."""
    if len(sizes) > 2**20:
        return sum(sum_squares(part) for part in np.array_split(sizes, len(sizes) // 2**20 + 1))
    low, middle, high = sizes & 0x1FFFFF, (sizes >> 21) & 0x1FFFFF, sizes >> 42
    lows, mixed = int(low @ low), 2 * int(low @ middle)
    if not high.any():
        return lows + (mixed << 21) + (int(middle @ middle) << 42)
    upper = int(middle @ middle) + 2 * int(low @ high)
    return lows + (mixed << 21) + (upper << 42) + (2 * int(middle @ high) << 63) + (int(high @ high) << 84)
