"""What jobs reported, and how each group of them fared: summarised like the run itself, by the same code.

A group is a filter over the jobs. So where records are kept, its times are computed from its own rows, and equal those of
anyone who filters the exported rows; where none are, they come from meters that were fed the group's jobs alone.
"""

from __future__ import annotations

from dataclasses import replace

from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.records.failure_classes import fold_failures
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Measure, Schema
from aurea_engine.records.reports import MOST
from aurea_engine.records.status_codes import STATUS, name_statuses
from aurea_engine.results.figures import Figures, count_outcomes, summarize_times
from aurea_engine.results.result import GroupResult, MarkTimes, MeasureAmounts
from aurea_engine.results.statistics import Timing, summarize_histogram, summarize_values
from aurea_engine.run.job_times import measure_reports, name_from_start
from aurea_engine.run.meters import Meters


class ReportSummary:
    """Summaries of what the jobs of ``meters`` reported. ``counted``: their rows after the warm-up, None without records;
    ``length``: of the window, s.
    """

    def __init__(self, meters: Meters, counted: JobBatch | None, length: float) -> None:
        self._meters, self._length = meters, length
        self._values = None if counted is None else measure_reports(counted)

    def marks(self, schema: Schema) -> dict[str, MarkTimes]:
        """Of every mark of ``schema``, by name."""
        return {
            mark.name: MarkTimes(self._summarize(mark.name, NS), self._summarize(name_from_start(mark), NS))
            for mark in schema.marks
        }

    def measures(self, schema: Schema) -> dict[str, MeasureAmounts]:
        """Of every measure of ``schema``, by name."""
        return {measure.name: self._measure(measure) for measure in schema.measures} | {
            measure.name: self._measure_of_run(measure) for measure in schema.run_measures
        }

    def _measure(self, measure: Measure) -> MeasureAmounts:
        # Of a name there is no sum and no mean: all that can be said is how many jobs have one.
        if measure == STATUS:
            return MeasureAmounts(measure.unit, measure.scale, None, Timing(self._meters.statuses.total()))
        if measure.is_ratio:
            return MeasureAmounts(measure.unit, measure.scale, None, self._summarize(measure.name, measure.scale))
        total = self._meters.totals[measure.name]
        # JSON has no whole number beyond 64 bits that all readers take.
        whole = measure.to_unit(total) if total <= MOST else total / measure.scale
        amounts = self._summarize(measure.name, measure.scale)
        return MeasureAmounts(measure.unit, measure.scale, whole, amounts, self._find_rate(measure))

    def _find_rate(self, measure: Measure) -> float | None:
        # Parts of earlier versions have no such sum.
        amount = self._meters.window_totals.get(measure.name)
        return amount / measure.scale / self._length if amount is not None and self._length else None

    def _measure_of_run(self, measure: Measure) -> MeasureAmounts:
        histogram = self._meters.reported.get(measure.name, LatencyHistogram())
        return MeasureAmounts(measure.unit, measure.scale, None, summarize_histogram(histogram, measure.scale))

    def _summarize(self, name: str, unit: int) -> Timing:
        if self._values is None:
            return summarize_histogram(self._meters.reported.get(name, LatencyHistogram()), unit)
        # A run in which no job ended has no columns, and no values either.
        return summarize_values(self._values[name], unit) if name in self._values else Timing(0)


def summarize_groups(figures: Figures) -> tuple[GroupResult, ...]:
    """Every group of the workload, in its order: the groups of jobs, then the steps."""
    schema, steps = figures.spec.workload.schema, figures.steps
    jobs = (_summarize_group(name, schema, figures) for name in schema.groups)
    # Parts that were measured by a version without steps have none, whatever the jobs are now.
    of_steps = () if steps is None else schema.steps
    return (*jobs, *(_summarize_step(name, schema, figures) for name in of_steps))


def _summarize_step(name: str, schema: Schema, figures: Figures) -> GroupResult:
    assert figures.steps is not None
    return replace(_summarize_group(name, schema, figures), not_reached=figures.steps.not_reached.get(name, 0))


def _summarize_group(name: str, schema: Schema, figures: Figures) -> GroupResult:
    meters, jobs = figures.meters_of(name), figures.counted_of(name)
    times, reports = summarize_times(meters, jobs), ReportSummary(meters, jobs, figures.length)
    return GroupResult(
        name,
        count_outcomes(meters.counts),
        fold_failures(meters.failures),
        times["response_time"],
        times["waiting_time"],
        times["service_time"],
        times["lag"],
        reports.marks(schema),
        reports.measures(schema),
        statuses=name_statuses(meters.statuses),
    )
