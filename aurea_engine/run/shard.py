"""A shard of a run, and what the process that ran it knows besides the jobs.

Shard k of N runs the jobs k, k + N, k + 2N, … of one workload. Every shard draws the whole plan and keeps its own rows, so
the number of shards changes no random number, and job 17 is the same job however the run is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated

import numpy as np
from msgspec import Meta

from aurea_engine.closed_sets import Reason, Status
from aurea_engine.errors import Problem, SpecError
from aurea_engine.records.batch import Instants
from aurea_engine.run.shard_facts import Count, Loss, ProcessFacts, Releases
from aurea_engine.spec import RunSpec
from aurea_engine.workload.arrivals import Closed
from aurea_engine.workload.callbacks import PoolState
from aurea_engine.workload.schedulers import Scheduler

# More than any cluster has cores; it bounds what a damaged file may ask for.
MOST_SHARDS = 100_000

DIVIDE = "set divided to true on the scheduler, and each shard has its share"
"""The remedy that all refusals have in common; see `Scheduler.divided`."""

# Types with their bounds, because reports of shards are read back from bytes that another machine sent.
Plain = str | int | float | bool | None


@dataclass(frozen=True, order=True)
class Shard:
    """Shard ``index`` (from 0) ``of`` so many. `Shard()` is the whole run."""

    index: Annotated[int, Meta(ge=0, lt=MOST_SHARDS)] = 0
    of: Annotated[int, Meta(ge=1, le=MOST_SHARDS)] = 1

    def __post_init__(self) -> None:
        # Also for shards made in Python; reading from bytes checks the bounds by the annotations, and this after them.
        if not (1 <= self.of <= MOST_SHARDS and 0 <= self.index < self.of):
            raise SpecError(
                [
                    Problem(
                        "shard",
                        f"must be an index from 0 up to, but not including, of (1 to {MOST_SHARDS:,})",
                        f"{self.index} of {self.of}",
                    )
                ]
            )

    @property
    def is_whole(self) -> bool:
        """Whether this is the whole run."""
        # Shard 0 of 1 is the run itself, so there is no second way for what is not cut.
        return self.of == 1

    def count_of(self, jobs: int) -> int:
        """How many of the first ``jobs`` jobs of the workload are in this shard; users and slots are dealt out alike."""
        # ⌈(jobs − index) ÷ of⌉ in whole numbers; below 0 where the shard's first job is beyond them.
        return max(0, -(-(jobs - self.index) // self.of))

    def number_rows(self, rows: int) -> Instants:
        """The numbers, in the whole run, of the first ``rows`` jobs of this shard."""
        # While it runs, a shard numbers its jobs 0, 1, 2, …, as drivers and dispatchers expect: nothing in a driver knows of
        # shards. Only the plan cuts, and only here is it undone.
        return self.index + self.of * np.arange(rows, dtype=np.int64)

    def share_scheduler(self, scheduler: Scheduler) -> Scheduler:
        """``scheduler`` with this shard's share of its slots and of its queue, if it is to be divided."""
        if self.is_whole or not scheduler.divided:
            return scheduler
        # Dealt out like jobs, one to each shard in turn: shares differ by one at most, and add up to the whole. A share of a
        # queue may be 0, which is a queue limit like others; one of the slots may not, see `check`.
        slots, limit = (
            None if whole is None else self.count_of(whole) for whole in (scheduler.slots, scheduler.queue_limit)
        )
        return replace(scheduler, slots=slots, queue_limit=limit)

    def share_users(self, users: int, *, divided: bool) -> int:
        """This shard's share of the ``users`` of a closed model. Raises `SpecError` if it cannot have one."""
        if problems := self._check_users(users, divided=divided):
            raise SpecError(problems)
        return self.count_of(users)

    def check(self, spec: RunSpec) -> None:
        """Raises `SpecError` if a part of ``spec`` cannot be run without knowing of the others.

        What all jobs share cannot be cut without a change of meaning: four slots over two processes are not two slots each,
        and a queue in two halves is another queue. So it is cut only if the specification says so (`Scheduler.divided`).
        Waits, drains, deadlines and stops are no problem: without slots they depend on the job itself, or on the plan, which
        every shard knows whole.
        """
        if self.is_whole:
            return
        # All problems are told at once, as of every specification.
        arrivals = spec.workload.arrivals
        problems = self._check_scheduler(spec.scheduler) + self._check_connections(spec)
        if spec.seed is None:
            problems.append(
                Problem("seed", "cannot be left out in a shard: give a seed, for all shards must draw the same jobs")
            )
        # Of somebody else's closed model only the plan learns how many users there are, and asks `share_users`.
        if isinstance(arrivals, Closed):
            problems += self._check_users(arrivals.users, divided=spec.scheduler.divided)
        # An objective that ends the run is lost by the jobs of all shards together. A shard that ended by its own jobs alone
        # would end at another instant than the run; one that went on would not be the run that was asked for.
        problems += [
            Problem(
                f"objectives[{i}].abort",
                "cannot be used in a shard: set it to false; a shard sees only its own jobs, "
                "and the objective is judged when the parts are merged",
            )
            for i, objective in enumerate(spec.objectives)
            if objective.abort
        ]
        if problems:
            raise SpecError(problems)

    def _check_scheduler(self, scheduler: Scheduler) -> list[Problem]:
        slots, limit = scheduler.slots, scheduler.queue_limit
        if not scheduler.divided:
            shared = {
                "slots": (slots, "slots are shared by all jobs of a run"),
                "queue_limit": (limit, "a queue is shared by all jobs of a run"),
            }
            return [
                Problem(f"scheduler.{name}", f"cannot be used in a shard: {why}. Remove it, or {DIVIDE}")
                for name, (value, why) in shared.items()
                if value is not None
            ]
        # A shard without a slot would never serve its jobs. It is the run that is refused, not the one shard: so every shard
        # says so, also one that would have a slot.
        if slots is None or slots >= self.of:
            return []
        return [
            Problem(
                "scheduler.slots",
                f"must be at least {self.of:,}, one for each shard: use fewer shards, or more slots",
                f"{slots:,}",
            )
        ]

    def _check_connections(self, spec: RunSpec) -> list[Problem]:
        limits = [limit for leaf in spec.workload.job.leaves() for limit in leaf.pool_limits()]
        if not spec.scheduler.divided:
            problem = f"cannot be limited in a shard: all jobs of a run share them. Remove connections, or {DIVIDE}"
            return [Problem("workload.job.connections", problem, f"{limit:,}") for limit in limits[:1]]
        problem = f"must be at least {self.of:,}, one for each shard: use fewer shards, or more connections"
        return [Problem("workload.job.connections", problem, f"{limit:,}") for limit in limits if limit < self.of]

    def _check_users(self, users: int, *, divided: bool) -> list[Problem]:
        # Each user belongs to one shard, but the *number* of the job that a user sends next, and with it the demand, depends
        # on when the jobs of all others end. So the shards of a closed model do not run the jobs of the whole, only jobs
        # like them, and it too is cut only if that is asked for.
        if self.is_whole:
            return []
        if not divided:
            problem = f"cannot be used in a shard: use arrivals of the open model, such as poisson, or {DIVIDE}"
            return [Problem("workload.arrivals", problem)]
        if users >= self.of:
            return []
        # Without a user the jobs of a shard would never be sent, and the run would end with fewer than were asked for.
        problem = f"must have at least {self.of:,} users, one for each shard: use fewer shards, or more users"
        return [Problem("workload.arrivals", problem, f"{users:,}")]


