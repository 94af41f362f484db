"""The one result of a repeated run: totals of what was done and spent, means of what was measured, and the verdict of all.

Totals are of every replication that came to a result, also of one that was cut short: its jobs ran, and were paid for. Rates
and times are means over the replications that completed. Where none did, they are those of what there is, without intervals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from aurea_engine.closed_sets import Reason, Status
from aurea_engine.records.failure_classes import fold_failures
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import QUANTILES
from aurea_engine.results.replications import Replication, Replications, Spread
from aurea_engine.results.result import Concurrency, Counts, GroupResult, MarkTimes, MeasureAmounts, RunResult
from aurea_engine.results.statistics import Timing
from aurea_engine.run.job_times import SPANS
from aurea_engine.run.parts import SERIOUS_FIRST
from aurea_engine.spec import RunSpec
from aurea_engine.studies.combined_bill import add_bills, add_usages
from aurea_engine.studies.combined_judgement import find_outlying, judge_objectives, merge_findings, merge_theory
from aurea_engine.studies.figure_spread import find_interval, find_mean, spread_figure
from aurea_engine.studies.replication_figures import PooledTimes, count_all, find_pooled, list_figures


@dataclass(frozen=True)
class EndedReplication:
    """One that has ended: with a ``result``, whose records are gone, or with the ``reason`` why there is none."""

    number: int
    seed: int
    result: RunResult | None
    reason: Reason | None = None

    def describe(self) -> Replication:
        """What the result of the whole says of it."""
        result = self.result
        if result is None:
            return Replication(self.number, self.seed, "failed", None, self.reason)
        return Replication(
            self.number,
            self.seed,
            result.status,
            result.verdict,
            result.reason,
            result.counts.arrived,
            result.counts.completed,
            tuple(finding.code for finding in result.findings),
            {name: figure for name, figure in list_figures(result).items() if figure is not None},
        )


def combine(
    spec: RunSpec,
    asked: int,
    ended: Sequence[EndedReplication],
    pooled: PooledTimes,
    *,
    until: float | None = None,
    stopped: Status | None = None,
) -> RunResult:
    """The result of the replications of ``spec`` that have ``ended``, in order; one of them at least came to a result.

    ``pooled``: the times of those that completed. ``stopped``: what ended the study before all of them had begun.
    """
    numbered = {each.number: each.result for each in ended if each.result is not None}
    counted = {number: result for number, result in numbered.items() if result.status == "completed"}
    there, sample = list(numbered.values()), list((counted or numbered).values())
    spreads = _spread_all(counted, pooled)
    replications = Replications(asked, tuple(each.describe() for each in ended), spreads, until)
    status, reason = _find_end(replications, stopped)
    first = there[0]
    whole = replace(
        first,
        **_sum_up(there),
        **_average(sample),
        spec=spec,
        status=status,
        reason=reason,
        started_at=min(result.started_at for result in there),
        environment={**first.environment, "repeat": asked},
        groups=_combine_groups(there, sample),
        histograms=pooled.histograms or _merge_histograms(there),
        theory=merge_theory(list(counted.values())),
        series=(),
        shards=(),
        jobs=None,
        steps=None,
        parts=None,
        replications=replications,
    )
    return replace(
        whole,
        objectives=judge_objectives(spec, numbered, asked),
        findings=merge_findings(numbered, len(ended), find_outlying(replications)),
    )


def _spread_all(counted: Mapping[int, RunResult], pooled: PooledTimes) -> tuple[Spread, ...]:
    figures, together = {number: list_figures(result) for number, result in counted.items()}, pooled.summarize()
    names = next(iter(figures.values()), {})
    found = (
        spread_figure(name, {number: each.get(name) for number, each in figures.items()}, find_pooled(name, together))
        for name in names
    )
    return tuple(spread for spread in found if spread is not None)


def _find_end(replications: Replications, stopped: Status | None) -> tuple[Status, Reason | None]:
    each, done = replications.each, len(replications.counted)
    statuses = {replication.status for replication in each} | ({stopped} if stopped is not None else set())
    status = next(status for status in SERIOUS_FIRST if status in statuses)
    if status == "completed":
        return status, None
    usual = Reason.usual(status)
    first = next((one.reason for one in each if one.status == status and one.reason is not None), usual)
    assert first is not None
    left = [f"{one.number} ({one.status})" for one in each if not one.counts]
    cut = f", and {replications.asked - len(each)} were not begun" if stopped is not None else ""
    who = f" (not in the figures: {', '.join(left)})" if left else ""
    detail = f"{done} of {replications.asked} replications completed{who}{cut}: {first.detail}"
    return status, Reason(first.code, detail)


# --- Totals ----------------------------------------------------------------------------------------------------------


def _sum_up(there: Sequence[RunResult]) -> dict[str, Any]:
    return {
        "counts": _sum_counts([result.counts for result in there]),
        "good": sum(result.good for result in there),
        "failures": _sum_failures(result.failures for result in there),
        "statuses": _sum_named(result.statuses for result in there),
        "duration": sum(result.duration for result in there),
        "cost": add_bills([result.cost for result in there]),
        "usage": add_usages([result.usage for result in there]),
    }


def _sum_counts(counts: Sequence[Counts]) -> Counts:
    return Counts(**{each.name: sum(getattr(one, each.name) for one in counts) for each in fields(Counts)})


def _sum_named(counted: Iterable[Mapping[str, int]]) -> dict[str, int]:
    whole = Counter[str]()
    for each in counted:
        whole.update(each)
    return dict(sorted(whole.items()))


def _sum_failures(counted: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return fold_failures(_sum_named(counted))


def _merge_histograms(there: Sequence[RunResult]) -> dict[str, LatencyHistogram]:
    pooled = PooledTimes()
    for result in there:
        pooled.add(result, None)
    return pooled.histograms


# --- Means -----------------------------------------------------------------------------------------------------------

RATES = ("offered_rate", "throughput", "goodput", "utilization")


def _average(sample: Sequence[RunResult]) -> dict[str, Any]:
    def mean_of(get: Callable[[RunResult], float | None]) -> float | None:
        return _mean_known([get(result) for result in sample])

    peaks = [result.concurrency.peak for result in sample]
    concurrency = Concurrency(
        mean_of(lambda result: result.concurrency.mean), None if None in peaks else max(filter(None, peaks), default=0)
    )
    windows = tuple(find_mean([result.window[end] for result in sample]) for end in (0, 1))
    return {
        "window": windows,
        "concurrency": concurrency,
        **{name: _mean_known([getattr(result, name) for result in sample]) for name in RATES},
        **{name: combine_timings([getattr(result, name) for result in sample]) for name in SPANS},
        "marks": _combine_marks([result.marks for result in sample]),
        "measures": _combine_measures([result.measures for result in sample]),
    }


def _mean_known(values: Sequence[float | None]) -> float | None:
    """Their mean; None where one of them has none."""
    known = [value for value in values if value is not None]
    return find_mean(known) if known and len(known) == len(values) else None


def combine_timings(timings: Sequence[Timing]) -> Timing:
    """One kind of time over replications: means of their figures, with intervals over them, and the extremes of all."""

    def column(name: str) -> list[float | None]:
        return [getattr(timing, name) for timing in timings]

    def interval_of(name: str) -> list[float]:
        return [value for value in column(name) if value is not None]

    whole = {name: _mean_known(column(name)) for name in ("mean", "std", *QUANTILES)}
    found = {name: find_interval(interval_of(name)) for name in ("mean", *QUANTILES) if whole[name] is not None}
    # Extremes are of those that have any: a replication without a single failure has no least time of one.
    least, most = ([value for value in column(name) if value is not None] for name in ("min", "max"))
    return Timing(
        sum(timing.count for timing in timings),
        **whole,
        min=min(least, default=None),
        max=max(most, default=None),
        mean_interval=found.pop("mean", None),
        intervals=tuple((name, interval) for name, interval in found.items() if interval is not None),
        exact=all(timing.exact for timing in timings),
    )


def _combine_marks(marks: Sequence[Mapping[str, MarkTimes]]) -> dict[str, MarkTimes]:
    return {
        name: MarkTimes(
            combine_timings([each[name].from_intended for each in marks]),
            combine_timings([each[name].from_start for each in marks]),
        )
        for name in marks[0]
    }


def _combine_measures(measures: Sequence[Mapping[str, MeasureAmounts]]) -> dict[str, MeasureAmounts]:
    def total(name: str) -> float | None:
        known = [amount for each in measures if (amount := each[name].total) is not None]
        return sum(known) if len(known) == len(measures) else None

    return {
        name: replace(
            first,
            total=total(name),
            amounts=combine_timings([each[name].amounts for each in measures]),
            rate=_mean_known([each[name].rate for each in measures]),
        )
        for name, first in measures[0].items()
    }


def _combine_groups(there: Sequence[RunResult], sample: Sequence[RunResult]) -> tuple[GroupResult, ...]:
    """Each group as the whole: counts of all, times of those that count."""
    return tuple(
        _combine_group([result.groups[k] for result in there], [result.groups[k] for result in sample])
        for k in range(len(there[0].groups))
    )


def _combine_group(there: Sequence[GroupResult], sample: Sequence[GroupResult]) -> GroupResult:
    times = ("response_time", "waiting_time", "service_time", "lag")
    return GroupResult(
        there[0].name,
        _sum_counts([group.counts for group in there]),
        _sum_failures(group.failures for group in there),
        **{name: combine_timings([getattr(group, name) for group in sample]) for name in times},
        marks=_combine_marks([group.marks for group in sample]),
        measures=_combine_measures([group.measures for group in sample]),
        not_reached=count_all([group.not_reached for group in there]),
        statuses=_sum_named(group.statuses for group in there),
    )
