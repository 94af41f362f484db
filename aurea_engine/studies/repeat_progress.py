"""What observers are told of a repeated run: of all its replications so far, as if they were one run."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, replace

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs import Cost
from aurea_engine.results.findings import Finding, sort_by_severity
from aurea_engine.results.observers import Observer, Observers, Progress
from aurea_engine.results.result import RunResult
from aurea_engine.run.job_times import CountingRules
from aurea_engine.run.meters import Meters
from aurea_engine.run.parts import RunParts
from aurea_engine.run.step_meters import StepMeters, StepParts
from aurea_engine.spec import RunSpec
from aurea_engine.studies.combined_bill import add_bills
from aurea_engine.workload.callbacks import PoolState


class RepeatProgress:
    """Adds up the reports of the replications of ``spec``, ``most`` of them, and passes the sums on.

    Everything that is counted only grows, as in a run: counters are made of it. So a replication that was begun and is not
    needed any more (`Repetition.until`) stays in: its jobs have run.
    """

    def __init__(self, spec: RunSpec, told: Observers, most: int) -> None:
        self._spec, self._told, self._most = spec, told, most
        self._ended = 0
        self._running: dict[int, Progress] = {}
        # Those of replications that have ended, added up once: a report must not cost more the more there were.
        self._sum: Progress | None = None
        self._steps: dict[int, StepMeters] = {}
        self._is_begun = False
        # A virtual run is watched from its own thread, and a runner may execute several in this process.
        self._lock = threading.Lock()

    def watch(self, number: int) -> Observer:
        """The observer of one replication."""
        return _Watch(self, number)

    def begin(self, number: int) -> None:
        """One is about to begin: observers are told of the run once."""
        with self._lock:
            if not self._is_begun:
                self._is_begun = True
                self._told.on_start(self._spec)

    def hear_parts(self, number: int, parts: RunParts) -> None:
        """The steps of jobs are reported by parts alone."""
        if parts.steps is None:
            return
        with self._lock:
            self._steps[number] = parts.steps.meters.copy()
            whole = StepMeters.of(self._spec)
            for each in self._steps.values():
                whole.merge(each)
            # Of a run that goes on, with the steps of all: the last parts, with records, are of no single run.
            shards = tuple(replace(report, status=None) for report in parts.shards)
            self._told.on_parts(replace(parts, shards=shards, records=None, numbers=None, steps=StepParts(whole)))

    def hear(self, number: int, progress: Progress, *, has_ended: bool) -> None:
        """How one of them stands."""
        # The meters go on changing; a copy is that of this instant.
        now = replace(progress, meters=progress.meters.copy())
        with self._lock:
            self._running[number] = now
            if has_ended:
                self._end(self._running.pop(number))
            self._told.on_progress(self._describe())

    def _end(self, last: Progress) -> None:
        pool = None if last.pool is None else replace(last.pool, open=0, busy=0, waiting=0)
        last = replace(last, pool=pool, in_flight=0, queued=0, fraction_done=1.0)
        self._ended += 1
        self._sum = last if self._sum is None else self._add([self._sum, last])

    def report_end(self, result: RunResult) -> None:
        """The last report, with the bill and the findings of the whole."""
        whole = replace(self._describe(), findings=result.findings, fraction_done=1.0, time_left=0.0)
        if result.replications is not None:
            whole = replace(whole, replication=(len(result.replications.each), self._most))
        self._told.on_progress(whole)

    def _describe(self) -> Progress:
        there = [*([] if self._sum is None else [self._sum]), *self._running.values()]
        done = self._ended + sum(each.fraction_done or 0.0 for each in self._running.values())
        share = min(done / self._most, 1.0)
        whole = self._add(there)
        return replace(
            whole,
            utilization=next((each.utilization for each in self._running.values()), whole.utilization),
            fraction_done=share,
            time_left=whole.elapsed * (1 - share) / share if share else None,
            replication=(min(self._ended + 1, self._most), self._most),
        )

    def _add(self, there: list[Progress]) -> Progress:
        """Reports of several replications, one after the other, as one."""
        meters = Meters(there[0].meters.rules if there else CountingRules.of(self._spec))
        counts = Counter[Outcome]()
        for each in there:
            meters.merge(each.meters)
            counts.update(each.counts)
        elapsed, bill = sum(each.elapsed for each in there), _add_known([each.bill for each in there])
        service, response = meters.times["service_time"], meters.times["response_time"]
        return Progress(
            elapsed=elapsed,
            arrived=sum(each.arrived for each in there),
            in_flight=sum(each.in_flight for each in there),
            queued=sum(each.queued for each in there),
            counts=dict(counts),
            throughput=counts[Outcome.COMPLETED] / elapsed if elapsed else 0.0,
            mean_latency=service.mean if service.count else None,
            p99=response.quantile(0.99) if response.count else None,
            utilization=there[-1].utilization if there else None,
            cost=None if bill is None else bill.total,
            bill=bill,
            fraction_done=None,
            time_left=None,
            findings=_merge_findings(there),
            meters=meters,
            pool=_add_pools(each.pool for each in there),
        )


class _Watch(Observer):
    """The observer of one replication. Its last report comes after its last parts."""

    def __init__(self, whole: RepeatProgress, number: int) -> None:
        self._whole, self._number = whole, number
        self._has_ended = False

    def on_start(self, spec: RunSpec) -> None:
        self._whole.begin(self._number)

    def on_parts(self, parts: RunParts) -> None:
        self._has_ended = parts.status is not None
        self._whole.hear_parts(self._number, parts)

    def on_progress(self, progress: Progress) -> None:
        self._whole.hear(self._number, progress, has_ended=self._has_ended)


def _add_known(bills: list[Cost | None]) -> Cost | None:
    known = [bill for bill in bills if bill is not None]
    return add_bills(known) if known and len(known) == len(bills) else None


def _merge_findings(there: Iterable[Progress]) -> tuple[Finding, ...]:
    """Each code once, as it is gravest."""
    found: dict[str, Finding] = {}
    for finding in (finding for each in there for finding in each.findings):
        known = found.get(finding.code)
        found[finding.code] = finding if known is None or finding.severity > known.severity else known
    return sort_by_severity(found.values())


def _add_pools(states: Iterable[PoolState | None]) -> PoolState | None:
    """The connections of replications that follow each other: unlike those of shards, their times add up."""
    each = [astuple(state) for state in states if state is not None]
    return PoolState(*map(sum, zip(*each, strict=True))) if each else None
