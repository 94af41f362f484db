"""The limits of one run, and of what may wait: so that no client can take the whole machine."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from aurea_engine import Problem, RunSpec, SpecError
from aurea_engine.shards.split import Sharding, count_cores


@dataclass(frozen=True)
class Limits:
    """``jobs`` a run; ``seconds`` a run lasts at most; ``queued`` runs that wait; ``memory`` bytes of a runner process;
    ``followers`` of events; ``processes`` that a run may be executed in at once; ``search_seconds`` a capacity search lasts
    at most, and ``search_jobs`` all of its trials together may have. ``is_shared``: ``jobs`` are those of one replication
    of several.
    """

    jobs: int = 1_000_000
    seconds: float = 900.0
    queued: int = 16
    memory: int = 2 * 1024**3
    followers: int = 64
    processes: int = 1
    is_shared: bool = False
    search_seconds: float = 3600.0
    search_jobs: int = 100_000_000


CLUSTER_REFERENCE = "names a Dask cluster, which only the operator of the server chooses (--dask): leave it out"
"""The problem of a specification that would choose the machines which execute code."""


def draw_seed() -> int:
    """A seed for a run that names none, so that every run can be repeated: 53 bits, which all readers of JSON hold
    exactly.
    """
    return secrets.randbits(53)


def take_sharding(document: object, limits: Limits) -> tuple[object, Sharding | None]:
    """``document`` without what it says of processes, and that, within the limits. Raises SpecError."""
    if isinstance(document, dict) and "dask" in document:
        raise SpecError([Problem("dask", CLUSTER_REFERENCE)])
    wanted = document.get("processes") if isinstance(document, dict) else None
    rest, sharding = Sharding.take_from(document)
    if sharding is None:
        return rest, None
    # Virtual replications of a run that says nothing of processes take as many as there may be, and real ones run here, one
    # after the other.
    if sharding.repetition is not None and wanted is None:
        virtual = isinstance(rest, dict) and rest.get("clock") == "virtual"
        most = min(limits.processes, count_cores(), sharding.repetition.most) if virtual else sharding.processes
        sharding = replace(sharding, processes=most, is_auto=False)
    if sharding.processes <= limits.processes:
        return rest, sharding
    if wanted == "auto":
        return rest, replace(sharding, processes=limits.processes)
    raise SpecError(
        [Problem("processes", f"must be <= {limits.processes:,} on this server", f"{sharding.processes:,}")]
    )


def share_limits(limits: Limits, sharding: Sharding | None) -> Limits:
    """The limits of each replication of a run that is repeated: jobs are limited of all together."""
    repetition = None if sharding is None else sharding.repetition
    return limits if repetition is None else replace(limits, jobs=limits.jobs // repetition.most, is_shared=True)


def apply_limits(spec: RunSpec, limits: Limits) -> RunSpec:
    """``spec`` as it will run here: with a seed, and no more jobs than allowed. Raises SpecError."""
    workload = spec.workload
    if workload.jobs is not None and workload.jobs > limits.jobs:
        shared = ", which limits all replications together" if limits.is_shared else ""
        text = f"must be <= {limits.jobs:,} on this server{shared}"
        raise SpecError([Problem("workload.jobs", text, f"{workload.jobs:,}")])
    # Without a number of jobs, rate times duration says how many there will be. Where either is unknown, the limit
    # itself becomes the number of jobs, and the run ends there.
    rate = workload.arrivals.asked_rate()
    duration = min((end for end in (workload.duration, workload.stop_at) if end is not None), default=None)
    if workload.jobs is None and rate is not None and duration is not None and rate * duration > limits.jobs:
        text = f"would bring some {rate * duration:,.0f} jobs, this server runs at most {limits.jobs:,}"
        raise SpecError([Problem("workload", text)])
    if workload.jobs is None and (rate is None or duration is None):
        spec = replace(spec, workload=replace(workload, jobs=limits.jobs))
    return spec if spec.seed is not None else replace(spec, seed=draw_seed())
