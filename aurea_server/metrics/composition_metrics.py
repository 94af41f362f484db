"""What a run in real time is composed of: the groups of its jobs, and the processes that execute it.

A group is known by its position, from 1 on in the order of the specification, and a process by the number of its shard,
from 0 on: a name is a client's text. Those beyond the last that has series of its own are `OTHER` together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from aurea_engine.closed_sets import OTHER
from aurea_engine.processes.messages import Snapshot
from aurea_engine.processes.so_far import MOST_GROUPS, ShardSoFar
from aurea_server.metrics.exemplars import Exemplars, ExemplarSource, Key

MOST_SHARDS = 16
"""Shards with series of their own."""

GROUPS = (*(str(position) for position in range(1, MOST_GROUPS + 1)), OTHER)
GROUP_OUTCOMES = ("completed", "failed")
"""Of the jobs of a group; a timeout counts as failed."""

Family = CounterMetricFamily | GaugeMetricFamily
Counts = Counter[Key]
"""Jobs by group and outcome."""


class CompositionMetrics:
    """Sums over all runs by group; and of the current run, or the last, what its groups and its processes do."""

    def __init__(self, prefix: str, exemplars: Exemplars) -> None:
        self._prefix, self._exemplars = prefix, exemplars
        self._ended: Counts = Counter()
        self._current, self._is_active = Snapshot(), False

    def start_run(self) -> None:
        """A run has begun, of which nothing is known yet."""
        self._current, self._is_active = Snapshot(), True

    def update_run(self, now: Snapshot, run: ExemplarSource) -> None:
        """The current run's latest snapshot replaces the one before."""
        self._current = now
        self._exemplars.record(self._name("group_jobs"), count_groups(now), run)

    def end_run(self) -> None:
        """It has ended, however: its jobs stay counted, and its processes are gone."""
        if self._is_active:
            self._ended += count_groups(self._current)
        self._is_active = False

    def families(self) -> Iterator[Family]:
        """Counters from the start of the server; gauges only of what there is."""
        jobs = self._ended + (count_groups(self._current) if self._is_active else Counter())
        metric = self._name("group_jobs")
        text = "Jobs by the position of their group, from 1 on; other: of all groups after those."
        counter = CounterMetricFamily(metric, text, labels=["group", "outcome"])
        for group in GROUPS:
            for outcome in GROUP_OUTCOMES:
                key = (group, outcome)
                counter.add_metric(list(key), jobs[key], exemplar=self._exemplars.of(metric, key))
        yield counter
        yield from self._group_times()
        yield from self._shards()

    def _group_times(self) -> Iterator[Family]:
        for name in ("p50", "p99"):
            text = f"The {name} of the response time of a group of the current run, or the last."
            family = GaugeMetricFamily(self._name(f"group_response_time_{name}_seconds"), text, labels=["group"])
            for position, group in enumerate(self._current.so_far.groups, 1):
                if (seconds := getattr(group, name)) is not None:
                    family.add_metric([str(position)], seconds)
            yield family

    def _shards(self) -> Iterator[Family]:
        gauges = (
            ("shard_up", "Processes that execute the current run: 1 while a shard's does.", self._count_up),
            ("shard_jobs", "Jobs that a shard of the current run, or the last, has released.", _sum_jobs),
            ("shard_worst_lag_seconds", "The longest delay of a release by a shard.", _find_worst_lag),
        )
        shards: dict[str, list[ShardSoFar]] = {}
        for shard in self._current.so_far.shards:
            shards.setdefault(str(shard.shard) if shard.shard < MOST_SHARDS else OTHER, []).append(shard)
        for name, text, measure in gauges:
            family = GaugeMetricFamily(self._name(name), text, labels=["shard"])
            for label, each in shards.items():
                if (value := measure(each)) is not None:
                    family.add_metric([label], value)
            yield family

    def _count_up(self, shards: list[ShardSoFar]) -> int:
        return sum(self._is_active and each.status is None for each in shards)

    def _name(self, name: str) -> str:
        return f"{self._prefix}_{name}"


def count_groups(now: Snapshot) -> Counts:
    """The jobs of a run by group and outcome; none where its jobs have no groups."""
    counts: Counts = Counter()
    for position, group in enumerate(now.so_far.groups, 1):
        counts[str(position), "completed"] = group.completed
        counts[str(position), "failed"] = group.failed
    if now.so_far.more_groups:
        # Groups share out the jobs of the whole run, so what the first ones do not have is of the others.
        ended = {"completed": ("completed",), "failed": ("failed", "timed_out")}
        for outcome, parts in ended.items():
            known = sum(count for (_, its), count in counts.items() if its == outcome)
            counts[OTHER, outcome] = max(sum(now.counts.get(part, 0) for part in parts) - known, 0)
    return counts


def _sum_jobs(shards: list[ShardSoFar]) -> int:
    return sum(each.jobs for each in shards)


def _find_worst_lag(shards: list[ShardSoFar]) -> float | None:
    return max((each.worst_lag for each in shards if each.worst_lag is not None), default=None)
