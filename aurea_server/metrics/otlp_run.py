"""The metrics of one run in OTLP, from its start to its end: what a command that has no ``/metrics`` pushes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from aurea_engine import engine_version
from aurea_engine.processes.messages import Snapshot
from aurea_server.metrics.otlp import Span, list_metrics, make_request
from aurea_server.metrics.otlp_protobuf import encode_message, encode_request
from aurea_server.metrics.registry import BenchmarkMetrics
from aurea_server.runner.messages import Figures


@dataclass(frozen=True)
class Standing:
    """How a run stands at an instant (ns since 1970). ``figures``: of its end, where it has ended with a result;
    ``failed``: the status of one that ended without.
    """

    now_ns: int
    snapshot: Snapshot
    figures: Figures | None = None
    failed: str | None = None


class RunMetricsEncoder:
    """Makes requests of one run, which starts at ``started_ns``. ``resource``: attributes of what is measured."""

    def __init__(self, clock: str, started_ns: int, resource: Mapping[str, str], *, is_json: bool = False) -> None:
        self._now_ns = self._started_ns = started_ns
        self._resource, self._is_json = resource, is_json
        # The families of a server, with one run: one list of names and meanings for both.
        self._metrics = BenchmarkMetrics("", now=lambda: self._now_ns / 1e9)
        self._metrics.start_run(clock=clock)

    def encode(self, standing: Standing, pause: Callable[[], None] = lambda: None) -> bytes:
        """The body of a request. ``pause`` is called after each family: encoding takes milliseconds, and a thread that does
        nothing else for so long holds up the event loop of the run.
        """
        self._now_ns = standing.now_ns
        self._metrics.update_run(standing.snapshot)
        if standing.figures is not None:
            self._metrics.finish_run(standing.figures)
        elif standing.failed is not None:
            self._metrics.fail_run(standing.failed)
        span = Span(self._started_ns, standing.now_ns)
        written: list[bytes] = []
        for metric in list_metrics(*self._metrics.list_run(), span):
            written.append(msgspec.json.encode(metric) if self._is_json else encode_message("Metric", metric))
            pause()
        return self._join(written)

    def _join(self, metrics: list[bytes]) -> bytes:
        """The request with ``metrics``, each written already."""
        if self._is_json:
            raw = [msgspec.Raw(each) for each in metrics]
            return msgspec.json.encode(make_request(raw, self._resource, engine_version()))
        return encode_request(make_request([], self._resource, engine_version()), metrics)
