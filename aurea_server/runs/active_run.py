"""A run that has not ended: what the app knows of it until the ledger knows it all."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import msgspec

from aurea_server.history import StoreError
from aurea_server.runner.messages import Bill, Figures, Reason, Remark, Snapshot
from aurea_server.runs.events import EventLog


def now_ms() -> int:
    """The wall clock, ms since 1970: a label, never used to measure."""
    return time.time_ns() // 1_000_000


class RunIds:
    """``benchmark-<epoch ms>``, moved on by a millisecond where that one is taken, also by an earlier server."""

    def __init__(self, newest: str | None = None) -> None:
        self._last = int(newest.rpartition("-")[2]) if newest else 0

    def new(self) -> str:
        """One that was never given, and is above all that were."""
        self._last = max(self._last + 1, now_ms())
        return f"benchmark-{self._last}"


@dataclass(frozen=True)
class RunAnswer:
    """How a run ended, for whoever waits for it. ``answer``: JSON; ``trouble``: it could not be stored."""

    state: str
    answer: bytes
    reason: Reason | None = None
    trouble: StoreError | None = None


@dataclass
class ActiveRun:
    """``document``: the whole specification, as plain data. ``foreign``: it names kinds of installed packages.

    ``stopping``: the state that a stop from outside asked for. ``ended`` is set once, by the manager.
    """

    id: str
    document: dict[str, object]
    label: str | None
    foreign: bool
    events: EventLog
    created_ms: int = field(default_factory=now_ms)
    state: str = "queued"
    started_ms: int | None = None
    stopping: str | None = None
    last: Snapshot | None = None
    told: set[str] = field(default_factory=set)
    ended: asyncio.Future[RunAnswer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def progress(self) -> dict[str, object] | None:
        """The latest figures for people, None before the first."""
        return None if self.last is None else self.last.figures()

    def tell(self, findings: list[Remark]) -> None:
        """Publish each finding once, as soon as it is known."""
        for finding in findings:
            if finding.code not in self.told:
                self.told.add(finding.code)
                self.events.publish("finding", finding)

    def so_far(self, state: str, ended_ms: int) -> Figures:
        """The last figures of a run that came to no result."""
        last = self.last or Snapshot()
        figures = last.figures()
        return Figures(
            status=state,
            num_jobs=last.arrived,
            completed_jobs=last.counts.get("completed", 0),
            throughput=last.throughput if self.last else None,
            mean_latency=last.mean_latency,
            total_cost=figures["cost"],
            duration=last.elapsed,
            start_time=None if self.started_ms is None else utc(self.started_ms),
            end_time=utc(ended_ms),
            bill=Bill(currency=last.bill.currency),
        )


def utc(ms: int) -> str:
    """``2026-11-22T10:00:00.000Z``."""
    seconds, rest = divmod(ms, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03d}Z"


def encode(value: object) -> bytes:
    """JSON."""
    return msgspec.json.encode(value)
