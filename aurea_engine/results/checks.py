"""What a run is checked for. Each check is a few lines that yield its finding, or nothing.

Most of them can already be made during a run, of what has ended so far (`check_progress`); some need the end
(`check_result`). Whether a figure is good or bad is no concern of theirs: they judge the *measurement*. Checks of the
generator itself, which only a run in real time needs, are in `aurea_engine.results.generator_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aurea_engine.closed_sets import Outcome, Severity
from aurea_engine.records.batch import NS
from aurea_engine.records.exact_sums import summed
from aurea_engine.records.quantiles import QUANTILES, count_samples_needed
from aurea_engine.results.arrival_fit import check_arrivals
from aurea_engine.results.clock_checks import check_clocks
from aurea_engine.results.division import check_divided
from aurea_engine.results.findings import Finding, sort_by_severity
from aurea_engine.results.generator_checks import check_generator
from aurea_engine.results.loss_checks import check_losses
from aurea_engine.results.run_state import RunState
from aurea_engine.results.spend_checks import check_spend
from aurea_engine.results.statistics import integrate_jobs_in_system
from aurea_engine.results.target_checks import check_target
from aurea_engine.spec import KEPT_JOBS
from aurea_engine.workload.arrivals import Closed

if TYPE_CHECKING:
    from aurea_engine.results.result import RunResult

LITTLE_LIMIT = 100_000
"""Jobs up to which Little's law is checked: ∫N(t)dt from the sorted instants costs a sort."""

ENOUGH_TO_JUDGE = 100
"""Ended jobs from which on the shares and rates of a running run are judged: a share of ten jobs says nothing."""

RETRIES = 10
"""Rejected attempts of a closed model from which on it is checked how soon their users retried."""

