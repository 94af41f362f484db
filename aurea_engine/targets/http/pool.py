"""The connections of all jobs with equal options: kept, opened when more are needed, and waited for when none may be."""

# A free connection is had at once, the one that was used last first: so the connections that a load does not need grow old
# together, as `idle` and the servers' own limits want it, and the working ones stay warm. Where none is free and no more
# may be opened, jobs wait in the order in which they came. That is waiting and no service: a job's service begins when it
# has a connection, or when one begins to be opened for it.
#
# A place is a connection that is open or being opened, and `connections` holds them all. Each is in one of three states:
#
#     free     in `idle`           sender None,   open
#     busy     with a job          sender set,    open
#     dialled  for a job or warm   sender or dial set, transport None
#
# The pool is *full* while all places are taken and none is free: only then can a job wait. Closed connections leave
# `connections` at once, but stay in the stack of free ones until they are met there, so that losing ten thousand at once is
# no search through ten thousand each time.
#
# *What calls what.* `send` comes from a job's start, or from within `replied`. A connection that is free calls `offer`, and
# one that has left its place `fill`; both serve those that wait before anybody else. Neither starts a job in the name of
# another: the last job's sender has been told before. Requests that cannot be encoded end within the loop of `offer`, so
# that however many fail, nothing nests.
#
# *Why a dial belongs to its job.* A connection that becomes free while another is being opened could serve the job sooner.
# But the job's service has begun with the opening, and what the opening took is part of it: a job that jumped to another
# connection would hide how long connecting takes, just when the target is slow to accept.

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from aurea_engine.targets.failures import name_failure
from aurea_engine.targets.http.connection import Connection
from aurea_engine.targets.http.connection_options import ConnectionOptions
from aurea_engine.targets.http.dialing import Dialer
from aurea_engine.targets.http.file_descriptors import find_limit
from aurea_engine.targets.http.replies import NEVER, ReplyRules, Sender
from aurea_engine.targets.http.reply_memo import ReplyMemo
from aurea_engine.targets.http.timeouts import FOREVER, Timeouts
from aurea_engine.workload.access import Access
from aurea_engine.workload.callbacks import PoolState

DIALS_AT_ONCE = 64
"""While a pool is warmed: the queue of a listening socket is short, and who does not fit into it tries again after 1 s."""

CLOSING = 2.0
"""Seconds for which `ConnectionPool.close` waits for the event loop to say that connections are closed."""

GLANCE = 10_000_000
"""Nanoseconds of idleness after which a connection is looked at before it is used again."""

Job = tuple[Sender, int, ReplyRules, int | None, int | None, int | None]
"""(sender, token, rules, timeout_ns, deadline, limit): all that is known of one that waits."""


Connect = Callable[["ConnectionPool"], Connection]
"""Makes a connection of a pool, which is not open yet."""


