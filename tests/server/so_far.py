"""What people see of a run beside its totals, as a runner sends it: members of `SoFar` with only what a test is about."""

from __future__ import annotations

from aurea_engine.processes.so_far import GroupSoFar, Judged, ShardSoFar


def judged(outcome: str) -> Judged:
    return Judged(objective="any", metric="any", outcome=outcome, observed=None, detail="", interval=None)


def group(
    completed: int = 1, failed: int = 0, p50: float | None = 0.1, p99: float | None = 0.2, name: str = "a"
) -> GroupSoFar:
    return GroupSoFar(
        name=name, arrived=completed + failed, completed=completed, failed=failed, failure_ratio=None, p50=p50, p99=p99
    )


def shard(number: int, jobs: int = 10, worst_lag: float | None = 0.01, status: str | None = None) -> ShardSoFar:
    return ShardSoFar(
        shard=number, host="", status=status, jobs=jobs, late_share=None, worst_lag=worst_lag, cpu=0.0, busy=0.0
    )
