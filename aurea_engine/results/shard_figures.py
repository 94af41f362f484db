"""How each process of a run fared: the figures that do not add up, and that must not hide behind those of the whole."""

from __future__ import annotations

from dataclasses import dataclass

from aurea_engine.closed_sets import Status
from aurea_engine.records.batch import NS
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import ShardReport


@dataclass(frozen=True)
class ShardLoss:
    """A shard was lost ``after`` so many seconds. ``reported``: jobs that it had released by its last report, which are in
    no figure.
    """

    after: float
    detail: str
    reported: int


@dataclass(frozen=True)
class ShardResult:
    """One process of a run. Times in seconds.

    ``jobs``: released by it and in the figures. ``late_share``: of these, after the warm-up, later than the threshold on the
    lag; ``worst_lag``: the longest delay; None where it released none. ``cpu``: CPU time while its window was open, without
    processes that its jobs started; ``busy``: share of the window in which the generator was at work. ``start_skew``: how
    long after the common instant it began. ``clock_offset`` ± ``clock_bound``: how much its clock is ahead of the
    coordinator's. ``loss``: it was lost under way.
    """

    shard: int
    host: str
    process: int
    status: Status | None
    jobs: int
    late_share: float | None
    worst_lag: float | None
    cpu: float
    busy: float
    start_skew: float
    clock_offset: float
    clock_bound: float
    loss: ShardLoss | None = None


def name_shard(report: ShardReport) -> str:
    """As findings call it: ``shard 3 on b``."""
    host = report.process.host
    return f"shard {report.shard.index}{f' on {host}' if host else ''}"


def tells_of_itself(parts: RunParts) -> bool:
    """Whether each of several shards says how it fared itself."""
    known = [report for report in parts.shards if report.process.process or report.loss is not None]
    return len(parts.shards) > 1 and len(known) == len(parts.shards)


def summarize_shards(parts: RunParts) -> tuple[ShardResult, ...]:
    """The processes of a run by shard; none of a run in the caller's own process."""
    known = (report for report in parts.shards if report.process.process or report.loss is not None)
    return tuple(_summarize(report) for report in known)


def _summarize(report: ShardReport) -> ShardResult:
    process, releases, loss = report.process, report.releases, report.loss
    # Of a lost shard nothing is in the figures, so nothing is said of how punctual it was.
    counted = releases.jobs if loss is None else 0
    return ShardResult(
        report.shard.index,
        process.host,
        process.process,
        report.status,
        report.totals.arrived,
        releases.late / counted if counted else None,
        releases.worst_ns / NS if counted else None,
        process.cpu_ns / NS,
        report.generator.busy,
        process.start_skew_ns / NS,
        process.clock_offset_ns / NS,
        process.clock_bound_ns / NS,
        None if loss is None else ShardLoss(loss.at_ns / NS, loss.detail, loss.reported),
    )