class ConnectionPool:
    """See above; `open` it before the first `send`. Raises `SpecError` for options that this machine cannot fulfil.

    ``now``: the clock of all stamps and deadlines; it may be set anew while no job is under way. ``connect`` makes what is
    then dialled.
    """

    def __init__(
        self, options: ConnectionOptions, access: Access, now: Callable[[], int], connect: Connect = Connection
    ) -> None:
        self._options = options
        self._dialer = Dialer(options, access)
        self._limit = find_limit(options.limit, access.most_connections)
        self._now, self._connect = now, connect
        self.reuse = options.reuse
        self.idle_ns = FOREVER if options.idle_ns is None else options.idle_ns
        self._glance = min(GLANCE, self.idle_ns)
        self.connections: set[Connection] = set()
        self.closing: set[Connection] = set()
        self.waiting: OrderedDict[tuple[Sender, int], tuple[int | None, Job]] = OrderedDict()
        self.timeouts, self.memo = Timeouts(now, self._collect, self._expire), ReplyMemo()
        self.opened = self.lost_kept = 0
        self.idle: list[Connection] = []
        self._dials: set[asyncio.Task[None]] = set()
        self._waited = self._failed_dials = self._full_ns = 0
        self.full_since = NEVER
        self._busy: dict[tuple[Sender, int], Connection] = {}
        self._is_closed = False

    @property
    def now(self) -> Callable[[], int]:
        """Nanoseconds, of whatever origin."""
        return self._now

    @now.setter
    def now(self, now: Callable[[], int]) -> None:
        shift = now() - self._now()
        self._now = self.timeouts.now = now
        for connection in self.connections:
            connection.set_clock(now, shift)

    # --- A run's beginning and end -----------------------------------------------------------------------------------

    async def open(self, wanted: int) -> None:
        """Open as many of ``wanted`` connections as may be kept. One that fails ends that, and is no failure of a job."""
        if not (self._options.warm and self.reuse):
            return
        left = min(wanted, self._limit) - len(self.connections)
        # Each is opened once: a target that takes connections and drops them would have it go on for ever.
        while left > 0:
            batch = [self._add_connection() for _ in range(min(DIALS_AT_ONCE, left))]
            left -= len(batch)
            await asyncio.gather(*(self._warm(connection) for connection in batch))
            if any(connection.transport is None for connection in batch):
                return

    async def _warm(self, connection: Connection) -> None:
        try:
            await self._dialer.dial(connection)
        except Exception:  # noqa: BLE001 - the same target fails the jobs, each with its class
            self._failed_dials += 1
            connection.close()

    async def close(self) -> None:
        """Close all connections, and return when their descriptors are free."""
        self._is_closed = True
        self.waiting.clear()
        self.timeouts.stop()
        for connection in list(self.connections):
            connection.close()
        await asyncio.gather(self._dialer.close(), *self._dials, return_exceptions=True)
        until = asyncio.get_running_loop().time() + CLOSING
        while self.closing and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.001)

    # --- Jobs come ---------------------------------------------------------------------------------------------------

    def send(
        self,
        sender: Sender,
        token: int,
        rules: ReplyRules,
        timeout_ns: int | None,
        deadline: int | None,
        limit: int | None = None,
    ) -> None:
        """Send a request when there is a connection for it: now, or later.

        ``timeout_ns`` and ``limit`` count from the beginning of the service, ``deadline`` is an instant; the first of them
        that comes ends the exchange as ``timeout``. How long it waits for a connection, its sender says.
        """
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.transport is None:
                continue  # it was lost meanwhile
            # Before the record is overwritten. The stamp of the new one spares a look at the clock.
            idle_since = connection.finished
            connection.reserve(sender, token, rules, timeout_ns, deadline, limit)
            idle_ns = connection.started - idle_since
            if idle_ns > self._glance and not connection.is_usable(idle_ns):
                connection.sender = None
                connection.close()
                continue
            connection.transmit()
            if connection.sender is None:  # there was nothing to send
                self.offer(connection)
            elif len(self.connections) >= self._limit and not self._has_idle():
                self.full_since = connection.started
            return
        if len(self.connections) < self._limit:
            self._dial_for((sender, token, rules, timeout_ns, deadline, limit))
        else:
            self._waited += 1
            until = sender.waits_until(token, deadline)
            self.waiting[sender, token] = until, (sender, token, rules, timeout_ns, deadline, limit)
            if until is not None and until < self.timeouts.soonest:
                self.timeouts.note(until)

    def offer(self, connection: Connection) -> None:
        """``connection`` is free: for the first job that waits, or else for those to come."""
        while (job := self._take_waiting()) is not None:
            connection.reserve(*job)
            connection.transmit()
            if connection.sender is not None:
                return
        self.idle.append(connection)
        if self.full_since != NEVER:
            self.end_full()

    def _take_waiting(self) -> Job | None:
        """The first job that waits. One that waits no longer than until now leaves, though there is a place for it."""
        while self.waiting:
            (sender, token), (until, job) = self.waiting.popitem(last=False)
            if until is None or until > (now := self._now()):
                return job
            sender.gave_up(token, now)
        return None

    def end_full(self) -> None:
        """A connection is free, or one may be opened."""
        self._full_ns += self._now() - self.full_since
        self.full_since = NEVER

    def fill(self) -> None:
        """A place is free: for the first job that waits."""
        while len(self.connections) < self._limit and not self._is_closed and (job := self._take_waiting()) is not None:
            self._dial_for(job)
        if self.full_since != NEVER and len(self.connections) < self._limit:
            self.end_full()

    def _add_connection(self) -> Connection:
        connection = self._connect(self)
        self.connections.add(connection)
        return connection

    def _dial_for(self, job: Job) -> None:
        connection = self._add_connection()
        connection.reserve(*job)
        connection.dial = dial = asyncio.get_running_loop().create_task(self._dial(connection))
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)
        if len(self.connections) >= self._limit and self.full_since == NEVER and not self._has_idle():
            self.full_since = connection.started

    def _has_idle(self) -> bool:
        while self.idle and self.idle[-1].transport is None:
            self.idle.pop()
        return bool(self.idle)

    async def _dial(self, connection: Connection) -> None:
        try:
            await self._dialer.dial(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure of the job, and has a class
            if connection.transport is not None:
                return  # it is open, and the event loop tells what becomes of it
            self._failed_dials += 1
            if connection.sender is not None:
                connection.fail(name_failure(error), self._now())
        finally:
            connection.dial = None

    # --- Jobs are given up -------------------------------------------------------------------------------------------

    def cancel(self, token: int, sender: Sender) -> int | None:
        """The run is over: give up a job. Returns the instant at which its service began, None if it still waits."""
        if self.waiting.pop((sender, token), None) is not None:
            return None
        connection = self._busy.get((sender, token))
        if connection is None or not connection.serves(sender, token):
            # Made once for all that are given up: a search for each would be a search of all for all.
            self._busy = {(busy.sender, busy.token): busy for busy in self.connections if busy.sender is not None}
            connection = self._busy.get((sender, token))
        if connection is None:
            return None
        started = connection.started
        connection.sender = None
        connection.close()
        return started

    def _collect(self) -> Iterator[tuple[int, Any]]:
        for connection in self.connections:
            if connection.sender is not None:
                yield connection.expires, connection
        for key, (until, _) in self.waiting.items():
            if until is not None:
                yield until, key

    def _expire(self, what: Any, instant: int) -> None:
        if isinstance(what, Connection):
            if what.sender is not None and what.expires == instant:
                what.fail("timeout", self._now())
            return
        # It may have been served meanwhile, and the same job may wait again: then for another instant.
        if self.waiting.get(what, (None,))[0] == instant:
            del self.waiting[what]
            sender, token = what
            sender.gave_up(token, self._now())

    def state(self) -> PoolState:
        """How the connections stand."""
        full_ns = self._full_ns
        if self.full_since != NEVER:
            full_ns += self._now() - self.full_since
        # One that is being opened for a job is not open yet.
        is_open = [connection for connection in self.connections if connection.transport is not None]
        return PoolState(
            open=len(is_open),
            busy=sum(connection.sender is not None for connection in is_open),
            waiting=len(self.waiting),
            waited=self._waited,
            full_ns=full_ns,
            opened=self.opened,
            failed_dials=self._failed_dials,
            lost_kept=self.lost_kept,
        )
