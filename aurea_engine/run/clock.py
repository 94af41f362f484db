"""Clocks: what time it is, and how to wait until it is later.

The real driver knows time only through a `Clock`, so the same driver runs on the machine's monotonic clock, on one that a
test moves by hand, or on one that jumps.
"""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Protocol

# An event loop without a bell could only be asked to come back later. The pump waits for two things at once: an instant,
# and any job's end. One future for both, made for each wait, is the cheapest way to have that: the first of them resolves
# it.


class Bell:
    """Rung by whatever must be looked at before the time a driver waits for; waiting on a rung bell returns at once."""

    def __init__(self) -> None:
        self.rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the waiter, now or at its next wait."""
        # The flag outlasts the future: what rings between two waits is seen by the next, so no ring is ever lost.
        self.rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, seconds: float | None) -> None:
        """Until rung, or for ``seconds``; what a timer of the event loop does to the last millisecond is not undone."""
        if self.rung:
            return
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self._expire, waiter)
        # Also when the waiting task is cancelled: a timer that is left behind would keep this future for as long as it
        # runs.
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    @staticmethod
    def _expire(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)


class Clock(Protocol):
    """**Protocol:** int64 nanoseconds from any origin, never backwards, and a wait."""

    def now(self) -> int:
        """Nanoseconds since the clock's origin."""

    async def wait(self, until: int, bell: Bell, exact: bool) -> None:
        """Return at ``until``, or earlier when ``bell`` rings. ``exact`` asks for the instant itself, whatever it costs;
        without it the return may be a millisecond or two late. May return early at any time: callers look at `now`.
        """


async def wait_until(clock: Clock, instant: int) -> None:
    """Until it is ``instant`` by ``clock``, as exactly as that clock can wait."""
    bell = Bell()
    while clock.now() < instant:
        await clock.wait(instant, bell, exact=True)


class MonotonicClock:
    """The machine's monotonic clock.

    Event loops fire timers in steps of 1 ms: asyncio late, uvloop also early. So an exact wait leaves the loop's timer
    `SLACK` before its end, then lets the loop run other tasks one round at a time, and spends the last `SPIN` on the clock.
    """

    SLACK = 2_000_000
    SPIN = 40_000

    now = staticmethod(perf_counter_ns)

    async def wait(self, until: int, bell: Bell, exact: bool) -> None:
        left = until - perf_counter_ns()
        # Late by a step of the loop's timer, and without a spin: for runs whose jobs need the processors.
        if not exact:
            await bell.wait(max(left, 0) / 1e9)
            return
        if left > self.SLACK:
            await bell.wait((left - self.SLACK) / 1e9)
        # Rounds of the loop, in which other tasks run. One that begins `SPIN` before the instant ends in time if nothing
        # blocks.
        while not bell.rung and (left := until - perf_counter_ns()) > self.SPIN:
            await asyncio.sleep(0)
        # No round fits any more. Nothing can ring while this thread spins but a signal's handler; the look at the bell is
        # for one that rang in the last round.
        while not bell.rung and perf_counter_ns() < until:
            pass
