"""Jobs that are done by callbacks of the event loop: the contract between a pool and the run that it works for.

A task per job costs microseconds: more than a request on a connection that is already open. A job with
``executor = "callbacks"`` yields a `CallbackPool` from `Job.opened` instead of a function. The run calls
`CallbackPool.start` for each job, and the pool says `Done` from whatever callback sees the job's end: a protocol's
``data_received``, a timer, a future. In between there is no object per job but what the pool itself needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Annotated, Protocol

from msgspec import Meta

from aurea_engine.errors import StrategyError
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Measure


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

        ``outcome``: `Outcome.COMPLETED`, `FAILED` or `TIMED_OUT`; ``error`` names the class of a failure or a timeout, under
        which it is counted. ``marks`` (instants of `CallbackPool.now`) and ``measures``: what the job declares, each in the
        order of its declaration, -1 for what it did not see; or nothing at all. A measure with a scale may be a fraction.
        """


# With their bounds, because states are read back from bytes that another machine sent.
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


@dataclass(frozen=True)
class PoolState:
    """The connections of a pool at an instant, or of several pools together.

    ``open``: connections that are open; ``busy``: those that have a job, also while they are being opened for it;
    ``waiting``: jobs that wait for one. Since the window opened: ``waited``: jobs that had to wait at all; ``full_ns``: how
    long every connection that is allowed was busy; ``opened``: connections that were opened, the warm ones too;
    ``failed_dials``: attempts that failed; ``lost_kept``: requests that were sent on a kept connection, which the target
    then closed without a byte of a reply.
    """

    open: Count = 0
    busy: Count = 0
    waiting: Count = 0
    waited: Count = 0
    full_ns: Count = 0
    opened: Count = 0
    failed_dials: Count = 0
    lost_kept: Count = 0

    @classmethod
    def join(cls, states: Iterable[PoolState]) -> PoolState | None:
        """Several pools together; None if there are none."""
        each = [astuple(state) for state in states]
        if not each:
            return None
        joined = cls(*map(sum, zip(*each, strict=True)))
        # Two pools that are full at once are full once: the sum could be longer than the run.
        return replace(joined, full_ns=max(state[_FULL] for state in each))


_FULL = [member.name for member in fields(PoolState)].index("full_ns")


StepTimes = tuple[int, int, int, int]
"""When a step was meant to start, was released by the pool, started and finished: instants of `CallbackPool.now`. The first
two are taken from the job itself for its first step.
"""


class StepDone(Protocol):
    """**Protocol:** tells the run how one step of a job ended, in the order of the steps and before `Done` of that job."""

    def __call__(
        self,
        job: int,
        step: int,
        times: StepTimes,
        outcome: int,
        marks: Sequence[int] = (),
        measures: Sequence[int] = (),
        error: str | None = None,
    ) -> None:
        """Step number ``step`` (from 0, in `Job.step_names`) of ``job`` has ended. The rest is as for `Done`.

        In `CallbackPool.cancel`, and only there, the step that the job is at is told as `Outcome.CANCELLED`, with -1 as its
        end, and -1 as its start where it still waits for its service.
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
    number: Callable[[int], int]
    """The number of a job in the whole run, over all shards, from 0."""
    turn: Callable[[int], int]
    """The number of a job among those of its leaf in the whole run, over all shards, from 0. Only where the leaf says
    `Job.counts_turns`."""
    leaves_at: Callable[[int], int | None]
    """The instant at which a job leaves if its service has not begun by then: by the workload's patience or deadline. None:
    it waits for ever. For a pool in which jobs wait."""
    leave: Callable[[int], None]
    """To be told of a job that leaves. It has not been in service, and the run knows whether it is abandoned or rejected."""
    is_counted: Callable[[int], bool]
    """Whether a job is one that counts: one that was meant to start after the warm-up, as far as that is known. For what is
    of the run (`take_run_measures`). Set before the first `start`."""
    record_step: StepDone
    """To be told of the end of every step that was reached, where `Job.steps` names any. Set before the first `start`."""

    @abstractmethod
    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        """Begin ``job``, and return at once.

        ``demand``: as for `Job.run`. ``limit``: ns after the start of its service, and ``deadline``: an instant, at which
        the job is over: the pool stops it, and says `Outcome.TIMED_OUT`. One that still waits leaves (`leaves_at`). What
        this raises makes the job failed.
        """

    @abstractmethod
    def cancel(self, job: int) -> int | None:
        """The run is over: give up ``job``, which is not done. Returns the instant at which its service began, if it has."""

    def state(self) -> PoolState | None:
        """How the pool's connections stand; None if it has none. Asked for now and then, and once when the run is over."""
        return None

    def take_run_measures(self) -> Mapping[str, LatencyHistogram]:
        """The amounts of `Job.run_measures`, as value × scale, that have come since this was last asked: now and then, and
        once when the run is over.
        """
        return {}


def check_run_measures(pool: CallbackPool, declared: Iterable[Measure]) -> Mapping[str, LatencyHistogram]:
    """What ``pool`` tells of the run, held to what its job has ``declared``. Raises `StrategyError`."""
    taken, names = pool.take_run_measures(), {measure.name for measure in declared}
    if not isinstance(taken, Mapping) or not all(isinstance(each, LatencyHistogram) for each in taken.values()):
        raise StrategyError(f"{type(pool).__name__}.take_run_measures must give a LatencyHistogram for each name")
    if unknown := sorted(taken.keys() - names):
        raise StrategyError(f"{type(pool).__name__}.take_run_measures names {unknown[0]!r:.100}, which is not declared")
    return taken
