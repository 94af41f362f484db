"""Timeouts of all exchanges of a pool, with one timer of the event loop."""

# A timer for each request costs more than its parsing, and nearly all are cancelled. So none is set. An exchange notes the
# instant at which it is over, in an attribute of its own, and compares it with `Timeouts.soonest`, which is all that it
# costs: an instant no later than any that was noted since the exchanges were last looked through. Only when that instant
# comes are they looked through, and those that still go on are put in a heap. With equal timeouts this happens once in
# each timeout, since whatever is noted later also ends later. In between, the timer fires for the top of the heap; entries
# whose exchange has ended long since are dropped there.

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from typing import Any

FOREVER = 2**63 - 1
"""The instant at which nothing is over."""


class Timeouts:
    """``collect``: (instant, what) of all that goes on. ``expire``: called with one whose instant has come, and with that;
    it looks whether it still goes on.
    """

    __slots__ = ("_armed", "_collect", "_expire", "_heap", "_timer", "now", "soonest")

    def __init__(
        self,
        now: Callable[[], int],
        collect: Callable[[], Iterable[tuple[int, Any]]],
        expire: Callable[[Any, int], None],
    ) -> None:
        self.now = now
        self.soonest = FOREVER
        self._collect, self._expire = collect, expire
        self._heap: list[tuple[int, int, Any]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed = FOREVER

    def note(self, instant: int) -> None:
        """Something is over at ``instant``. Call it where that is before ``soonest``; else nothing need be done."""
        if instant < self.soonest:
            self.soonest = instant
            if instant < self._armed:
                self._arm()

    def _arm(self) -> None:
        """Set the timer for the next instant at which there is something to do."""
        if self._timer is not None:
            self._timer.cancel()
        at = min(self.soonest, self._heap[0][0]) if self._heap else self.soonest
        self._armed, self._timer = at, None
        if at != FOREVER:
            # Loops fire in steps of a millisecond, and uvloop also early; then the clock is looked at, and it is set again.
            milliseconds = max(-((self.now() - at) // 1_000_000), 0)
            self._timer = asyncio.get_running_loop().call_later(milliseconds / 1000, self._fire)

    def _fire(self) -> None:
        self._timer, self._armed = None, FOREVER
        now = self.now()
        if self.soonest <= now:
            self._look_through()
        heap = self._heap
        try:
            while heap and heap[0][0] <= now:
                instant, _, what = heapq.heappop(heap)
                self._expire(what, instant)
        finally:  # whatever one of them raises: without a timer the others would never end
            self._arm()

    def _look_through(self) -> None:
        self.soonest = FOREVER
        # The number keeps the order in which things began, and spares comparing them.
        self._heap = [(instant, i, what) for i, (instant, what) in enumerate(self._collect()) if instant != FOREVER]
        heapq.heapify(self._heap)

    def stop(self) -> None:
        """Forget everything."""
        self.soonest, self._heap = FOREVER, []
        self._arm()
