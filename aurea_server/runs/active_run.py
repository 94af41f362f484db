"""A run from its acceptance to its end: what the server knows of it until the history knows it all."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

from aurea_engine.processes.messages import Bill, Reason, Remark, Snapshot
from aurea_engine.shards.split import Sharding
from aurea_server.context import TraceContext, trace_context
from aurea_server.history import StoreError
from aurea_server.runner.messages import Figures
from aurea_server.runs.events import EventLog, Feed, Followers
from aurea_server.runs.live_series import LiveSeries

LOGS_KEPT = 32
"""Event logs of ended runs that are kept for followers who reconnect."""


def now_ms() -> int:
    """The wall clock, ms since 1970: a label, never used to measure."""
    return time.time_ns() // 1_000_000


class Ids:
    """``benchmark-<epoch ms>``, moved on by a millisecond where that one is taken, also by an earlier server; or, with
    another ``prefix``, ``search-<epoch ms>``.
    """

    def __init__(self, prefix: str, newest: str | None = None) -> None:
        self._prefix = prefix
        self._last = int(newest.rpartition("-")[2]) if newest else 0

    def new(self) -> str:
        """An id that was never given, above all that were, also where the wall clock was set back meanwhile."""
        # Two runs in a millisecond, or a clock that was set back, must not give an id twice: the newer id is one more.
        self._last = max(self._last + 1, now_ms())
        return f"{self._prefix}-{self._last}"


@dataclass(frozen=True)
class RunAnswer:
    """How a run ended, for the client that waits for it. ``body``: JSON; ``storage_error``: why it could not be stored."""

    status: str
    body: bytes
    reason: Reason | None = None
    storage_error: StoreError | None = None


@dataclass(eq=False)  # a run is itself: two are never the same because their figures are
class ActiveRun:
    """``document``: the whole specification, as plain data. ``foreign``: it names kinds of installed packages. ``sharding``:
    in how many processes it is executed, None for one. ``trace``: that of the request that asked for it.

    ``stopping``: the status that a stop from outside asked for. ``ended`` is set once, by the lifecycle. ``search_id``: it
    is a trial of that search.
    """

    id: str
    document: dict[str, object]
    label: str | None
    foreign: bool
    events: EventLog
    created_ms: int = field(default_factory=now_ms)
    state: str = "queued"
    started_ms: int | None = None
    # Set before the process hears of it, and never changed: the first stop decides how the run ends.
    stopping: str | None = None
    sharding: Sharding | None = None
    search_id: str | None = None
    trace: TraceContext | None = field(default_factory=trace_context.get)
    last: Snapshot | None = None
    series: LiveSeries = field(default_factory=LiveSeries)
    # Each snapshot has all findings so far; a follower hears of each once.
    published_findings: set[str] = field(default_factory=set)
    ended: asyncio.Future[RunAnswer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def keeps_records(self) -> bool:
        """Not of a trial: a search has many of them."""
        return self.search_id is None

    @property
    def time_left(self) -> float | None:
        """Seconds until its end by its own estimate, None where it has none."""
        return None if self.last is None else self.last.time_left

    def progress(self) -> dict[str, object] | None:
        """The latest figures for people, None before the first."""
        return None if self.last is None else self.last.figures()

    def report(self, snapshot: Snapshot, *, is_last: bool = False) -> None:
        """Take over how the run stands, and tell followers."""
        self.last = snapshot
        point = self.series.add(snapshot, is_last=is_last)
        self.events.publish("progress", {**snapshot.figures(), "point": point})
        self.publish_findings(snapshot.findings)

    def publish_findings(self, findings: list[Remark]) -> None:
        """Publish each finding once, as soon as it is known."""
        for finding in findings:
            if finding.code not in self.published_findings:
                self.published_findings.add(finding.code)
                self.events.publish("finding", finding)

    def last_figures(self, status: str, ended_ms: int) -> Figures:
        """The figures of the last snapshot, for a run that ended without a result."""
        last = self.last or Snapshot()
        figures = last.figures()
        return Figures(
            status=status,
            num_jobs=last.arrived,
            completed_jobs=last.counts.get("completed", 0),
            # Of a run that never reported, throughput is unknown and not 0.
            throughput=last.throughput if self.last else None,
            mean_latency=last.mean_latency,
            total_cost=figures["cost"],
            duration=last.elapsed,
            start_time=None if self.started_ms is None else format_ms(self.started_ms),
            end_time=format_ms(ended_ms),
            bill=Bill(currency=last.bill.currency),
        )


class Active(Protocol):
    """**Protocol:** what the server has accepted and not ended yet: a run, or a search. ``ended`` is set at its end."""

    @property
    def id(self) -> str: ...
    @property
    def events(self) -> EventLog: ...
    @property
    def ended(self) -> asyncio.Future[RunAnswer]: ...


A = TypeVar("A", bound=Active)


class ActiveOnes(Generic[A]):
    """The runs that the history does not know whole yet, by their ids, and the event logs of those and of the latest ended;
    or the searches.

    A run stays here beyond its end while its result cannot be stored: then this is the only place that has it.
    """

    def __init__(self, followers: Followers, feed: Feed) -> None:
        self._followers, self._feed = followers, feed
        self._runs: dict[str, A] = {}
        self._logs: OrderedDict[str, EventLog] = OrderedDict()

    def new_log(self, run_id: str) -> EventLog:
        """For a run that is about to be accepted. The feed has its events, too."""
        return EventLog(self._followers, echo=functools.partial(self._feed.pass_on, run_id))

    def add(self, run: A) -> None:
        """It was accepted: it is in the history, queued."""
        self._runs[run.id] = run
        self._logs[run.id] = run.events

    def get(self, run_id: str) -> A | None:
        """A run that has not ended, or whose result could not be stored yet."""
        return self._runs.get(run_id)

    def get_unended(self, run_id: str) -> A | None:
        """A run that is queued or running."""
        run = self._runs.get(run_id)
        return None if run is None or run.ended.done() else run

    def unended(self) -> list[A]:
        """All runs that are queued or running."""
        return [run for run in self._runs.values() if not run.ended.done()]

    def remove(self, run_id: str) -> None:
        """The history has it whole: readers find it there from now on. Its event log stays for a while."""
        self._runs.pop(run_id, None)

    def get_events(self, run_id: str) -> EventLog | None:
        """The events of a run that is active, or ended recently."""
        return self._logs.get(run_id)

    def drop_old_events(self) -> None:
        """Keep the logs of all active runs, and of the `LOGS_KEPT` that ended last."""
        ended = [run_id for run_id, events in self._logs.items() if events.closed]
        # Those of active runs stay however many end meanwhile: their followers are connected, or will come back.
        for run_id in ended[:-LOGS_KEPT]:
            del self._logs[run_id]

    def forget_events(self, run_id: str) -> None:
        """The run was deleted: nothing of it may be shown any more, also where it is shown now."""
        self._logs.pop(run_id, None)
        self._feed.report_deletion(run_id)


ActiveRuns = ActiveOnes[ActiveRun]


def format_ms(ms: int) -> str:
    """``2026-11-22T10:00:00.000Z``."""
    seconds, rest = divmod(ms, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03d}Z"


def encode(value: object) -> bytes:
    """``value`` as JSON."""
    return msgspec.json.encode(value)
