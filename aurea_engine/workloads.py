"""A workload: which jobs, and when they arrive."""

from __future__ import annotations

from dataclasses import dataclass, field

from aurea_engine._fields import Checked, Count, PositiveSeconds
from aurea_engine.arrivals import AllAtOnce, Arrivals
from aurea_engine.errors import Problem
from aurea_engine.jobs import JobSource


@dataclass(frozen=True)
class Workload(Checked):
    """Jobs and their arrivals. Releasing stops after ``jobs`` arrivals or at ``duration`` seconds, whichever comes first."""

    job: JobSource
    arrivals: Arrivals = field(default_factory=AllAtOnce)
    jobs: Count | None = None
    duration: PositiveSeconds | None = None

    def check(self) -> list[Problem]:
        if self.arrivals.ends == "with jobs" and self.jobs is None:
            return [Problem("jobs", "is required: these arrivals have no end of their own, whatever the duration")]
        if self.arrivals.ends == "with jobs or duration" and self.jobs is None and self.duration is None:
            return [Problem("duration", "is required, or jobs: this workload would never end")]
        return []
