"""What strategies yield to a plan is checked here, before anything is run on it: service times, instants, think times."""

# Drivers do not check: a loop that adds a million nanoseconds a second has no time to ask whether they are any. So what
# comes from a strategy, which anyone may write, is looked at once, a block at a time, where it costs next to nothing.

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from aurea_engine.errors import NotSimulable, Problem, SpecError, StrategyError
from aurea_engine.records.batch import NS, Instants
from aurea_engine.workload.jobs import Job, Plan

LONGEST = 4.6e18
"""Nanoseconds, half of int64: an instant plus a service time still fits."""


def check_no_steps(leaves: tuple[Job, ...]) -> None:
    """Raises `NotSimulable` for jobs that consist of steps: it is not known before the run when each of them would end."""
    names = [type(leaf).__name__ for leaf in leaves if leaf.step_names()]
    if names:
        problem = f'{names[0]} consists of steps, which take place in real time only: set clock to "real"'
        raise NotSimulable([Problem("workload.job", problem)])


def check_service_times(plan: Plan, known: NDArray[np.bool_], leaves: tuple[Job, ...]) -> None:
    """Whether every service time is one: known where only time passes, not negative, and within an instant's reach."""

    def first(wrong: NDArray[np.bool_]) -> tuple[str, float]:
        return type(leaves[int(plan.leaf[wrong][0])]).__name__, float(plan.demand[wrong][0])

    # A timer has nothing but its demand: without one it would never end.
    unknown = ~known & np.array([leaf.executor == "timers" for leaf in leaves])[plan.leaf]
    if unknown.any():
        raise StrategyError(
            f"{first(unknown)[0]} only lets its demand pass, and says of a job that it is not known (NaN)"
        )
    wrong = known & ~((plan.demand >= 0) & np.isfinite(plan.demand) & (plan.limit >= 0))
    if wrong.any():
        name, demand = first(wrong)
        raise StrategyError(f"{name} demands a service time of {demand:g} s, or has no limit of it that is one")
    # Longer is possible in principle, but an instant plus two of them would overflow.
    long = known & (np.minimum(plan.demand, plan.limit) * NS >= LONGEST)
    if long.any():
        name, demand = first(long)
        problem = (
            f"{name} takes {demand:.3g} s, more than 146 years: give its duration a smaller mean or cv, or a timeout"
        )
        raise SpecError([Problem("workload.job", problem)])


def _check_form(blocks: object, what: str) -> Iterator[Instants]:
    """The same blocks, each looked at for its form."""
    if not isinstance(blocks, Iterable):
        raise StrategyError(f"{what} must yield int64 arrays of nanoseconds, and gave {type(blocks).__name__}")
    for block in blocks:
        if not isinstance(block, np.ndarray) or block.dtype != np.int64 or block.ndim != 1:
            found = f"{block.ndim}-D {block.dtype}" if isinstance(block, np.ndarray) else type(block).__name__
            raise StrategyError(f"{what} must yield int64 arrays of nanoseconds, one-dimensional ones, not {found}")
        yield block


def check_instants(blocks: object, name: str) -> Iterator[Instants]:
    """Blocks of instants: whole nanoseconds, none negative, none before the one before it."""
    # Every driver relies on this order: the kernels start jobs by it, the heap takes the next arrival for the earliest.
    last = 0
    for block in _check_form(blocks, f"{name}.instants"):
        if not len(block):
            continue
        if block[0] < last or (np.diff(block) < 0).any():
            raise StrategyError(f"{name}.instants came out of order or negative")
        last = int(block[-1])
        yield block


def check_think_times(blocks: object, name: str) -> Iterator[Instants]:
    """Blocks of think times: whole nanoseconds, none negative, none that no instant reaches; for ever."""
    what = f"{name}.think_times"
    # Each block must hold something: one after another that is empty would never let a user come back.
    for block in _check_form(blocks, what):
        if not len(block) or block.min() < 0:
            raise StrategyError(f"{what} must yield times that are not negative, and some in each block")
        if block.max() >= LONGEST:
            problem = "draws a time of more than 146 years: give it a smaller mean or cv"
            raise SpecError([Problem("workload.arrivals.think_time", problem)])
        yield block
    raise StrategyError(f"{what} came to an end: a user thinks after every job")
