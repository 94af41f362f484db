"""Quantiles of Student's t for whole degrees of freedom: how far a mean of a few values may be off."""

from __future__ import annotations

import math
from functools import lru_cache

TWO_SIDED = 0.975
"""Each end of a two-sided 95 % interval errs with 2.5 %."""

ONE_SIDED = 0.95
"""A one-sided 95 % bound."""


@lru_cache(maxsize=4096)
def find_t(degrees: int, level: float = TWO_SIDED) -> float:
    """The value that Student's t with so many ``degrees`` of freedom stays below with chance ``level``, to ten digits.

    ``degrees`` is 1 or more, and ``level`` from 0.5 up and below 1. Raises ValueError for others.
    """
    if degrees < 1 or not 0.5 <= level < 1:
        raise ValueError("there is no such quantile: degrees must be >= 1, and the level from 0.5 up and below 1")
    # The angle θ = arctan(t/√ν) is between 0 and a right angle whatever t is, and the chance rises with it. Sixty halvings
    # leave nothing that a float could hold.
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _find_inside(degrees, middle) < 2 * level - 1 else (low, middle)
    return math.tan((low + high) / 2) * math.sqrt(degrees)


def _find_inside(degrees: int, angle: float) -> float:
    """The chance that t lies within ±√ν tan θ: a finite sum for whole degrees (Abramowitz and Stegun 1964, 26.7.3–4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    # Terms cosᵏθ × 2·4·…/3·5·… of odd degrees, 1·3·…/2·4·… of even ones: each is the one before times a ratio.
    term = cosine if odd else 1.0
    total = 0.0 if degrees == 1 else term
    for k in range(2 + odd, degrees - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
