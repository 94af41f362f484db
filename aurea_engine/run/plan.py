"""The workload as the drivers take it: numbered jobs, in blocks of columns of integer nanoseconds."""

# This is where `Workload.jobs`, `Workload.duration` and `Workload.stop_at` cut the arrivals off, and where third-party
# arrivals and jobs are checked before anything is run on them (`plan_checks`). What comes out is whole numbers only: every
# driver adds the same nanoseconds, so no order of additions can make two drivers differ.
#
# Draws never depend on how far a run comes. Jobs and patience are drawn for whole blocks of `BLOCK` jobs, also where the
# workload ends within one, and each purpose has a random stream of its own. So job 17 is the same job under another
# scheduler, with another number of jobs, stopped or not, and in any shard.
#
# The open model knows its instants: they are cut at the duration and at ``stop_at`` here, once, so no driver has to ask
# whether an arrival is too late. In the closed model instants come from ends, and the driver that knows them asks.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome
from aurea_engine.errors import NotSimulable, Problem, SpecError
from aurea_engine.records.batch import NEVER, NS, Instants, Outcomes
from aurea_engine.run.job_supply import JobSupply
from aurea_engine.run.plan_checks import (
    LONGEST,
    check_instants,
    check_no_steps,
    check_service_times,
    check_think_times,
)
from aurea_engine.run.shard import Shard
from aurea_engine.workload.arrival_instants import BEYOND, BLOCK
from aurea_engine.workload.distributions import draw_durations
from aurea_engine.workload.jobs import plan_jobs
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.workload import Workload

UNKNOWN = -1
"""Service time of a job whose demand is not known."""


@dataclass
class Block:
    """Columns of consecutive jobs. ``intended`` is None in the closed model, where ends trigger arrivals.

    ``service``: ns until the job ends of itself or by its limit, `UNKNOWN` where its demand is; ``outcome``: the one that
    this leads to; ``limit``: ns, `UNKNOWN` for none; ``demand``: seconds, for schedulers; ``patience``: ns that a job waits,
    None if all wait until they are served; ``reports``: what is planned for jobs that do not run, as in `Plan`; ``turn``:
    the number of the job among those of its leaf, over all shards, None if no leaf asks for it.
    """

    intended: Instants | None
    service: Instants
    outcome: Outcomes
    limit: Instants
    demand: NDArray[np.float64]
    priority: NDArray[np.int64]
    leaf: NDArray[np.intp]
    patience: Instants | None = None
    reports: dict[str, Instants] = field(default_factory=dict)
    turn: Instants | None = None

    def __len__(self) -> int:
        return len(self.service)

    def __getitem__(self, rows: slice) -> Block:
        """The same columns of some of the jobs."""
        # Views: a shard keeps every N-th row, and copying what it drops would cost as much as drawing it.
        columns = {name: column for name, column in vars(self).items() if isinstance(column, np.ndarray)}
        reports = {name: column[rows] for name, column in self.reports.items()}
        return replace(self, **{name: column[rows] for name, column in columns.items()}, reports=reports)


