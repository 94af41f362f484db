"""The jobs of one `Http` during a run: the request of each, the check of its reply, and its report to the run."""

# The hot path of a job without templates, checks or redirects: `start` hands the job's number to the pool of connections,
# `encode` returns bytes that exist already, `replied` looks the status up in a set and says `done`. No object is made for a
# job but the tuples that `done` takes. Everything else is decided once, in `open_jobs`.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING

from aurea_engine.closed_sets import Outcome
from aurea_engine.targets.http.cookies import CookieJar
from aurea_engine.targets.http.data import Row, read_rows
from aurea_engine.targets.http.draws import Draws
from aurea_engine.targets.http.paced_start import PacedStart
from aurea_engine.targets.http.pools import Limits, Pools
from aurea_engine.targets.http.prepared import PreparedRequest, prepare_request
from aurea_engine.targets.http.redirects import CODES as REDIRECTS
from aurea_engine.targets.http.redirects import RedirectFollower
from aurea_engine.targets.http.replies import Reply
from aurea_engine.targets.http.requests import Encoded
from aurea_engine.targets.http.templates import JobContext
from aurea_engine.workload.callbacks import CallbackPool, PoolState
from aurea_engine.workload.job_setup import JobSetup

if TYPE_CHECKING:
    from aurea_engine.targets.http.data import Pick
    from aurea_engine.targets.http.job import Http

COMPLETED, FAILED, TIMED_OUT = int(Outcome.COMPLETED), int(Outcome.FAILED), int(Outcome.TIMED_OUT)


def outcome_of(failure: str | None) -> int:
    """How a job ended whose failure is of that class."""
    return COMPLETED if failure is None else TIMED_OUT if failure == "timeout" else FAILED


class RowPicker:
    """Which row a job gets. ``pick`` as in `Data`."""

    __slots__ = ("_draws", "_is_random", "_rows")

    def __init__(self, rows: Sequence[Row], pick: Pick, draws: Draws) -> None:
        self._rows, self._is_random, self._draws = rows, pick == "random", draws

    def pick(self, pool: CallbackPool, job: int) -> Row:
        """The row of a job of ``pool``."""
        rows = self._rows
        if not rows:
            return ()
        if self._is_random:
            # By its number and not by the order of the draws: another target, or another shard, changes no job's row.
            return rows[self._draws.row(pool.number(job), len(rows))]
        return rows[pool.turn(job) % len(rows)]


class HttpJobs(CallbackPool):
    """Does the jobs of one `Http` in one run. Made by `open_jobs`."""

    def __init__(self, prepared: PreparedRequest, setup: JobSetup, rows: Sequence[Row], pick: Pick) -> None:
        self._prepared, self._setup = prepared, setup
        draws = Draws(setup.streams)
        self._context, self._picker = JobContext(draws.uuid), RowPicker(rows, pick, draws)
        # Until the run sets its own clock, for what happens before the window.
        follows = prepared.members.redirects > 0
        self._pools = Pools(setup.access, perf_counter_ns, follows=follows, share=setup.share)
        self._pool = self._pools.get(prepared.options)
        self._follower = RedirectFollower(self._pools, self._context_of, self._finish, setup.pacer)
        # Statuses that end a job well without a further look. Redirects that are followed, and bodies, need one.
        verdict = prepared.verdict
        looks = verdict.check is not None or prepared.members.redirects > 0
        self._right_at_once = frozenset() if looks else verdict.codes
        self._rules, self._timeout_ns = prepared.rules, prepared.timeout_ns
        self._is_plain = setup.pacer is None and not prepared.members.redirects
        self._paced = PacedStart(self, setup.pacer, self._send, self.gave_up)
        self._limits: dict[int, Limits] = {}

    @property
    def now(self) -> Callable[[], int]:
        """The clock of all stamps. The run sets it, and the pools of connections read it themselves."""
        return self._pools.now

    @now.setter
    def now(self, now: Callable[[], int]) -> None:
        self._pools.now = now

    async def open(self) -> None:
        """Open the connections that the run can use."""
        await self._pools.open(self._prepared.options, self._setup)

    async def close(self) -> None:
        """Close all connections, and forget the jobs that wait for their time."""
        self._paced.close()
        self._follower.close()
        await self._pools.close()

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        if not self._is_plain:
            if self._prepared.members.redirects:
                self._limits[job] = Limits(limit, deadline)
            if self._paced.holds(job, limit, deadline):
                return
        self._pool.send(self, job, self._rules, self._timeout_ns, deadline, limit)

    def _send(self, job: int, limit: int | None, deadline: int | None) -> None:
        self._pool.send(self, job, self._rules, self._timeout_ns, deadline, limit)

    def waits_until(self, token: int, deadline: int | None) -> int | None:
        return self.leaves_at(token)

    def gave_up(self, token: int, instant: int) -> None:
        self._limits.pop(token, None)
        self.leave(token)

    def _context_of(self, job: int) -> JobContext:
        context = self._context
        context.begin(self.number(job), self._picker.pick(self, job))
        return context

    def encode(self, token: int) -> Encoded:
        request = self._prepared.request
        if request.fixed is not None:
            return request.fixed
        # Now, when there is a connection, and not when the job came: what waits in a queue is a number and no text.
        return request.encode(self._context_of(token))

    def replied(self, token: int, reply: Reply, failure: str | None) -> None:
        # Nearly every reply of nearly every run: a whole one, of a right status, with nothing more to be looked at.
        if failure is None and reply.status in self._right_at_once:
            self.done(
                token,
                reply.started,
                reply.finished,
                COMPLETED,
                (reply.connected, reply.sent, reply.first_byte),
                (reply.status, reply.bytes_sent, reply.bytes_received),
            )
        elif self._limits and failure is None and reply.status in REDIRECTS:
            jar = CookieJar() if self._prepared.members.cookies else None
            self._follower.follow(token, self._prepared, reply, self._limits[token], jar)
        else:
            self._finish(token, reply, failure)

    def _finish(self, job: int, reply: Reply, failure: str | None) -> None:
        """The job's last reply has come, or failed."""
        if self._limits:
            del self._limits[job]
        if failure is None:
            failure = self._prepared.verdict.judge(reply.status, reply.body)
        self.done(
            job,
            reply.started,
            reply.finished,
            outcome_of(failure),
            (reply.connected, reply.sent, reply.first_byte),
            (reply.status, reply.bytes_sent, reply.bytes_received),
            failure,
        )

    def cancel(self, job: int) -> int | None:
        if self._paced.cancel(job):
            return None
        self._limits.pop(job, None)
        began = self._follower.cancel(job)
        return self._pool.cancel(job, self) if began is None else began

    def state(self) -> PoolState:
        return self._pools.state()


async def open_jobs(http: Http, setup: JobSetup) -> HttpJobs:
    """What does the jobs of ``http`` in one run: templates compiled, rows, files and secrets read, connections open.

    Raises `SpecError` for what cannot be read, and for templates that name nothing.
    """
    names, data = http.names(), http.data
    prepared = prepare_request(http, names, setup.access)
    # In a thread: a million rows take seconds, and whoever watches this process expects the event loop to answer.
    rows = [] if data is None or not names.row.used else await asyncio.to_thread(read_rows, data, names.row)
    jobs = HttpJobs(prepared, setup, rows, "in_order" if data is None else data.pick)
    try:
        await jobs.open()
    except BaseException:
        await jobs.close()
        raise
    return jobs
