"""What day it is, for deleting runs by their age.

A wall clock that is wrong by a year, after a start without a battery or by a mistake, would make every run too old at once.
So a jump ahead is believed only after it has lasted for a day; a clock that is behind deletes nothing, and is believed.
"""

from __future__ import annotations

import time

DAY_MS = 24 * 3600 * 1000
SET_MS = 60_000
"""The wall clock was set if it moves by more than that against the clock that cannot be set."""

_TICKS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def ticks_ms() -> int:
    """A clock that cannot be set; where the system has one that goes on during sleep, that one."""
    return time.clock_gettime_ns(_TICKS) // 1_000_000


def wall_ms() -> int:
    """The wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


class RetentionClock:
    """The wall clock, but where it is ahead of what was recorded last, it has to stay so for a day before it is believed.

    Until then time goes on from what was recorded last, or from before the clock was set. Behind, it is believed at once.
    """

    def __init__(self, recorded_ms: int | None = None) -> None:
        ticks = ticks_ms()
        self._claimed, self._since = wall_ms() - ticks, ticks
        self._believed = self._claimed if recorded_ms is None else recorded_ms - ticks

    def now_ms(self) -> int:
        """To be called now and then, so that it notices when the clock is set."""
        ticks = ticks_ms()
        claimed = wall_ms() - ticks
        # `claimed` is the wall clock's offset to the ticks: it changes only when the clock is set, or slowly, by NTP.
        if abs(claimed - self._claimed) > SET_MS:
            self._claimed, self._since = claimed, ticks
        # Behind: at once. Ahead: once the same claim has stood for a day of ticks.
        if claimed < self._believed or ticks - self._since >= DAY_MS:
            self._believed = claimed
        return ticks + self._believed
