"""How a run stands, under way or at its end: the facts that its findings are judged by, taken in microseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aurea_engine._dispatcher import Dispatcher
from aurea_engine._recorder import Meters, Recorder
from aurea_engine.jobs import Job
from aurea_engine.records import Instants, JobBatch
from aurea_engine.spec import RunSpec

FEWEST_WAITS = 90
"""Jobs from which on the waits of three thirds say anything."""

WAITS_LOOKED_AT = 3000
"""Jobs whose waits are looked at under way: evenly spread over all, so that a million records cost no more."""


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

    ``recorded``: records are kept so far. ``waits``: mean waits of the first, second and last third of the jobs that have
    started, ns, and ``backlog``: jobs in the system when the last of them arrived; None where nobody can know.
    """

    spec: RunSpec
    elapsed: float
    meters: Meters
    dispatcher: Dispatcher
    measured: Measured
    cost_problem: str | None
    recorded: bool
    heavy_tailed: bool
    waits: tuple[float, float, float] | None
    backlog: int


def heavy_tailed(spec: RunSpec) -> bool:
    """Whether the service time has a mean but no variance. It may take milliseconds, and does not change."""
    job = spec.workload.job
    service = job.distribution() if isinstance(job, Job) else None
    return service is not None and math.isinf(service.moments().scv)


def waits_so_far(recorder: Recorder, arrived: int) -> tuple[float, float, float] | None:
    """Of a run that is on."""
    if not recorder.keep or arrived < FEWEST_WAITS:
        return None
    every = max(1, arrived // WAITS_LOOKED_AT)
    started = np.frombuffer(recorder.started, np.int64)[:arrived:every]
    intended = np.frombuffer(recorder.intended, np.int64)[:arrived:every]
    return _thirds((started - intended)[started >= 0])


def waits_and_backlog(jobs: JobBatch | None) -> tuple[tuple[float, float, float] | None, int]:
    """Of a run that has ended."""
    if jobs is None or not len(jobs):
        return None, 0
    backlog = int((jobs.was_started & (jobs.finished > int(jobs.intended[-1]))).sum())
    waits = jobs.waiting_ns[jobs.was_started]
    return (_thirds(waits) if len(waits) >= FEWEST_WAITS else None), backlog


def _thirds(waits: Instants) -> tuple[float, float, float] | None:
    third = len(waits) // 3
    if not third:
        return None
    first, second, last = (float(waits[i * third : (i + 1) * third].mean()) for i in range(3))
    return first, second, last
