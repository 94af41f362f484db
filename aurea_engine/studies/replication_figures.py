"""The figures of one replication by their names, and the quantiles of the jobs of all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from aurea_engine.records.batch import NS, Instants
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import QUANTILES
from aurea_engine.results.objectives import find_failure_ratio
from aurea_engine.results.result import RunResult
from aurea_engine.results.statistics import Timing, summarize_histogram, summarize_values
from aurea_engine.run.job_times import SPANS, measure_reports, measure_times
from aurea_engine.spec import KEPT_JOBS

MILLION = 1_000_000


def list_figures(result: RunResult) -> dict[str, float | None]:
    """Every figure of a run that is compared over replications. Times in seconds, rates in jobs per second, money in the
    currency of the bill; a mark is the time from the intended start.
    """
    cost = result.cost
    figures = {
        "throughput": result.throughput,
        "goodput": result.goodput,
        "offered_rate": result.offered_rate,
        "utilization": result.utilization,
        "failure_ratio": find_failure_ratio(result.counts),
        "cost": None if cost.total is None else float(cost.total),
        "cost_per_million": None if cost.per_success is None else float(cost.per_success * MILLION),
    }
    for name, timing in list_timings(result):
        figures[f"{name}.mean"] = timing.mean
        figures |= {f"{name}.{quantile}": timing.quantile(quantile) for quantile in QUANTILES}
    return figures


def list_timings(result: RunResult) -> Iterator[tuple[str, Timing]]:
    """Every kind of time of a run, the marks, and the amounts of the measures, by name."""
    yield from ((name, getattr(result, name)) for name in SPANS)
    yield from ((name, mark.from_intended) for name, mark in result.marks.items())
    yield from ((name, measure.amounts) for name, measure in result.measures.items())


class PooledTimes:
    """The times of the jobs of several replications together: their values, as long as there are no more than are kept of
    one run, and their histograms.
    """

    def __init__(self) -> None:
        self.histograms: dict[str, LatencyHistogram] = {}
        self._values: dict[str, list[Instants]] | None = {}
        self._units: dict[str, int] = {}
        self._arrived = 0

    def add(self, result: RunResult, values: Mapping[str, Instants] | None) -> None:
        """Take over a replication. ``values``: what `take_values` made of it."""
        for name, histogram in result.histograms.items():
            self.histograms.setdefault(name, LatencyHistogram()).merge(histogram)
        self._units |= {name: measure.scale for name, measure in result.measures.items()}
        self._arrived += result.counts.arrived
        # All or none: a part of the jobs would pass for all.
        if values is None or self._values is None or self._arrived > KEPT_JOBS:
            self._values = None
            return
        for name, each in values.items():
            self._values.setdefault(name, []).append(each)

    def summarize(self) -> dict[str, Timing]:
        """Each kind of time over all jobs: exact where there are values, and within 0.4 % of histograms."""
        units = {name: self._units.get(name, NS) for name in self.histograms}
        if self._values is None:
            return {name: summarize_histogram(each, units[name]) for name, each in self.histograms.items()}
        return {
            name: summarize_values(np.concatenate(self._values[name]), unit)
            for name, unit in units.items()
            if name in self._values
        }


def take_values(result: RunResult) -> dict[str, Instants] | None:
    """The times of the jobs of a run that count, and what these reported, in whole numbers; None if no records were kept."""
    if result.jobs is None:
        return None
    warmup_ns = round(result.window[0] * NS)
    counted = result.jobs.only(result.jobs.intended >= warmup_ns) if warmup_ns else result.jobs
    return {**measure_times(counted), **measure_reports(counted)}


def find_pooled(name: str, pooled: Mapping[str, Timing]) -> float | None:
    """The quantile that a figure's ``name`` says, over all jobs; None where it says none."""
    kind, _, quantile = name.rpartition(".")
    return pooled[kind].quantile(quantile) if quantile in QUANTILES and kind in pooled else None


def count_all(values: Sequence[int | None]) -> int | None:
    """Their sum, None if one of them is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
