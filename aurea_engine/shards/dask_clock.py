"""How far the monotonic clock of another machine is ahead of ours, and how well that is known."""

# A round trip that leaves at t0 and is back at t1, by our clock, read theirs at some instant between. So their clock was
# ahead by reading − (t0 + t1) ÷ 2, give or take half of the round trip, however unequal the two ways were (Cristian,
# "Probabilistic clock synchronization", 1989). The quickest of many round trips tells most.
#
# No response time needs this: all instants of a job come from one clock. Only what is laid side by side from several
# machines does: the common start, the series, how many jobs were in the system at once.

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

ROUND_TRIPS = 32
"""Round trips of which the quickest counts."""


@dataclass(frozen=True)
class ClockOffset:
    """Their clock is ``ahead_ns`` ahead of ours, within ``bound_ns``."""

    ahead_ns: int = 0
    bound_ns: int = 0


SAME_CLOCK = ClockOffset()


async def measure_offset(
    read_theirs: Callable[[], Awaitable[int]],
    *,
    round_trips: int = ROUND_TRIPS,
    read_ours: Callable[[], int] = time.perf_counter_ns,
) -> ClockOffset:
    """The offset by the quickest of so many readings. ``read_theirs`` goes there and back."""
    found: list[tuple[int, int]] = []
    for _ in range(round_trips):
        left = read_ours()
        reading = await read_theirs()
        back = read_ours()
        # Both times two, so that halves of a nanosecond are whole numbers until the end.
        found.append((back - left, 2 * reading - left - back))
    round_trip, twice_ahead = min(found)
    # The bound is rounded up and by one more, for the half that `ahead_ns` may have lost.
    return ClockOffset(twice_ahead // 2, round_trip // 2 + 1)


def choose_offset(measured: ClockOffset, *, same_machine: bool) -> ClockOffset:
    """``measured``, or none at all where both are processes of one machine, which share its monotonic clock."""
    # Where the measurement contradicts that, it is believed: a container may have a clock of its own (time_namespaces(7)).
    return SAME_CLOCK if same_machine and abs(measured.ahead_ns) <= measured.bound_ns else measured


def name_machine() -> str:
    """The same text in all processes of a machine since it was started, and another one elsewhere; empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
