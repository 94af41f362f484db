"""The specifications of a search's runs: the user's, at another rate or on other slots, and as long as a trial has to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from aurea_engine.closed_sets import CapacityVariable
from aurea_engine.spec import Objective, RunSpec
from aurea_engine.workload.arrivals import Closed

WARMUP_SHARE = 0.1
"""Share of a trial that is left out as warm-up, where the specification does not say how long one lasts."""

MOST_WARMUP = 1e9
"""Seconds: the bound of the member of a specification."""

SECONDS = 10.0
"""Length of a trial in real time, where the specification does not say how long a run lasts."""

PROBE_SECONDS = 2.0
"""The most that a probe takes in real time."""


def spec_at(spec: RunSpec, variable: CapacityVariable, value: float, seed: int, jobs: int) -> RunSpec:
    """``spec`` with ``value`` as its rate, or as its slots, for a trial of ``jobs`` jobs.

    The warm-up is left out: a tenth of the trial, unless ``spec`` says otherwise.
    """
    arrivals, scheduler = spec.workload.arrivals, spec.scheduler
    if variable == "slots":
        scheduler = replace(scheduler, slots=int(value))
    else:
        arrivals = arrivals.at_rate(value) or arrivals
    rate = arrivals.asked_rate()
    # Stages and ramps are one process from beginning to end: cut off after so many jobs they would be another.
    ends = None if arrivals.ends == "by itself" else jobs
    workload = replace(spec.workload, arrivals=arrivals, jobs=ends, duration=None, stop_at=None)
    return replace(
        spec,
        workload=workload,
        scheduler=scheduler,
        seed=seed,
        warmup=_choose_warmup(spec, None if rate is None else jobs / rate),
        objectives=tuple(_abort_early(each, spec) for each in spec.objectives),
    )


def _choose_warmup(spec: RunSpec, lasts: float | None) -> float | Literal["auto"]:
    # No warm-up may be longer than `MOST_WARMUP`. A run that would need it is refused by itself, for what is its fault.
    return min(WARMUP_SHARE * lasts, MOST_WARMUP) if not spec.warmup and lasts is not None else spec.warmup


def _abort_early(objective: Objective, spec: RunSpec) -> Objective:
    """In real time a trial far above the capacity would last on until its backlog is served, and say nothing new."""
    can = objective.at_most is not None and objective.quantile is not None
    if spec.clock == "virtual" or not can or objective.group in spec.workload.schema.steps:
        return objective
    return replace(objective, abort=True)


def spec_probe(
    spec: RunSpec, users: int, seed: int, jobs: int, *, seconds: float = PROBE_SECONDS, most: int | None = None
) -> RunSpec:
    """``spec`` in a closed loop of ``users`` who do not think, for ``jobs`` jobs; in real time for ``seconds``, and ``most``
    jobs.
    """
    workload = spec.workload
    # Nobody knows how long so many jobs take in real time, so there the time ends it.
    ends = (most, seconds) if spec.clock == "real" else (jobs, None)
    workload = replace(workload, arrivals=Closed(users), stop_at=None, jobs=ends[0], duration=ends[1])
    # In shards each has its share of the users, which nobody minds here: they are many or few, and do not think.
    return replace(spec, workload=workload, scheduler=replace(spec.scheduler, divided=True), seed=seed, warmup=0.0)
