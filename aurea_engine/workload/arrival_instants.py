"""The arithmetic of arrival instants: blocks of int64 nanoseconds from rates, gaps and expected counts.

Two methods are used, each where it is exact.

*Inversion.* A process whose rate λ(t) is known has the expected count Λ(t) = ∫λ. Arrival i is put at Λ⁻¹(i). This is the
deterministic counterpart of the inversion method for non-homogeneous Poisson processes (Çinlar, *Introduction to Stochastic
Processes*, 1975, chapter 4). It needs no random numbers, nothing is rejected as in thinning (Lewis and Shedler 1979), and
two stages join without a gap or a double arrival, because Λ is continuous.

*Accumulation.* A renewal process has independent gaps, so arrival i is the sum of i gaps.

Instants are absolute. None depends on when an earlier job was served, so nothing drifts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from aurea_engine.records.batch import NS, Floats, Instants

BLOCK = 4096
"""Arrivals drawn at a time."""

BEYOND = 9e18
"""ns, 285 years: just inside int64. No run reaches it."""

# A float >= 1 has at most this many bits after the point.
_BITS = 52


def invert_in_blocks(inverse: Callable[[Floats], Floats], total: float = math.inf) -> Iterator[Instants]:
    """Arrival i at Λ⁻¹(i), for every i < ``total``, in blocks."""
    # Λ of the whole process may be a whole number that a float exceeds by its last bit. The slack keeps such a process from
    # getting one arrival more, at the instant at which it ends.
    first, last = 0, math.ceil(total - 1e-9) if total < math.inf else math.inf
    while first < last:
        count = int(min(BLOCK, last - first))
        yield round_to_ns(inverse(np.arange(first, first + count, dtype=float)))
        first += count


def round_to_ns(seconds: Floats) -> Instants:
    """Whole nanoseconds. Instants above `BEYOND` are set to it, so a block may reach further than any run."""
    # Halves always go up. Rounded to the even neighbour, as np.rint does, arrivals 2/1024 s apart would have gaps that
    # differ by a nanosecond.
    return np.floor(np.minimum(seconds, BEYOND / NS) * NS + 0.5).astype(np.int64)


def space_evenly(gap: float, first: int, n: int) -> Instants:
    """``n`` ≤ 1,024 multiples of ``gap`` ns, from number ``first`` on, each rounded to the nanosecond, halves up.

    In integers: only then are any two of them, k gaps apart, at least ⌊k·gap⌋ apart. The float i·gap lacks bits after some
    days.
    """
    # gap = G + R/2⁵² exactly, since a float has no more bits. So arrival i is i·G + (i·R)/2⁵², and only the second part is
    # rounded. The part of i·R up to `first` is a Python integer. What is left, k·R + 2⁵², stays below 2⁶³ for k < 1,024.
    whole = int(gap)
    bits = int((gap - whole) * 2**_BITS)
    above, behind = divmod(first * bits, 2**_BITS)
    k = np.arange(n, dtype=np.int64)
    rounded: Instants = (behind + k * bits + 2 ** (_BITS - 1)) >> _BITS
    return np.asarray(first * whole + above + k * whole + rounded, np.int64)


def accumulate_gaps(gaps: Callable[[int], Floats]) -> Iterator[Instants]:
    """Arrivals of a renewal process: running sums of ``gaps(n)``, which draws n gaps in seconds."""
    # Sums stay floats between blocks. Rounding each block's last instant would add half a nanosecond of bias per block.
    at = 0.0
    while True:
        block = at + np.cumsum(gaps(BLOCK))
        at = float(block[-1])
        yield round_to_ns(block)


def invert_ramp(count: Floats, rates: tuple[float, float], over: float) -> Floats:
    """Λ(t) = start·t + (end − start)·t²/(2·over) = count, solved for t."""
    # The quadratic formula in the form 2c/(b + √(b² + 4ac)). The usual form subtracts two nearly equal numbers when start
    # and end are close, and loses all digits (Press et al., *Numerical Recipes*, section 5.6).
    start, end = rates
    k = (end - start) / over
    root = np.sqrt(np.maximum(start**2 + 2 * k * count, 0.0))
    # start = 0 and count = 0 give 0/0, which is replaced below. The minimum removes what rounding put after the end.
    with np.errstate(invalid="ignore", divide="ignore"):
        t = 2 * count / (start + root)
    return np.where(count == 0, 0.0, np.minimum(t, over))
