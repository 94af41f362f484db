"""What a result knows of a shard that was lost: that it was there, until when, and nothing that it measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from aurea_engine.closed_sets import Reason, Status
from aurea_engine.costs import Metering
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Shard, ShardReport, Timeline, Totals
from aurea_engine.run.shard_facts import Loss
from aurea_engine.spec import RunSpec


def make_lost_parts(spec: RunSpec, shard: Shard, loss: Loss, heard: RunParts | None) -> RunParts:
    """The parts of a lost shard, which merge with those of the others. ``heard``: the last that was heard of it."""
    # What it had measured by its last report is left out too. Half of a shard's jobs, without their records and without
    # those that were in service, would make every figure one of another run.
    empty = make_empty_parts(spec, shard, "failed")
    report = empty.shards[0] if heard is None else heard.shards[0]
    timeline = Timeline(report.timeline.started_at, loss.at_ns)
    reason = Reason("shard_lost", describe_loss(shard, loss, report.process.host))
    report = replace(report, timeline=timeline, totals=Totals(), status="failed", reason=reason, pool=None, loss=loss)
    return replace(empty, shards=(report,))


def make_empty_parts(spec: RunSpec, shard: Shard, status: Status) -> RunParts:
    """The parts of a shard that was ended before its window opened."""
    began = datetime.now(UTC)  # noqa: TID251 - a label, where nothing better is known
    report = ShardReport(shard, Timeline(began), Totals(), status, Reason.usual(status))
    nothing = RunParts.empty(spec)
    # Meters that counted nothing, and not none: one that a part lacks is dropped when parts are merged.
    schema = spec.workload.schema
    metered = Metering(spec.cost, measures=schema.measures, steps=schema.steps).count()
    numbers = None if nothing.records is None else np.empty(0, np.int64)
    return replace(nothing, shards=(report,), metered=metered, numbers=numbers)


def describe_loss(shard: Shard, loss: Loss, host: str = "") -> str:
    """One sentence: which shard, when, and how it showed."""
    place = f" on {host}" if host else ""
    return f"shard {shard.index}{place} was lost after {loss.at_ns / 10**9:.3g} s: {loss.detail}"
