"""What a result is looked over for, each check a few lines that yield its finding or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurea_engine.closed_sets import Outcome, Severity
from aurea_engine.records.batch import NS, summed
from aurea_engine.records.quantiles import QUANTILES, count_samples_needed
from aurea_engine.results.arrival_fit import constant_misfit, poisson_misfit
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState
from aurea_engine.results.statistics import little_area
from aurea_engine.spec import KEPT_JOBS
from aurea_engine.workload.arrivals import Closed, Constant, Poisson

if TYPE_CHECKING:
    from aurea_engine.results.result import RunResult

NOTE, DEGRADED, INVALID = Severity.NOTE, Severity.DEGRADED, Severity.INVALID

LITTLE_LIMIT = 100_000
"""Jobs up to which ∫N(t)dt is integrated from the sorted instants as a check; it costs a sort."""

ENOUGH_GAPS = 500
"""Arrivals from which a test of the arrival process says something."""

ENOUGH_TO_JUDGE = 100
"""Ended jobs from which on shares and rates of a run that is on are judged."""


RETRIES = 10
"""Rejected attempts of a closed model from which on it is looked at how soon their users came again."""


@dataclass(frozen=True)
class Case:
    """A run that has ended. ``steady``: whether the warm-up that was asked for could be found."""

    result: RunResult
    state: RunState
    steady: bool


def findings(case: Case) -> tuple[Finding, ...]:
    """All findings of a run that has ended, gravest first."""
    checks = [_conservation, _drained, _samples, _steady, _queue]
    if case.state.spec.clock == "real":
        checks.append(_misfit)
    at_the_end = [finding for check in checks for finding in check(case)]
    return _gravest_first([*at_the_end, *_seen(case.state, settled=True)])


def findings_so_far(state: RunState) -> tuple[Finding, ...]:
    """What can be said of a run that is on, gravest first. It may change: the result has the last word.

    Left to the end are what only the end shows, and tests that would give a false alarm sooner or later if they were
    repeated: of the arrivals, and of a queue, which grows now and then in every system that is not idle.
    """
    settled = state.meters.times["lag"].count >= ENOUGH_TO_JUDGE and state.elapsed >= 1
    return _gravest_first(_seen(state, settled=settled))


def _seen(state: RunState, *, settled: bool) -> list[Finding]:
    checks = [_cost, _records, _heavy_tail, _retries]
    if state.spec.clock == "real":
        checks += [_loop, _garbage]
        if settled:
            checks += [_shortfall, _late, _cpu, _floor]
    return [finding for check in checks for finding in check(state)]


def _gravest_first(found: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: -finding.severity))


def _conservation(case: Case) -> Iterator[Finding]:
    result, jobs, parts = case.result, case.result.jobs, case.state.parts
    whole = parts.conserved and parts.arrived == result.counts.arrived
    detail = f"{parts.arrived} jobs arrived and {result.counts.arrived} are accounted for"
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
    result, unfinished = case.result, case.result.counts.cancelled
    if result.status != "completed":
        detail = f"the run ended as {result.status} with {unfinished} jobs unfinished"
        yield Finding(
            "not_drained", DEGRADED, detail, "Its figures are of the part that ran; run it whole to compare it."
        )
    elif unfinished:
        stop_at = result.spec.workload.stop_at
        asked = stop_at is not None and result.window[1] >= stop_at
        detail = f"{unfinished} jobs had not ended when {'stop_at came' if asked else 'the drain was over'}"
        advice = "Their times are in no figure" + (
            ": run longer." if asked else ": allow a longer drain, or offer less."
        )
        yield Finding("not_drained", NOTE if asked else DEGRADED, detail, advice)


def _cost(state: RunState) -> Iterator[Finding]:
    if state.cost_problem is not None:
        advice = "The other results stand. Mend the model or give the missing price, then price the run again."
        yield Finding("cost_unpriced", NOTE, state.cost_problem, advice)


def _samples(case: Case) -> Iterator[Finding]:
    count = case.result.response_time.count
    if not count:
        late = " after the warm-up" if case.result.window[0] else ""
        advice = "Look at the counts; a warm-up must leave jobs to measure, and some must complete."
        yield Finding("too_few_samples", DEGRADED, f"no job completed{late}: no time was measured", advice)
        return
    missing = [
        f"p{q * 100:g} needs {count_samples_needed(q):,}" for q in QUANTILES.values() if count < count_samples_needed(q)
    ]
    if missing:
        detail = f"{count:,} jobs completed: {', '.join(missing)}"
        yield Finding("too_few_samples", NOTE, detail, "Run more jobs, or ask for a lower quantile.")


def _records(state: RunState) -> Iterator[Finding]:
    if state.spec.keep_jobs and not state.recorded:
        detail = "quantiles are within 0.4 %, and there are no records of single jobs"
        yield Finding("records_dropped", NOTE, detail, "Run fewer jobs where records are needed.")


def _heavy_tail(state: RunState) -> Iterator[Finding]:
    if state.heavy_tailed:
        detail = "the service time has a mean but no variance: means and their intervals settle slowly or never"
        yield Finding("heavy_tail", NOTE, detail, "Trust quantiles rather than means, and repeat with other seeds.")


def _retries(state: RunState) -> Iterator[Finding]:
    """A rejected user of a closed model thinks and comes again: with no thought to speak of, at the same instant."""
    arrivals, service = state.spec.workload.arrivals, state.meters.times["service_time"]
    counts, patience = state.meters.counts, state.spec.workload.patience
    none = patience is not None and not patience.moments().mean  # no patience is no place in the queue
    rejected = counts[Outcome.REJECTED] + (counts[Outcome.ABANDONED] if none else 0)
    if not isinstance(arrivals, Closed) or rejected < RETRIES:
        return
    think = arrivals.think_time.moments().mean
    if think <= (service.mean / 100 if service.count else 0.0):
        detail = (
            f"{rejected:,} of {state.parts.arrived:,} attempts were rejected, and their users came again after "
            f"{think:g} s on average, while {f'a job takes {service.mean:.3g} s' if service.count else 'none has completed'}"
        )
        advice = "Give users a think_time, or the scheduler more slots or a longer queue_limit."
        yield Finding("retries_at_once", DEGRADED, detail, advice)


def _steady(case: Case) -> Iterator[Finding]:
    if case.steady:
        return
    detail = "MSER-5 found no point after which the response times look steady; nothing was left out"
    advice = "Run longer, or set warmup to a number of seconds."
    if not case.state.recorded:
        detail = "MSER-5 was not asked: it looks at the records of jobs, and they were not kept; nothing was left out"
        advice = f"Set warmup to a number of seconds, or run at most {KEPT_JOBS:,} jobs."
    yield Finding("no_steady_state", DEGRADED, detail, advice)


def _queue(case: Case) -> Iterator[Finding]:
    """Open arrivals on limited slots: waits that rise from third to third, and a backlog when the last job arrived."""
    slots, jobs = case.state.spec.scheduler.slots, case.result.jobs
    if jobs is None or slots is None or _closed(case.state):
        return
    waits = jobs.waiting_ns[jobs.was_started]
    third = len(waits) // 3
    if third < 30:
        return
    first, second, last = (float(waits[i * third : (i + 1) * third].mean()) for i in range(3))
    backlog = int((jobs.was_started & (jobs.finished > int(jobs.intended[-1]))).sum())
    if second > 1.3 * first and last > 1.2 * second and backlog > 0.02 * len(jobs) + 3 * slots:
        detail = (
            f"mean waits of the three thirds are {first / NS:.3g}, {second / NS:.3g} and {last / NS:.3g} s, "
            f"and {backlog} jobs were left when the last one arrived"
        )
        yield Finding(
            "queue_growing", DEGRADED, detail, "Offer less, or add slots: these times depend on when you stop."
        )


def _closed(state: RunState) -> bool:
    """Whether nobody asked for a rate: the closed model, and a batch."""
    return state.spec.workload.arrivals.asked_rate() is None


def _shortfall(state: RunState) -> Iterator[Finding]:
    """The schedule is absolute, so a generator that is too slow is behind with its latest release."""
    (asked, took), count = state.parts.latest_release, state.parts.arrived
    if _closed(state) or asked <= NS // 100 or state.meters.times["lag"].maximum <= NS // 10:
        return
    if took > asked * (1 + state.spec.thresholds.rate_shortfall):
        detail = f"jobs were released at {count / (took / NS):,.0f}/s, asked for were {count / (asked / NS):,.0f}/s"
        yield Finding(
            "rate_shortfall", INVALID, detail, "Ask for less: `aurea selftest` shows what this machine reaches."
        )


def _late(state: RunState) -> Iterator[Finding]:
    lag, limits = state.meters.times["lag"], state.spec.thresholds
    if not lag.count or state.spec.workload.arrivals.ends == "with jobs":
        return  # jobs that are all meant to start at once cannot: the response times say how long it took
    late = lag.count_above(limits.lag) / lag.count
    worst = lag.maximum / NS
    if late > limits.late_ratio or worst >= limits.loop_lag:
        severity = INVALID if late > 50 * limits.late_ratio else DEGRADED
        detail = f"{late:.1%} of the jobs were released more than {limits.lag:g} s late, the latest {worst:.3g} s"
        yield Finding(
            "late_releases", severity, detail, "Keep other work off this process and machine, or ask for less."
        )


def _loop(state: RunState) -> Iterator[Finding]:
    late = state.generator.late_ns / NS
    if late >= state.spec.thresholds.loop_lag:
        detail = f"the event loop was away for {late:.3g} s"
        yield Finding("loop_lag", DEGRADED, detail, "A job or another task blocks the loop: move its work to a thread.")


def _cpu(state: RunState) -> Iterator[Finding]:
    busy = state.generator.busy
    if busy > state.spec.thresholds.cpu and state.elapsed > 0.5 and state.parts.arrived > 10_000:
        detail = f"the generator was at work for {busy:.0%} of the window"
        severity = NOTE if _closed(state) else DEGRADED
        yield Finding("cpu_saturated", severity, detail, "The rate shown is what this generator can do; ask for less.")


def _garbage(state: RunState) -> Iterator[Finding]:
    generator = state.generator
    longest = generator.gc_longest_ns / NS
    if longest > state.spec.thresholds.gc_pause:
        detail = f"a collection took {longest:.3g} s, all of them {generator.gc_total_ns / NS:.3g} s"
        yield Finding(
            "gc_pause", DEGRADED, detail, "Jobs or the program around make many objects: gc.freeze() them first."
        )


def _floor(state: RunState) -> Iterator[Finding]:
    service = state.meters.times["service_time"]
    if service.count and service.mean < state.spec.thresholds.floor:
        detail = f"the mean service time is {service.mean * 1e6:.3g} µs"
        severity = NOTE if _closed(state) else DEGRADED
        yield Finding(
            "below_floor", severity, detail, "Such short times are mostly the engine's own: use virtual time."
        )


def _misfit(case: Case) -> Iterator[Finding]:
    """Whether the instants at which jobs were *released* are the process that was asked for."""
    jobs, arrivals = case.result.jobs, case.result.spec.workload.arrivals
    if jobs is None or len(jobs) < ENOUGH_GAPS:
        return
    if isinstance(arrivals, Poisson):
        failed = poisson_misfit(jobs.released, arrivals.rate, case.state.spec.thresholds.significance)
    elif isinstance(arrivals, Constant):
        failed = constant_misfit(jobs.released, arrivals.rate)
    else:
        return
    if failed:
        detail = "; ".join(failed)
        yield Finding(
            "arrivals_misfit", DEGRADED, detail, "Releases were delayed or bunched: see the lag, ask for less."
        )
