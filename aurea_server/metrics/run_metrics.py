"""The metrics of runs: those in real time have families of their own, and so have simulated ones.

A run in virtual time serves a million jobs in a second: added to the real ones it would move every rate, every quantile and
the money by what never happened. Labels are of closed sets, each series is there at 0 from the start, and a figure that does
not exist is no sample: 0 s would be the best latency there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.samples import Exemplar

from aurea_engine import LatencyHistogram
from aurea_engine.closed_sets import FINDING_CODES, OBJECTIVE_OUTCOMES, OUTCOMES, STATUSES, VERDICTS
from aurea_engine.processes.messages import Snapshot, parse_ratio
from aurea_server.metrics.exemplars import Exemplars, ExemplarSource, Key
from aurea_server.metrics.judgement_metrics import JudgementMetrics
from aurea_server.metrics.money_labels import currency_label
from aurea_server.metrics.native_histograms import make_native
from aurea_server.metrics.protobuf import NativeFamily
from aurea_server.runner.messages import Figures

HISTOGRAMS = {
    "service": ("job_duration_seconds", "Service time of completed jobs: from start to finish."),
    "response": ("response_time_seconds", "Response time of completed jobs: from intended start to finish."),
    "waiting": ("waiting_time_seconds", "Waiting time of completed jobs: from intended start to start."),
    "lag": ("lag_seconds", "How late the generator itself released each job."),
}
"""Histogram of a report → its metric's name after the prefix, and what it says."""

ENDS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "run_outcomes": ("Runs by how they ended.", "status", STATUSES),
    "verdicts": ("Ended runs by verdict.", "verdict", VERDICTS),
    "findings": ("Findings by code.", "code", tuple(FINDING_CODES)),
    "objectives": ("Judged objectives.", "result", OBJECTIVE_OUTCOMES),
}
"""Counters that move when a run ends: what they say, their label and all of its values."""

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Clock(NamedTuple):
    """Runs of one clock. ``exponents``: powers of two that bound their buckets, s; ``histograms``: those that are shown."""

    prefix: str
    about: str
    exponents: range
    histograms: tuple[str, ...]


@dataclass
class Totals:
    """What counters count: sums over runs, exact."""

    outcomes: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, LatencyHistogram] = field(default_factory=dict)

    def add(self, now: Snapshot) -> None:
        """Take over what a run has counted."""
        self.outcomes.update(now.counts)
        for name, histogram in self.histograms.items():
            histogram.merge(now.histogram(name))

    def plus(self, now: Snapshot | None) -> Totals:
        """The sum, as a new object."""
        if now is None:
            return self
        # A copy: a scrape must not count the active run into the totals, or its end would count it again.
        both = Totals(self.outcomes.copy(), {name: histogram.copy() for name, histogram in self.histograms.items()})
        both.add(now)
        return both


@dataclass(frozen=True)
class Gauges:
    """The current run, or the last one. None: there is no such figure."""

    throughput: float | None = None
    mean_latency: float | None = None
    offered_rate: float | None = None
    utilization: float | None = None
    cost: float | None = None
    currency: str = "USD"
    in_flight: int = 0
    queued: int = 0
    start: float | None = None
    end: float | None = None