FEWEST_IN_A_THIRD = 30
"""Jobs in a third of the run from which on the thirds' mean waits are compared."""


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended. ``is_steady``: whether the warm-up that the specification asks for could be found."""

    result: RunResult
    state: RunState
    is_steady: bool


def check_result(run: EndedRun) -> tuple[Finding, ...]:
    """All findings of a run that has ended, gravest first."""
    checks = [_check_conservation, _check_drained, _check_samples, _check_steady_state, _check_queue]
    at_the_end = [finding for check in checks for finding in check(run)]
    if run.state.spec.clock == "real" and run.result.jobs is not None:
        at_the_end += check_arrivals(run.result.jobs, run.state.spec)
    at_the_end += check_spend(run.result)
    found = [*at_the_end, *check_clocks(run.state), *_check_state(run.state, is_settled=True)]
    return sort_by_severity(_place(finding, run) for finding in found)


def _place(finding: Finding, run: EndedRun) -> Finding:
    """``finding`` with its instant, where the records or the end of the run tell it."""
    jobs = run.result.jobs
    if finding.code == "not_drained":
        return replace(finding, at=run.result.duration)
    if finding.code == "late_releases" and jobs is not None and len(jobs):
        return replace(finding, at=int(jobs.intended[jobs.lag_ns.argmax()]) / NS)
    return finding


def check_progress(state: RunState) -> tuple[Finding, ...]:
    """The findings so far of a run that has not ended, gravest first. They may change: the result has the last word.

    Tests that would give a false alarm sooner or later if they were repeated are left to the end: those of the arrivals, and
    that of the queue, which grows now and then in every system that is not idle.
    """
    is_settled = state.meters.times["lag"].count >= ENOUGH_TO_JUDGE and state.elapsed >= 1
    return sort_by_severity(_check_state(state, is_settled=is_settled))


def _check_state(state: RunState, *, is_settled: bool) -> list[Finding]:
    checks = (check_losses, _check_cost, _check_records, _check_heavy_tail, _check_retries, check_divided)
    found = [finding for check in checks for finding in check(state)]
    found += check_target(state, is_settled=is_settled)
    # In virtual time there is no generator that could be late.
    return [*found, *check_generator(state, is_settled=is_settled)] if state.spec.clock == "real" else found


def _check_conservation(run: EndedRun) -> Iterator[Finding]:
    result, jobs, parts = run.result, run.result.jobs, run.state.parts
    holds = parts.conserved and parts.arrived == result.counts.arrived
    detail = f"{parts.arrived:,} jobs arrived and {result.counts.arrived:,} are accounted for"
    if holds and jobs is not None and len(jobs) <= LITTLE_LIMIT and result.status == "completed":
        # Little's law over a whole run is an identity: the area under N(t) is the sum of the response times (Little 1961;
        # Stidham 1974). The area is taken from the sorted instants, so a job that was paired with another's end shows.
        started = jobs[jobs.was_started]
        area, total = integrate_jobs_in_system(started.intended, started.finished), summed(started.response_ns)
        holds = abs(area - total) <= 1e-9 * max(area, 1)
        detail = f"∫N(t)dt is {area} ns and the response times sum to {total} ns"
    if not holds:
        advice = "This is a defect of Aurea or of a strategy: please report it."
        yield Finding("conservation_broken", Severity.INVALID, detail, advice)


def _check_drained(run: EndedRun) -> Iterator[Finding]:
    result, unfinished = run.result, run.result.counts.cancelled
    if result.status != "completed":
        detail = f"the run ended as {result.status} with {unfinished:,} jobs unfinished"
        advice = "Its figures cover the part that ran. Run it to the end before you compare it."
        yield Finding("not_drained", Severity.DEGRADED, detail, advice)
    elif unfinished:
        stop_at = result.spec.workload.stop_at
        # A run that stop_at ended did what it was asked to: that its last jobs are cut off is worth a note only.
        was_asked = stop_at is not None and result.window[1] >= stop_at
        detail = f"{unfinished:,} jobs had not ended {'at stop_at' if was_asked else 'at the end of the drain'}"
        remedy = "run longer." if was_asked else "allow a longer drain, or lower the rate."
        severity = Severity.NOTE if was_asked else Severity.DEGRADED
        yield Finding("not_drained", severity, detail, f"No figure includes their times: {remedy}")


def _check_cost(state: RunState) -> Iterator[Finding]:
    if state.cost_problem is not None:
        advice = "The other figures are right. Fix the model or add the missing price, then price the run again."
        yield Finding("cost_unpriced", Severity.NOTE, state.cost_problem, advice)


def _check_samples(run: EndedRun) -> Iterator[Finding]:
    count = run.result.response_time.count
    if not count:
        since = " after the warm-up" if run.result.window[0] else ""
        detail = f"no job completed{since}, so no time was measured"
        advice = "Check the counts: some jobs must complete, and after the warm-up."
        yield Finding("too_few_samples", Severity.DEGRADED, detail, advice)
        return
    needed = {f"p{q * 100:g}": count_samples_needed(q) for q in QUANTILES.values()}
    missing = [f"{name} needs {jobs:,}" for name, jobs in needed.items() if count < jobs]
    # The largest of too few values is not even a bound of the quantile, so it is left out rather than guessed.
    if missing:
        detail = f"{count:,} jobs completed: {', '.join(missing)}"
        yield Finding("too_few_samples", Severity.NOTE, detail, "Run more jobs, or use a lower quantile.")


def _check_records(state: RunState) -> Iterator[Finding]:
    if state.spec.keep_jobs and not state.recorded:
        detail = "the records of single jobs were dropped; quantiles are within 0.4 %"
        yield Finding("records_dropped", Severity.NOTE, detail, "Run fewer jobs if you need records.")


def _check_heavy_tail(state: RunState) -> Iterator[Finding]:
    if state.heavy_tailed:
        detail = (
            "the service time has a mean but no finite variance: means and their intervals converge slowly or never"
        )
        advice = "Use quantiles rather than means, and repeat the run with other seeds."
        yield Finding("heavy_tail", Severity.NOTE, detail, advice)


def _check_retries(state: RunState) -> Iterator[Finding]:
    """A rejected user of a closed model thinks and retries. Almost without a pause, that is at the same instant, and the
    run's jobs are used up by attempts that no user would make.
    """
    arrivals, service = state.spec.workload.arrivals, state.meters.times["service_time"]
    counts, patience = state.meters.counts, state.spec.workload.patience
    # Without any patience no job waits: that is a queue limit of 0 by another name.
    never_waits = patience is not None and not patience.moments().mean
    rejected = counts[Outcome.REJECTED] + (counts[Outcome.ABANDONED] if never_waits else 0)
    if not isinstance(arrivals, Closed) or rejected < RETRIES:
        return
    think = arrivals.think_time.moments().mean
    if think <= (service.mean / 100 if service.count else 0.0):
        taken = f"a job takes {service.mean:.3g} s" if service.count else "no job has completed"
        detail = (
            f"{rejected:,} of {state.parts.arrived:,} attempts were rejected, and their users retried after {think:g} s "
            f"on average, while {taken}"
        )
        advice = "Give users a think_time, or the scheduler more slots or a longer queue_limit."
        yield Finding("retries_at_once", Severity.DEGRADED, detail, advice)


def _check_steady_state(run: EndedRun) -> Iterator[Finding]:
    if run.is_steady:
        return
    detail = "MSER-5 found no point after which response times look steady, so nothing was left out"
    advice = "Run longer, or set warmup to a number of seconds."
    if not run.state.recorded:
        detail = "MSER-5 needs the records of jobs, and they were not kept, so nothing was left out"
        advice = f"Set warmup to a number of seconds, or run at most {KEPT_JOBS:,} jobs."
    yield Finding("no_steady_state", Severity.DEGRADED, detail, advice)


def _check_queue(run: EndedRun) -> Iterator[Finding]:
    """Open arrivals on limited slots: waits that rise from third to third, and a backlog when the last job arrived.

    Both are asked for: waits of a stable queue rise now and then by chance, and a backlog is left by every burst at the end.
    """
    # Without a limit no job waits, and in the closed model the users themselves keep the queue short.
    slots, jobs = run.state.spec.scheduler.slots, run.result.jobs
    if jobs is None or slots is None or not run.state.has_rate:
        return
    waits = jobs.waiting_ns[jobs.was_started]
    third = len(waits) // 3
    if third < FEWEST_IN_A_THIRD:
        return
    first, second, last = (float(waits[i * third : (i + 1) * third].mean()) for i in range(3))
    backlog = int((jobs.was_started & (jobs.finished > int(jobs.intended[-1]))).sum())
    if second > 1.3 * first and last > 1.2 * second and backlog > 0.02 * len(jobs) + 3 * slots:
        detail = (
            f"mean waits in the three thirds of the run were {first / NS:.3g}, {second / NS:.3g} and {last / NS:.3g} s, "
            f"and {backlog:,} jobs were left when the last one arrived"
        )
        advice = "Lower the rate, or add slots: these times depend on the length of the run."
        yield Finding("queue_growing", Severity.DEGRADED, detail, advice)
