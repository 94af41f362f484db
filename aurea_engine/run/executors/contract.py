"""The contract of executors, and what they share with the pump; the theory is in the package's own docstring."""

from __future__ import annotations

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
