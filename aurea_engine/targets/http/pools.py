"""The connection pools of one leaf: one for each set of options, so that requests with equal options share connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aurea_engine.targets.http.connection import Connection
from aurea_engine.targets.http.connection_options import MOST_CONNECTIONS, ConnectionOptions
from aurea_engine.targets.http.file_descriptors import raise_descriptor_limit
from aurea_engine.targets.http.origin import Origin
from aurea_engine.targets.http.pool import Connect, ConnectionPool
from aurea_engine.workload.access import Access
from aurea_engine.workload.callbacks import PoolState
from aurea_engine.workload.job_setup import JobSetup

# A ceiling of connections holds for all pools of a leaf together. Where redirects are followed nobody knows to how many
# origins they will lead, so a quarter of the ceiling is set apart for them: a sixteenth of that for each, and for no more
# of them than it lasts for. Without a ceiling there is one only on the number of origins: a target that invents a host for
# each job must not make pools grow.

MOST_ELSEWHERE = 64
"""Origins that only redirects led to, of one leaf."""

WARM_UNBOUNDED = 16
"""Connections that are opened before the window where nothing says how many jobs will be in service at once."""


@dataclass(frozen=True)
class Limits:
    """What a run bounds a job by: ``limit``, ns of its service, and ``deadline``, an instant."""

    limit: int | None = None
    deadline: int | None = None

    def end(self, started: int, timeout: int) -> int:
        """The instant at which a job is over whose service began at ``started``."""
        ends = [started + timeout, self.deadline, None if self.limit is None else started + self.limit]
        return min(end for end in ends if end is not None)


class Pools:
    """Makes a pool when it is first asked for, and closes all of them. ``follows``: redirects may lead elsewhere;
    ``share``: this process's share of a limit, see `JobSetup.share`; ``connect``: makes a connection.
    """

    def __init__(
        self,
        access: Access,
        now: Callable[[], int],
        *,
        follows: bool = False,
        share: Callable[[int | None], int | None] | None = None,
        connect: Connect = Connection,
    ) -> None:
        self._now, self._connect, self._share = now, connect, share or JobSetup().share
        self._access, self._elsewhere, self._most_elsewhere = divide_ceiling(access, follows=follows)
        self._pools: dict[ConnectionOptions, ConnectionPool] = {}
        self._origins: set[Origin] = set()

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
        return self._pools.get(options) or self._make(options, self._access)

    def get_elsewhere(self, options: ConnectionOptions) -> ConnectionPool | None:
        """The pool for an origin that a redirect led to; None if they have led to too many.

        It is made while the run is on, so it takes the descriptors that there are: who asked for more has been told. Raises
        `SpecError` where files of TLS cannot be read any more.
        """
        if options in self._pools:
            return self._pools[options]
        if options.origin not in self._origins and len(self._origins) >= self._most_elsewhere:
            return None
        self._origins.add(options.origin)
        return self._make(options, self._elsewhere, most=raise_descriptor_limit())

    def _make(self, options: ConnectionOptions, access: Access, most: int = MOST_CONNECTIONS) -> ConnectionPool:
        limit = self._share(options.limit)
        limited = replace(options, limit=limit and min(limit, most))
        made = self._pools[options] = ConnectionPool(limited, access, self._now, self._connect)
        return made

    async def open(self, options: ConnectionOptions, setup: JobSetup) -> ConnectionPool:
        """The pool, with as many connections open as the run can use, if it is to be warm."""
        pool = self.get(options)
        await pool.open(count_warm(options.limit, setup))
        return pool

    def state(self) -> PoolState:
        """Of all pools together."""
        return PoolState.join(pool.state() for pool in self._pools.values()) or PoolState()

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.close()


def divide_ceiling(access: Access, *, follows: bool) -> tuple[Access, Access, int]:
    """(of the origins that are specified, of each that a redirect led to, how many of these there may be)."""
    most = access.most_connections
    if most is None or not follows:
        return access, access, MOST_ELSEWHERE
    apart = most // 4
    each = max(apart // 16, 1)
    main, elsewhere = (replace(access, most_connections=share) for share in (most - apart, each))
    return main, elsewhere, min(MOST_ELSEWHERE, apart // each)


def share_over_pools(access: Access, all_options: Sequence[ConnectionOptions]) -> Access:
    """What each pool may reach: the ceiling is of an origin, and steps with other options have pools of their own there."""
    if access.most_connections is None:
        return access
    pools = max(Counter(options.origin for options in all_options).values())
    return replace(access, most_connections=max(access.most_connections // pools, 1))


def count_warm(limit: int | None, setup: JobSetup) -> int:
    """How many connections are opened before the window, for a pool of at most ``limit``."""
    # Idle connections cost a server memory, and a burst of them may be refused: no more are opened than can be used.
    # The number of jobs bounds nothing by itself: a run of a million jobs may have one in service at a time.
    bounds = [bound for bound in (setup.slots, setup.users, limit) if bound is not None] or [WARM_UNBOUNDED]
    return min(bounds if setup.jobs is None else [*bounds, setup.jobs])
