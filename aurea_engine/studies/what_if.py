"""What if the load, the slots, the discipline or the prices had been others: a recorded run, replayed in virtual time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from aurea_engine.closed_sets import Outcome
from aurea_engine.codec.unknown_kinds import UnknownArrivals, UnknownCostModel
from aurea_engine.costs import CostModel, Free
from aurea_engine.engine import simulate
from aurea_engine.errors import Problem, SpecError
from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.results.result import RunResult
from aurea_engine.results.what_if import WhatIf
from aurea_engine.spec import Objective, RunSpec
from aurea_engine.studies.recorded_sample import Recorded, take_sample
from aurea_engine.studies.replays import PER_RESAMPLE, Replays
from aurea_engine.studies.scaled_arrivals import find_factor, scale_arrivals
from aurea_engine.workload.arrivals import Arrivals, Closed
from aurea_engine.workload.recorded import Trace
from aurea_engine.workload.recorded_jobs import RecordedJobs
from aurea_engine.workload.schedulers import Fifo, Lifo, Priority, Scheduler, ShortestFirst
from aurea_engine.workload.workload import Workload

FEWEST_REPLAYS, MOST_REPLAYS = 40, 200
"""Replays of one answer. Fewer leave the interval itself too uncertain, more hardly make it narrower."""

JOBS_TO_REPLAY = 4_000_000
"""About so many jobs are simulated, some seconds' work, as far as the limits of replays allow."""


@dataclass(frozen=True)
class Changes:
    """What is other than in the recorded run; None leaves it as it was.

    ``rate``: jobs per second, ``"320/s"``, or a factor such as ``"2x"``; ``users``: of a closed model; ``arrivals`` replaces
    both. ``scheduler`` replaces the whole discipline, and ``slots`` its slots. ``jobs``: how many arrive; by default as many
    as did. ``costs``: models by name; without any, the recorded one.
    """

    rate: float | str | None = None
    users: int | None = None
    arrivals: Arrivals | None = None
    slots: int | None = None
    scheduler: Scheduler | None = None
    jobs: int | None = None
    costs: Mapping[str, CostModel] | None = None


def what_if(
    result: RunResult,
    changes: Changes | None = None,
    *,
    records: JobBatch | None = None,
    seed: int | None = None,
    replays: int | None = None,
) -> WhatIf:
    """What the run of ``result`` would have been like under ``changes``, from the service times that were measured.

    ``records``: its jobs, where the result does not hold them itself, or only the first of them. ``seed``: of the arrivals
    and of resampling; by default the run's own. ``replays``: a multiple of 5 from 40 on; by default as many as simulate
    some four million jobs, at most 200. Raises `SpecError` for changes that do not fit the run, and for a run too few of
    whose jobs were served.
    """
    changes = changes or Changes()
    result, replaced = _replace_unknown(result, result.jobs if records is None else records)
    scheduler = _change_scheduler(result.spec.scheduler, changes)
    recorded = take_sample(
        result, result.jobs if records is None else records, ranked=type(scheduler) not in (Fifo, Lifo, ShortestFirst)
    )
    spec = _make_spec(result, changes, scheduler, recorded, seed)
    runs = _count_replays(replays, spec)
    whole = simulate(spec)
    costs = changes.costs or ({} if isinstance(spec.cost, Free) else {"": spec.cost})
    replayed = Replays(spec, recorded, costs, runs).run(result, whole)
    return WhatIf(
        result.benchmark_id,
        len(recorded.sample),
        runs,
        replace(whole, objectives=replayed.objectives),
        replayed.figures,
        tuple(_list_assumptions(spec, recorded)),
        (*recorded.warnings, *replaced, *_judge_reach(result, whole), *_list_dropped(result.spec, spec)),
    )


def _replace_unknown(result: RunResult, records: JobBatch | None) -> tuple[RunResult, list[str]]:
    """``result`` without what is not known on this machine, or lies in a file of another one, as far as records make up for
    it; and what that costs.
    """
    spec, told = result.spec, []
    if isinstance(spec.workload.arrivals, UnknownArrivals) and records is not None:
        at = tuple((np.sort(records.intended) / NS).tolist())
        spec = replace(spec, workload=replace(spec.workload, arrivals=Trace(at=at)))
        told.append("the recorded arrivals are not known here, or were in a file: jobs arrive at the recorded instants")
    if isinstance(spec.cost, UnknownCostModel):
        spec = replace(spec, cost=Free())
        told.append("the recorded cost model is not known here, so no price is told: name another one")
    return (result if spec is result.spec else replace(result, spec=spec)), told


def _change_scheduler(scheduler: Scheduler, changes: Changes) -> Scheduler:
    changed = changes.scheduler or scheduler
    return changed if changes.slots is None else replace(changed, slots=changes.slots)


