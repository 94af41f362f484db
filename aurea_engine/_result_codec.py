"""Results → JSON values: the seed's members with their documented meaning, and the full form beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from aurea_engine.costs import job_costs
from aurea_engine.findings import Finding
from aurea_engine.records import NS, JobBatch, Outcome
from aurea_engine.results import ObjectiveResult, RunResult
from aurea_engine.statistics import Timing

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


def record_rows(
    benchmark_id: str, started_at: datetime, batch: JobBatch, costs: Iterable[float], first: int = 0
) -> Iterator[dict[str, Any]]:
    """Records as JSON values: id (``first`` is the number of the first), times in seconds, and cost.

    What did not come (a rejected job's start) is None, and so is a cost that is not finite.
    """
    stamps = _timestamps(started_at, batch)
    names = [outcome.name.lower() for outcome in Outcome]
    columns = zip(
        batch.intended.tolist(),
        batch.started.tolist(),
        batch.finished.tolist(),
        batch.outcome.tolist(),
        costs,
        stamps,
        strict=True,
    )
    for i, (intended, started, finished, outcome, cost, stamp) in enumerate(columns, first):
        served = started >= 0 and finished >= 0
        yield {
            "job_id": f"{benchmark_id}-job-{i}",
            "latency": (finished - started) / NS if served else None,
            "cost": cost if math.isfinite(cost) else None,
            "timestamp": stamp,
            "outcome": names[outcome],
            "response_time": (finished - intended) / NS if served else None,
        }


def _timestamps(opened: datetime, batch: JobBatch) -> list[str]:
    """UTC of each job's end (of its release, where it never ran), ms."""
    ends = np.where(batch.finished >= 0, batch.finished, batch.released)
    origin = np.datetime64(opened.astimezone(UTC).replace(tzinfo=None), "us")
    texts = np.datetime_as_string((origin + (ends // 1000).astype("timedelta64[us]")).astype("datetime64[ms]"))
    return [f"{text}Z" for text in texts.tolist()]
