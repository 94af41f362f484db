"""What a driver is given, and what it tells of itself: the two sides of the contract in `aurea_engine.run.driver`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from aurea_engine.errors import Problem, SpecError
from aurea_engine.run.clock import Clock
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.recorder import Recorder
from aurea_engine.run.stop_conditions import StopConditions
from aurea_engine.spec import RunSpec
from aurea_engine.workload.jobs import OpenedJob

# A driver gets one `RunContext` and returns its `DriverStats`. The context is frozen: what changes during a run changes
# inside its members, each of which has one writer. Drivers keep nothing of a run themselves, so one driver serves all runs.


@dataclass
class DriverStats:
    """What a driver knows of its own run; kept up to date under way.

    ``window_ns``: the length of the window, once it has closed. ``waited_ns``: time spent waiting for the next instant; for
    the rest of the window the driver was at work. ``used_ns``: for how long its thread had work, jobs' callbacks included;
    it says nothing where the thread ``has_spun`` on the clock. ``late_ns``: the longest time that the event loop kept it
    beyond the instant for which it waited. ``skew_ns``: how long after `RunContext.opens_at` it began. In virtual time
    nothing is waited for, and nothing is late.
    """

    # Mutable, and made before the run: progress reports of a run in real time read it while the driver writes it.
    window_ns: int = 0
    waited_ns: int = 0
    used_ns: int = 0
    has_spun: bool = False
    late_ns: int = 0
    skew_ns: int = 0


@dataclass(frozen=True)
class RunContext:
    """One run, as its driver gets it. Every member is used through its public methods alone.

    ``plan``: the jobs that come. ``dispatcher``: who starts when. ``recorder``: the columns. ``conditions``: what may end
    the run, or a job's wait, early. ``clock`` and ``runs`` (what does one job of each leaf, None if only time has to
    pass) are for real time; ``opens_at`` is the instant of the clock at which the window opens, None if that is when the
    driver begins.
    """

    spec: RunSpec
    plan: JobPlan
    dispatcher: Dispatcher
    recorder: Recorder
    conditions: StopConditions
    # For real time only. A virtual driver that asked for a clock would give figures that depend on the machine.
    clock: Clock | None = None
    runs: Sequence[OpenedJob | None] = ()
    opens_at: int | None = None
    stats: DriverStats = field(default_factory=DriverStats)

    def close_virtual_window(self) -> DriverStats:
        """For drivers of virtual time, at their end: the window is as long as the run was, or until it was stopped."""
        # The latest end is known to the meters, and only when all ends have been fed to them.
        self.recorder.digest()
        stopped_ns = self.plan.stopped_ns
        self.stats.window_ns = self.recorder.meters.last_ns if stopped_ns is None else stopped_ns
        return self.stats


@contextmanager
def in_reach() -> Iterator[None]:
    """For drivers of virtual time: an instant that int64 nanoseconds do not reach is a problem of the specification."""
    # The columns are int64, and refuse a larger number by themselves. Asking before each addition would cost every job.
    try:
        yield
    except OverflowError:
        problem = "would last more than 292 years of virtual time: give it fewer or shorter jobs, or more slots"
        raise SpecError([Problem("workload", problem)]) from None
