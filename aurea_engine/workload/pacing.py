"""A ceiling on how fast a run sends, whatever its arrivals ask for: the generic cell rate algorithm (ITU-T I.371, annex A).

The algorithm keeps one number, the instant at which the next request would be on time at the highest rate. A request that
comes no earlier than a burst before that instant is sent at once; any other waits until then. Each request moves the instant
on by one interval. So no window of any length has more than ``rate`` · length + burst requests, and a clock is read by the
caller alone.
"""

from __future__ import annotations

from fractions import Fraction

NS = 1_000_000_000

BURST_SECONDS = Fraction(1, 100)
"""How far ahead of its time a request may be sent: a turn of the event loop releases the jobs of several milliseconds."""


class SendPacer:
    """One for a run, shared by all that sends. ``rate``: requests per second. ``paced``: requests that had to wait."""

    def __init__(self, rate: float) -> None:
        # A whole number of picoseconds would drift at high rates, a float after days: an exact fraction does neither.
        self._interval = NS / Fraction(rate)
        # At least one request may always be sent, at any rate.
        self._burst = NS * BURST_SECONDS
        self._due = Fraction(0)
        self.paced = 0

    def reserve(self, now: int) -> int:
        """The instant, ``now`` or later, at which the next request may be sent: its place is taken. ns of any one clock."""
        due = max(self._due, Fraction(now))
        self._due = due + self._interval
        if due - self._burst <= now:
            return now
        self.paced += 1
        return -int(-(due - self._burst) // 1)
