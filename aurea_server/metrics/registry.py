"""The Prometheus registry of an app: one collector, on a registry of its own, so that two apps in one process stay apart.

Jobs reach it in batches: a run's snapshots carry histograms that were filled by vector operations, and `collect` turns them
into families when a scraper asks. Nothing is done per job, and counters come from exact totals, so adding a billionth of
a dollar a million times loses nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from platform import python_version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from aurea_engine import engine_version
from aurea_engine.processes.messages import Snapshot
from aurea_server.metrics.composition_metrics import CompositionMetrics
from aurea_server.metrics.cost_metrics import CostMetrics
from aurea_server.metrics.exemplars import Exemplars
from aurea_server.metrics.protobuf import NativeFamily
from aurea_server.metrics.run_metrics import Clock, RunMetrics
from aurea_server.metrics.search_metrics import SearchMetrics
from aurea_server.metrics.target_metrics import TargetMetrics
from aurea_server.runner.messages import Figures

SMALLEST, LARGEST = -20, 25
"""Exponents of the least and the greatest bucket: 2⁻²⁰ s is a microsecond, 2²⁵ s is a year."""

SLACK = 10.0
"""Seconds by which a job may outlast the longest run: a run that is stopped has a few before its process is killed."""


def exponents_to(seconds: float) -> range:
    """Powers of two that bound buckets up to ``seconds``: never fewer than up to 2⁷ s, nor more than up to a year."""
    # log2 of the longest duration, rounded up: its bucket must exist, or a quantile near it would be cut off.
    most = min(LARGEST, math.ceil(math.log2(min(seconds + SLACK, 2.0**LARGEST))))
    return range(SMALLEST, max(most, 7) + 1)


class BenchmarkMetrics(Collector):
    """Collects for one app. A run is started, updated now and then, and in the end finished, or failed without a result.

    ``longest``: seconds that a run in real time may last, which its buckets reach; ``now``: seconds since 1970.
    """

    def __init__(self, loop: str, longest: float = 900.0, now: Callable[[], float] = time.time) -> None:
        self._loop, self._now, self.created = loop, now, now()
        exemplars = Exemplars()
        simulated = Clock(
            "benchmark_simulated", " Of simulated runs, in their virtual time.", exponents_to(math.inf), ()
        )
        # Virtual time is never late, so it has no lag to show.
        simulated = simulated._replace(histograms=("service", "response", "waiting"))
        real = Clock("benchmark", "", exponents_to(longest), ("service", "response", "waiting", "lag"))
        self._clocks = {
            "real": (RunMetrics(real, exemplars), CostMetrics(real.prefix, exemplars)),
            "virtual": (RunMetrics(simulated, exemplars), CostMetrics(simulated.prefix, exemplars)),
        }
        self._targets = TargetMetrics(real.prefix, exemplars)
        self._composition = CompositionMetrics(real.prefix, exemplars)
        # Which clock's families a run moves is decided by its start; until then, by none.
        self._runs, self._costs = self._clocks["real"]
        self._waiting = 0
        self.searches = SearchMetrics()

    def set_waiting(self, runs: int) -> None:
        """So many runs wait for their turn."""
        self._waiting = runs

    def start_run(self, run_id: str = "", clock: str = "real", trace_id: str = "") -> None:
        """A run has begun; all that follows is about it. ``clock``: real or virtual; ``trace_id``: of `ExemplarSource`."""
        self._runs, self._costs = self._clocks[clock]
        self._runs.start_run(run_id, self._now(), trace_id)
        if clock == "real":
            self._composition.start_run()

    def update_run(self, now: Snapshot) -> None:
        """The current run's latest snapshot replaces the one before."""
        at = self._now()
        self._runs.update_run(now, at)
        self._costs.update_run(now.bill, self._runs.mark(at))
        # In virtual time nothing is sent, and what is said to have failed did not.
        if self._runs is self._clocks["real"][0]:
            self._targets.update_run(now.traffic, self._runs.mark(at))
            self._composition.update_run(now, self._runs.mark(at))

    def finish_run(self, figures: Figures) -> None:
        """The current run has ended with a result."""
        at = self._now()
        self._runs.finish_run(figures, at)
        self._costs.end_run(figures.bill, self._runs.mark(at))
        self._targets.end_run()
        self._composition.end_run()

    def fail_run(self, status: str) -> None:
        """The current run has ended without a result."""
        at = self._now()
        self._runs.fail_run(status, at)
        self._costs.end_run(None, self._runs.mark(at))
        self._targets.end_run()
        self._composition.end_run()

    def native_families(self) -> Iterator[NativeFamily]:
        """The histograms once more, as native ones."""
        for runs, _ in self._clocks.values():
            yield from runs.native_families()

    def list_run(self) -> tuple[Iterator[Metric], Iterator[NativeFamily]]:
        """The families of the latest run's clock, and its native histograms: all that a command with one run has to tell."""
        is_real = self._runs is self._clocks["real"][0]
        return self._real_families() if is_real else self._simulated_families(), self._runs.native_families()

    def describe(self) -> Iterable[Metric]:
        """The names, for requests that ask for some of them: ``/metrics?name[]=…``."""
        # Without it prometheus_client would collect at registration to learn the names, and again for each filter.
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """All families, from totals that only ever grow."""
        yield from self._real_families()
        yield GaugeMetricFamily(
            "benchmark_runs_queued", "Runs of any clock that wait for their turn.", value=self._waiting
        )
        yield from self._simulated_families()
        yield from self.searches.families()
        build = InfoMetricFamily("benchmark_build", "What serves.")
        build.add_metric([], {"version": engine_version(), "python": python_version(), "loop": self._loop})
        yield build

    def _real_families(self) -> Iterator[Metric]:
        runs, costs = self._clocks["real"]
        yield from runs.counters()
        yield from runs.gauges()
        text = "Cost of the current run, or the last, in US dollars. A gauge in spite of its name, kept for old dashboards."
        yield GaugeMetricFamily("benchmark_cost_total", text, value=runs.dollars)
        yield from costs.families()
        yield from self._targets.families()
        yield from self._composition.families()

    def _simulated_families(self) -> Iterator[Metric]:
        runs, costs = self._clocks["virtual"]
        yield from runs.counters()
        yield from runs.gauges()
        yield from costs.total_family()


