"""The pools of connections of one leaf: one for each set of options, so that equal requests share their connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aurea_engine.targets.http.options import ConnectionOptions
from aurea_engine.targets.http.pool import ConnectionPool
from aurea_engine.workload.access import Access
from aurea_engine.workload.callbacks import PoolState
from aurea_engine.workload.job_setup import JobSetup

WARM_UNBOUNDED = 16
"""Connections that are opened before the window where nothing says how many jobs will be in service at once."""


@dataclass(frozen=True)
class Limits:
    """What a run bounds a job by: ``limit``, ns of its service, and ``deadline``, an instant."""

    limit: int | None = None
    deadline: int | None = None

    def left(self, started: int, timeout: int, now: int) -> tuple[int, int | None]:
        """(of the timeout, of the limit): what is left for a further request of a job whose service began at ``started``."""
        spent = now - started
        return timeout - spent, None if self.limit is None else self.limit - spent


class Pools:
    """Makes a pool when it is first asked for, and closes all of them."""

    def __init__(self, access: Access, now: Callable[[], int]) -> None:
        self._access, self._now = access, now
        self._pools: dict[ConnectionOptions, ConnectionPool] = {}

    @property
    def now(self) -> Callable[[], int]:
        """The clock of all stamps. It may be set anew before the first request."""
        return self._now

    @now.setter
    def now(self, now: Callable[[], int]) -> None:
        self._now = now
        for pool in self._pools.values():
            pool.now = now

    def get(self, options: ConnectionOptions) -> ConnectionPool:
        """The pool for ``options``."""
        found = self._pools.get(options)
        if found is None:
            found = self._pools[options] = ConnectionPool(options, self._access, self._now)
        return found

    async def open(self, options: ConnectionOptions, setup: JobSetup) -> ConnectionPool:
        """The pool, with as many connections open as the run can use, if it is to be warm."""
        pool = self.get(options)
        await pool.open(count_warm(options.limit, setup))
        return pool

    def state(self) -> PoolState:
        """Of all pools together."""
        states = [pool.state() for pool in self._pools.values()]
        if len(states) == 1:
            return states[0]
        return PoolState(*(sum(each) for each in zip(*map(_to_tuple, states), strict=True)))

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.close()


def count_warm(limit: int | None, setup: JobSetup) -> int:
    """How many connections are opened before the window, for a pool of at most ``limit``."""
    # The number of jobs bounds nothing by itself: a run of a million jobs may have one in service at a time.
    bounds = [bound for bound in (setup.slots, setup.users, limit) if bound is not None] or [WARM_UNBOUNDED]
    return min(bounds if setup.jobs is None else [*bounds, setup.jobs])


def _to_tuple(state: PoolState) -> tuple[int, ...]:
    return (
        state.open,
        state.busy,
        state.waiting,
        state.waited,
        state.full_ns,
        state.opened,
        state.failed_dials,
    )
