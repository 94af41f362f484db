"""From the columns of a run to its result: the window, the rates, the times, the judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from aurea_engine._checks import Case, findings
from aurea_engine._dispatcher import Dispatcher
from aurea_engine._recorder import Meters, Recorder
from aurea_engine._release import Release
from aurea_engine._standing import Measured, Standing, heavy_tailed, latest_release
from aurea_engine.costs import RunInfo, price
from aurea_engine.objectives import failure_ratio, judge_fact, judge_time, value_at, value_in
from aurea_engine.records import NS, JobBatch, Outcome, summed
from aurea_engine.results import Concurrency, Counts, ObjectiveResult, RunResult, Status, TheoryRow
from aurea_engine.spec import TIMES, Objective, RunSpec
from aurea_engine.statistics import BATCHES, T_29, Timing, exact_timing, histogram_timing, mser5
from aurea_engine.theory import predictions

DISPATCH_NS = 100_000
"""A job that starts within this of its release did not wait for a slot but for the engine."""


@dataclass(frozen=True)
class _Figures:
    """What is worked out from the records where they are kept, and from the meters where they are not."""

    counted: Mapping[Outcome, int]
    good: int
    finished: int
    busy_ns: int
    times: Mapping[str, Timing]


def _from_meters(meters: Meters) -> _Figures:
    times = {
        name: histogram_timing(getattr(meters, name)) for name in ("response", "waiting", "service", "lag", "failures")
    }
    return _Figures(meters.counted, meters.counted_good, meters.finished_in_window, meters.busy_in_window_ns, times)


def _from_records(jobs: JobBatch, recorder: Recorder, warmup_ns: int) -> _Figures:
    counted = jobs.only(jobs.intended >= warmup_ns) if warmup_ns else jobs
    served = counted.only(counted.was_served)
    bad = (counted.outcome == Outcome.FAILED) | (counted.outcome == Outcome.TIMED_OUT)
    started = jobs.only(jobs.was_started & (jobs.finished > warmup_ns))
    return _Figures(
        Counter({Outcome(i): n for i, n in enumerate(np.bincount(counted.outcome, minlength=6).tolist()) if n}),
        recorder.count_good(counted),
        int((jobs.was_served & (jobs.finished >= warmup_ns)).sum()),
        summed(started.finished - np.maximum(started.started, warmup_ns)),
        {
            "response": exact_timing(served.response_ns),
            "waiting": exact_timing(served.waiting_ns),
            "service": exact_timing(served.service_ns),
            "lag": exact_timing(counted.lag_ns),
            "failures": exact_timing(counted.response_ns[bad]),
        },
    )


@dataclass(frozen=True)
class Ended:
    """A run whose window has closed. ``jobs``: the records in order of arrival, or None."""

    spec: RunSpec
    benchmark_id: str
    status: Status
    started_at: datetime
    elapsed_ns: int
    recorder: Recorder
    dispatcher: Dispatcher
    release: Release
    measured: Measured
    jobs: JobBatch | None


def close(run: Ended) -> RunResult:
    """Work out everything."""
    spec, recorder, jobs = run.spec, run.recorder, run.jobs
    meters = recorder.meters
    counts = _counts(meters.counts)
    drained = run.status == "completed"
    last_ns = meters.last_ns if drained else run.elapsed_ns
    warmup_ns, steady = _warmup(spec, jobs)
    release_ns = run.release.end_ns if drained else None
    window = (warmup_ns, max(last_ns, release_ns or 0, warmup_ns))
    length = (window[1] - window[0]) / NS
    figures = _from_meters(meters) if jobs is None else _from_records(jobs, recorder, warmup_ns)
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
        offered_rate=_offered_rate(figures.counted, jobs, release_ns, warmup_ns, window),
        throughput=figures.finished / length if length else None,
        goodput=figures.good / length if length else None,
        utilization=figures.busy_ns / NS / (spec.scheduler.slots * length) if spec.scheduler.slots and length else None,
        concurrency=Concurrency(figures.busy_ns / NS / length if length else None, run.dispatcher.peak),
        response_time=figures.times["response"],
        waiting_time=figures.times["waiting"],
        service_time=figures.times["service"],
        lag=figures.times["lag"],
        failure_time=figures.times["failures"],
        cost=cost,
        usage=usage,
        series=tuple(recorder.series.points()),
        series_width=recorder.series.width,
        environment=run.measured.environment,
        jobs=jobs,
    )
    return _judged(result, run, steady)


def _judged(result: RunResult, run: Ended, steady: bool) -> RunResult:
    result = replace(
        result,
        objectives=tuple(_judge(objective, result, run.recorder.meters) for objective in result.spec.objectives),
        theory=tuple(_theory(result)) if result.status == "completed" else (),
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
    each = {outcome.name.lower(): counts.get(outcome, 0) for outcome in Outcome if outcome is not Outcome.PENDING}
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


def _offered_rate(
    counted: Mapping[Outcome, int],
    jobs: JobBatch | None,
    release_ns: int | None,
    warmup_ns: int,
    window: tuple[int, int],
) -> float | None:
    """Arrivals per second of the time in which they were released: n ÷ (n·gap), never n ÷ ((n − 1)·gap)."""
    arrived = sum(counted.values())
    if release_ns is not None:
        span = release_ns - warmup_ns
        return arrived / (span / NS) if span > 0 else None
    if jobs is not None and arrived > 1:
        intended = jobs.intended[jobs.intended >= warmup_ns]
        span = int(intended[-1] - intended[0])
        return (arrived - 1) / (span / NS) if span > 0 else None
    span = window[1] - window[0]
    return arrived / (span / NS) if span > 0 else None


def _judge(objective: Objective, result: RunResult, meters: Meters) -> ObjectiveResult:
    metric = objective.metric
    if metric in TIMES:
        timing: Timing = getattr(result, metric)
        if result.jobs is None:
            return judge_time(objective, timing, value_in(getattr(meters, metric.removesuffix("_time"))))
        jobs = result.jobs[result.jobs.was_served]
        jobs = jobs[jobs.intended >= result.window[0] * NS]
        return judge_time(objective, timing, value_at(np.sort(getattr(jobs, f"{metric.removesuffix('_time')}_ns"))))
    if metric == "failure_ratio":
        return judge_fact(objective, failure_ratio(result.counts), "no job ended")
    if metric in ("cost", "cost_per_job"):
        amount = result.cost.total if metric == "cost" else result.cost.per_success
        return judge_fact(
            objective, None if amount is None else float(amount), result.cost.problem or "no job completed"
        )
    rate = getattr(result, metric)
    return judge_fact(objective, rate if result.counts.arrived else None, "no job arrived")


def _theory(result: RunResult) -> list[TheoryRow]:
    rows, long_enough = [], _is_long(result)
    for model, figure, expected in predictions(result.spec):
        measured, error = _measured_figure(result, figure)
        z = (measured - expected) / error if measured is not None and error and long_enough else None
        rows.append(TheoryRow(model, figure, expected, measured, z))
    return rows


def _is_long(result: RunResult) -> bool:
    """Whether batch means say how far a mean wait may be off.

    Waits forget where they began after some 1/(1 − ρ)² jobs (the relaxation time of M/M/1). A batch must be long beside
    that, or its neighbours are alike, and the empty system of the start still shows.
    """
    idle = 1 - min(result.utilization or 0.0, 0.999)
    return result.counts.completed >= BATCHES * 20 / idle**2


def _measured_figure(result: RunResult, figure: str) -> tuple[float | None, float | None]:
    """(value, its standard error) where they are known."""
    counts, jobs = result.counts, result.jobs
    if figure == "rejected_ratio":
        share = counts.rejected / counts.arrived if counts.arrived else None
        return share, None
    if figure == "wait_ratio":
        if jobs is None or not len(jobs):
            return None, None
        # In real time even a free slot takes some microseconds to reach.
        waited = (jobs.started - jobs.released)[jobs.was_started] > (DISPATCH_NS if result.spec.clock == "real" else 0)
        return float(waited.mean()), None
    kind, _, name = figure.partition(".")
    if not name:
        return getattr(result, kind), None
    timing: Timing = getattr(result, kind)
    interval = timing.mean_interval if name == "mean" else None
    error = (interval.high - timing.mean) / T_29 if interval is not None and timing.mean is not None else None
    return timing.quantile(name), error
