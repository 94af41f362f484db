"""What people who watch a run see of it beside its totals, as plain data: objectives, times, groups, failures, shards.

Like every message it is read from a process in which a job runs, so its types are strict, and its size is bounded: an event
with it goes to each follower twice a second. What is left out here is in the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import msgspec

from aurea_engine.costs import Cost
from aurea_engine.processes.traffic import Whole
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import QUANTILES, count_samples_needed
from aurea_engine.results.figures import count_outcomes
from aurea_engine.results.objectives import find_failure_ratio
from aurea_engine.results.observers import Progress
from aurea_engine.results.result import ObjectiveResult
from aurea_engine.results.shard_figures import summarize_shards
from aurea_engine.run.meters import Meters
from aurea_engine.run.parts import RunParts

MOST_GROUPS = 16
"""Groups of a run that are told of while it runs, the first by their order."""

MOST_SHARDS = 32
MOST_TEXT = 200
"""Characters of a name or a remark."""

Text = Annotated[str, msgspec.Meta(max_length=MOST_TEXT)]
Named = Annotated[dict[Text, Whole], msgspec.Meta(max_length=MOST_GROUPS)]


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An interval."""

    low: float
    high: float


class Judged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An objective by the jobs that have ended, with the members that it has in a result."""

    objective: Text
    metric: Text
    outcome: Text
    observed: float | None
    detail: Text
    interval: Bounds | None


class GroupSoFar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The jobs of a group that have ended. ``p50``, ``p99``: of their response time, seconds."""

    name: Text
    arrived: Whole
    completed: Whole
    failed: Whole
    failure_ratio: float | None
    p50: float | None
    p99: float | None


class ShardSoFar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A process of the run, with members that it has in a result."""

    shard: Whole
    host: Text
    status: str | None
    jobs: Whole
    late_share: float | None
    worst_lag: float | None
    cpu: float
    busy: float


class SoFar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``response_time``: quantiles that enough jobs support, seconds. ``cost_per_success`` and ``cost_per_good``: money a
    job. ``failures``, ``statuses``: jobs by class of failure, and by the code that their target answered with.
    ``more_groups``: how many are left out. Of language models: ``first_token_p99``, seconds from the intended start, and
    ``output_tokens``, as many as were reported so far.
    """

    currency: Text = "USD"
    cost_per_success: float | None = None
    cost_per_good: float | None = None
    response_time: dict[Text, float | None] = {}
    objectives: Annotated[list[Judged], msgspec.Meta(max_length=100)] = []
    groups: Annotated[list[GroupSoFar], msgspec.Meta(max_length=MOST_GROUPS)] = []
    more_groups: Whole = 0
    failures: Named = {}
    statuses: Named = {}
    shards: Annotated[list[ShardSoFar], msgspec.Meta(max_length=MOST_SHARDS)] = []
    first_token_p99: float | None = None
    output_tokens: Whole | None = None


def make_so_far(progress: Progress, parts: RunParts | None = None, groups: Sequence[str] = ()) -> SoFar:
    """Of a report; ``parts``: the same as parts, which alone know of shards; ``groups``: those of the specification."""
    meters, bill = progress.meters, progress.bill
    # Meters that came from another process have their groups in the order of their names.
    named = [name for name in groups if name in meters.groups] or list(meters.groups)
    return SoFar(
        **_encode_bill(bill),
        response_time=_find_quantiles(meters.times["response_time"]),
        objectives=[_encode_objective(each) for each in progress.objectives[:100]],
        groups=[_describe_group(name, meters.groups[name]) for name in named[:MOST_GROUPS]],
        more_groups=max(len(named) - MOST_GROUPS, 0),
        failures=_take_most(progress.failures),
        statuses=_take_most(progress.statuses),
        shards=[] if parts is None else _describe_shards(parts),
        first_token_p99=_find_first_token(meters),
        output_tokens=meters.totals.get("output_tokens"),
    )


def _find_first_token(meters: Meters) -> float | None:
    times = meters.reported.get("first_token")
    return times.quantile(0.99) if times is not None and times.count else None


def _encode_bill(bill: Cost | None) -> dict[str, Any]:
    if bill is None:
        return {}
    shares = {"cost_per_success": bill.per_success, "cost_per_good": bill.per_good}
    return {
        "currency": bill.currency,
        **{name: None if share is None else float(share) for name, share in shares.items()},
    }


def _find_quantiles(times: LatencyHistogram) -> dict[str, float | None]:
    return {
        name: times.quantile(q) if times.count >= count_samples_needed(q) else None for name, q in QUANTILES.items()
    }


def _encode_objective(judged: ObjectiveResult) -> Judged:
    interval = judged.interval
    return Judged(
        objective=str(judged.objective)[:MOST_TEXT],
        metric=judged.objective.metric[:MOST_TEXT],
        outcome=judged.outcome,
        observed=judged.observed,
        detail=judged.detail[:MOST_TEXT],
        interval=None if interval is None else Bounds(interval.low, interval.high),
    )


def _describe_group(name: str, meters: Meters) -> GroupSoFar:
    counts, times = count_outcomes(meters.counts), meters.times["response_time"]
    return GroupSoFar(
        name=name[:MOST_TEXT],
        arrived=counts.arrived,
        completed=counts.completed,
        failed=counts.failed + counts.timed_out,
        failure_ratio=find_failure_ratio(counts),
        p50=times.quantile(0.5) if times.count else None,
        p99=times.quantile(0.99) if times.count >= count_samples_needed(0.99) else None,
    )


def _take_most(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent, since there are as many as what jobs raise has names."""
    chosen = sorted(counts.items(), key=lambda each: -each[1])[:MOST_GROUPS]
    return {name[:MOST_TEXT]: count for name, count in chosen}


def _describe_shards(parts: RunParts) -> list[ShardSoFar]:
    members = ShardSoFar.__struct_fields__
    each = [asdict(shard) for shard in summarize_shards(parts)[:MOST_SHARDS]]
    return [ShardSoFar(**{name: shard[name] for name in members}) for shard in each]