class Registry(CollectorRegistry):
    """A registry of one app: ``metrics``, and the figures of the process itself. ``native``: whether histograms are also
    shown as native ones, to those who read protobuf.
    """

    def __init__(self, metrics: BenchmarkMetrics, *, native: bool = False) -> None:
        super().__init__()
        self.created, self.native, self._metrics = metrics.created, native, metrics
        self.register(metrics)
        # Its own registry has none of the defaults, which register themselves with the global one.
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self)

    def native_families(self, names: Collection[str] = ()) -> list[NativeFamily]:
        """The native histograms; of those that are ``names`` only, if there are any."""
        families = self._metrics.native_families() if self.native else ()
        return [family for family in families if not names or family.name in names]


UNDATED = frozenset(
    [
        "benchmark_billed_quantity",
        "benchmark_findings",
        "benchmark_group_jobs",
        "benchmark_search_outcomes",
        "benchmark_simulated_findings",
    ]
)
"""Counters whose creation times are left out: each is many series."""


class WithCreationTimes(Collector):
    """What ``registry`` collects, each counter that has moved with the time since which it counts.

    OpenMetrics has a place for it. In the text format it would be one more gauge per counter. A series that is scraped at 0
    first increases without it.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry, self._created = registry, registry.created

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            if family.name.startswith("benchmark_") and family.type in ("counter", "histogram"):
                family.samples = list(self._with_created(family))
            yield family

    def _with_created(self, family: Metric) -> Iterator[Sample]:
        # Each of them is many series: the promised number of series matters more than their creation times.
        if family.name in UNDATED:
            yield from family.samples
            return
        last = "_sum" if family.type == "histogram" else "_total"
        for sample in family.samples:
            yield sample
            # One without labels has it from the start: there are few of them, and a reader sees when the server began.
            if sample.name == family.name + last and (sample.value or not sample.labels):
                yield Sample(family.name + "_created", sample.labels, self._created)
