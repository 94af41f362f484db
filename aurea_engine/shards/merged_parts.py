"""The parts of all shards as those of the run: under way, and at the end, with what only the coordinator knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from aurea_engine.closed_sets import Reason
from aurea_engine.records.batch import NS
from aurea_engine.records.series import Series
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Plain, ShardReport
from aurea_engine.spec import RunSpec


@dataclass(frozen=True)
class LostObjective:
    """The objective at ``position`` in the specification was lost, as was seen when the run was so old and so many jobs had
    arrived.
    """

    position: int
    seen_ns: int
    arrived: int


@dataclass(frozen=True)
class Ending:
    """What the coordinator knows of the end of a run of ``spec``."""

    spec: RunSpec
    lost: LostObjective | None
    processes: int
    on_loss: str


def merge_running(parts: Mapping[int, RunParts]) -> RunParts:
    """The run as it stands, without records and series, as far as its shards have reported."""
    # A shard that has ended has brought its records, and the others have none yet: half of them would look like all.
    light = [_lighten(each) for _, each in sorted(parts.items())]
    return light[0].merge(*light[1:])


def _lighten(parts: RunParts) -> RunParts:
    steps = None if parts.steps is None else replace(parts.steps, records=None)
    return replace(parts, records=None, numbers=None, series=Series(), steps=steps)


def merge_ended(parts: Sequence[RunParts], ending: Ending) -> RunParts:
    """The whole run. ``parts`` are those of every shard, in order."""
    merged = parts[0].merge(*parts[1:])
    return replace(merged, shards=tuple(_name_causes(merged, ending)))


def _name_causes(merged: RunParts, ending: Ending) -> Iterable[ShardReport]:
    reason = None if ending.lost is None else _explain_abort(merged, ending.spec, ending.lost)
    # Not part of the specification, since figures do not depend on it: a result says where it was measured.
    where: dict[str, Plain] = {"processes": ending.processes, "on_loss": ending.on_loss}
    for each in merged.shards:
        report = replace(each, environment={**each.environment, **where})
        if ending.lost is not None and each.status == "aborted":
            yield replace(report, reason=reason, lost=ending.lost.position)
        else:
            yield report


def _explain_abort(merged: RunParts, spec: RunSpec, lost: LostObjective) -> Reason:
    """Which objective, and how far the run went on after it was seen to be lost."""
    late, more = (merged.elapsed_ns - lost.seen_ns) / NS, merged.arrived - lost.arrived
    detail = f"{spec.objectives[lost.position]} could no longer be met, as was seen after {lost.seen_ns / NS:.3g} s"
    return Reason("objective_lost", f"{detail}; the run went on for {late:.2g} s, in which {more:,} more jobs arrived")
