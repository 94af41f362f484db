"""A run on this machine whose metrics are pushed while it goes on, and once more at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from aurea_engine import Catalog, Progress, RunResult, RunSpec, Stop
from aurea_engine.processes.snapshot_observer import SnapshotObserver
from aurea_server.cli.otlp_delivery import Delivery
from aurea_server.cli.otlp_pusher import Pusher, make_post
from aurea_server.cli.otlp_settings import OtlpSettings, make_encodable
from aurea_server.metrics.otlp_run import RunMetricsEncoder, Standing
from aurea_server.runner.messages import make_figures

NS = 10**9


class RunPush(SnapshotObserver):
    """Offers to a `Pusher` how the run stands: all at 0 before it begins, then every few seconds, then its end."""

    def __init__(self, settings: OtlpSettings, spec: RunSpec, catalog: Catalog, say: Callable[[str], None]) -> None:
        super().__init__(catalog)
        # One look at the clock on the wall: if it is set during the run, no instant comes before the one it began at.
        self._begun_ns, self._origin = time.time_ns(), time.perf_counter_ns()
        self._interval_ns = self._due = int(settings.interval * NS)
        self._progress: Progress | None = None
        # The id that the result would make of its own start, known already while the run goes on.
        self.benchmark_id = f"benchmark-{self._begun_ns // 10**6}"
        resource = {**settings.resource, "benchmark.id": self.benchmark_id}
        if spec.label:
            resource["benchmark.label"] = make_encodable(spec.label)
        encoder = RunMetricsEncoder(spec.clock, self._begun_ns, resource, is_json=settings.is_json)
        self._pusher = Pusher(encoder, Delivery(settings, say), make_post(settings))
        # A series that begins with its first value never increases in the eyes of Prometheus: it has to be there at 0.
        self._pusher.offer(Standing(self._begun_ns, self.last))

    def _elapsed_ns(self) -> int:
        return time.perf_counter_ns() - self._origin

    def on_progress(self, progress: Progress) -> None:
        self._progress = progress
        if (elapsed := self._elapsed_ns()) >= self._due:
            self._due = elapsed + self._interval_ns
            # Now, since its meters go on changing: the thread gets a copy.
            super().on_progress(progress)
            self._pusher.offer(Standing(self._begun_ns + elapsed, self.last))

    def finish(self, result: RunResult) -> RunResult:
        """The run has ended with ``result``. Returns it with the id that was pushed."""
        if self._progress is not None:
            super().on_progress(self._progress)
        start = result.started_at.isoformat()
        figures = make_figures(result, self._catalog.kind_of(result.spec.cost), start, "")
        self._pusher.offer(Standing(self._begun_ns + self._elapsed_ns(), self.last, figures))
        return replace(result, benchmark_id=self.benchmark_id)

    def fail(self) -> None:
        """The run has ended without a result."""
        self._pusher.offer(Standing(self._begun_ns + self._elapsed_ns(), self.last, failed="failed"))

    def close(self, stop: Stop) -> None:
        """Wait for the last push, but not long, nor once ``stop`` is asked for."""
        before = stop.status
        self._pusher.close(lambda: stop.status != before)


@contextmanager
def open_push(
    settings: OtlpSettings, spec: RunSpec, catalog: Catalog, say: Callable[[str], None], stop: Stop
) -> Iterator[RunPush]:
    """Pushes until the block is left. ``stop``: of the run; asked for once more, it ends the waiting for the last push."""
    say(f"metrics go to {settings.shown}")
    push = RunPush(settings, spec, catalog, say)
    try:
        yield push
    except BaseException:
        push.fail()
        raise
    finally:
        push.close(stop)
