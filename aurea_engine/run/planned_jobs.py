"""The jobs of a run before it is run: what `JobPlan` would give a driver, as columns for people and programs to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aurea_engine.errors import Problem, SpecError
from aurea_engine.records.batch import Instants, Outcomes
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.shard import Shard
from aurea_engine.spec import RunSpec
from aurea_engine.workload.streams import Streams


@dataclass(frozen=True)
class PlannedJobs:
    """What is known of jobs before they are run, a row for each.

    ``job``: its number in the whole run; ``intended``: ns since the window opens, None in the closed model; ``demand``:
    seconds of service that it asks for, NaN if nobody knows; ``leaf``: which of `JobSource.leaves` does it; ``outcome``:
    how it ends unless something comes between; ``service``: ns until then, `UNKNOWN` where its demand is.
    """

    job: Instants
    intended: Instants | None
    demand: NDArray[np.float64]
    leaf: NDArray[np.intp]
    outcome: Outcomes
    service: Instants


def plan(spec: RunSpec, shard: Shard | None = None) -> PlannedJobs:
    """The jobs of ``spec``, which needs a seed, or of one shard of it: those that `execute` will run.

    Raises `SpecError` if the jobs have no end but a duration and the model is closed: how many of them there will be is
    then known only when they have run.
    """
    # What `execute` would refuse is refused here.
    shard = shard or Shard()
    shard.check(spec)
    # Execution may draw a seed; a plan without one would be of no run.
    if spec.seed is None:
        raise SpecError([Problem("seed", "is required: without one every execution draws other jobs")])
    simulated, divided = spec.clock == "virtual", spec.scheduler.divided
    job_plan = JobPlan(spec.workload, Streams(spec.seed), simulated=simulated, shard=shard, divided=divided)
    if job_plan.closed and job_plan.unlimited:
        raise SpecError([Problem("workload.jobs", "is required to plan a closed model: only its users end it")])
    # Whole, in memory: a plan is looked at, and 41 bytes a job are less than the records that it will lead to.
    blocks = list(job_plan.blocks())

    # A plan may have no blocks at all, and an array of a kind must come out all the same.
    def join(name: str, kind: type) -> NDArray[Any]:
        return np.concatenate([np.empty(0, kind), *(getattr(block, name) for block in blocks)])

    # Patience, limits and priorities are drawn too, so that the plan is that of the run. They decide nothing unless jobs
    # wait or run, and so are not shown.
    return PlannedJobs(
        shard.number_rows(sum(map(len, blocks))),
        None if job_plan.closed else join("intended", np.int64),
        join("demand", np.float64),
        join("leaf", np.intp),
        join("outcome", np.uint8),
        join("service", np.int64),
    )
