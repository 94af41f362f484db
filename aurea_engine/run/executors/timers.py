"""Jobs of which only time has to pass: a heap of instants, and nothing that runs."""

# Ten thousand sleeps cost ten thousand entries of a heap here, a fraction of a microsecond each; as tasks they would cost
# ten thousand timers of the event loop. And they are exact: the pump waits for the head of this heap as it does for an
# arrival, spinning for the last microseconds, where a timer of the event loop is a millisecond or two late.

from __future__ import annotations

import heapq
from collections.abc import Sequence

from aurea_engine.run.executors.contract import Executor, ExecutorContext


class Timers(Executor):
    """For jobs of which only time has to pass. The pump looks at ``ends`` by itself."""

    def __init__(self, context: ExecutorContext) -> None:
        self._context = context
        self.ends: list[tuple[int, int]] = []
        """A heap of (instant, job)."""

    def start(self, jobs: Sequence[int], demands: Sequence[float] = (), limits: Sequence[int] = ()) -> None:
        """Demand and limit are in the planned service time. All share one stamp, as they share the one that ends them."""
        context, recorder, timers = self._context, self._context.recorder, self.ends
        service_ns, start, planned_outcome = recorder.service_ns, recorder.start, recorder.planned_outcome
        clock, opened, ends = context.clock.now, context.opened, context.ends
        # One stamp for all: nothing of theirs runs, so none begins later than another. Their ends share one too, which is
        # later: none is shorter than its demand.
        now = clock() - opened
        waits = context.wait_limits if context.wait_limits.anyone else None
        for job in jobs:
            if waits is not None:
                waits.limit_service(job, now)
                start(job, now)
            if service := service_ns(job):
                start(job, now)
                heapq.heappush(timers, (now + service, job))
            else:
                # Nothing to wait for. Two stamps all the same: a rate of jobs that take no time at all would be infinite.
                began = clock() - opened
                if not ends:  # as `ExecutorContext.log_end`, without the call
                    context.bell.ring()
                ends.append((clock() - opened, job, began, planned_outcome(job), None))

    def end_due(self, now: int) -> list[int]:
        """End those that are due by ``now``, at ``now``: when it was noticed, so that none is shorter than its demand."""
        ends, recorder, ended = self.ends, self._context.recorder, []
        # Ties leave the heap by job number, as the dispatcher's rules ask.
        while ends and ends[0][0] <= now:
            job = heapq.heappop(ends)[1]
            recorder.finish(job, now, recorder.planned_outcome(job))
            ended.append(job)
        return ended

    def give_up(self) -> list[int]:
        return [job for _, job in self.ends]
