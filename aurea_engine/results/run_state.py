"""A run at an instant, under way or at its end: the facts that its findings are judged by, taken in microseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aurea_engine.run.meters import Meters
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import GeneratorStats
from aurea_engine.spec import RunSpec
from aurea_engine.workload.jobs import Job


@dataclass(frozen=True)
class RunState:
    """A run, ``elapsed`` seconds after its window opened. ``recorded``: records are kept so far."""

    spec: RunSpec
    parts: RunParts
    elapsed: float
    cost_problem: str | None
    recorded: bool
    heavy_tailed: bool

    # Short names for what nearly every finding looks at.

    @property
    def meters(self) -> Meters:
        """Of the jobs that have ended, without the warm-up that was known before the run."""
        return self.parts.meters

    @property
    def has_rate(self) -> bool:
        """Whether the specification asks for a rate: the closed model and a batch do not."""
        return self.spec.workload.arrivals.asked_rate() is not None

    @property
    def generator(self) -> GeneratorStats:
        """What the generator knows of its own part in the measurement."""
        return self.parts.generator


def is_heavy_tailed(spec: RunSpec) -> bool:
    """Whether the service time has a mean but no variance. It may take milliseconds, and does not change."""
    job = spec.workload.job
    # Only of a plain job: what a mix or a limit makes of a distribution has no name, and its moments are not known.
    service = job.distribution() if isinstance(job, Job) else None
    return service is not None and math.isinf(service.moments().scv)
