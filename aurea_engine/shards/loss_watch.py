"""Whether a process is frozen: nothing is heard of it, and it does not even use the processor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LOOK = 0.5
"""Seconds between two looks."""

PATIENCE = 5.0
"""Seconds without a sign of life after which a process is taken for frozen."""


async def wait_until_frozen(heard_at: Callable[[], float], used_ns: Callable[[], int]) -> None:
    """Returns once a process has given no sign of life for `PATIENCE`. ``heard_at``: when it was last heard of;
    ``used_ns``: the CPU time that it has used so far.
    """
    # Counted by looks and not by the clock: where this process itself was held up, or the machine asleep, the frames of the
    # other are still to be read, and a clock would take our own pause for its.
    quiet, before = 0, (heard_at(), used_ns())
    while quiet * LOOK < PATIENCE:
        await asyncio.sleep(LOOK)
        now = (heard_at(), used_ns())
        # A job that blocks the event loop, or holds the interpreter, still takes processor time: that is a finding of the
        # run, and no loss.
        quiet, before = (quiet + 1, before) if now == before else (0, now)
