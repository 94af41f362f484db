"""What a result is looked over for, each check a few lines that yield its finding or nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from aurea_engine.arrivals import Constant, Poisson
from aurea_engine.findings import Finding, Severity
from aurea_engine.jobs import Job
from aurea_engine.records import NS, Instants, summed
from aurea_engine.spec import Thresholds
from aurea_engine.statistics import QUANTILES, little_area, samples_needed

if TYPE_CHECKING:
    from aurea_engine._dispatcher import Dispatcher
    from aurea_engine._recorder import Meters
    from aurea_engine.results import RunResult

NOTE, DEGRADED, INVALID = Severity.NOTE, Severity.DEGRADED, Severity.INVALID

LITTLE_LIMIT = 100_000
"""Jobs up to which ∫N(t)dt is integrated from the sorted instants as a check; it costs a sort."""

ENOUGH_GAPS = 500
"""Arrivals from which a test of the arrival process says something."""


@dataclass(frozen=True)
class Measured:
    """What a driver knows of its own run. ``busy``: share of the window in which the generator was at work."""

    busy: float = 0.0
    late_ns: int = 0
    gc_total_ns: int = 0
    gc_longest_ns: int = 0
    environment: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """All that the checks may look at. ``steady``: whether the warm-up that was asked for could be found."""

    result: RunResult
    meters: Meters
    dispatcher: Dispatcher
    measured: Measured
    steady: bool

    @property
    def limits(self) -> Thresholds:
        return self.result.spec.thresholds

    @property
    def real(self) -> bool:
        return self.result.spec.clock == "real"


def findings(case: Case) -> Iterator[Finding]:
    """All findings, gravest first."""
    checks = [_conservation, _drained, _cost, _samples, _records, _heavy_tail, _steady, _queue]
    if case.real:
        checks += [_shortfall, _late, _loop, _cpu, _garbage, _floor, _misfit]
    found = [finding for check in checks for finding in check(case)]
    yield from sorted(found, key=lambda finding: -finding.severity)


def _conservation(case: Case) -> Iterator[Finding]:
    result, jobs = case.result, case.result.jobs
    whole = case.dispatcher.conserved and case.dispatcher.arrived == result.counts.arrived
    detail = f"{case.dispatcher.arrived} jobs arrived and {result.counts.arrived} are accounted for"
    if whole and jobs is not None and len(jobs) <= LITTLE_LIMIT and result.status == "completed":
        started = jobs[jobs.was_started]
        area, total = little_area(started.intended, started.finished), summed(started.response_ns)
        whole = abs(area - total) <= 1e-9 * max(area, 1)
        detail = f"∫N(t)dt is {area} ns and the response times sum to {total} ns"
    if not whole:
        yield Finding(
            "conservation_broken", INVALID, detail, "This is a fault of Aurea or of a strategy: please report it."
        )


def _drained(case: Case) -> Iterator[Finding]:
    result = case.result
    if result.status != "completed":
        detail = f"the run ended as {result.status} with {result.counts.cancelled} jobs unfinished"
        yield Finding(
            "not_drained", DEGRADED, detail, "Its figures are of the part that ran; run it whole to compare it."
        )


def _cost(case: Case) -> Iterator[Finding]:
    if case.result.cost.problem is not None:
        advice = "The other results stand. Mend the model or give the missing price, then price the run again."
        yield Finding("cost_unpriced", NOTE, case.result.cost.problem, advice)


def _samples(case: Case) -> Iterator[Finding]:
    timing = case.result.response_time
    missing = [
        f"p{q * 100:g} needs {samples_needed(q):,}" for q in QUANTILES.values() if timing.count < samples_needed(q)
    ]
    if timing.count and missing:
        detail = f"{timing.count:,} jobs completed: {', '.join(missing)}"
        yield Finding("too_few_samples", NOTE, detail, "Run more jobs, or ask for a lower quantile.")


def _records(case: Case) -> Iterator[Finding]:
    if case.result.spec.keep_jobs and case.result.jobs is None:
        detail = "quantiles are within 0.4 %, and there are no records of single jobs"
        yield Finding("records_dropped", NOTE, detail, "Run fewer jobs where records are needed.")


def _heavy_tail(case: Case) -> Iterator[Finding]:
    job = case.result.spec.workload.job
    service = job.distribution() if isinstance(job, Job) else None
    if service is not None and math.isinf(service.moments().scv):
        detail = "the service time has a mean but no variance: means and their intervals settle slowly or never"
        yield Finding("heavy_tail", NOTE, detail, "Trust quantiles rather than means, and repeat with other seeds.")


def _steady(case: Case) -> Iterator[Finding]:
    if not case.steady:
        detail = "MSER-5 found no point after which the response times look steady; nothing was left out"
        yield Finding("no_steady_state", DEGRADED, detail, "Run longer, or set warmup to a number of seconds.")


def _queue(case: Case) -> Iterator[Finding]:
    """Open arrivals on limited slots: waits that rise from third to third, and a backlog when releasing ended."""
    result, jobs = case.result, case.result.jobs
    if jobs is None or result.spec.scheduler.slots is None or result.spec.workload.arrivals.asked_rate() is None:
        return
    waits = jobs.waiting_ns[jobs.was_started]
    third = len(waits) // 3
    if third < 30:
        return
    first, second, last = (float(waits[i * third : (i + 1) * third].mean()) for i in range(3))
    released = int(jobs.intended[-1])
    backlog = int((jobs.was_started & (jobs.finished > released)).sum())
    if second > 1.3 * first and last > 1.2 * second and backlog > 0.02 * len(jobs) + 3 * result.spec.scheduler.slots:
        detail = (
            f"mean waits of the three thirds are {first / NS:.3g}, {second / NS:.3g} and {last / NS:.3g} s, "
            f"and {backlog} jobs were left when the last one arrived"
        )
        yield Finding(
            "queue_growing", DEGRADED, detail, "Offer less, or add slots: these times depend on when you stop."
        )


def _shortfall(case: Case) -> Iterator[Finding]:
    """The schedule is absolute, so a generator that is too slow ends its releases late."""
    jobs, lag = case.result.jobs, case.meters.lag
    if not lag.count or case.result.spec.workload.arrivals.asked_rate() is None:
        return
    asked = int(jobs.intended[-1]) if jobs is not None else round(case.result.window[1] * NS)
    took = int(jobs.released[-1]) if jobs is not None else asked + lag.maximum
    if asked > NS // 100 and took > asked * (1 + case.limits.rate_shortfall) and lag.maximum > NS // 10:
        reached = lag.count / (took / NS)
        detail = f"jobs were released at {reached:,.0f}/s, asked for were {lag.count / (asked / NS):,.0f}/s"
        yield Finding(
            "rate_shortfall", INVALID, detail, "Ask for less: `aurea selftest` shows what this machine reaches."
        )


def _late(case: Case) -> Iterator[Finding]:
    lag, limits = case.meters.lag, case.limits
    if not lag.count or case.result.spec.workload.arrivals.ends == "with jobs":
        return  # jobs that are all meant to start at once cannot: the response times say how long it took
    late = lag.count_above(limits.lag) / lag.count
    worst = lag.maximum / NS
    if late > limits.late_ratio or worst >= limits.loop_lag:
        severity = INVALID if late > 50 * limits.late_ratio else DEGRADED
        detail = f"{late:.1%} of the jobs were released more than {limits.lag:g} s late, the latest {worst:.3g} s"
        yield Finding(
            "late_releases", severity, detail, "Keep other work off this process and machine, or ask for less."
        )


def _loop(case: Case) -> Iterator[Finding]:
    late = case.measured.late_ns / NS
    if late >= case.limits.loop_lag:
        detail = f"the event loop was away for {late:.3g} s"
        yield Finding("loop_lag", DEGRADED, detail, "A job or another task blocks the loop: move its work to a thread.")


def _cpu(case: Case) -> Iterator[Finding]:
    if case.measured.busy > case.limits.cpu and case.result.duration > 0.5 and case.result.counts.arrived > 10_000:
        detail = f"the generator was at work for {case.measured.busy:.0%} of the window"
        severity = NOTE if case.result.spec.workload.arrivals.asked_rate() is None else DEGRADED
        yield Finding("cpu_saturated", severity, detail, "The rate shown is what this generator can do; ask for less.")


def _garbage(case: Case) -> Iterator[Finding]:
    longest = case.measured.gc_longest_ns / NS
    if longest > case.limits.gc_pause:
        detail = f"a collection took {longest:.3g} s, all of them {case.measured.gc_total_ns / NS:.3g} s"
        yield Finding(
            "gc_pause", DEGRADED, detail, "Jobs or the program around make many objects: gc.freeze() them first."
        )


def _floor(case: Case) -> Iterator[Finding]:
    mean = case.result.service_time.mean
    if mean is not None and mean < case.limits.floor:
        detail = f"the mean service time is {mean * 1e6:.3g} µs"
        severity = NOTE if case.result.spec.workload.arrivals.asked_rate() is None else DEGRADED
        yield Finding(
            "below_floor", severity, detail, "Such short times are mostly the engine's own: use virtual time."
        )


def _misfit(case: Case) -> Iterator[Finding]:
    """Whether the instants at which jobs were *released* are the process that was asked for."""
    jobs, arrivals = case.result.jobs, case.result.spec.workload.arrivals
    if jobs is None or len(jobs) < ENOUGH_GAPS:
        return
    if isinstance(arrivals, Poisson):
        failed = poisson_misfit(jobs.released, arrivals.rate, case.limits.significance)
    elif isinstance(arrivals, Constant):
        failed = _constant_misfit(jobs.released, arrivals.rate)
    else:
        return
    if failed:
        detail = "; ".join(failed)
        yield Finding(
            "arrivals_misfit", DEGRADED, detail, "Releases were delayed or bunched: see the lag, ask for less."
        )


def poisson_misfit(released: Instants, rate: float, significance: float) -> list[str]:
    """Tests of ns instants against a Poisson process of ``rate``: each may fail by chance with ``significance``.

    Kolmogorov–Smirnov on the gaps (their distribution), lag-1 autocorrelation (their independence), and the index of
    dispersion of counts in 100 windows: bunching that the gaps alone do not show.
    """
    gaps, failed = np.diff(released) / NS, []
    n = len(gaps)
    ordered = 1 - np.exp(-rate * np.sort(gaps))
    ranks = np.arange(n + 1) / n
    distance = float(max((ranks[1:] - ordered).max(), (ordered - ranks[:-1]).max()))
    if distance > math.sqrt(-math.log(significance / 2) / (2 * n)):
        failed.append(f"gaps are not exponential (KS distance {distance:.3g})")
    z = _normal_point(significance)
    centred = gaps - gaps.mean()
    lag1 = float(centred[1:] @ centred[:-1] / (centred @ centred)) if centred.any() else 1.0
    if abs(lag1) > z / math.sqrt(n):
        failed.append(f"neighbouring gaps are alike (lag-1 autocorrelation {lag1:.3g})")
    dispersion = dispersion_index(released)
    spread = z * math.sqrt(2 / 99)
    if not max(0.0, 1 - spread) < dispersion < 1 + spread * (1 + spread / 2):
        failed.append(f"counts are not Poisson (index of dispersion {dispersion:.3g}, should be 1)")
    return failed


def dispersion_index(instants: Instants, windows: int = 100) -> float:
    """Variance ÷ mean of the counts in equal windows: 1 for a Poisson process, 0 for a constant rate."""
    span = int(instants[-1]) - int(instants[0])
    counts = np.bincount(np.minimum((instants - instants[0]) * windows // max(span, 1), windows - 1), minlength=windows)
    return float(counts.var(ddof=1) / counts.mean())


def _constant_misfit(released: Instants, rate: float) -> list[str]:
    dispersion = dispersion_index(released)
    count = len(released) / 100
    # Rounding alone puts one job more or less into a window: a variance of at most 1/4.
    if dispersion > 0.25 / count + 0.05:
        return [f"releases are not even (index of dispersion {dispersion:.3g} at {rate:g}/s, should be 0)"]
    return []


def _normal_point(significance: float) -> float:
    """Two-sided point of the standard normal distribution, by bisection of erfc."""
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(middle / math.sqrt(2)) > significance else (low, middle)
    return high
