"""Systems whose capacity is known, and a search that is fed with trials of them: no engine, no clock."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from aurea_engine.closed_sets import TrialOutcome
from aurea_engine.results.capacity import Trial
from aurea_engine.studies.capacity_search import CapacitySearch
from aurea_engine.studies.search_plan import SearchPlan
from aurea_engine.studies.trial_requests import TrialRequest

Judge = Callable[[TrialRequest], TrialOutcome]


def search(plan: SearchPlan, judge: Judge, ceiling: float = 100.0, *, backwards: bool = False) -> CapacitySearch:
    """A whole search: ``judge`` says how each trial goes. ``backwards``: those of a batch end in the other order."""
    machine = CapacitySearch(plan)
    while requests := machine.next_trials():
        for request in reversed(requests) if backwards else requests:
            machine.take(request, make_trial(request, judge, ceiling))
    return machine


def make_trial(request: TrialRequest, judge: Judge, ceiling: float = 100.0) -> Trial:
    """The trial of ``request``. In a closed loop users reach 30 jobs per second each, until ``ceiling``."""
    if request.users is not None:
        reached = min(ceiling, 30.0 * request.users)
        return Trial(None, request.seed, request.jobs, "probe", "passed", throughput=reached, users=request.users)
    return Trial(request.value, request.seed, request.jobs, request.phase, judge(request))


def hold_up_to(capacity: float, noise: float = 0.0) -> Judge:
    """Passes up to ``capacity``; ``noise``: the relative standard error of a trial of 400,000 jobs, as M/M/1's 0.008."""

    def judge(request: TrialRequest) -> TrialOutcome:
        assert request.value is not None
        error = Random(request.seed).gauss(0, noise * (400_000 / request.jobs) ** 0.5) if noise else 0.0
        return "passed" if request.value * (1 + error) <= capacity else "failed"

    return judge


def simulate_stalled(rate: float, jobs: int, seed: int, stall: float) -> float:
    """The p99 response time of M/M/1 with 1,000 services a second, s; with this chance it stalls once for 150 ms."""
    rng = np.random.default_rng(seed)
    arrived, service = np.cumsum(rng.exponential(1 / rate, jobs)), rng.exponential(0.001, jobs)
    if rng.random() < stall:
        met = int(np.searchsorted(arrived, rng.uniform(0, arrived[-1])))
        service[min(met, jobs - 1)] += 0.15
    # Lindley 1952, unrolled: a job ends when all work since the last idle instant is done.
    work = np.cumsum(service)
    ended = work + np.maximum.accumulate(arrived - np.concatenate([[0.0], work[:-1]]))
    lasted = np.sort((ended - arrived)[jobs // 10 :])
    return float(lasted[int(np.ceil(0.99 * len(lasted))) - 1])
