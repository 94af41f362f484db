"""From the parts of a run to its result: figures, cost, objectives, theory, findings.

`summarize` is pure: the same specification and parts give the same result, to the last bit, today on the machine that
measured and in a year on the one that stored them. No clock, no random number and no live object goes in.
"""

from __future__ import annotations

from dataclasses import replace

from aurea_engine.closed_sets import Reason, Status
from aurea_engine.costs import RunInfo, Usage, measure, price
from aurea_engine.records.batch import NS
from aurea_engine.records.failure_classes import fold_failures
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import CONFIDENCE
from aurea_engine.records.status_codes import name_statuses
from aurea_engine.results.checks import EndedRun, check_result
from aurea_engine.results.division import list_divided
from aurea_engine.results.figures import Figures, count_outcomes, work_out_figures
from aurea_engine.results.groups import ReportSummary, summarize_groups
from aurea_engine.results.objective_figures import judge_objective
from aurea_engine.results.result import Concurrency, ObjectiveResult, RunResult
from aurea_engine.results.run_state import RunState, is_heavy_tailed
from aurea_engine.results.shard_figures import summarize_shards
from aurea_engine.results.theory import predict_figures
from aurea_engine.results.theory_divided import predict_divided
from aurea_engine.results.theory_rows import compare_with_theory
from aurea_engine.run.job_times import name_from_start
from aurea_engine.run.meters import Meters
from aurea_engine.run.parts import RunParts, with_seed
from aurea_engine.spec import RunSpec


def summarize(spec: RunSpec, parts: RunParts, *, benchmark_id: str | None = None) -> RunResult:
    """The result of the run of ``spec`` that ``parts`` are of. ``benchmark_id``: its id, made from the run's start if
    none is given.

    Raises ValueError if ``parts`` are not of such a run, hold no shard, or one that has not ended.
    """
    if parts.status is None:
        raise ValueError("the run has not ended" if parts.shards else "there is no shard in these parts to summarize")
    spec, (status, reason) = with_seed(spec, parts), _find_status(parts)
    figures = work_out_figures(spec, parts)
    usage = _work_out_usage(parts, figures)
    reports = ReportSummary(figures.meters, figures.counted_jobs(), figures.length)
    started_at, counts = parts.started_at, count_outcomes(parts.meters.counts)
    result = RunResult(
        benchmark_id=benchmark_id or f"benchmark-{int(started_at.timestamp() * 1000)}",
        status=status,
        spec=spec,
        started_at=started_at,
        duration=figures.ended_ns / NS,
        window=figures.window,
        counts=counts,
        good=figures.meters.good_in_window,
        failures=fold_failures(figures.meters.failures),
        offered_rate=figures.offered_rate,
        throughput=figures.throughput,
        goodput=figures.goodput,
        utilization=figures.utilization,
        concurrency=Concurrency(figures.mean_concurrency, parts.peak),
        response_time=figures.times["response_time"],
        waiting_time=figures.times["waiting_time"],
        service_time=figures.times["service_time"],
        lag=figures.times["lag"],
        failure_time=figures.times["failure_time"],
        cost=price(usage, spec.cost),
        usage=usage,
        series=tuple(parts.series.points(figures.closed_ns)),
        series_width=parts.series.width,
        # All shards should run on the same kind of machine; where they do not, the first by index speaks for them.
        environment=dict(sorted(parts.shards[0].environment.items())),
        jobs=parts.records,
        steps=None if parts.steps is None else parts.steps.records,
        marks=reports.marks(spec.workload.schema),
        measures=reports.measures(spec.workload.schema),
        groups=summarize_groups(figures),
        statuses=name_statuses(figures.meters.statuses),
        reason=reason,
        histograms={**figures.meters.times, **_order_reported(figures.meters, spec)},
        shards=summarize_shards(parts),
        parts=parts,
    )
    return _judge(result, parts, figures)