class JobPlan:
    """The jobs of one run, or of one shard of it, block by block, until the workload's end.

    A shard draws every block of the whole plan and then keeps its own rows: jobs k, k + N, k + 2N, … That costs a few per
    cent of a run and buys that no number of shards changes any draw, and that every shard knows when the *last job of all*
    arrives, whose ever it is.

    In the closed model a shard has its share of the users, if that is asked for (``divided``). They send the shard's own
    jobs, and think its own thoughts: the k-th, k + N-th, … of all. Were every shard to draw the same thoughts, their users
    would come back in step, and the merged run would look far more bursty than any run of the whole.
    """

    def __init__(
        self,
        workload: Workload,
        streams: Streams,
        simulated: bool = False,
        shard: Shard | None = None,
        divided: bool = False,
    ) -> None:
        self._shard = shard or Shard()
        self._simulated = simulated
        self._workload = workload
        self._streams = streams
        if simulated:
            check_no_steps(workload.job.leaves())
        self._taken = 0
        self.own = 0
        """Jobs that were given out so far: the shard's own."""
        self._left = np.empty(0, np.int64)
        self.supply = JobSupply(workload.job.leaves())
        """Its ``used_up`` says so as soon as the block is drawn in which it ends; jobs before that may still be to come."""
        arrivals = workload.arrivals
        # A process with think times is the closed model; then the first block of instants only says how many users there
        # are.
        thinks = arrivals.think_times(streams.rng("think times"))
        self.think_times = (
            None if thinks is None else self._keep_own(check_think_times(thinks, type(arrivals).__name__))
        )
        self._instants = check_instants(arrivals.instants(streams.rng("arrivals")), type(arrivals).__name__)
        self.users = 0
        if self.think_times is not None:
            self.users = self._shard.share_users(len(next(self._instants, ())), divided=divided)
        self._duration_ns = _ns(workload.duration)
        self.stop_at_ns = _ns(workload.stop_at)
        """When the run ends with what it has, where the specification says so."""
        self.drain_ns = _ns(workload.drain)
        self.stop_ns = min((end for end in (self._duration_ns, self.stop_at_ns) if end is not None), default=None)
        """From this instant on nothing arrives."""
        self.next_instant: int | None = None
        """After the last block: the first instant that was not released any more, where the process has one."""
        self.latest_ns = 0
        """The latest instant that was drawn, of any shard: once the plan is at its end, that of the last job of all."""
        self.stopped_ns: int | None = None
        self._left_off_ns: int | None = None
        """The instant at which the driver ended the run before all jobs had ended; see `Workload.stop_at`."""

    def stop(self, at: int, *, releasing: bool) -> None:
        """The driver has ended the run at ``at``, before all jobs had ended; while ``releasing``, more were to come."""
        # Where no more were to come, releasing had ended before, and `end_ns` knows when.
        self.stopped_ns = at
        self._left_off_ns = at if releasing else None

    @property
    def closed(self) -> bool:
        """Whether ends trigger arrivals."""
        return self.think_times is not None

    @property
    def unlimited(self) -> bool:
        """Whether no number of jobs ends the run."""
        return self._workload.jobs is None

    @property
    def end_ns(self) -> int | None:
        """When releasing ended: the workload's duration, the arrivals' own end, the instant of the first job that
        ``jobs`` left out, or the one at which the run was ended; None if nothing says.
        """
        span = self._workload.arrivals.span()
        # The first job that ``jobs`` left out would have come then; a stop may have been earlier.
        left_out = self.next_instant
        if left_out is not None and self.stop_at_ns is not None:
            left_out = min(left_out, self.stop_at_ns)
        # Each bounds the time in which jobs were released; the earliest is when it ended.
        known = (self._duration_ns, _ns(span), left_out, self._left_off_ns)
        return min((end for end in known if end is not None), default=None)

    # A generator, and used once: what it gives out has been drawn, and random streams do not go back.
    def blocks(self) -> Iterator[Block]:
        """All jobs, lazily, `BLOCK` at a time (the last may be shorter)."""
        while self.supply.used_up is None:
            left = BLOCK if self._workload.jobs is None else min(BLOCK, self._workload.jobs - self._taken)
            intended = None if self.closed else self._upcoming(left)
            n = left if intended is None else len(intended)
            if not n:
                return
            block, first = self._supplied(self._block(intended, n)), self._taken
            # Before the block is given out: a consumer that stops here has still taken it.
            self._taken += len(block)
            if block.intended is not None and len(block):
                self.latest_ns = int(block.intended[-1])
            mine = block if self._shard.is_whole else block[self._own_rows(first)]
            self.own += len(mine)
            if len(mine):
                yield mine

    def _supplied(self, block: Block) -> Block:
        """``block`` with the turns of its jobs, up to the first that there is no supply for."""
        turn = self.supply.count(block.leaf)
        if turn is None:
            return block
        kept = len(turn)
        # The first job that is left out says how long the arrivals would have gone on, as after the last of ``jobs``.
        if kept < len(block) and block.intended is not None:
            self.next_instant = int(block.intended[kept])
        return replace(block[:kept], turn=turn)

    def _own_rows(self, first: int) -> slice:
        """The shard's rows of a block whose row 0 is number ``first`` of the run."""
        # The shard's first is the next number that is its own; from there on it is every N-th.
        return slice((self._shard.index - first) % self._shard.of, None, self._shard.of)

    def _keep_own(self, blocks: Iterator[Instants]) -> Iterator[Instants]:
        """The same blocks with the shard's rows only. A short block may hold none of them."""
        # Of a whole run every row is its own, and the slice is a view: nothing is copied.
        first = 0
        for block in blocks:
            yield block[self._own_rows(first)]
            first += len(block)

    def _upcoming(self, wanted: int) -> Instants:
        """The next ``wanted`` instants, fewer at the end."""
        # One more than wanted: the first instant that is left out says how long the process would have gone on.
        while len(self._left) <= wanted and (more := next(self._instants, None)) is not None:
            self._left = np.concatenate([self._left, more])
            if self.stop_ns is not None and len(more) and more[-1] >= self.stop_ns:
                break
        # An arrival at the stop itself does not happen, so the search is for the first instant that is not before it.
        usable = len(self._left)
        if self.stop_ns is not None:
            usable = int(np.searchsorted(self._left, self.stop_ns))
        taken, self._left = self._left[: min(wanted, usable)], self._left[min(wanted, usable) :]
        # Instants are int64: what lies beyond their reach is a problem of the specification, and no crash in a driver.
        if len(taken) and taken[-1] >= BEYOND:
            raise SpecError(
                [Problem("workload", "has arrivals 285 years away: give it a duration, fewer jobs or a higher rate")]
            )
        self.next_instant = int(self._left[0]) if len(self._left) else None
        return taken

    def _block(self, intended: Instants | None, n: int) -> Block:
        job = self._workload.job
        plan = plan_jobs(job, self._streams.child("jobs"), self._taken, BLOCK)
        known = ~np.isnan(plan.demand)
        check_service_times(plan, known, job.leaves())
        if self._simulated and not known.all():
            leaf = job.leaves()[int(plan.leaf[~known][0])]
            problem = (
                f'{type(leaf).__name__} sends requests, which takes real time: set clock to "real"'
                if leaf.real_time_only
                else f"{type(leaf).__name__} has no demand that is known before it runs: give it demands(), or set clock to "
                '"real"'
            )
            raise NotSimulable([Problem("workload.job", problem)])
        # A job that fails does its work first, so it is stopped by its limit before it can fail.
        too_long = known & (plan.demand > plan.limit)
        outcome = np.where(plan.fails, Outcome.FAILED, Outcome.COMPLETED).astype(np.uint8)
        outcome[too_long] = Outcome.TIMED_OUT
        # Rounded once, here: from now on an instant plus a service time is exact.
        service = np.full(len(known), UNKNOWN, np.int64)
        service[known] = np.rint(np.minimum(plan.demand, plan.limit)[known] * NS).astype(np.int64)
        limit = np.where(np.isinf(plan.limit), UNKNOWN, np.rint(np.minimum(plan.limit, LONGEST / NS) * NS))
        return Block(
            intended,
            service[:n],
            outcome[:n],
            limit[:n].astype(np.int64),
            plan.demand[:n],
            plan.priority[:n],
            plan.leaf[:n],
            self._patience(n),
            {name: self._keep_planned(column, plan.leaf)[:n] for name, column in plan.reports.items()},
        )

    def _keep_planned(self, column: Instants, leaf: NDArray[np.intp]) -> Instants:
        """A column of planned reports, without those of jobs that will run and report for themselves."""
        if self._simulated:
            return column
        runs = np.array([each.executor != "timers" for each in self._workload.job.leaves()])
        return np.where(runs[leaf], NEVER, column)

    def _patience(self, n: int) -> Instants | None:
        """Drawn for whole blocks, from a stream of its own: it changes no other draw, and no cut changes it."""
        # No column where it is not needed: it is 8 bytes a job.
        if self._workload.patience is None:
            return None
        seconds = draw_durations(self._workload.patience, self._streams.rng("patience"), BLOCK)[:n]
        return np.asarray(np.rint(np.minimum(seconds, LONGEST / NS) * NS), np.int64)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * NS)
