"""The metrics of targets: what runs have sent and received, what came back, and the connections of the current run.

Only runs in real time send anything, so there is one family of each. A label is a class of statuses or of failures, both
closed sets; what a user's own job fails by has a name of its own and counts as `OTHER`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from aurea_engine.closed_sets import FAILURE_CLASSES, OTHER, STATUS_CLASSES, TOKEN_CLASSES
from aurea_engine.processes.traffic import Traffic
from aurea_server.metrics.exemplars import Exemplars, ExemplarSource, Key

FAILURES = (*FAILURE_CLASSES, OTHER)

COUNTERS = {
    "target_sent_bytes": ("bytes_sent", "Bytes of HTTP that jobs sent to targets, before TLS."),
    "target_received_bytes": ("bytes_received", "Bytes of HTTP that jobs received from targets, before TLS."),
    "target_connections_opened": ("opened", "Connections that were opened to targets."),
    "target_failed_dials": ("failed_dials", "Attempts to open a connection to a target that failed."),
    "target_waited_jobs": ("waited", "Jobs that had to wait for a connection."),
}
"""Counter's name after the prefix → member of `Traffic`, and what it says."""

GAUGES = {
    "target_open_connections": ("open", "Connections to targets that are open now."),
    "target_busy_connections": ("busy", "Connections to targets that have a job now."),
    "target_waiting_jobs": ("waiting", "Jobs that wait for a connection now."),
}

Family = CounterMetricFamily | GaugeMetricFamily


@dataclass
class Sums:
    """What counters count, over runs."""

    statuses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    amounts: Counter[str] = field(default_factory=Counter)
    full_ns: int = 0

    def plus(self, now: Traffic) -> Sums:
        """With what a run has come to, as a new object."""
        return Sums(
            self.statuses + _fold(now.statuses, STATUS_CLASSES),
            self.failures + _fold(now.failures, FAILURES),
            self.tokens + Counter({name: now.tokens.get(name, 0) for name in TOKEN_CLASSES}),
            self.amounts + Counter({member: getattr(now, member) for member, _ in COUNTERS.values()}),
            self.full_ns + now.full_ns,
        )


def _fold(counts: dict[str, int], known: Iterable[str]) -> Counter[str]:
    """The same by known names only: a name that a job made up is `OTHER`."""
    folded: Counter[str] = Counter()
    for name, count in counts.items():
        folded[name if name in known else OTHER] += count
    return folded


class TargetMetrics:
    """Sums over all runs, and the connections of the current one. ``prefix``: of the metrics' names."""

    def __init__(self, prefix: str, exemplars: Exemplars) -> None:
        self._prefix, self._exemplars = prefix, exemplars
        self._ended, self._current = Sums(), Traffic()

    def update_run(self, now: Traffic, run: ExemplarSource) -> None:
        """The current run's latest traffic replaces the one before."""
        self._current = now
        moved = Sums().plus(now)
        self._record("target_requests", moved.statuses, run)
        self._record("job_failures", moved.failures, run)

    def _record(self, name: str, counts: Counter[str], run: ExemplarSource) -> None:
        keys: dict[Key, int] = {(value,): count for value, count in counts.items()}
        self._exemplars.record(self._name(name), keys, run)

    def end_run(self) -> None:
        """The current run has ended, however: what it had sent was sent, and its connections are closed."""
        self._ended, self._current = self._ended.plus(self._current), Traffic()

    def families(self) -> Iterator[Family]:
        """Each series from the start of the server."""
        sums = self._ended.plus(self._current)
        text = "Requests by the class of their status; none: those that failed before one came."
        yield self._labelled("target_requests", text, "status_class", STATUS_CLASSES, sums.statuses)
        text = "Jobs that failed or timed out, by class; other: classes of users' own jobs."
        yield self._labelled("job_failures", text, "failure", FAILURES, sums.failures)
        text = "Tokens that language models reported, by class; input: those of prompts that were not cached."
        yield self._labelled("target_tokens", text, "token_class", TOKEN_CLASSES, sums.tokens)
        for name, (member, text) in COUNTERS.items():
            yield CounterMetricFamily(self._name(name), text, value=sums.amounts[member])
        text = "Time during which every connection that a run may open was busy."
        yield CounterMetricFamily(self._name("target_pool_full_seconds"), text, value=sums.full_ns / 1e9)
        for name, (member, text) in GAUGES.items():
            yield GaugeMetricFamily(self._name(name), text, value=getattr(self._current, member))

    def _name(self, name: str) -> str:
        return f"{self._prefix}_{name}"

    def _labelled(self, name: str, text: str, label: str, values: Iterable[str], counts: Counter[str]) -> Family:
        metric = self._name(name)
        family = CounterMetricFamily(metric, text, labels=[label])
        for value in values:
            family.add_metric([value], counts[value], exemplar=self._exemplars.of(metric, (value,)))
        return family