def judge_again(result: RunResult, confidence: float) -> RunResult:
    """``result`` with its objectives judged at another ``confidence`` than 0.95, such as where several runs are judged one
    after the other. Raises ValueError if it was read from elsewhere, without the parts that it was computed from.
    """
    if result.parts is None:
        raise ValueError("only a result that was made here can be judged again: this one has no parts")
    figures = work_out_figures(result.spec, result.parts)
    return replace(result, objectives=_judge_objectives(result, result.parts, figures, confidence))


def _judge_objectives(
    result: RunResult, parts: RunParts, figures: Figures, confidence: float
) -> tuple[ObjectiveResult, ...]:
    # By position: two objectives may be equal, and then only the one that ended the run is lost for certain.
    return tuple(
        judge_objective(objective, result, figures, is_lost=i == parts.lost, confidence=confidence)
        for i, objective in enumerate(result.spec.objectives)
    )


def _order_reported(meters: Meters, spec: RunSpec) -> dict[str, LatencyHistogram]:
    """Histograms of what jobs reported, as it is declared, and not as jobs came to report it or as parts were stored: the
    same parts give the same text.
    """
    schema = spec.workload.schema
    names = [name for mark in schema.marks for name in (mark.name, name_from_start(mark))]
    names += [*(measure.name for measure in schema.measures), *(measure.name for measure in schema.run_measures)]
    return {name: meters.reported[name] for name in names if name in meters.reported}


def _find_status(parts: RunParts) -> tuple[Status, Reason | None]:
    """How the run ended, and why. A run of which shards are missing failed, however well the others did."""
    assert parts.status is not None
    if not parts.missing:
        return parts.status, parts.reason
    there, of = len(parts.shards), parts.shards[0].shard.of
    return "failed", Reason("shard_lost", f"only {there} of {of} shards of the run are in these parts")


def _judge(result: RunResult, parts: RunParts, figures: Figures) -> RunResult:
    spec = result.spec
    is_sample = result.status == "completed" and not parts.losses
    # Slots that were divided are other queues than the one that was asked for, and have a theory of their own.
    is_divided = bool(list_divided(spec, parts))
    predictions = predict_divided(spec, parts.shards[0].shard.of) if is_divided else predict_figures(spec)
    result = replace(
        result,
        objectives=_judge_objectives(result, parts, figures, CONFIDENCE),
        # Theory is of the whole workload: a run that was cut short or lost a shard is none of its samples.
        theory=tuple(compare_with_theory(result, figures, predictions)) if is_sample else (),
    )
    state = RunState(
        spec, parts, result.duration, result.cost.problem, parts.records is not None, is_heavy_tailed(spec)
    )
    return replace(result, findings=check_result(EndedRun(result, state, figures.is_steady)))


def _work_out_usage(parts: RunParts, figures: Figures) -> Usage:
    """What was metered of the whole run. What interval meters count of several parts does not add up: it is counted again
    from the merged records, and where there are none, the price says that it needs them.
    """
    spec, whole = figures.spec, figures.meters
    run = RunInfo(
        window_ns=figures.closed_ns,
        slots=spec.scheduler.slots,
        counts=dict(whole.counts),
        good=whole.good if whole.rules.binds_jobs else None,
        started_at=parts.started_at,
    )
    # Of one shard every meter's count is exact as it stands; a run is nearly always that.
    usage = parts.metered.usage(run)
    if len(parts.shards) == 1 or parts.records is None:
        return usage
    steps = None if parts.steps is None else parts.steps.records
    if parts.steps is not None and steps is None:
        return usage  # of steps nothing more can be counted, and of jobs alone it would be half a bill
    counted = measure(parts.records, run, spec.cost, steps=steps)
    # What did add up stands; a meter that broke in one shard stays broken, so that the result does not hide it.
    quanta = {key: counts for key, counts in counted.quanta.items() if key not in usage.broken}
    return replace(usage, quanta={**quanta, **usage.quanta}, broken={**counted.broken, **usage.broken})
