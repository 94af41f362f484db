"""A run's result as its process sends it to the server: typed plain data, decoded strictly on arrival.

How a run stands, and why it failed, is in `aurea_engine.processes.messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from aurea_engine import RunResult
from aurea_engine.closed_sets import STATUSES
from aurea_engine.processes.frames import Pieces
from aurea_engine.processes.messages import (
    Bill,
    Reason,
    Snapshot,
    check_snapshot,
    make_bill,
)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended, as metrics and lists need it."""

    status: str
    verdict: str | None = None
    num_jobs: int = 0
    completed_jobs: int = 0
    throughput: float | None = None
    mean_latency: float | None = None
    p99: float | None = None
    total_cost: float | None = None
    duration: float = 0.0
    start_time: str | None = None
    end_time: str | None = None
    offered_rate: float | None = None
    utilization: float | None = None
    findings: list[str] = []
    objectives: list[str] = []
    bill: Bill = Bill()


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The last message of a run that has a result; the result itself and the records came before it, in pieces.

    ``reusable``: whether the process that ran it may run another.
    """

    figures: Figures
    last: Snapshot
    reusable: bool
    reason: Reason | None = None


@dataclass(frozen=True)
class ExecutedRun:
    """A run's result as the server keeps and publishes it.

    ``result``: all of it as JSON, which goes on to clients as it is; ``head``: the same without its jobs, which is stored;
    ``records``: the content of its file of records; ``parts``: `RunParts.to_bytes` without the records, None
    of a run that was repeated.
    """

    figures: Figures
    last: Snapshot
    reason: Reason | None
    reusable: bool
    result: bytes
    head: bytes
    records: bytes
    parts: bytes | None


def check_executed(end: RunEnd, values: Pieces, run_id: str, stopping: str | None) -> ExecutedRun:
    """What a process sent of a run, if it can be the end of that run: a job may have written it. Raises ValueError.

    ``values``: ``result``, ``records`` and ``parts``, the last two of which are checked by their readers. ``stopping``:
    the status that a stop asked for, if one was asked for.
    """
    result = values.take("result")
    check_snapshot(end.last)
    check_snapshot(Snapshot(bill=end.figures.bill))
    # The server alone knows that it is stopping: a run that says so without that was written by a job.
    status = end.figures.status
    if status not in STATUSES or (status == "interrupted" and stopping != status):
        raise ValueError("a run cannot end so")
    # Reading the members as `Raw` goes once through the text, which proves that it is JSON, and builds nothing: the jobs
    # may be megabytes. Clients get the bytes as they came.
    members = msgspec.json.decode(result, type=dict[str, msgspec.Raw])
    if msgspec.json.decode(members["benchmark_id"]) != run_id:
        raise ValueError("it is another run's result")
    del members["jobs"], members["jobs_truncated"]
    head = msgspec.json.encode(members)
    records, parts = values.take("records"), values.take("parts")
    return ExecutedRun(end.figures, end.last, end.reason, end.reusable, result, head, records, parts or None)


def join_result(
    head: bytes, jobs: bytes, truncated: bool, reason: bytes | None = None, more: Mapping[str, object] | None = None
) -> bytes:
    """A stored result with its jobs again, and ``more`` members. ``head`` as `ExecutedRun` has it, ``jobs`` and ``reason``
    as JSON.

    Members go in as they stand (`msgspec.Raw`): what is in them is neither read nor written anew. Raises ValueError where
    ``head`` is no JSON object.
    """
    members: dict[str, object] = {**msgspec.json.decode(head, type=dict[str, msgspec.Raw])}
    if reason is not None:
        members["reason"] = msgspec.Raw(reason)
    members |= more or {}
    return msgspec.json.encode({**members, "jobs": msgspec.Raw(jobs), "jobs_truncated": truncated})


def make_figures(result: RunResult, model: str, start_time: str, end_time: str) -> Figures:
    """What metrics and lists need of ``result``; ``model`` is the kind of its cost model."""
    total = result.cost.total
    return Figures(
        status=result.status,
        verdict=result.verdict,
        num_jobs=result.counts.arrived,
        completed_jobs=result.counts.completed,
        throughput=result.throughput,
        mean_latency=result.service_time.mean,
        p99=result.response_time.p99,
        total_cost=None if total is None else float(total),
        duration=result.duration,
        start_time=start_time,
        end_time=end_time,
        offered_rate=result.offered_rate,
        utilization=result.utilization,
        findings=[finding.code for finding in result.findings],
        objectives=[judged.outcome for judged in result.objectives],
        bill=make_bill(result.cost, model),
    )
