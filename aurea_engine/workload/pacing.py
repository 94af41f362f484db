"""A ceiling on how fast a run sends, whatever its arrivals ask for: the generic cell rate algorithm (ITU-T I.371, annex A).

The algorithm keeps one number, the instant at which the next request would be on time at the highest rate. A request that
comes no earlier than a burst before that instant is sent at once; any other waits until then. Each request moves the instant
on by one interval. So no window of any length has more than ``rate`` · length + burst requests, and a clock is read by the
caller alone.
"""

from __future__ import annotations

from aurea_engine.records.batch import NS

FINE = 2**20
"""Parts of a nanosecond that intervals are counted in: whole numbers are quick and never drift, and at ten thousand requests
a second the error is a millisecond in ten thousand years.
"""

BURST_NS = NS // 100
"""How far ahead of its time a request may be sent: a turn of the event loop releases the jobs of several milliseconds."""


class SendPacer:
    """One for a run, shared by all that sends. ``rate``: requests per second. ``paced``: requests that had to wait."""

    def __init__(self, rate: float) -> None:
        self._interval = round(NS * FINE / rate)
        self._due = 0
        self.paced = 0

    def reserve(self, now: int) -> int:
        """The instant, ``now`` or later, at which the next request may be sent: its place is taken. ns of any one clock."""
        due = max(self._due, now * FINE)
        self._due = due + self._interval
        # Rounded up: a request is never sent before its time.
        instant = -(-due // FINE) - BURST_NS
        if instant <= now:
            return now
        self.paced += 1
        return instant
