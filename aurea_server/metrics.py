"""What Prometheus sees. One collector an app, on a registry of its own.

Jobs reach it in batches: a run's snapshots carry histograms that were filled by vector operations, and `collect` turns them
into families when somebody scrapes. Nothing is done per job, and counters come from exact totals, so adding a billionth of
a dollar a million times loses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from platform import python_version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from aurea_engine import FINAL, FINDING_CODES, LatencyHistogram, engine_version
from aurea_server.reports import Figures, Snapshot, ratio
from aurea_server.spending import Spending

STATUSES = ("completed", "failed", "cancelled", "timed_out", "aborted", "interrupted")
VERDICTS = ("valid", "degraded", "invalid")
OBJECTIVES = ("met", "missed", "inconclusive")
HISTOGRAMS = {
    "service": ("benchmark_job_duration_seconds", "Service time of completed jobs: from start to finish."),
    "response": ("benchmark_response_time_seconds", "Response time of completed jobs: from intended start to finish."),
    "waiting": ("benchmark_waiting_time_seconds", "Waiting time of completed jobs: from intended start to start."),
    "lag": ("benchmark_lag_seconds", "How late the generator itself released each job."),
}

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily


@dataclass
class Totals:
    """What counters count: sums over runs, exact."""

    outcomes: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, LatencyHistogram] = field(
        default_factory=lambda: {name: LatencyHistogram() for name in HISTOGRAMS}
    )

    def add(self, now: Snapshot) -> None:
        """Take over what a run has counted."""
        self.outcomes.update(now.counts)
        for name, histogram in self.histograms.items():
            histogram.merge(now.histogram(name))

    def with_(self, now: Snapshot | None) -> Totals:
        """The sum, as a new object."""
        both = Totals(self.outcomes.copy(), {name: histogram.copy() for name, histogram in self.histograms.items()})
        if now is not None:
            both.add(now)
        return both


@dataclass(frozen=True)
class Gauges:
    """The current run, or the last one."""

    throughput: float = 0.0
    mean_latency: float = 0.0
    cost: float = 0.0
    offered_rate: float = 0.0
    utilization: float = 0.0
    in_flight: int = 0
    queued: int = 0


class BenchmarkMetrics(Collector):
    """Collects for one app. A run is `started`, `progressed` now and then, and `finished` or `broken` in the end."""

    def __init__(self, loop: str) -> None:
        self._loop = loop
        self._ended = Totals()
        self._current: Snapshot | None = None
        self._gauges = Gauges()
        self._runs = 0
        self._statuses: Counter[str] = Counter()
        self._verdicts: Counter[str] = Counter()
        self._findings: Counter[str] = Counter()
        self._objectives: Counter[str] = Counter()
        self._spending = Spending()
        self.in_progress = 0
        self.waiting = 0

    def started(self) -> None:
        """A run has begun."""
        self._runs += 1
        self.in_progress += 1
        self._gauges = Gauges()

    def progressed(self, now: Snapshot) -> None:
        """The current run as it stands replaces what it was at its last report."""
        self._current = now
        self._spending.progressed(now.bill)
        self._gauges = Gauges(
            now.throughput,
            now.mean_latency or 0.0,
            0.0 if now.cost is None else ratio(now.cost),
            now.arrived / now.elapsed if now.elapsed else 0.0,
            now.utilization or 0.0,
            now.in_flight,
            now.queued,
        )

    def finished(self, figures: Figures) -> None:
        """The current run has ended with a result."""
        self._close(figures.status)
        self._gauges = Gauges(
            figures.throughput or 0.0,
            figures.mean_latency or 0.0,
            figures.total_cost or 0.0,
            figures.offered_rate or 0.0,
            figures.utilization or 0.0,
        )
        if figures.verdict in VERDICTS:
            self._verdicts[figures.verdict] += 1
        self._findings.update(code for code in figures.findings if code in FINDING_CODES)
        self._objectives.update(outcome for outcome in figures.objectives if outcome in OBJECTIVES)
        self._spending.ended(figures.bill)

    def broken(self, status: str) -> None:
        """The current run has ended without a result."""
        self._close(status)
        self._spending.ended(None)

    def _close(self, status: str) -> None:
        self.in_progress -= 1
        self._statuses[status if status in STATUSES else "failed"] += 1
        if self._current is not None:
            self._ended.add(self._current)
        self._current = None
        self._gauges = replace(self._gauges, in_flight=0, queued=0)

    def describe(self) -> Iterable[Family]:
        """The names, for those who ask for some of them: ``/metrics?name[]=…``."""
        return self.collect()

    def collect(self) -> Iterator[Family]:
        """All families, from totals that only ever grow."""
        totals = self._ended.with_(self._current)
        yield _counter("benchmark_runs", "Runs started.", self._runs)
        yield _counter("benchmark_jobs", "Jobs that reached an outcome.", sum(totals.outcomes.values()))
        outcomes = {outcome.name.lower(): totals.outcomes[outcome.name.lower()] for outcome in FINAL}
        yield _labelled("benchmark_job_outcomes", "Jobs by outcome.", "outcome", outcomes)
        yield from self._gauge_families()
        for name, (metric, text) in HISTOGRAMS.items():
            yield _histogram(metric, text, totals.histograms[name])
        yield _labelled("benchmark_run_outcomes", "Runs by how they ended.", "status", _all(STATUSES, self._statuses))
        yield _labelled("benchmark_verdicts", "Ended runs by verdict.", "verdict", _all(VERDICTS, self._verdicts))
        yield _labelled("benchmark_findings", "Findings by code.", "code", _all(FINDING_CODES, self._findings))
        yield _labelled("benchmark_objectives", "Judged objectives.", "result", _all(OBJECTIVES, self._objectives))
        yield from self._spending.families()
        build = InfoMetricFamily("benchmark_build", "What serves.")
        build.add_metric([], {"version": engine_version(), "python": python_version(), "loop": self._loop})
        yield build

    def _gauge_families(self) -> Iterator[Family]:
        now = self._gauges
        last = "of the current run, or the last"
        yield _gauge("benchmark_throughput_jobs_per_second", f"Completed jobs per second {last}.", now.throughput)
        yield _gauge("benchmark_mean_latency_seconds", f"Mean service time {last}.", now.mean_latency)
        yield _gauge(
            "benchmark_cost_total", f"Cost {last}. A gauge in spite of its name, kept for old dashboards.", now.cost
        )
        yield _gauge("benchmark_offered_rate_jobs_per_second", f"Arriving jobs per second {last}.", now.offered_rate)
        yield _gauge(
            "benchmark_utilization_ratio", "Share of the slots in use now, or over the last run.", now.utilization
        )
        yield _gauge("benchmark_in_flight_jobs", "Jobs in service now.", now.in_flight)
        yield _gauge("benchmark_queue_length_jobs", "Jobs waiting for a slot now.", now.queued)
        yield _gauge("benchmark_runs_in_progress", "Runs that are on.", self.in_progress)
        yield _gauge("benchmark_runs_queued", "Runs that wait for their turn.", self.waiting)


def _all(names: Iterable[str], counts: Counter[str]) -> dict[str, int]:
    """Every name of a closed set, those that never came with 0: a rate needs a first value."""
    return {name: counts[name] for name in names}


def _counter(name: str, text: str, value: float) -> Family:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Family:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> Family:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, text: str, histogram: LatencyHistogram) -> Family:
    buckets = [(repr(le), float(count)) for le, count in histogram.le_counts()]
    buckets.append(("+Inf", float(histogram.count)))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=histogram.total_seconds)


def new_registry(metrics: BenchmarkMetrics) -> CollectorRegistry:
    """A registry of this app alone, with the process's own figures beside ``metrics``."""
    registry = CollectorRegistry()
    registry.register(metrics)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry
