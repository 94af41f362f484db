"""Tests of the instants at which jobs were *released* against the specified arrival process."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from aurea_engine.closed_sets import Severity
from aurea_engine.records.batch import NS, Instants, JobBatch
from aurea_engine.results.findings import Finding
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Constant, Poisson

ENOUGH_GAPS = 500
"""Jobs from which on a test of the arrival process says something."""


def check_arrivals(jobs: JobBatch, spec: RunSpec) -> Iterator[Finding]:
    """Whether ``jobs``, those of a whole run in real time, were released as ``spec`` says."""
    arrivals = spec.workload.arrivals
    if len(jobs) < ENOUGH_GAPS:
        return
    # Shards release their jobs each by itself, one later than another: in the order of the jobs' numbers instants may fall.
    released = np.sort(jobs.released)
    if isinstance(arrivals, Poisson):
        failed = find_poisson_misfits(released, arrivals.rate, spec.thresholds.significance)
    elif isinstance(arrivals, Constant):
        failed = find_constant_misfits(released, arrivals.rate)
    else:
        return
    if failed:
        advice = "Releases were delayed or bunched: check the lag, or lower the rate."
        yield Finding("arrivals_misfit", Severity.DEGRADED, "; ".join(failed), advice)


def find_poisson_misfits(released: Instants, rate: float, significance: float) -> list[str]:
    """Tests of ns instants against a Poisson process of ``rate``: each may fail by chance with ``significance``.

    Kolmogorov–Smirnov on the gaps (their distribution), lag-1 autocorrelation (their independence), and the index of
    dispersion of counts in 100 windows: bunching that the gaps alone do not show.
    """
    # The rate is the specified one, not estimated from the sample: so the plain Kolmogorov–Smirnov bound holds.
    gaps, failed = np.diff(released) / NS, []
    n = len(gaps)
    ordered = 1 - np.exp(-rate * np.sort(gaps))
    ranks = np.arange(n + 1) / n
    distance = float(max((ranks[1:] - ordered).max(), (ordered - ranks[:-1]).max()))
    if distance > math.sqrt((math.log(2) - math.log(significance)) / (2 * n)):
        failed.append(f"gaps are not exponential (KS distance {distance:.3g})")
    # Without correlation the lag-1 coefficient of n values is normal with variance 1/n (Bartlett 1946).
    z = _normal_point(significance)
    centred = gaps - gaps.mean()
    # Not dot products, which BLAS would spread over threads: see `aurea_engine.results.statistics`.
    lag1 = float((centred[1:] * centred[:-1]).sum() / np.square(centred).sum()) if centred.any() else 1.0
    if abs(lag1) > z / math.sqrt(n):
        failed.append(f"neighbouring gaps are correlated (lag-1 autocorrelation {lag1:.3g})")
    dispersion = measure_dispersion(released)
    # 99·D is chi-squared with 99 degrees of freedom, so D has variance 2 ÷ 99 about 1, and is skewed to the right.
    spread = z * math.sqrt(2 / 99)
    if not max(0.0, 1 - spread) < dispersion < 1 + spread * (1 + spread / 2):
        failed.append(f"counts are not Poisson (index of dispersion {dispersion:.3g}, should be 1)")
    return failed


def measure_dispersion(instants: Instants, windows: int = 100) -> float:
    """Variance ÷ mean of the counts in equal windows: 1 for a Poisson process, 0 for a constant rate."""
    span = int(instants[-1]) - int(instants[0])
    counts = np.bincount(np.minimum((instants - instants[0]) * windows // max(span, 1), windows - 1), minlength=windows)
    return float(counts.var(ddof=1) / counts.mean())


def find_constant_misfits(released: Instants, rate: float) -> list[str]:
    """Whether ns instants are not evenly spaced."""
    dispersion = measure_dispersion(released)
    count = len(released) / 100
    # Rounding alone puts one job more or less into a window: a variance of at most 1/4.
    if dispersion > 0.25 / count + 0.05:
        return [f"releases are not even (index of dispersion {dispersion:.3g} at {rate:g}/s, should be 0)"]
    return []


def _normal_point(significance: float) -> float:
    """Two-sided point of the standard normal distribution, by bisection of erfc."""
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(middle / math.sqrt(2)) > significance else (low, middle)
    return high
