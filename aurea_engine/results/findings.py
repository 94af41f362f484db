"""Findings about the measurement itself: what was seen, and what to try. The worst of them is the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aurea_engine.closed_sets import FINDING_CODES, VERDICTS, Severity, Verdict


@dataclass(frozen=True)
class Finding:
    """``detail`` says what was seen, with figures; ``advice`` what to try. ``at``: when, in seconds since the window opened;
    None where it has no instant, or nobody knows it.
    """

    code: str
    severity: Severity
    detail: str
    advice: str
    at: float | None = None

    def __post_init__(self) -> None:
        # The set is closed: codes are labels of metrics and headings of the documentation.
        assert self.code in FINDING_CODES, self.code


def find_verdict(findings: Iterable[Finding]) -> Verdict:
    """Whether the measurement can be trusted, by the gravest of its findings; nothing about whether its figures are good."""
    worst = max((finding.severity for finding in findings), default=Severity.NOTE)
    return VERDICTS[worst]


def sort_by_severity(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Gravest first, and otherwise as they come."""
    return tuple(sorted(found, key=lambda finding: -finding.severity))
