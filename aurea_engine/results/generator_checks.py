"""Checks of the load generator itself: in real time it shares a machine with what it measures, and may be too slow.

Intended starts are absolute, and response times count from them, so a late generator never flatters the system. But then the
figures show the generator's delay, and not the system's: that has to be said.
"""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.records.batch import NS
from aurea_engine.results.findings import Finding
from aurea_engine.results.generators import Generator, Weighed, find_worst, list_generators
from aurea_engine.results.run_state import RunState

ENOUGH_TO_SATURATE = 10_000
"""Jobs from which on a busy generator is one that is saturated: the start of every run is busy."""

SILENT = 1.0
"""Seconds without a report of one shard while others report, from which on it shows; four a second are usual."""


def check_generator(state: RunState, *, is_settled: bool) -> list[Finding]:
    """The findings about the generator, or the worst of several. ``is_settled``: enough has happened for shares and rates to
    mean something.
    """
    checks = [_check_event_loop, _check_garbage]
    if is_settled:
        checks += [_check_rate, _check_lag, _check_cpu]
    found = [*find_worst(checks, state, list_generators(state)), *_check_tracer(state)]
    return [*found, *_check_floor(state)] if is_settled else found


def _check_rate(state: RunState, generator: Generator) -> Weighed | None:
    """The schedule is absolute, so a generator that is too slow is behind with its latest release."""
    (due_ns, released_ns), count = generator.latest_release, generator.arrived
    # In the first hundredth of a second, or where nothing was a tenth late, the latest release says nothing about the rate.
    if not state.has_rate or due_ns <= NS // 100 or generator.releases.worst_ns <= NS // 10:
        return None
    if released_ns <= due_ns * (1 + state.spec.thresholds.rate_shortfall):
        return None
    reached, specified = count / (released_ns / NS), count / (due_ns / NS)
    detail = f"jobs were released at {reached:,.0f}/s, and {specified:,.0f}/s was specified"
    advice = "Lower the rate: `aurea selftest` shows what this machine reaches."
    return Weighed(Finding("rate_shortfall", Severity.DEGRADED, detail, advice), released_ns / due_ns)


def _check_lag(state: RunState, generator: Generator) -> Weighed | None:
    releases, limits = generator.releases, state.spec.thresholds
    if not releases.jobs or state.spec.workload.arrivals.ends == "with jobs":
        return None  # jobs that are all meant to start at once cannot: their response times say how long it took
    # Half of the jobs late, at the usual threshold, is no disturbance any more: another workload was run.
    late, worst = releases.late / releases.jobs, releases.worst_ns / NS
    if late <= limits.late_ratio and worst < limits.loop_lag:
        return None
    severity = Severity.INVALID if late > 50 * limits.late_ratio else Severity.DEGRADED
    detail = (
        f"{100 * late:.1f} % of the jobs were released more than {limits.lag:g} s late, the latest by {worst:.3g} s"
    )
    advice = "Keep other work off this process and machine, or lower the rate."
    return Weighed(Finding("late_releases", severity, detail, advice), late)


def _check_event_loop(state: RunState, generator: Generator) -> Weighed | None:
    blocked, silent = generator.stats.late_ns / NS, generator.silent_ns / NS
    # A shard that is held up now has told of it only when it goes on; until then its share of the figures stands still.
    if silent >= SILENT and silent > blocked:
        detail = f"nothing was heard of it for {silent:.3g} s: the figures hold what it had reported before"
        advice = "A job or another program holds it up. If it uses no processor for 5 s, it counts as lost."
        return Weighed(Finding("loop_lag", Severity.DEGRADED, detail, advice), silent)
    if blocked < state.spec.thresholds.loop_lag:
        return None
    detail = f"the event loop was blocked for {blocked:.3g} s"
    advice = "A job or another task blocks it: move that work to a thread."
    return Weighed(Finding("loop_lag", Severity.DEGRADED, detail, advice), blocked)


def _check_cpu(state: RunState, generator: Generator) -> Weighed | None:
    busy = generator.stats.busy
    if state.parts.pool is not None:
        return None  # `client_limited` says the same, and what it means beside a target
    has_begun = state.elapsed > 0.5 and generator.arrived > ENOUGH_TO_SATURATE
    if busy <= state.spec.thresholds.cpu or not has_begun:
        return None
    detail = f"the generator was busy for {100 * busy:.0f} % of the window"
    advice = "The throughput may be the generator's limit: lower the rate."
    return Weighed(Finding("cpu_saturated", _severity_without_rate(state), detail, advice), busy)


def _check_garbage(state: RunState, generator: Generator) -> Weighed | None:
    longest = generator.stats.gc_longest_ns / NS
    if longest <= state.spec.thresholds.gc_pause:
        return None
    detail = (
        f"the longest garbage collection took {longest:.3g} s, all of them {generator.stats.gc_total_ns / NS:.3g} s"
    )
    advice = "Jobs, or the program around them, make many objects: call gc.freeze() before the run."
    return Weighed(Finding("gc_pause", Severity.DEGRADED, detail, advice), longest)


def _check_tracer(state: RunState) -> Iterator[Finding]:
    """What a tracer makes slower is Python code: the generator's, which other checks watch, and that of jobs, which none of
    them can tell from a slow system.
    """
    tracers = {str(tool) for shard in state.parts.shards if (tool := shard.environment.get("tracer"))}
    if not tracers:
        return
    only_waits = all(leaf.executor == "timers" for leaf in state.spec.workload.job.leaves())
    detail = f"{', '.join(sorted(tracers))} traced the process that ran the jobs"
    advice = "Run it without coverage, debugger and profiler: they make Python code several times as slow."
    yield Finding("tracer_active", Severity.NOTE if only_waits else Severity.DEGRADED, detail, advice)


def _check_floor(state: RunState) -> Iterator[Finding]:
    service = state.meters.times["service_time"]
    if service.count and service.mean < state.spec.thresholds.floor:
        detail = f"the mean service time is {service.mean * 1e6:.3g} µs"
        advice = "Times this short are mostly the engine's own overhead: use virtual time."
        yield Finding("below_floor", _severity_without_rate(state), detail, advice)


def _severity_without_rate(state: RunState) -> Severity:
    """Where no rate was specified, as much as the generator can do is just what was asked for."""
    return Severity.DEGRADED if state.has_rate else Severity.NOTE
