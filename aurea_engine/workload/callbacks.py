"""Jobs that are done by callbacks of the event loop: the contract between a pool and the run that it works for.

A task per job costs microseconds: more than a request on a connection that is already open. A job with
``executor = "callbacks"`` yields a `CallbackPool` from `Job.opened` instead of a function. The run calls
`CallbackPool.start` for each job, and the pool says `Done` from whatever callback sees the job's end: a protocol's
``data_received``, a timer, a future. In between there is no object per job but what the pool itself needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol


class Done(Protocol):
    """**Protocol:** tells the run how a job ended. Only on the event loop's own thread, once for each job."""

    def __call__(
        self,
        job: int,
        started: int,
        finished: int,
        outcome: int,
        marks: Sequence[int] = (),
        measures: Sequence[int] = (),
        error: str | None = None,
    ) -> None:
        """``job`` was in service from ``started`` to ``finished``, instants of `CallbackPool.now`.

        ``outcome``: `Outcome.COMPLETED`, `FAILED` or `TIMED_OUT`; ``error`` names the class of a failure, under which it is
        counted. ``marks`` (instants of `CallbackPool.now`) and ``measures``: what the job declares, each in the order of its
        declaration, -1 for what it did not see; or nothing at all.
        """


class CallbackPool(ABC):
    """Does the jobs of one leaf for one run.

    A job that a pool has taken holds its slot. Its service begins when the pool says so: one that still waits for a free
    connection has not started.
    """

    # Plain attributes, set by the run and not by a constructor: a pool need not call `super().__init__`.
    now: Callable[[], int]
    """Nanoseconds since the run's window opened: the time of every stamp. Set before the first `start`."""
    done: Done
    """To be told of every job's end. It starts nothing, so it may be called from within `start`."""

    @abstractmethod
    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        """Begin ``job``, and return at once.

        ``demand``: as for `Job.run`. ``limit``: ns after the start of its service, and ``deadline``: an instant, at which
        the job is over: the pool stops it, and says `Outcome.TIMED_OUT`. What this raises makes the job failed.
        """

    @abstractmethod
    def cancel(self, job: int) -> int | None:
        """The run is over: give up ``job``, which is not done. Returns the instant at which its service began, if it has."""
