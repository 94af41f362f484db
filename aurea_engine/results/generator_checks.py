"""Checks of the load generator itself: in real time it shares a machine with what it measures, and may be too slow.

Intended starts are absolute, and response times count from them, so a late generator never flatters the system. But then the
figures show the generator's delay, and not the system's: that has to be said.
"""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.records.batch import NS
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState

ENOUGH_TO_SATURATE = 10_000
"""Jobs from which on a busy generator is one that is saturated: the start of every run is busy."""


def check_generator(state: RunState, *, is_settled: bool) -> list[Finding]:
    """The findings about the generator. ``is_settled``: enough has happened for shares and rates to mean something."""
    checks = [_check_event_loop, _check_garbage]
    if is_settled:
        checks += [_check_rate, _check_lag, _check_cpu, _check_floor]
    return [finding for check in checks for finding in check(state)]


def _check_rate(state: RunState) -> Iterator[Finding]:
    """The schedule is absolute, so a generator that is too slow is behind with its latest release."""
    (due_ns, released_ns), count = state.parts.latest_release, state.parts.arrived
    # In the first hundredth of a second, or where nothing was a tenth late, the latest release says nothing about the rate.
    if not state.has_rate or due_ns <= NS // 100 or state.meters.times["lag"].maximum <= NS // 10:
        return
    if released_ns > due_ns * (1 + state.spec.thresholds.rate_shortfall):
        reached, specified = count / (released_ns / NS), count / (due_ns / NS)
        detail = f"jobs were released at {reached:,.0f}/s, and {specified:,.0f}/s was specified"
        advice = "Lower the rate: `aurea selftest` shows what this machine reaches."
        yield Finding("rate_shortfall", Severity.INVALID, detail, advice)


def _check_lag(state: RunState) -> Iterator[Finding]:
    lag, limits = state.meters.times["lag"], state.spec.thresholds
    if not lag.count or state.spec.workload.arrivals.ends == "with jobs":
        return  # jobs that are all meant to start at once cannot: their response times say how long it took
    # Half of the jobs late, at the usual threshold, is no disturbance any more: another workload was run.
    late, worst = lag.count_above(limits.lag) / lag.count, lag.maximum / NS
    if late > limits.late_ratio or worst >= limits.loop_lag:
        severity = Severity.INVALID if late > 50 * limits.late_ratio else Severity.DEGRADED
        detail = (
            f"{100 * late:.1f} % of the jobs were released more than {limits.lag:g} s late, the latest by {worst:.3g} s"
        )
        advice = "Keep other work off this process and machine, or lower the rate."
        yield Finding("late_releases", severity, detail, advice)


def _check_event_loop(state: RunState) -> Iterator[Finding]:
    blocked = state.generator.late_ns / NS
    if blocked >= state.spec.thresholds.loop_lag:
        detail = f"the event loop was blocked for {blocked:.3g} s"
        advice = "A job or another task blocks it: move that work to a thread."
        yield Finding("loop_lag", Severity.DEGRADED, detail, advice)


def _check_cpu(state: RunState) -> Iterator[Finding]:
    busy = state.generator.busy
    if state.parts.pool is not None:
        return  # `client_limited` says the same, and what it means beside a target
    has_begun = state.elapsed > 0.5 and state.parts.arrived > ENOUGH_TO_SATURATE
    if busy > state.spec.thresholds.cpu and has_begun:
        detail = f"the generator was busy for {100 * busy:.0f} % of the window"
        advice = "The throughput may be the generator's limit: lower the rate."
        yield Finding("cpu_saturated", _severity_without_rate(state), detail, advice)


def _check_garbage(state: RunState) -> Iterator[Finding]:
    generator = state.generator
    longest = generator.gc_longest_ns / NS
    if longest > state.spec.thresholds.gc_pause:
        detail = f"the longest garbage collection took {longest:.3g} s, all of them {generator.gc_total_ns / NS:.3g} s"
        advice = "Jobs, or the program around them, make many objects: call gc.freeze() before the run."
        yield Finding("gc_pause", Severity.DEGRADED, detail, advice)


def _check_floor(state: RunState) -> Iterator[Finding]:
    service = state.meters.times["service_time"]
    if service.count and service.mean < state.spec.thresholds.floor:
        detail = f"the mean service time is {service.mean * 1e6:.3g} µs"
        advice = "Times this short are mostly the engine's own overhead: use virtual time."
        yield Finding("below_floor", _severity_without_rate(state), detail, advice)


def _severity_without_rate(state: RunState) -> Severity:
    """Where no rate was specified, as much as the generator can do is just what was asked for."""
    return Severity.DEGRADED if state.has_rate else Severity.NOTE