def _make_spec(
    result: RunResult, changes: Changes, scheduler: Scheduler, recorded: Recorded, seed: int | None
) -> RunSpec:
    """The specification of a replay in the recorded order."""
    spec, was = result.spec, result.spec.workload
    arrivals, factor = _change_arrivals(was.arrivals, changes)
    jobs = RecordedJobs(recorded.sample, np.arange(len(recorded.sample)))
    # As many jobs as there were, however long they take to come: what ended the recorded run does not end this one.
    workload = Workload(
        jobs,
        arrivals,
        jobs=_count_arrived(result) if changes.jobs is None else changes.jobs,
        patience=was.patience,
        deadline=was.deadline,
        drain=was.drain,
    )
    warmup = spec.warmup if isinstance(spec.warmup, str) else spec.warmup / factor
    return RunSpec(
        workload,
        scheduler,
        cost=next(iter(changes.costs.values())) if changes.costs else spec.cost,
        clock="virtual",
        seed=spec.seed if seed is None else seed,
        warmup=warmup,
        # What a step did is in no record, and a replay that ended early would be none of the whole.
        objectives=tuple(replace(each, abort=False) for each in spec.objectives if _is_known(each, workload)),
        label=spec.label,
        thresholds=spec.thresholds,
    )


def _count_arrived(result: RunResult) -> int:
    """Jobs of one run: the counts of a repeated one are those of all replications together."""
    counted = () if result.replications is None else result.replications.counted
    return -(-result.counts.arrived // max(len(counted), 1))


def _is_known(objective: Objective, workload: Workload) -> bool:
    return not objective.check_metric(workload.schema)


def _change_arrivals(arrivals: Arrivals, changes: Changes) -> tuple[Arrivals, float]:
    """The arrivals, and by what their rate was multiplied."""
    given = [name for name in ("rate", "users", "arrivals") if getattr(changes, name) is not None]
    if len(given) > 1:
        raise SpecError([Problem(given[1], f"cannot stand beside {given[0]}: give one or the other")])
    if changes.arrivals is not None:
        return changes.arrivals, 1.0
    if changes.users is not None:
        if not isinstance(arrivals, Closed):
            raise SpecError([Problem("users", "goes with a closed model, and the recorded arrivals are open")])
        return replace(arrivals, users=changes.users), 1.0
    factor = 1.0 if changes.rate is None else find_factor(arrivals, changes.rate)
    return (arrivals if factor == 1 else scale_arrivals(arrivals, factor)), factor


def _count_replays(asked: int | None, spec: RunSpec) -> int:
    if asked is None:
        fitting = JOBS_TO_REPLAY // max(spec.workload.jobs or 1, 1) // PER_RESAMPLE * PER_RESAMPLE
        return min(max(fitting, FEWEST_REPLAYS), MOST_REPLAYS)
    if not isinstance(asked, int) or asked < FEWEST_REPLAYS or asked % PER_RESAMPLE:
        raise SpecError(
            [Problem("replays", f"must be a multiple of {PER_RESAMPLE} from {FEWEST_REPLAYS} on", repr(asked)[:40])]
        )
    return asked


def _list_assumptions(spec: RunSpec, recorded: Recorded) -> Iterator[str]:
    sample = recorded.sample
    yield (
        f"service times do not depend on the load: those of {len(sample):,} recorded jobs stand for any load and order"
    )
    rate = spec.workload.arrivals.asked_rate()
    at = "" if rate is None else f" at {rate:g}/s"
    if isinstance(spec.workload.arrivals, Trace):
        yield "jobs arrive at the instants of the trace, in every replay"
    else:
        yield f"arrivals are {_name_kind(spec.workload.arrivals)}{at}, drawn anew: those of the record do not come again"
    if recorded.block > 1:
        yield f"jobs keep their recorded order within blocks of {recorded.block}, and blocks come in any order"
    if failed := int((sample.outcome != Outcome.COMPLETED).sum()):
        yield f"jobs fail or time out as often as in the record ({failed / len(sample):.2%}), and take as long"
    if type(spec.scheduler) not in (Fifo, Lifo, Priority):
        yield "the scheduler knows the service time of each job before it starts"


def _name_kind(strategy: object) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(strategy).__name__).lower()


def _list_dropped(recorded: RunSpec, replayed: RunSpec) -> Iterator[str]:
    kept = {str(each) for each in replayed.objectives}
    for each in recorded.objectives:
        if str(each) not in kept:
            yield f"{each} is not judged: a replayed job has no steps, and reports what the recorded ones did"


def _judge_reach(recorded: RunResult, whole: RunResult) -> list[str]:
    """Whether the answer is about a load that nothing was recorded under."""
    before, now = recorded.concurrency.peak, whole.concurrency.peak
    if before is None or now is None or now <= before:
        return []
    told = (
        f"never more than {before:,} jobs were in service at once in the recorded run, and {now:,} are in the answer: "
    )
    return [told + "no record says how long they take then"]
