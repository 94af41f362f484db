"""Clocks and an event loop for tests: time that a test moves by hand, and time that jumps to the next timer.

Why an own loop and not patched functions: user jobs call ``asyncio.sleep`` and other libraries, which know nothing of our
clocks. A loop whose `time` jumps takes all of them along, with the asyncio that is installed.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterable
from dataclasses import replace

from aurea_engine.engine import Stop, run
from aurea_engine.records.batch import NS
from aurea_engine.results.observers import Observer
from aurea_engine.results.result import RunResult
from aurea_engine.run.clock import Bell
from aurea_engine.spec import RunSpec
from aurea_engine.workload.access import LOCAL_USER, Access


class ManualClock:
    """A `Clock` that stands still until a test moves it. Hand it to `run`, and move it with `advance`. ::

    clock = ManualClock()
    running = asyncio.create_task(aurea_engine.run(spec, clock=clock))
    await clock.advance(0.1)

    Jobs that only let time pass obey it. A job that sleeps by itself uses the time of the loop: see `JumpingLoop`.
    """

    def __init__(self, ns: int = 0) -> None:
        self._ns = ns
        self._waiting: dict[asyncio.Future[None], int] = {}

    def now(self) -> int:
        """Nanoseconds: what it began with, and what it was moved by."""
        return self._ns

    @property
    def waiting(self) -> int:
        """How many waiters it has."""
        return len(self._waiting)

    async def advance(self, seconds: float, *, at_once: bool = False) -> None:
        """Move it from one awaited instant to the next, and let the waiters of each do their work.

        ``at_once`` moves it in one step, as a blocked event loop would: all waiters wake late.
        """
        # Step by step, because the work at one instant may ask for the next one, which must not be passed over.
        until = self._ns + round(seconds * NS)
        await _settle()
        while not at_once and (due := min(self._waiting.values(), default=until)) < until:
            self._move(due)
            await _settle()
        self._move(until)
        await _settle()

    def _move(self, ns: int) -> None:
        self._ns = max(self._ns, ns)
        for waiter, until in list(self._waiting.items()):
            if until <= self._ns and not waiter.done():
                waiter.set_result(None)

    async def wait(self, until: int, bell: Bell, exact: bool) -> None:
        """Wait until it was moved to ``until``, or ``bell`` rings."""
        if until <= self._ns or bell.rung:
            # Yield once all the same: a driver that never waits must not starve the tasks of the jobs.
            await asyncio.sleep(0)
            return
        moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        rung = asyncio.ensure_future(bell.wait(None))
        self._waiting[moved] = until
        try:
            await asyncio.wait([moved, rung], return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waiting[moved]
            rung.cancel()


class LoopClock:
    """A `Clock` that reads the running event loop's own time, so that a loop whose time jumps takes a run along."""

    def now(self) -> int:
        """The loop's time, to the nearest nanosecond."""
        return round(asyncio.get_running_loop().time() * NS)

    async def wait(self, until: int, bell: Bell, exact: bool) -> None:
        """By a timer of the loop. Other work of that instant is done first, so that ends come before arrivals."""
        await bell.wait(max(until - self.now(), 0) / NS)
        await _settle()


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which nothing takes time: when nothing is ready, its clock jumps to the next timer.

    Its time is a whole number of nanoseconds and begins at 0. Sockets, pipes and threads still work, but an hour of timers
    may pass while one of them answers. If no timer is set and nothing comes for ``patience`` real seconds, it raises
    RuntimeError.
    """

    def __init__(self, patience: float = 1.0) -> None:
        self.patience = patience
        self._ns = 0
        self._settling: list[asyncio.Future[None]] = []
        super().__init__(_JumpingSelector(self))
        self._clock_resolution = 0.6 / NS  # timers that are due within the rounding of a nanosecond fire together

    def time(self) -> float:
        """The time in seconds."""
        return self._ns / NS

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's name
        """Waits for the threads without a limit. A limit of 300 s would pass before they have noticed."""
        await super().shutdown_default_executor()

    def settled(self) -> asyncio.Future[None]:
        """A future that is done as soon as nothing is left to do at this instant."""
        waiter = self.create_future()
        self._settling.append(waiter)
        return waiter

    def idle(self, seconds: float | None) -> bool:
        """Called when nothing is ready for ``seconds`` (None: no timer is set). False: there is nothing to jump to."""
        # Settling comes before jumping: those who wait for the end of this instant go first, and may cause more work in it.
        if self._settling:
            for waiter in self._settling:
                if not waiter.done():
                    waiter.set_result(None)
            self._settling.clear()
            return True
        if seconds is not None:
            # At least one nanosecond: a timer a fraction of one away would otherwise be asked for again, for ever.
            self._ns += max(round(seconds * NS), 1)
        return seconds is not None


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # The one place where asyncio waits. What is ready goes first; only then does time jump. BaseEventLoop calls select
        # with the time until its next timer, which is exactly how far to jump.
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0 or self._loop.idle(timeout):
            return ready
        ready = super().select(self._loop.patience)  # a thread or a pipe may still answer
        if not ready:
            raise RuntimeError("nothing is ready and no timer is set: this loop would wait for ever")
        return ready


async def _settle() -> None:
    """Let all work of this instant be done: exactly in a `JumpingLoop`, elsewhere for as many rounds as tasks need."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, JumpingLoop):
        await loop.settled()
        return
    # No loop but ours can tell when it is idle. A task that wakes another one takes one round, and the longest chain here
    # (timer, driver, job, executor, recorder) has half as many links.
    for _ in range(12):
        await asyncio.sleep(0)


def run_jumping(
    spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None, access: Access = LOCAL_USER
) -> RunResult:
    """Run ``spec`` with the driver of real time on a `JumpingLoop`: as fast as virtual time, and jobs are really called.

    The same specification and seed give the response times of `simulate`, job by job, to the nanosecond. Marks are instants
    of the loop, ``round(asyncio.get_running_loop().time() * 1e9)``; those of another clock are none of this run.
    """
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(run(replace(spec, clock="real"), observers, stop=stop, clock=LoopClock(), access=access))
