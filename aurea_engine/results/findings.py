"""Remarks on the measurement itself: what was seen, what it means, what to try. The worst of them is the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """``NOTE`` leaves the verdict alone, ``DEGRADED`` means use with care, ``INVALID`` do not use."""

    NOTE = 0
    DEGRADED = 1
    INVALID = 2


CODES = {
    "arrivals_misfit": "the jobs were not released as the arrival process that was asked for",
    "below_floor": "service times are no longer than the engine's own overhead",
    "conservation_broken": "the counts or Little's law do not add up",
    "cost_unpriced": "the cost model gave no usable price",
    "cpu_saturated": "the generator itself was busy all the time",
    "gc_pause": "garbage collection stopped the generator",
    "heavy_tail": "the service time has no variance, so means settle slowly",
    "late_releases": "jobs were released later than they were meant to start",
    "loop_lag": "something kept the event loop from running",
    "no_steady_state": "no point was found from which on the run looks steady",
    "not_drained": "the run was stopped before all of its jobs had ended",
    "queue_growing": "jobs arrived faster than they were served",
    "rate_shortfall": "the generator could not keep up with the rate that was asked for",
    "records_dropped": "more jobs than records are kept for; quantiles are from a histogram",
    "retries_at_once": "users of a closed model whose jobs were rejected came back without a pause",
    "too_few_samples": "too few jobs for some quantiles",
}
"""Every code a finding can have, with its meaning: a closed set, fit for a metric's label."""


@dataclass(frozen=True)
class Finding:
    """``detail`` says what was seen, with figures; ``advice`` what to try."""

    code: str
    severity: Severity
    detail: str
    advice: str

    def __post_init__(self) -> None:
        assert self.code in CODES, self.code


def verdict(findings: Iterable[Finding]) -> str:
    """``valid``, ``degraded`` or ``invalid``: whether the measurement can be trusted, not whether it pleases."""
    worst = max((finding.severity for finding in findings), default=Severity.NOTE)
    return ("valid", "degraded", "invalid")[worst]
