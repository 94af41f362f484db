"""Executors: what does the work of jobs in real time.

Theory of operation. The pump (`aurea_engine.run.realtime`) decides when a job enters service; an executor then does what the
job's leaf asks for, and says when it was over. Which one is the leaf's to declare (`Job.executor`):

    timers        only time has to pass        a heap of instants; the cheapest, since nothing runs
    tasks         a coroutine has to run       an asyncio task for each job (`aurea_engine.run.tasks`)
    cpu_workers   the same, on busy cores      tasks, beside which the pump does not spin
    callbacks     a pool does many at once     no task: the pool calls back (`aurea_engine.run.callback_pools`)

Three rules keep a run simple to reason about, and fast:

1. *An executor starts nothing.* Only the pump starts jobs, never a job's end or another job's first step. So however fast
   jobs end, starts do not nest, and no chain of jobs grows the stack.
2. *An end is logged, not handled.* Whatever ends between two turns of the pump goes as one tuple into
   `ExecutorContext.ends`. The pump takes all of them at its next turn, sorted by instant, and does the bookkeeping of all at
   once: columns in bulk, counts by one addition. The first of a turn rings the bell that wakes the pump; the others find it
   rung.
3. *Each job is stamped by itself.* ``started`` and ``finished`` are read from the clock beside the job's own first and last
   step, whenever the pump comes to look at them. Only timers share a stamp, since nothing of theirs runs.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from aurea_engine.errors import StrategyError
from aurea_engine.run.clock import Bell, Clock
from aurea_engine.run.patience import WaitLimits
from aurea_engine.run.recorder import Recorder

End = tuple[int, int, int, int, str | None]
"""(finished, job, started, outcome, class of the failure): sorted, ends are in the order in which they happened."""


@dataclass
class ExecutorContext:
    """What the executors of one run share with its pump. ``ends``: jobs that have ended since its last turn; ``broken``: an
    executor's contract was broken, and the run ends by it.
    """

    recorder: Recorder
    wait_limits: WaitLimits
    clock: Clock
    opened: int = 0
    bell: Bell = field(default_factory=Bell)
    ends: list[End] = field(default_factory=list)
    broken: StrategyError | None = None

    def now(self) -> int:
        """Nanoseconds since the window opened."""
        return self.clock.now() - self.opened

    def log_end(self, job: int, started: int, finished: int, outcome: int, error: str | None = None) -> None:
        """``job`` was in service from ``started`` to ``finished``; ``error`` is the class of its failure."""
        # A bell for each job would cost as much as the entry: the pump takes all that is logged once it is awake.
        if not self.ends:
            self.bell.ring()
        self.ends.append((finished, job, started, outcome, error))


class Executor(ABC):
    """Does the work of some leaves of one run, from the opening of its window on."""

    def open(self) -> None:  # noqa: B027 - most need not know
        """The window has opened: `ExecutorContext.now` counts from here."""

    @abstractmethod
    def start(self, jobs: Sequence[int], demands: Sequence[float], limits: Sequence[int]) -> None:
        """Begin these jobs, in this order. ``demands`` are seconds, ``limits`` ns of service (`UNKNOWN`: none).

        Each has a start in its row, or is in ``ends``, when this returns.
        """

    @abstractmethod
    def give_up(self) -> list[int]:
        """The run is over. Returns the jobs that were started and have not ended; their rows say when they began."""

    async def stop(self) -> None:  # noqa: B027 - as above
        """After `give_up`: see that nothing stays behind."""


class Timers(Executor):
    """For jobs of which only time has to pass. Their ends are a heap of instants, which the pump looks at by itself."""

    def __init__(self, context: ExecutorContext) -> None:
        self._context = context
        self._ends: list[tuple[int, int]] = []

    def start(self, jobs: Sequence[int], demands: Sequence[float] = (), limits: Sequence[int] = ()) -> None:
        """Demand and limit are in the planned service time. All share one stamp, as they share the one that ends them."""
        context, recorder, ends = self._context, self._context.recorder, self._ends
        now = context.now()
        waits = context.wait_limits if context.wait_limits.anyone else None
        for job in jobs:
            if waits is not None:
                waits.limit_service(job, now)
            recorder.start(job, now)
            if service := recorder.service_ns(job):
                heapq.heappush(ends, (now + service, job))
            else:
                # Nothing to wait for. Two stamps all the same: a rate of jobs that take no time at all would be infinite.
                began = context.now()
                context.log_end(job, began, context.now(), recorder.planned_outcome(job))

    def next_instant(self) -> int | None:
        """When the next of them ends."""
        return self._ends[0][0] if self._ends else None

    def end_due(self, now: int) -> list[int]:
        """End those that are due by ``now``, at ``now``: when it was noticed, so that none is shorter than its demand."""
        ends, recorder, ended = self._ends, self._context.recorder, []
        while ends and ends[0][0] <= now:
            job = heapq.heappop(ends)[1]
            recorder.finish(job, now, recorder.planned_outcome(job))
            ended.append(job)
        return ended

    def give_up(self) -> list[int]:
        return [job for _, job in self._ends]
