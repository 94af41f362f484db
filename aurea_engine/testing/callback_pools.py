"""Checks a `CallbackPool`, ours or yours: the check behind `check_job` for jobs that are done by callbacks."""

from __future__ import annotations

import asyncio
import contextlib
import operator
from collections.abc import Sequence
from time import perf_counter_ns

from aurea_engine.closed_sets import Outcome
from aurea_engine.workload.callbacks import CallbackPool, PoolState, StepTimes

ENDINGS = (Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT)
"""The outcomes that a pool may report. All others are decided by the run."""

AT_ONCE = 20
"""How many jobs are in the pool at once."""


class _Ends:
    """Receives the reports of a pool, and checks them against the contract."""

    def __init__(self) -> None:
        self._origin = perf_counter_ns()
        self._broken: AssertionError | None = None
        self._all_done = asyncio.Event()
        self._latest_step: dict[int, int] = {}
        self.taken: dict[int, int] = {}
        """Job → the instant at which the pool got it, until the pool is done with it."""

    def now(self) -> int:
        return perf_counter_ns() - self._origin

    def done(
        self,
        job: int,
        started: int,
        finished: int,
        outcome: int,
        marks: Sequence[int] = (),
        measures: Sequence[int] = (),
        error: str | None = None,
    ) -> None:
        try:
            assert job in self.taken, f"done is called for job {job}, which the pool does not have: once for each job"
            taken = self.taken.pop(job)
            assert taken <= started <= finished <= self.now(), "a job starts in the pool, and ends after its start"
            assert outcome in ENDINGS, f"a pool says completed, failed or timed out, not {outcome}"
            assert error is None or outcome != Outcome.COMPLETED, "only a failure or a timeout has a class"
            assert all(started <= mark <= finished for mark in marks if mark >= 0), "a mark lies within the service"
            assert all(measure >= -1 for measure in measures), "a measure is from 0 up, or -1 where there is none"
        except AssertionError as broken:
            self._broken = broken  # within a callback the event loop would only log it
            raise
        finally:
            if self._broken or not self.taken:
                self._all_done.set()

    def record_step(
        self,
        job: int,
        step: int,
        times: StepTimes,
        outcome: int,
        marks: Sequence[int] = (),
        measures: Sequence[int] = (),
        error: str | None = None,
    ) -> None:
        try:
            assert job in self.taken, f"a step of job {job} has ended, which the pool does not have: before its end"
            assert step > self._latest_step.get(job, -1), f"step {step} of job {job} comes once, and in its order"
            self._latest_step[job] = step
            intended, released, started, finished = times
            # When the first step was meant to start, only the run knows.
            due = self.taken[job] if step == 0 else released
            if outcome == Outcome.CANCELLED:
                assert started == -1 or due <= started <= self.now(), (
                    "a cancelled step starts in the pool, or not at all"
                )
                return
            assert outcome in ENDINGS, f"a pool says of a step completed, failed or timed out, not {outcome}"
            assert step == 0 or intended <= released, "a step is let go when it was meant to start, or later"
            assert due <= started <= finished <= self.now(), (
                "a step starts when it was let go, and ends after its start"
            )
            assert error is None or outcome != Outcome.COMPLETED, "only a failure or a timeout has a class"
            assert all(started <= mark <= finished for mark in marks if mark >= 0), "a mark lies within its step"
            assert all(measure >= -1 for measure in measures), "a measure is from 0 up, or -1 where there is none"
        except AssertionError as broken:
            self._broken = broken
            self._all_done.set()
            raise

    def leave(self, job: int) -> None:
        self._broken = AssertionError(f"job {job} leaves, though all may wait for ever")
        self._all_done.set()
        raise self._broken

    async def wait(self, patience: float) -> None:
        """Wait until the pool is done with all jobs that it got."""
        if self.taken:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_done.wait(), patience)
            self._all_done.clear()
        if self._broken is not None:
            raise self._broken
        assert not self.taken, f"the pool is not done with {len(self.taken)} jobs after {patience:g} s"


async def check_callback_pool(pool: CallbackPool, demand: float = float("nan"), *, patience: float = 10.0) -> None:
    """Raises AssertionError if ``pool`` does not keep its contract. Call it inside a running event loop.

    The pool does `AT_ONCE` jobs together and one alone, within ``patience`` seconds, and gives up one that is cancelled.
    What it says of its connections must fit the jobs that it has.
    """
    ends = _Ends()
    pool.now, pool.done, pool.record_step = ends.now, ends.done, ends.record_step
    # As in a run of these jobs alone: each is at its own place, among its leaf's and among all.
    pool.number = pool.turn = operator.index
    pool.leaves_at, pool.leave, pool.is_counted = lambda _: None, ends.leave, lambda _: True
    _check_state(pool.state(), jobs=0)
    # First all together, then one more: a pool that never frees its places does the first twenty and hangs on the next.
    # Together, so that jobs wait for each other in a pool of few connections; then alone, on one that was used before.
    for jobs in (range(AT_ONCE), range(AT_ONCE, AT_ONCE + 1)):
        for job in jobs:
            ends.taken[job] = ends.now()  # before `start`, which may already be done with it
            pool.start(job, demand, None, None)
            _check_state(pool.state(), jobs=len(ends.taken))
        await ends.wait(patience)
    # Cancelling is a race that the pool may win: the job may be done when `start` returns. Then there is nothing to cancel.
    cancelled = AT_ONCE + 1
    ends.taken[cancelled] = taken = ends.now()
    pool.start(cancelled, demand, None, None)
    if cancelled in ends.taken:
        began = pool.cancel(cancelled)
        assert began is None or taken <= began <= ends.now(), "cancel gives the instant at which the service began"


def _check_state(state: PoolState | None, *, jobs: int) -> None:
    """Whether ``state`` can be that of a pool that has so many jobs, of which some may wait."""
    if state is None:
        return
    assert isinstance(state, PoolState), f"state gives a PoolState or None, not {type(state).__name__}"
    assert min(vars(state).values()) >= 0, f"nothing in a state is less than nothing: {state}"
    there = f"{state.busy} connections have a job and {state.waiting} jobs wait for one, and the pool has {jobs}"
    assert state.busy + state.waiting <= jobs, there
    assert state.open <= state.opened, f"{state.open} connections are open, and {state.opened} were ever opened"
