"""Results → JSON values: the seed's members with their documented meaning, and the full form beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aurea_engine.costs import job_costs
from aurea_engine.records.rows import record_rows
from aurea_engine.results.findings import Finding
from aurea_engine.results.result import ObjectiveResult, RunResult
from aurea_engine.results.statistics import Timing

JOBS_SHOWN = 10_000
"""Jobs in a result's ``jobs``; more are at the run's own jobs resource."""


def utc(instant: datetime) -> str:
    """``2026-11-22T10:00:00.000Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode_result(result: RunResult, spec: dict[str, Any], jobs_shown: int = JOBS_SHOWN) -> dict[str, Any]:
    """All of ``result`` as JSON values; no NaN or Infinity is ever in it."""
    jobs = [] if result.jobs is None else list(job_rows(result, 0, jobs_shown))
    total = result.cost.total
    return {
        "benchmark_id": result.benchmark_id,
        "num_jobs": result.counts.arrived,
        "completed_jobs": result.counts.completed,
        "throughput": result.throughput,
        "mean_latency": result.service_time.mean,
        "total_cost": None if total is None else float(total),
        "start_time": utc(result.started_at),
        "end_time": utc(result.ended_at),
        "duration": result.duration,
        "status": result.status,
        "label": result.spec.label,
        "verdict": result.verdict,
        "clock": result.spec.clock,
        "counts": asdict(result.counts),
        "errors": dict(result.errors),
        "offered_rate": result.offered_rate,
        "goodput": result.goodput,
        "utilization": result.utilization,
        "concurrency": asdict(result.concurrency),
        "window": {"start": result.window[0], "end": result.window[1]},
        "response_time": timing_to_dict(result.response_time),
        "waiting_time": timing_to_dict(result.waiting_time),
        "service_time": timing_to_dict(result.service_time),
        "failure_time": timing_to_dict(result.failure_time),
        "lag": timing_to_dict(result.lag),
        "cost": result.cost.to_dict(),
        "objectives": [_objective(judged) for judged in result.objectives],
        "findings": [_finding(finding) for finding in result.findings],
        "theory": [row._asdict() if hasattr(row, "_asdict") else asdict(row) for row in result.theory],
        "series": {
            "width": result.series_width,
            "points": [point._asdict() for point in result.series],
        },
        "environment": dict(result.environment),
        "usage": result.usage.to_dict(),
        "spec": spec,
        "jobs": jobs,
        "jobs_truncated": result.counts.arrived > len(jobs),
    }


def _objective(judged: ObjectiveResult) -> dict[str, Any]:
    return {
        "objective": str(judged.objective),
        "metric": judged.objective.metric,
        "outcome": judged.outcome,
        "observed": judged.observed,
        "detail": judged.detail,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.name.lower(),
        "detail": finding.detail,
        "advice": finding.advice,
    }


def timing_to_dict(timing: Timing) -> dict[str, Any]:
    """A kind of time, with the 95 % intervals where the sample carries them."""
    whole = dict(vars(timing))
    intervals = {name: asdict(interval) for name, interval in timing.intervals}
    if timing.mean_interval is not None:
        intervals["mean"] = asdict(timing.mean_interval)
    del whole["mean_interval"]
    whole["intervals"] = intervals
    return whole


def job_rows(result: RunResult, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Jobs ``first`` … of the records, as `record_rows` writes them; none where no records were kept."""
    if result.jobs is None:
        return iter(())
    batch = result.jobs[slice(first, first + count)]
    return record_rows(result.benchmark_id, result.started_at, batch, job_costs(result.spec.cost, batch), first)
