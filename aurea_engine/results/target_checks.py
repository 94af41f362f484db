"""Checks of runs whose jobs send requests: did the measurement show the target, or the client and its limits?

Waiting for a connection is waiting time, and a late release is in the response time, so no figure flatters the target. But
where the client was the bottleneck the figures are the client's, and that has to be said.
"""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.records.batch import NS
from aurea_engine.results.chat_checks import check_chats
from aurea_engine.results.findings import Finding
from aurea_engine.results.prompt_checks import check_prompts
from aurea_engine.results.run_state import RunState
from aurea_engine.results.shard_figures import name_shard, tells_of_itself

IDLE = 0.5
"""Share of the open connections that have a job on average; below it the target was waiting for the client."""

ENOUGH_TO_SATURATE = 1000
"""Jobs from which on a busy client is one that is saturated: the start of every run is busy."""

MOST_LOCAL = 0.01
"""Share of jobs that may fail by the client's own fault before the run is another one than was specified."""


def check_target(state: RunState, *, is_settled: bool) -> list[Finding]:
    """The findings about the client: its connections, its data and its own failures.

    ``is_settled``: the run is long enough for shares and rates.
    """
    checks = [_check_pool, _check_kept, _check_local, _check_supply, _check_pace, check_chats, check_prompts]
    if is_settled:
        checks.append(_check_client)
    return [finding for check in checks for finding in check(state)]


def _check_pool(state: RunState) -> Iterator[Finding]:
    pool = state.parts.pool
    if pool is None or not pool.waited:
        return
    share = 100 * pool.full_ns / NS / state.elapsed if state.elapsed else 0.0
    detail = (
        f"{pool.waited:,} of {state.parts.arrived:,} jobs had to wait for a connection; "
        f"all were busy for {pool.full_ns / NS:.3g} s, {min(share, 100):.0f} % of the run"
    )
    advice = "Their wait is waiting time, not service time. Allow more connections, or send less, if it was not wanted."
    # What was asked for was measured, and what is the pool's is told apart from what is the target's.
    yield Finding("pool_exhausted", Severity.NOTE, detail, advice)


def _check_kept(state: RunState) -> Iterator[Finding]:
    pool = state.parts.pool
    if pool is None or not pool.lost_kept:
        return
    detail = (
        f"{pool.lost_kept:,} requests failed because the target closed the kept connection that they were sent on, "
        "without a byte of a reply"
    )
    advice = (
        "Nothing is sent twice. Some targets close a connection after an answer without saying so: set reuse to false for "
        "them, or idle to less than they wait, if their users' programs connect anew, too."
    )
    yield Finding("kept_connections_lost", Severity.NOTE, detail, advice)


def _check_client(state: RunState) -> Iterator[Finding]:
    pool, limits = state.parts.pool, state.spec.thresholds
    if pool is None:
        return
    lag, busy = state.meters.times["lag"], state.generator.busy
    # On average, since a look at one instant says little of the run.
    in_service = state.meters.busy_in_window_ns / NS / state.elapsed if state.elapsed else 0.0
    has_begun = state.elapsed > 0.5 and state.parts.arrived > ENOUGH_TO_SATURATE
    if busy >= limits.cpu and has_begun:
        yield make_client_limited(f"{_name_busiest(state)} was busy for {100 * busy:.0f} % of the window")
    elif (
        # Jobs that are all meant to start at once cannot; users who think can.
        state.spec.workload.arrivals.ends != "with jobs"
        and lag.count
        and (late := lag.quantile(0.99)) > limits.lag
        and in_service < IDLE * max(pool.open, pool.busy)
    ):
        yield make_client_limited(
            f"the p99 of the lag was {late:.3g} s, while on average {in_service:.3g} of {pool.open:,} connections had a job"
        )


def _name_busiest(state: RunState) -> str:
    if not tells_of_itself(state.parts):
        return "the generator"
    busiest = max(state.parts.shards, key=lambda report: report.generator.busy)
    return f"the generator of {name_shard(busiest)}"


def make_client_limited(detail: str) -> Finding:
    """The client set the rate, and ``detail`` says by what that shows."""
    advice = "The client was the limit, not the target: lower the rate or the number of users, or use more processes."
    return Finding("client_limited", Severity.DEGRADED, detail, advice)


def _check_local(state: RunState) -> Iterator[Finding]:
    failed = state.meters.failures["local"]
    if state.parts.pool is None or not failed:
        return
    share = failed / state.parts.arrived
    severity = Severity.INVALID if share > MOST_LOCAL else Severity.DEGRADED
    detail = (
        f"{failed:,} jobs, {100 * share:.2g} %, failed by the client's own fault: for want of a descriptor, a free port or "
        "memory, or by a value that no header can hold"
    )
    advice = (
        "The target never saw them. Raise the limit of open files (ulimit -n), use fewer connections, check the data."
    )
    yield Finding("local_failures", severity, detail, advice)


def _check_supply(state: RunState) -> Iterator[Finding]:
    rows = state.parts.used_up
    if rows is not None:
        detail = (
            f"the arrivals ended after {state.parts.arrived:,} jobs: the data had {rows:,} rows, each to be used once"
        )
        advice = "Give more rows, or pick them in_order or at random."
        yield Finding("data_exhausted", Severity.NOTE, detail, advice)


def _check_pace(state: RunState) -> Iterator[Finding]:
    if state.parts.paced:
        detail = f"{state.parts.paced:,} requests were held back by the server's ceiling on the rate to targets"
        advice = "Lower the rate, or ask the operator for a higher --max-target-rate: the wait is in the waiting times."
        yield Finding("target_rate_limited", Severity.DEGRADED, detail, advice)
