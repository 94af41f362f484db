"""The coordinator of a run in shards: starts all at one instant, reports on the whole, stops them, merges their parts."""

# A run goes through three phases: all shards set up their jobs (`prepare`), all open their windows at one instant, all end.
# In each of them the same things may happen, and are looked at in the same place, `_attend`:
#
# - *A stop from outside* is passed on to every shard, once. Each ends with what it has, also one that has not begun.
# - *A shard is lost.* The others are stopped too, or, if that was asked for, go on without it. Before the start there is
#   nothing to go on with, so then the run always ends.
# - *An objective is lost*, by what all have reported so far. The shards know nothing of it: each sees its own jobs alone.
# - *Something else goes wrong* (a specification that cannot be run, a strategy that breaks its contract): that is raised,
#   as a run in one process raises it, and the other shards are ended without a result.
#
# Whatever happens, every shard is closed at the end: nothing of it is left.

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from aurea_engine.closed_sets import Status
from aurea_engine.engine import PROGRESS_NS, Stop
from aurea_engine.records.batch import NS
from aurea_engine.results.observers import Observer, Observers
from aurea_engine.results.progress import ProgressReports
from aurea_engine.results.result import RunResult
from aurea_engine.run.parts import RunParts
from aurea_engine.run.shard import Shard
from aurea_engine.run.shard_facts import Loss
from aurea_engine.shards.lost_shards import make_empty_parts, make_lost_parts
from aurea_engine.shards.merged_judge import MergedJudge
from aurea_engine.shards.merged_parts import Ending, LostObjective, merge_ended, merge_running
from aurea_engine.shards.split import OnLoss
from aurea_engine.shards.transport import ShardLost, ShardRun
from aurea_engine.spec import KEPT_JOBS, RunSpec

LOOK = 0.05
"""Seconds between two looks at stops and losses."""

JUDGE_NS = NS // 8
"""Time between two looks at what the shards have reported: together with their own, a quarter, it stays below half a
second."""


class Coordinator:
    """One run of ``spec`` in shards: the k-th of ``shards`` runs shard k of ``shared`` (`split.prepare_spec`)."""

    def __init__(
        self,
        spec: RunSpec,
        shared: RunSpec,
        shards: Sequence[ShardRun],
        *,
        observers: Iterable[Observer] = (),
        stop: Stop | None = None,
        on_loss: OnLoss = "fail",
    ) -> None:
        self._spec, self._shared, self._shards, self._on_loss = spec, shared, shards, on_loss
        self._observers, self._stop = Observers(observers), stop or Stop()
        self._reports = ProgressReports.of(shared) if self._observers else None
        self._judge = MergedJudge(spec)
        self._opens_at: int | None = None
        self._asked: Status | None = None
        self._lost_objective: LostObjective | None = None
        self._heard: dict[int, RunParts] = {}
        self._ended: dict[int, RunParts] = {}
        self._lost: set[int] = set()
        self._judged = self._reported = 0

    async def run(self) -> RunParts:
        """The parts of the whole run. Raises what a shard raises that is no loss."""
        try:
            await self._attend({shard.prepare(): k for k, shard in enumerate(self._shards)})
            self._start()
            await self._attend(
                {shard.finish(partial(self._hear, k)): k for k, shard in enumerate(self._shards) if k not in self._lost}
            )
            parts = merge_ended([self._ended[k] for k in sorted(self._ended)], self._describe_end())
            self._observers.on_parts(parts)
            return parts
        finally:
            await asyncio.gather(*(shard.close() for shard in self._shards))

    def report_end(self, parts: RunParts, result: RunResult) -> RunResult:
        """Tell observers of the result, and return it."""
        if self._reports is not None:
            self._observers.on_progress(self._reports.report_end(parts, result))
        return result

    def _start(self) -> None:
        self._observers.on_start(self._shared)
        if self._asked is not None:
            return  # they have been told to end, and wait for no start any more
        self._opens_at = self._judged = self._reported = _now() + max(shard.lead_ns for shard in self._shards)
        for shard in self._shards:
            shard.start(self._opens_at)

    # --- While shards are at something -------------------------------------------------------------------------------

    async def _attend(self, doing: dict[Coroutine[Any, Any, RunParts | None], int]) -> None:
        """Until all of it is done; see above for what may happen meanwhile."""
        tasks = {asyncio.ensure_future(each): k for each, k in doing.items()}
        pending = set(tasks)
        try:
            while pending:
                ended, pending = await asyncio.wait(pending, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    self._take(tasks[task], task)
                if self._stop.status is not None:
                    self._end_all(self._stop.status)
                self._look(_now())
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    def _take(self, k: int, task: asyncio.Future[RunParts | None]) -> None:
        try:
            parts = task.result()
        except ShardLost as lost:
            self._lose(k, f"{lost}")
        else:
            if parts is not None:
                self._ended[k] = parts

    def _lose(self, k: int, detail: str) -> None:
        begun = self._opens_at is not None and self._on_loss == "continue"
        at_ns = 0 if self._opens_at is None else max(_now() - self._opens_at, 0)
        reported = self._heard[k].arrived if k in self._heard else 0
        shard = Shard(k, len(self._shards))
        self._lost.add(k)
        # A shard that is told to end while it sets up its jobs, and does not, is ended: nothing was lost by that.
        if self._opens_at is None and self._asked is not None:
            self._ended[k] = make_empty_parts(self._shared, shard, self._asked)
            return
        loss = Loss(at_ns, detail[:500], reported, tolerated=begun)
        self._ended[k] = make_lost_parts(self._shared, shard, loss, self._heard.get(k))
        if not begun or len(self._lost) == len(self._shards):
            self._end_all("cancelled")

    def _end_all(self, status: Status) -> None:
        """Have every shard end with what it has. The first to ask says as what."""
        if self._asked is None:
            self._asked = status
            for shard in self._shards:
                shard.stop(status)

    # --- What they report --------------------------------------------------------------------------------------------

    def _hear(self, k: int, parts: RunParts) -> None:
        self._heard[k] = parts

    def _look(self, now: int) -> None:
        if not self._heard or self._opens_at is None:
            return
        reports = self._reports if now - self._reported >= PROGRESS_NS else None
        judges = bool(self._judge) and self._asked is None and now - self._judged >= JUDGE_NS
        if reports is None and not judges:
            return
        parts = merge_running({**self._heard, **self._ended})
        if judges:
            self._judged = now
            self._judge_so_far(parts)
        if reports is not None:
            self._reported = now
            self._observers.on_parts(parts)
            recorded = self._spec.keep_jobs and parts.arrived <= KEPT_JOBS
            self._observers.on_progress(reports.report(parts, recorded=recorded))

    def _judge_so_far(self, parts: RunParts) -> None:
        position = self._judge.find_lost(parts)
        if position is not None:
            self._lost_objective = LostObjective(position, parts.elapsed_ns, parts.arrived)
            self._end_all("aborted")

    # --- The end -----------------------------------------------------------------------------------------------------

    def _describe_end(self) -> Ending:
        return Ending(self._spec, self._lost_objective, len(self._shards), self._on_loss)


def _now() -> int:
    """The clock that all processes of the machine share."""
    return time.perf_counter_ns()