class RunMetrics:
    """Runs of one clock: each is started, updated now and then, and in the end finished, or failed without a result.

    ``at``: seconds since 1970. At most one run is active.
    """

    def __init__(self, clock: Clock, exemplars: Exemplars) -> None:
        self._clock, self._exemplars = clock, exemplars
        self._ended = Totals(histograms={name: LatencyHistogram() for name in clock.histograms})
        self._current: Snapshot | None = None
        self._gauges = Gauges()
        self._ends: dict[str, Counter[str]] = {name: Counter() for name in ENDS}
        self._judgement = JudgementMetrics(clock.prefix, clock.about)
        self._runs = self._in_progress = 0
        self._run_id = self._trace_id = ""

    def mark(self, at: float) -> ExemplarSource:
        """The run that is active, or was the last, and an instant at which it moved something."""
        return ExemplarSource(self._run_id, at, self._trace_id)

    def start_run(self, run_id: str, at: float, trace_id: str = "") -> None:
        """A run has begun."""
        self._run_id, self._trace_id = run_id, trace_id
        self._runs += 1
        self._in_progress += 1
        # All other figures of the last run are gone: until the new one reports, there is no throughput, and not the old
        # one.
        self._gauges = Gauges(start=at, end=self._gauges.end)
        self._judgement.start_run()
        self._exemplars.record(self._name("runs"), {(): 1}, self.mark(at))

    def update_run(self, now: Snapshot, at: float) -> None:
        """The current run's latest snapshot replaces the one before."""
        # Snapshots are cumulative, so the latest replaces those before; one that never arrives costs nothing.
        self._current = now
        self._judgement.update_run([each.outcome for each in now.so_far.objectives])
        self._gauges = replace(
            self._gauges,
            # Before the first job has ended there is no throughput, rather than one of 0.
            throughput=now.throughput if now.ended else None,
            mean_latency=now.mean_latency,
            offered_rate=now.offered_rate,
            utilization=now.utilization,
            cost=None if now.cost is None else parse_ratio(now.cost),
            currency=now.bill.currency,
            in_flight=now.in_flight,
            queued=now.queued,
        )
        run = self.mark(at)
        self._exemplars.record(self._name("jobs"), {(): now.ended}, run)
        # Only series that this run moved get its exemplar: see `Exemplars.record`.
        outcomes: dict[Key, int] = {(name,): now.counts.get(name, 0) for name in OUTCOMES}
        self._exemplars.record(self._name("job_outcomes"), outcomes, run)
        for name in self._clock.histograms:
            largest = now.histogram(name).le_largest(self._clock.exponents)
            self._exemplars.record_buckets(self._name(HISTOGRAMS[name][0]), largest, run)

    def finish_run(self, figures: Figures, at: float) -> None:
        """The current run has ended with a result."""
        self._close(figures.status, at)
        self._gauges = replace(
            self._gauges,
            throughput=figures.throughput,
            mean_latency=figures.mean_latency,
            offered_rate=figures.offered_rate,
            utilization=figures.utilization,
            cost=figures.total_cost,
            currency=figures.bill.currency,
        )
        # A scrape is answered by the same event loop, so it sees all of an end or nothing of it.
        self._judgement.end_run(figures.verdict, figures.objectives)
        self._count("verdicts", [figures.verdict or ""], at)
        self._count("findings", figures.findings, at)
        self._count("objectives", figures.objectives, at)

    def fail_run(self, status: str, at: float) -> None:
        """The current run has ended without a result."""
        self._judgement.end_run()
        self._close(status, at)

    def _close(self, status: str, at: float) -> None:
        self._in_progress -= 1
        # A status from a newer runner would be a new label: closed sets stay closed.
        self._count("run_outcomes", [status if status in STATUSES else "failed"], at)
        # What the run had counted stays counted, however it ended: jobs that ran did run.
        if self._current is not None:
            self._ended.add(self._current)
        self._current = None
        self._gauges = replace(self._gauges, in_flight=0, queued=0, end=at)

    def _count(self, name: str, values: Iterable[str], at: float) -> None:
        # Findings of installed packages have codes of their own, which are no labels.
        counted = Counter(value for value in values if value in ENDS[name][2])
        self._ends[name].update(counted)
        moved: dict[Key, int] = {(value,): count for value, count in counted.items()}
        self._exemplars.record(self._name(name), moved, self.mark(at))

    def counters(self) -> Iterator[Family]:
        """Totals that only ever grow."""
        totals = self._ended.plus(self._current)
        yield self._counter("runs", "Runs started.", self._runs)
        yield self._counter("jobs", "Jobs that reached an outcome.", sum(totals.outcomes.values()))
        yield self._labelled("job_outcomes", "Jobs by outcome.", "outcome", OUTCOMES, totals.outcomes)
        for name, (text, label, values) in ENDS.items():
            yield self._labelled(name, text, label, values, self._ends[name])
        for name in self._clock.histograms:
            yield self._histogram(*HISTOGRAMS[name], totals.histograms[name])

    def native_families(self) -> Iterator[NativeFamily]:
        """The histograms of `counters` once more, as native ones."""
        # Under names of their own: a Prometheus that takes the native form of a histogram drops its buckets, and panels
        # that ask for those would show nothing.
        totals = self._ended.plus(self._current)
        for name in self._clock.histograms:
            metric, text = HISTOGRAMS[name]
            native = self._name(f"{metric.removesuffix('_seconds')}_native_seconds")
            yield NativeFamily(native, self._text(text), make_native(totals.histograms[name]))

    def gauges(self) -> Iterator[Family]:
        """The current run, or the last one."""
        now, last = self._gauges, "of the current run, or the last"
        yield self._gauge("throughput_jobs_per_second", f"Completed jobs per second {last}.", now.throughput)
        yield self._gauge("mean_latency_seconds", f"Mean service time {last}.", now.mean_latency)
        yield self._gauge("offered_rate_jobs_per_second", f"Arriving jobs per second {last}.", now.offered_rate)
        text = "Share of the slots in use now, or over the last run."
        yield self._gauge("utilization_ratio", text, now.utilization)
        cost = GaugeMetricFamily(
            self._name("run_cost"), self._text(f"Cost {last}, in its currency."), labels=["currency"]
        )
        if now.cost is not None:
            cost.add_metric([currency_label(now.currency)], now.cost)
        yield cost
        yield self._gauge("in_flight_jobs", "Jobs in service now.", now.in_flight)
        yield self._gauge("queue_length_jobs", "Jobs waiting for a slot now.", now.queued)
        yield self._gauge("runs_in_progress", "Active runs.", self._in_progress)
        yield self._gauge("run_start_time_seconds", "When the latest run started, seconds since 1970.", now.start)
        yield self._gauge("run_end_time_seconds", "When the latest run that ended did, seconds since 1970.", now.end)
        yield from self._judgement.families()

    @property
    def dollars(self) -> float | None:
        """Cost of the current run, or the last, None if it is in another currency or has no price."""
        return self._gauges.cost if self._gauges.currency == "USD" else None

    def _name(self, name: str) -> str:
        return f"{self._clock.prefix}_{name}"

    def _text(self, text: str) -> str:
        return text + self._clock.about

    def _gauge(self, name: str, text: str, value: float | None) -> Family:
        return GaugeMetricFamily(self._name(name), self._text(text), value=value)

    def _counter(self, name: str, text: str, value: float) -> Family:
        metric = self._name(name)
        return CounterMetricFamily(metric, self._text(text), value=value, exemplar=self._exemplars.of(metric))

    def _labelled(self, name: str, text: str, label: str, values: Iterable[str], counts: Counter[str]) -> Family:
        metric = self._name(name)
        family = CounterMetricFamily(metric, self._text(text), labels=[label])
        for value in values:
            family.add_metric([value], counts[value], exemplar=self._exemplars.of(metric, (value,)))
        return family

    def _histogram(self, name: str, text: str, histogram: LatencyHistogram) -> Family:
        metric = self._name(name)
        counts = [(repr(le), float(count)) for le, count in histogram.le_counts(self._clock.exponents)]
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for number, (le, count) in enumerate([*counts, ("+Inf", float(histogram.count))]):
            exemplar = self._exemplars.of_bucket(metric, number)
            buckets.append((le, count) if exemplar is None else (le, count, exemplar))
        return HistogramMetricFamily(metric, self._text(text), buckets=buckets, sum_value=histogram.total_seconds)
