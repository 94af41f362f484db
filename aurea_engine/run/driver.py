"""Drivers: what carries a run from its first instant to its last. One contract, one list, and the choice in one place."""

# What a driver must hold
#
# A driver takes the jobs of `RunContext.plan` through arrival, start and end. It decides nothing but *when* it looks: what
# happens, and in which order, is the same for all of them, so that a specification has one meaning.
#
# *The order at one instant t* (the dispatcher's rules, h11's idea: a core without I/O or clock, and drivers that obey it):
#
# 1. all jobs end that end at t, the lower job number first; 2. a stop takes effect, if one is due; 3. all jobs arrive that
# arrive at t, in the order of their numbers; who finds no room is rejected; 4. who may wait no longer leaves (deadline),
# then jobs start while slots are free, then who has no more patience leaves.
#
# *A stop at t* comes between 1 and 3, whatever asks for it: `Workload.stop_at`, the end of the drain, or an objective that
# one of these ends has lost. So it sees every end of t and no arrival of t. What is in service ends as cancelled at t; what
# waits is cancelled and never started; what would arrive at t or later does not arrive. A stop from outside
# (`StopConditions.watch`) is not tied to an instant of the workload. It takes effect at the next nanosecond, or at the
# instant that the driver has just come to, before its arrivals: either way the same specification with that instant as its
# ``stop_at`` has the same records.
#
# *Who writes what.* The recorder is the only writer of columns, the dispatcher the only writer of its counts. A driver
# tells both what happened, job by job or in bulk. When it returns, every job that arrived has ended, and `JobPlan.stop` was
# called if the run was stopped.
#
# *Time.* A virtual driver looks at no clock, never suspends (`simulate` steps it to its end without an event loop), and
# calls `StopConditions.watch` often enough that a person who stops the run does not wait. A driver of real time knows time
# only from `RunContext.clock`.
#
# Why there are several
#
# The last driver of each clock accepts every specification of that clock. Those before it are optimisations for runs that
# leave less to decide. A property test holds all that accept a specification equal: columns, counts, meters, peak and cost,
# watched and unwatched, stopped at any instant, with and without records. No driver exists for a benchmark alone.

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from aurea_engine.run.context import DriverStats, RunContext
from aurea_engine.run.event_heap import EventHeap
from aurea_engine.run.kernels import FifoKernel, KeyedKernel
from aurea_engine.run.realtime import RealTimeDriver
from aurea_engine.spec import RunSpec

T = TypeVar("T")


class Driver(Protocol):
    """**Protocol:** carries runs, one at a time or several; it keeps nothing of a run."""

    def accepts(self, spec: RunSpec) -> bool:
        """Whether it can drive ``spec`` exactly, whatever comes from outside."""

    async def drive(self, run: RunContext) -> DriverStats:
        """Drive the run until every job has ended or the run is stopped. Returns ``run.stats``, with the window closed."""


DRIVERS: tuple[Driver, ...] = (FifoKernel(), KeyedKernel(), EventHeap(), RealTimeDriver())
"""In order of preference: the first that accepts a specification drives it."""


def pick_driver(spec: RunSpec) -> Driver:
    """The first of `DRIVERS` that accepts ``spec``."""
    return next(driver for driver in DRIVERS if driver.accepts(spec))


def step_to_end(driving: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, such as a virtual driver's `Driver.drive`, without an event loop."""
    try:
        driving.send(None)
    except StopIteration as returned:
        return returned.value  # type: ignore[no-any-return]
    driving.close()
    raise AssertionError("a driver of virtual time waited for something")
