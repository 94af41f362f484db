"""How a run stands, under way or at its end: the facts that its findings are judged by, taken in microseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.meters import Meters
from aurea_engine.run.recorder import Recorder
from aurea_engine.spec import RunSpec
from aurea_engine.workload.jobs import Job


@dataclass(frozen=True)
class Measured:
    """What a driver knows of its own run. ``busy``: share of the window in which the generator was at work."""

    busy: float = 0.0
    late_ns: int = 0
    gc_total_ns: int = 0
    gc_longest_ns: int = 0
    environment: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """A run at an instant, ``elapsed`` seconds after its window opened.

    ``recorded``: records are kept so far. ``due_ns`` and ``released_ns``: when the latest job was meant to be released, and
    when it was.
    """

    spec: RunSpec
    elapsed: float
    meters: Meters
    dispatcher: Dispatcher
    measured: Measured
    cost_problem: str | None
    recorded: bool
    heavy_tailed: bool
    due_ns: int
    released_ns: int


def heavy_tailed(spec: RunSpec) -> bool:
    """Whether the service time has a mean but no variance. It may take milliseconds, and does not change."""
    job = spec.workload.job
    service = job.distribution() if isinstance(job, Job) else None
    return service is not None and math.isinf(service.moments().scv)


def latest_release(recorder: Recorder, arrived: int) -> tuple[int, int]:
    """(when it was meant to be, when it was), ns, of the latest job. Where its row is gone it has ended, and was metered."""
    row = arrived - 1 - recorder.base
    if 0 <= row < len(recorder.released):
        return recorder.intended[row], recorder.released[row]
    return recorder.meters.latest_intended_ns, recorder.meters.latest_released_ns
