"""A search from its acceptance to its end: what the server knows of it until the history knows it all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aurea_engine import RunSpec, Stop
from aurea_engine.shards.split import Sharding
from aurea_server.context import TraceContext, trace_context
from aurea_server.runs.active_run import ActiveOnes, ActiveRun, RunAnswer, now_ms
from aurea_server.runs.events import EventLog
from aurea_server.runs.searches.order import SearchOrder


@dataclass(eq=False)  # a search is itself, as a run is
class ActiveSearch:
    """``document``: the whole specification, as plain data, and ``spec`` the same as a value.

    ``stop`` is what the study looks at, ``trial`` the run that is executed now. ``progress``: as the events tell it;
    ``trials`` are those that have ended. ``ended`` is set once, by the lifecycle. ``trace``: that of the request that asked
    for it, and so of its trials.
    """

    id: str
    document: dict[str, Any]
    spec: RunSpec
    order: SearchOrder
    events: EventLog
    created_ms: int = field(default_factory=now_ms)
    state: str = "queued"
    started_ms: int | None = None
    # Set before the study or a process hears of it, and never changed: the first stop decides how the search ends.
    stopping: str | None = None
    sharding: Sharding | None = None
    trace: TraceContext | None = field(default_factory=trace_context.get)
    stop: Stop = field(default_factory=Stop)
    trial: ActiveRun | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)
    ended: asyncio.Future[RunAnswer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def label(self) -> str | None:
        """That of the specification."""
        return self.spec.label

    @property
    def time_left(self) -> None:
        """Nobody knows how many trials it will take."""
        return

    def report(self) -> dict[str, Any]:
        """What is known so far, as it is stored and shown."""
        return {"progress": self.progress or None, "trials": self.trials}


ActiveSearches = ActiveOnes[ActiveSearch]
