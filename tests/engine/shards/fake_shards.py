"""Shards without processes, for tests of the coordinator: each does what its test says."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aurea_engine import RunParts, RunSpec, Shard, Stop, execute
from aurea_engine.closed_sets import Status
from aurea_engine.run.execution import Execution
from aurea_engine.shards.transport import Hear, ShardLost


class FakeShard:
    """Runs its shard in virtual time when it is asked to finish. ``holds``: not before this is set; ``lost``: then it is
    lost instead, with this text; ``unprepared``: what its set-up raises, ``slow``: once it is stopped; ``reports``: what it
    reports first.
    """

    def __init__(
        self,
        spec: RunSpec,
        shard: Shard,
        *,
        lead_ns: int = 0,
        holds: asyncio.Event | None = None,
        lost: str | None = None,
        unprepared: Exception | None = None,
        reports: tuple[RunParts, ...] = (),
        slow: bool = False,
    ) -> None:
        self.lead_ns = lead_ns
        self._spec, self._shard, self._holds = replace(spec, clock="virtual"), shard, holds
        self._lost, self._unprepared, self._reports = lost, unprepared, reports
        self._stopped, self._slow = asyncio.Event(), slow
        self.statuses: list[Status] = []
        self.starts: list[int] = []
        self.closed = 0

    async def prepare(self) -> None:
        if self._slow:
            await self._stopped.wait()
        if self._unprepared is not None:
            raise self._unprepared

    def start(self, opens_at_ns: int) -> None:
        self.starts.append(opens_at_ns)

    async def finish(self, hear: Hear) -> RunParts:
        for report in self._reports:
            hear(report)
        if self._holds is not None:
            waiting = [asyncio.ensure_future(each.wait()) for each in (self._holds, self._stopped)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()
        if self._lost is not None and not self.statuses:
            raise ShardLost(self._lost)
        return self._execute()

    def _execute(self) -> RunParts:
        if not self.statuses:
            return execute(self._spec, self._shard)
        if not self.starts:  # it was told to end before its window opened
            return Execution(self._spec, self._shard, lambda *_: True, live=False).close(self.statuses[0])
        # What a shard does that is told to end: it gives the parts so far, with the status that it was told.
        stop = Stop()
        stop.now(self.statuses[0])
        return execute(self._spec, self._shard, stop=stop)

    def stop(self, status: Status) -> None:
        self.statuses.append(status)
        self._stopped.set()

    async def close(self) -> None:
        self.closed += 1
