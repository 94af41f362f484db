"""Results → JSON values: the seed's members with their documented meaning, and the full form beside them.

`aurea_engine.codec.result_reading` is the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import msgspec

from aurea_engine.closed_sets import JOBS_SHOWN
from aurea_engine.codec.catalog import Catalog
from aurea_engine.codec.histograms import histogram_to_dict
from aurea_engine.codec.replications import encode_replications
from aurea_engine.codec.specifications import spec_to_dict
from aurea_engine.costs import job_costs
from aurea_engine.records.rows import record_rows
from aurea_engine.results.findings import Finding
from aurea_engine.results.floor import Floor
from aurea_engine.results.result import GroupResult, MarkTimes, MeasureAmounts, ObjectiveResult, RunResult
from aurea_engine.results.statistics import Timing


def format_utc(instant: datetime) -> str:
    """``2026-11-22T10:00:00.000Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def result_to_dict(result: RunResult, catalog: Catalog | None = None, jobs_shown: int = JOBS_SHOWN) -> dict[str, Any]:
    """``result`` as JSON values: what `POST /benchmark/run` answers and what ``aurea run --json`` prints.

    There is no NaN or Infinity in it. ``jobs`` holds the first ``jobs_shown`` jobs.
    """
    # The order of members is the order in which people read them: what a run is and came to, figures, then what is long.
    jobs = _job_rows(result, jobs_shown)
    total = result.cost.total
    return {
        "benchmark_id": result.benchmark_id,
        "num_jobs": result.counts.arrived,
        "completed_jobs": result.counts.completed,
        "throughput": result.throughput,
        "mean_latency": result.service_time.mean,
        "total_cost": None if total is None else float(total),
        "start_time": format_utc(result.started_at),
        "end_time": format_utc(result.ended_at),
        "duration": result.duration,
        "status": result.status,
        "reason": None if result.reason is None else asdict(result.reason),
        "label": result.spec.label,
        # Worked out from the findings, and written for those who read nothing else.
        "verdict": result.verdict,
        "clock": result.spec.clock,
        "counts": asdict(result.counts),
        "failures": dict(result.failures),
        "statuses": dict(result.statuses),
        "offered_rate": result.offered_rate,
        "goodput": result.goodput,
        "good": result.good,
        "good_share": result.good_share,
        "utilization": result.utilization,
        "concurrency": asdict(result.concurrency),
        "window": {"start": result.window[0], "end": result.window[1]},
        "response_time": _encode_timing(result.response_time),
        "waiting_time": _encode_timing(result.waiting_time),
        "service_time": _encode_timing(result.service_time),
        "failure_time": _encode_timing(result.failure_time),
        "lag": _encode_timing(result.lag),
        "marks": _encode_marks(result.marks),
        "measures": _encode_measures(result.measures),
        "groups": [_encode_group(group) for group in result.groups],
        "floor": None if result.floor is None else _encode_floor(result.floor),
        "shards": [asdict(shard) for shard in result.shards],
        **encode_replications(result.replications),
        "cost": result.cost.to_dict(),
        "objectives": [_encode_objective(judged) for judged in result.objectives],
        "findings": [_encode_finding(finding) for finding in result.findings],
        "theory": [asdict(row) for row in result.theory],
        "series": {
            "width": result.series_width,
            "points": [point._asdict() for point in result.series],
        },
        "histograms": {name: histogram_to_dict(each) for name, each in result.histograms.items()},
        "environment": dict(result.environment),
        "usage": result.usage.to_dict(),
        "spec": spec_to_dict(result.spec, catalog),
        "jobs": jobs,
        "jobs_truncated": result.counts.arrived > len(jobs),
    }


def _encode_marks(marks: Mapping[str, MarkTimes]) -> dict[str, Any]:
    """Each mark's times from the intended start, as any kind of time, and those from the start beside them."""
    # A mark is a kind of time like any other, so it has the same members; what is special about it stands beside them.
    return {
        name: {**_encode_timing(times.from_intended), "from_start": _encode_timing(times.from_start)}
        for name, times in marks.items()
    }


def _encode_measures(measures: Mapping[str, MeasureAmounts]) -> dict[str, Any]:
    return {
        name: {
            "unit": each.unit,
            "scale": each.scale,
            "total": each.total,
            "rate": each.rate,
            **_encode_timing(each.amounts),
        }
        for name, each in measures.items()
    }


def _encode_group(group: GroupResult) -> dict[str, Any]:
    return {
        "name": group.name,
        "counts": asdict(group.counts),
        "failures": dict(group.failures),
        "statuses": dict(group.statuses),
        "response_time": _encode_timing(group.response_time),
        "waiting_time": _encode_timing(group.waiting_time),
        "service_time": _encode_timing(group.service_time),
        "lag": _encode_timing(group.lag),
        "marks": _encode_marks(group.marks),
        "measures": _encode_measures(group.measures),
        "not_reached": group.not_reached,
    }


def _encode_floor(floor: Floor) -> dict[str, Any]:
    times = {"service_time": floor.service_time, "response_time": floor.response_time}
    return {
        "throughput": floor.throughput,
        "users": floor.users,
        **{name: _encode_timing(timing) for name, timing in times.items()},
    }


def _encode_objective(judged: ObjectiveResult) -> dict[str, Any]:
    return {
        "objective": str(judged.objective),
        "metric": judged.objective.metric,
        "outcome": judged.outcome,
        "observed": judged.observed,
        "detail": judged.detail,
        "interval": None if judged.interval is None else asdict(judged.interval),
    }


def _encode_finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.name.lower(),
        "detail": finding.detail,
        "advice": finding.advice,
        "at": finding.at,
    }


def _encode_timing(timing: Timing) -> dict[str, Any]:
    """A kind of time, with the 95 % intervals that the sample supports."""
    whole = dict(vars(timing))
    # One object for all intervals, although a value keeps that of the mean apart: to readers it is one kind of thing.
    intervals = {name: asdict(interval) for name, interval in timing.intervals}
    if timing.mean_interval is not None:
        intervals["mean"] = asdict(timing.mean_interval)
    del whole["mean_interval"]
    whole["intervals"] = intervals
    return whole


def _job_rows(result: RunResult, count: int) -> list[dict[str, Any]]:
    """The first ``count`` jobs, none where no records were kept."""
    if result.jobs is None:
        return []
    # Cut first: the cost of a job is asked of the model, which takes as long as there are jobs.
    batch = result.jobs[slice(count)]
    return list(record_rows(result.benchmark_id, result.started_at, batch, job_costs(result.spec.cost, batch)))


# Instants beyond 26 days are decimals, which must not become texts; msgspec writes no NaN in any case.
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode_json(value: object) -> bytes:
    """``value`` as strict JSON, decimals as numbers with all their digits: what `result_to_dict` gives, for instance."""
    return _ENCODER.encode(value)
