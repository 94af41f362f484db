"""Whether a process is frozen, or cut off: nothing is heard of it, and it does not even use the processor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aurea_engine.processes.linux import is_runnable

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


STARVED = 6
"""So many times its patience a silence may last where those who should speak wait for a processor."""


@dataclass(frozen=True)
class Silence:
    """Of a shard on another machine: cut off after ``patience`` seconds without a word. ``pids``: the processes that its
    words come from and through, as far as they are on this machine, and 0 for others.
    """

    patience: float
    pids: tuple[int, ...] = ()

    async def wait(self, count_words: Callable[[], int]) -> None:
        """Returns once there was no word for too long."""
        # By looks, for the reason above. Of other machines nothing but words is known. On this one, it is also seen whether
        # they have something to do and no processor to do it, which is no fault of theirs; for a while.
        quiet, looks, before = 0, 0, count_words()
        while quiet * LOOK < self.patience and looks * LOOK < STARVED * self.patience:
            await asyncio.sleep(LOOK)
            if (now := count_words()) != before:
                quiet, looks, before = 0, 0, now
                continue
            looks += 1
            quiet += not any(is_runnable(pid) for pid in self.pids if pid)
