"""An observer that keeps a run's latest report as plain data."""

from __future__ import annotations

from aurea_engine.codec.catalog import Catalog
from aurea_engine.processes.messages import Snapshot, make_snapshot
from aurea_engine.processes.traffic import NO_REQUESTS, Requests
from aurea_engine.results.observers import Observer, Progress
from aurea_engine.run.parts import RunParts
from aurea_engine.spec import RunSpec


class SnapshotObserver(Observer):
    """``last``: the latest report. ``has_ended``: it is, or the next one will be, of the run's end."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._model = catalog, "other"
        self._requests, self._groups = NO_REQUESTS, tuple[str, ...]()
        self._parts: RunParts | None = None
        self.last = Snapshot()
        self.has_ended = False

    def on_start(self, spec: RunSpec) -> None:
        self._model, self._requests = self._catalog.kind_of(spec.cost), Requests.of(spec)
        self._groups = spec.workload.schema.groups

    def on_parts(self, parts: RunParts) -> None:
        self.has_ended = parts.status is not None
        self._parts = parts

    def on_progress(self, progress: Progress) -> None:
        self.last = make_snapshot(progress, self._model, self._requests, self._parts, self._groups)
