"""Jobs that come too early for the run's ceiling on what it sends: each is begun when its time has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aurea_engine.workload.callbacks import CallbackPool
from aurea_engine.workload.pacing import SendPacer

Begin = Callable[[int, int | None, int | None], None]
"""(job, limit, deadline): as for `CallbackPool.start`."""


def call_at(due: int, now: int, call: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
    """Call at ``due``, by the clock that says ``now``, or a moment before it: event loops fire in steps of a millisecond,
    and uvloop also early. So ``call`` looks at the clock, and waits once more where its time has not come.
    """
    milliseconds = max(-((now - due) // 1_000_000), 0)
    return asyncio.get_running_loop().call_later(milliseconds / 1000, call, *arguments)


class PacedStart:
    """Holds jobs of ``pool`` back. ``begin`` begins one, ``give_up`` takes one that leaves, and the instant of that."""

    def __init__(
        self, pool: CallbackPool, pacer: SendPacer | None, begin: Begin, give_up: Callable[[int, int], None]
    ) -> None:
        self._pool, self._pacer, self._begin, self._give_up = pool, pacer, begin, give_up
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def holds(self, job: int, limit: int | None, deadline: int | None) -> bool:
        """Whether ``job`` comes too early. Then it is begun when its time has come."""
        if self._pacer is None:
            return False
        now = self._pool.now()
        at = self._pacer.reserve(now)
        if at <= now:
            return False
        # A job that waits no longer than until then leaves, and nothing is sent for it.
        until = self._pool.leaves_at(job)
        self._wait(at if until is None else min(at, until), job, limit, deadline)
        return True

    def _wait(self, due: int, job: int, limit: int | None, deadline: int | None) -> None:
        self._timers[job] = call_at(due, self._pool.now(), self._release, due, job, limit, deadline)

    def _release(self, due: int, job: int, limit: int | None, deadline: int | None) -> None:
        if self._pool.now() < due:
            self._wait(due, job, limit, deadline)
            return
        del self._timers[job]
        until = self._pool.leaves_at(job)
        if until is not None and self._pool.now() >= until:
            self._give_up(job, until)
        else:
            self._begin(job, limit, deadline)

    def cancel(self, job: int) -> bool:
        """Forget ``job``. Whether it was held back."""
        timer = self._timers.pop(job, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def close(self) -> None:
        """Forget all."""
        for job in list(self._timers):
            self.cancel(job)
