"""From the columns of a run to its result: the window, the rates, the times, the judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from aurea_engine.closed_sets import FINAL, Outcome, Status
from aurea_engine.costs import RunInfo, price
from aurea_engine.records.batch import NS, JobBatch, summed
from aurea_engine.results.checks import Case, findings
from aurea_engine.results.objectives import failure_ratio, judge_fact, judge_time, value_at, value_in
from aurea_engine.results.result import Concurrency, Counts, ObjectiveResult, RunResult, TheoryRow
from aurea_engine.results.run_state import Measured, Standing, heavy_tailed, latest_release
from aurea_engine.results.statistics import BATCHES, T_29, Timing, exact_timing, histogram_timing, mser5
from aurea_engine.results.theory import predictions
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.meters import Meters, measure_span, measure_times
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import Recorder
from aurea_engine.spec import TIMES, Objective, RunSpec

DISPATCH_NS = 100_000
"""A job that starts within this of its release did not wait for a slot but for the engine."""


@dataclass(frozen=True)
class _Figures:
    """What is worked out from the records where they are kept, and from the meters where they are not.

    ``counted``: the jobs that were meant to start after the warm-up, the first of them at ``first_ns`` and the last at
    ``last_ns``; ``times`` are of these. ``finished``, ``good`` and ``busy_ns`` are what happened in the window.
    """

    warmup_ns: int
    counted: Counts
    first_ns: int
    last_ns: int
    good: int
    finished: int
    busy_ns: int
    times: Mapping[str, Timing]


def _from_meters(meters: Meters, warmup_ns: int) -> _Figures:
    return _Figures(
        warmup_ns,
        _counts(meters.counted),
        meters.first_counted_ns or 0,
        meters.latest_intended_ns,
        meters.good_in_window,
        meters.finished_in_window,
        meters.busy_in_window_ns,
        {metric: histogram_timing(histogram) for metric, histogram in meters.times.items()},
    )


def _from_records(jobs: JobBatch, recorder: Recorder, warmup_ns: int) -> _Figures:
    counted = jobs.only(jobs.intended >= warmup_ns) if warmup_ns else jobs
    started = jobs.only(jobs.was_started & (jobs.finished > warmup_ns))
    in_window = jobs.finished >= warmup_ns
    return _Figures(
        warmup_ns,
        _counts({Outcome(i): n for i, n in enumerate(np.bincount(counted.outcome, minlength=len(Outcome)).tolist())}),
        int(counted.intended.min()) if len(counted) else 0,
        int(counted.intended.max()) if len(counted) else 0,
        int((recorder.meters.rules.mask_good(jobs) & in_window).sum()),
        int((jobs.was_served & in_window).sum()),
        summed(started.finished - np.maximum(started.started, warmup_ns)),
        {metric: exact_timing(lasted) for metric, lasted in measure_times(counted).items()},
    )


@dataclass(frozen=True)
class Ended:
    """A run whose window has closed. ``jobs``: the records in order of arrival, or None; ``lost``: the objective that ended
    it, where one did.
    """

    spec: RunSpec
    benchmark_id: str
    status: Status
    started_at: datetime
    elapsed_ns: int
    recorder: Recorder
    dispatcher: Dispatcher
    plan: JobPlan
    measured: Measured
    jobs: JobBatch | None
    lost: Objective | None = None


def close(run: Ended) -> RunResult:
    """Work out everything."""
    spec, recorder, jobs = run.spec, run.recorder, run.jobs
    meters = recorder.meters
    counts = _counts(meters.counts)
    drained = run.status == "completed"
    last_ns = meters.last_ns if drained else run.elapsed_ns
    warmup_ns, steady = _warmup(spec, jobs)
    release_ns = run.plan.end_ns if drained else None
    window = (warmup_ns, max(last_ns, release_ns or 0, warmup_ns))
    length = (window[1] - window[0]) / NS
    figures = _from_meters(meters, warmup_ns) if jobs is None else _from_records(jobs, recorder, warmup_ns)
    info = RunInfo(
        window_ns=max(last_ns, release_ns or 0),
        slots=spec.scheduler.slots,
        counts=dict(meters.counts),
        good=meters.good if spec.good_within_ns() else None,
        started_at=run.started_at,
    )
    usage = recorder.metering.close(info)
    cost = price(usage, spec.cost)
    result = RunResult(
        benchmark_id=run.benchmark_id,
        status=run.status,
        spec=spec,
        started_at=run.started_at,
        duration=last_ns / NS,
        window=(window[0] / NS, window[1] / NS),
        counts=counts,
        good=figures.good,
        errors=_errors(recorder, counts),
        offered_rate=_offered_rate(figures, release_ns, length),
        throughput=figures.finished / length if length else None,
        goodput=figures.good / length if length else None,
        utilization=figures.busy_ns / NS / (spec.scheduler.slots * length) if spec.scheduler.slots and length else None,
        concurrency=Concurrency(figures.busy_ns / NS / length if length else None, run.dispatcher.peak),
        response_time=figures.times["response_time"],
        waiting_time=figures.times["waiting_time"],
        service_time=figures.times["service_time"],
        lag=figures.times["lag"],
        failure_time=figures.times["failure_time"],
        cost=cost,
        usage=usage,
        series=tuple(recorder.series.points(max(last_ns, release_ns or 0))),
        series_width=recorder.series.width,
        environment=run.measured.environment,
        jobs=jobs,
    )
    return _judged(result, run, figures, steady)


def _judged(result: RunResult, run: Ended, figures: _Figures, steady: bool) -> RunResult:
    result = replace(
        result,
        objectives=tuple(_judged_or_lost(objective, result, run, figures) for objective in result.spec.objectives),
        theory=tuple(_theory(result, figures)) if result.status == "completed" else (),
    )
    return replace(result, findings=findings(Case(result, _standing(result, run), steady)))


def _standing(result: RunResult, run: Ended) -> Standing:
    due, released = latest_release(run.recorder, run.dispatcher.arrived)
    return Standing(
        spec=result.spec,
        elapsed=result.duration,
        meters=run.recorder.meters,
        dispatcher=run.dispatcher,
        measured=run.measured,
        cost_problem=result.cost.problem,
        recorded=result.jobs is not None,
        heavy_tailed=heavy_tailed(result.spec),
        due_ns=due,
        released_ns=released,
    )


def _counts(counts: Mapping[Outcome, int]) -> Counts:
    each = {outcome.name.lower(): counts.get(outcome, 0) for outcome in FINAL}
    return Counts(arrived=sum(each.values()), **each)


def _errors(recorder: Recorder, counts: Counts) -> dict[str, int]:
    """Exception class → jobs. What `Faulty` made fail raised nothing; it is what is left of the failed."""
    errors = dict(recorder.errors)
    injected = counts.failed - sum(errors.values())
    return {**errors, "InjectedFailure": injected} if injected else errors


def _warmup(spec: RunSpec, jobs: JobBatch | None) -> tuple[int, bool]:
    """(ns to leave out, whether a steady state was found)."""
    if spec.warmup != "auto":
        return spec.warmup_ns, True
    if jobs is None:
        return 0, False
    served = jobs[jobs.was_served]
    cut = mser5(served.response_ns)
    if cut >= len(served):
        return 0, False
    return int(served.intended[cut]) if cut else 0, True


def _offered_rate(figures: _Figures, release_ns: int | None, length: float) -> float | None:
    """Arrivals per second of the time in which they were released: n ÷ (n·gap), never n ÷ ((n − 1)·gap).

    Where nobody says when releasing ended, n − 1 of them took from the first to the last; one alone has the window.
    """
    arrived = figures.counted.arrived
    if release_ns is not None:
        span = (release_ns - figures.warmup_ns) / NS
    elif arrived > 1:
        arrived, span = arrived - 1, (figures.last_ns - figures.first_ns) / NS
    else:
        span = length
    return arrived / span if span > 0 else None


def _judged_or_lost(objective: Objective, result: RunResult, run: Ended, figures: _Figures) -> ObjectiveResult:
    """What ended the run was lost for certain: neither a histogram nor a confidence interval may doubt it."""
    judged = _judge(objective, result, figures, run.recorder.meters)
    if objective is not run.lost or judged.outcome == "missed":
        return judged
    return replace(judged, outcome="missed", detail=f"no longer to be met when the run was ended; {judged.detail}")


def _judge(objective: Objective, result: RunResult, figures: _Figures, meters: Meters) -> ObjectiveResult:
    metric, since = objective.metric, " after the warm-up" if figures.warmup_ns else ""
    if figures.counted.arrived == figures.counted.cancelled:  # no data is never a pass, whatever the metric
        why = f"no job ended{since}" if result.counts.arrived else "no job arrived"
        return ObjectiveResult(objective, "inconclusive", None, why)
    if metric in TIMES:
        timing: Timing = getattr(result, metric)
        if result.jobs is None:
            return judge_time(objective, timing, value_in(meters.times[metric]), since)
        jobs = result.jobs[result.jobs.was_served]
        jobs = jobs[jobs.intended >= figures.warmup_ns]
        return judge_time(objective, timing, value_at(np.sort(measure_span(metric, jobs))), since)
    if metric == "failure_ratio":
        return judge_fact(objective, failure_ratio(figures.counted), f"no job ended{since}")
    if metric in ("cost", "cost_per_job"):
        amount = result.cost.total if metric == "cost" else result.cost.per_success
        return judge_fact(
            objective, None if amount is None else float(amount), result.cost.problem or "no job completed"
        )
    return judge_fact(objective, getattr(result, metric), "the window is empty: no time passed after the warm-up")


def _theory(result: RunResult, figures: _Figures) -> list[TheoryRow]:
    rows, long_enough = [], _is_long(result)
    for model, figure, expected in predictions(result.spec):
        measured, error = _measured_figure(result, figures, figure)
        z = (measured - expected) / error if measured is not None and error and long_enough else None
        rows.append(TheoryRow(model, figure, expected, measured, z))
    return rows


def _is_long(result: RunResult) -> bool:
    """Whether batch means say how far a mean wait may be off.

    Waits forget where they began after some 1/(1 − ρ)² jobs (the relaxation time of M/M/1). A batch must be long beside
    that, or its neighbours are alike, and the empty system of the start still shows.
    """
    idle = 1 - min(result.utilization or 0.0, 0.999)
    return result.response_time.count >= BATCHES * 20 / idle**2


def _measured_figure(result: RunResult, figures: _Figures, figure: str) -> tuple[float | None, float | None]:
    """(value, its standard error) where they are known."""
    counted, jobs = figures.counted, result.jobs
    if figure == "rejected_ratio":
        return counted.rejected / counted.arrived if counted.arrived else None, None
    if figure == "wait_ratio":
        if jobs is None or not counted.arrived:
            return None, None
        started = jobs.only(jobs.was_started & (jobs.intended >= figures.warmup_ns))
        # In real time even a free slot takes some microseconds to reach.
        waited = (started.started - started.released) > (DISPATCH_NS if result.spec.clock == "real" else 0)
        return float(waited.mean()) if len(started) else None, None
    kind, _, name = figure.partition(".")
    if not name:
        return getattr(result, kind), None
    timing: Timing = getattr(result, kind)
    interval = timing.mean_interval if name == "mean" else None
    error = (interval.high - timing.mean) / T_29 if interval is not None and timing.mean is not None else None
    return timing.quantile(name), error
