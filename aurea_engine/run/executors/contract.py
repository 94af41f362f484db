"""The contract of executors, and what they share with the pump."""

# Theory of operation
# -------------------
# The pump (`aurea_engine.run.realtime`) decides when a job enters service. An
# executor then does what the job's leaf asks for, and says when that was over. Which one does it, the leaf declares
# (`Job.executor`):
#
#     timers        only time has to pass        a heap of instants; the cheapest, since nothing runs
#     tasks         a coroutine has to run       an asyncio task for each job
#     cpu_workers   the same, on busy cores      tasks, beside which the pump does not spin on the clock
#     callbacks     a pool does many at once     no task: the pool calls back
#
# Three rules keep a run simple to reason about, and fast:
#
# 1. *An executor starts nothing.* Only the pump starts jobs, in a turn: never a job's end, never another job's first
#    step. So starts do not nest, however fast jobs end, and no chain of jobs grows the stack. This is what makes eager
#    tasks, and pools that are done with a job before they return, safe.
# 2. *An end is logged, not handled.* Whatever ends between two turns goes as one tuple into `ExecutorContext.ends`. The
#    pump takes all of them at its next turn, sorted by instant, and does the bookkeeping of all at once. The first of a
#    turn rings the bell that wakes the pump; the others find it rung.
# 3. *Each job is stamped by itself*, by the clock, beside its own first and last step, whenever the pump comes to look.
#
# A job has three places where its start may stand, and they never disagree for long: its row, from the moment in which an
# executor takes it (so that it does not leave the queue that it is no longer in); the executor, which knows when it
# really began; and the log. The log overwrites the row when the job has ended, the executor when the run ends before it.

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from aurea_engine.errors import StrategyError
from aurea_engine.run.clock import Bell, Clock
from aurea_engine.run.context import DriverStats
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
    stats: DriverStats
    opened: int = 0
    bell: Bell = field(default_factory=Bell)
    ends: list[End] = field(default_factory=list)
    broken: StrategyError | None = None

    # Read for nearly every stamp, so what runs once a job takes ``clock.now`` and ``opened`` apart and spares the call.
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

        Where jobs may leave the queue, each has a start in its row, or is in ``ends``, when this returns.
        """

    @abstractmethod
    def give_up(self) -> list[int]:
        """The run is over. Returns the jobs that were started and have not ended; their rows say when they began."""

    async def stop(self) -> None:  # noqa: B027 - as above
        """After `give_up`: see that nothing stays behind."""