# What follows are plain values without behaviour, so that they can be read back from bytes by their types alone. Each is
# small and named after who knows it: the generator, the dispatcher, the calendar.


@dataclass(frozen=True)
class GeneratorStats:
    """What the generator knows of its own part in the measurement: how busy it was, and what held it up.

    ``busy``: share of the window in which it was at work. ``late_ns``: the longest time that the event loop kept it beyond
    an instant for which it waited. ``gc_total_ns``, ``gc_longest_ns``: garbage collections. All are 0 in virtual time.
    """

    busy: float = 0.0
    late_ns: Count = 0
    gc_total_ns: Count = 0
    gc_longest_ns: Count = 0


@dataclass(frozen=True)
class Totals:
    """The dispatcher's counts at an instant: jobs that arrived, were rejected, are in service, or wait; and the most that
    were in service at once. ``conserved``: whether its books balance. ``paced``: requests that a ceiling on the rate of what
    is sent held back.
    """

    arrived: Count = 0
    rejected: Count = 0
    in_service: Count = 0
    waiting: Count = 0
    # Not additive: see `RunParts.peak`. None where jobs wait in a pool, of which the dispatcher knows nothing.
    peak: Count | None = 0
    conserved: bool = True
    paced: Count = 0
    # Read from parts of earlier versions, which counted failures here and not in the meters: see `parts_file`. Empty in new
    # ones.
    errors: Mapping[str, Count] = field(default_factory=dict)
    group_errors: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)


@dataclass(frozen=True)
class Timeline:
    """The instants of a shard. ``started_at``: when its window opened, by the calendar; the rest in ns since then.

    ``elapsed_ns``: how long it lasted, or has lasted so far. ``release_end_ns``: when releasing ended, None if nothing
    says. Of the latest job that arrived, ``due_ns`` says when it was meant to be released, ``released_ns`` when it was.
    """

    # The calendar is asked once. Durations are never differences of two of its answers: it may be set back under way.
    started_at: datetime
    elapsed_ns: Count = 0
    release_end_ns: Count | None = None
    # Both of one job, so that two shards are compared by pairs; −1 where it has not been released.
    due_ns: Count = 0
    released_ns: Annotated[int, Meta(ge=-1)] = 0


@dataclass(frozen=True)
class ShardReport:
    """What the process that runs a shard tells of it. ``status`` is None while it runs. ``lost``: the position, in the
    specification, of the objective that ended the run. ``pool``: the connections of all its pools, None if it has none.
    ``used_up``: the supply of jobs, such as rows of data, that ended the arrivals; None if something else did. ``process``
    and ``releases`` tell of the process itself, where it ran together with others. ``loss``: it was lost under way, and
    nothing that it measured is in these parts.
    """

    shard: Shard
    timeline: Timeline
    totals: Totals
    status: Status | None = None
    reason: Reason | None = None
    lost: Count | None = None
    generator: GeneratorStats = GeneratorStats()
    pool: PoolState | None = None
    used_up: Count | None = None
    # Plain values only: whoever forges bytes could nest millions of objects into a few of them.
    environment: Mapping[str, Plain] = field(default_factory=dict)
    process: ProcessFacts = field(default_factory=ProcessFacts)
    releases: Releases = field(default_factory=Releases)
    loss: Loss | None = None
