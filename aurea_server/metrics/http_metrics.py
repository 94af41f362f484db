"""How long the server's own requests took: OpenTelemetry's ``http.server.request.duration``, as Prometheus names it.

Labels are the route as it is written in the interface, the method, and the status. Each is of a closed set: a path that is
no route is `OTHER_ROUTE`, and a method that HTTP does not define is `OTHER_METHOD`. A series begins with its first request,
since most combinations never happen; a panel of requests asks for ``rate``, which needs no series at 0.

Source of names, labels and bounds: OpenTelemetry's semantic conventions for HTTP metrics, 1.23 and later.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of buckets, seconds."""

NAME = "http_server_request_duration_seconds"
LABELS = ("http_route", "http_request_method", "http_response_status_code")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
OTHER_METHOD, OTHER_ROUTE = "_OTHER", "other"

MOST_SERIES = 40
"""Combinations of labels that have a series of their own. Whoever probes all routes for all errors fills them, and what is
new then counts as `OTHER_ROUTE`, `OTHER_METHOD` and the class of its status, such as ``4xx``.
"""


@dataclass
class _Durations:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0


class HttpMetrics(Collector):
    """Counts the requests of one app."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], _Durations] = {}

    def record(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """A request was answered. ``route``: its path in the interface, None for none."""
        method = method if method in METHODS else OTHER_METHOD
        key = (route or OTHER_ROUTE, method, f"{status}")
        if key not in self._series and len(self._series) >= MOST_SERIES:
            key = (OTHER_ROUTE, OTHER_METHOD, f"{status // 100}xx")
        durations = self._series.setdefault(key, _Durations())
        durations.counts[bisect_left(BOUNDS, seconds)] += 1
        durations.total += seconds

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """The name, for requests that ask for some metrics by name."""
        return self.collect()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The one family."""
        about = "Duration of requests to this server, from the end of their header to the end of the answer."
        family = HistogramMetricFamily(NAME, about, labels=LABELS)
        for key, durations in sorted(self._series.items()):
            names = [*map(repr, BOUNDS), "+Inf"]
            buckets = list(zip(names, map(float, accumulate(durations.counts)), strict=True))
            family.add_metric(list(key), buckets, sum_value=durations.total)
        yield family
