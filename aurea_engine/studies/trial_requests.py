"""What a search asks for: trials, each with a seed of its own, as many as the search may use."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from aurea_engine.closed_sets import CapacityStatus, SearchPhase
from aurea_engine.results.capacity import Trial
from aurea_engine.studies.search_plan import SearchPlan
from aurea_engine.workload.streams import derive_seed

T = TypeVar("T")


@dataclass(frozen=True)
class TrialRequest:
    """A trial to run. ``value`` is None for the probe, which runs ``users`` in a closed loop."""

    index: int
    phase: SearchPhase
    value: float | None
    seed: int
    jobs: int
    users: int | None = None


Steps: TypeAlias = Generator[tuple[TrialRequest, ...], tuple[Trial, ...], T]
"""A part of a search that yields the trials it needs, is sent how they went, and returns what it came to."""


@dataclass(frozen=True)
class SearchEnd:
    """How a search ended. ``value``: what was verified, or the bound that ``status`` names."""

    status: CapacityStatus
    reason: str
    value: float | None = None


class SearchEnded(Exception):
    """Ends a search from within any of its steps."""

    def __init__(self, status: CapacityStatus, reason: str, value: float | None = None) -> None:
        self.end = SearchEnd(status, reason, value)
        super().__init__(reason)


class TrialRequests:
    """Numbers the trials of one search, and counts what they use."""

    def __init__(self, plan: SearchPlan) -> None:
        self._plan, self._count, self._jobs = plan, 0, 0
        self.phase: SearchPhase = "probe"

    def run(
        self, phase: SearchPhase, value: float | None, jobs: int, number: int, users: int | None = None
    ) -> Steps[tuple[Trial, ...]]:
        """Run ``number`` trials alike, but for their seeds. Ends the search where it may use no more."""
        limits, self.phase = self._plan.limits, phase
        if self._count + number > limits.trials:
            raise SearchEnded("undecided", f"its {limits.trials} trials were used up")
        if limits.jobs is not None and self._jobs + number * jobs > limits.jobs:
            raise SearchEnded("undecided", f"its {limits.jobs:,} jobs were used up")
        # Verification has seeds of its own name: none of its runs has taken part in the search.
        name = "verification" if phase == "verify" else "trial"
        first, self._count = self._count, self._count + number
        trials = yield tuple(
            TrialRequest(i, phase, value, derive_seed(self._plan.seed, name, i), jobs, users)
            for i in range(first, first + number)
        )
        self._jobs += sum(trial.jobs for trial in trials)
        return trials
