"""Jobs: what one unit of work does, and the contract of all that plans jobs.

A `Job` does the work. A `JobSource` says, in columns and many at once, which jobs come: a single kind, or a combination of
several (`aurea_engine.workload.combinations`). Drivers ask `JobSource.plan` and then only obey the columns.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from aurea_engine.closed_sets import ExecutorName
from aurea_engine.errors import StrategyError
from aurea_engine.fields.checked import Checked
from aurea_engine.records.batch import NS, Floats
from aurea_engine.records.measures import Mark, Measure, Schema, join_declared, join_run_measures
from aurea_engine.workload.access import Reach
from aurea_engine.workload.callbacks import CallbackPool
from aurea_engine.workload.cpu_workers import CpuWorkers, count_workers
from aurea_engine.workload.distributions import Constant, Distribution, draw_durations, to_floats
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.job_steps import name_step_groups
from aurea_engine.workload.planned_reports import Numbers, plan_reports
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.token_traces import TokenLengths

Run = Callable[[float], Awaitable[object]]
"""Does one job of the demand (seconds; NaN if it is not known before). Raising makes the job *failed*."""

OpenedJob = Run | CallbackPool
"""What `Job.opened` yields: the second where the executor is ``callbacks``."""

Priority = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]


@dataclass
class Plan:
    """Columns for ``len(demand)`` jobs, in order of arrival.

    ``demand``: seconds of service asked for, NaN if unknown; ``limit``: seconds after which the job is stopped as timed
    out; ``fails``: it does its work and then fails; ``priority``: higher is more urgent; ``leaf``: which of
    `JobSource.leaves` does the work. ``reports``: what jobs report that do not run, by the name of the mark (ns after the
    start) or measure (value × scale); -1 where one reports nothing.
    """

    demand: Floats
    limit: Floats
    fails: NDArray[np.bool_]
    priority: NDArray[np.int64]
    leaf: NDArray[np.intp]
    reports: dict[str, NDArray[np.int64]] = field(default_factory=dict)


class JobSource(ABC, Checked):
    """Where a workload's jobs come from: one kind of `Job`, or a combination of sources."""

    @abstractmethod
    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        """The ``n`` jobs from number ``first`` on. Called in order, each job once."""

    @abstractmethod
    def leaves(self) -> tuple[Job, ...]:
        """The jobs that do the work, in the order that `Plan.leaf` counts them."""

    def groups(self) -> tuple[str, ...]:
        """The name of the group of each of `leaves`; empty if jobs are not told apart. Leaves may share a group."""
        return ()

    def bound_to(self, lengths: TokenLengths | None) -> JobSource:
        """The same jobs, for arrivals that bring ``lengths``: job i is request i of a trace. None if they bring none.

        Most jobs take none, and are returned as they are. Raises `SpecError` if jobs cannot be without.
        """
        return self


PLANNED = {"demand": "fiu", "limit": "fiu", "fails": "b", "priority": "iu", "leaf": "iu"}
"""The columns of a `Plan`, with the kinds of number that each may hold."""


def read_schema(source: JobSource) -> Schema:
    """The columns that the records of a run of ``source`` have beside the built-in ones.

    Raises `SpecError` for declarations that do not fit together, `StrategyError` for groups that do not fit the leaves.
    """
    # Leaves are asked and not the source: a user's combination need not know of reports to let them through.
    leaves, groups = source.leaves(), source.groups()
    if groups and len(groups) != len(leaves):
        name = type(source).__name__
        raise StrategyError(f"{name}.groups must name {len(leaves)} groups, one for each leaf, and names {len(groups)}")
    marks, measures = join_declared(leaves)
    steps = dict.fromkeys(name for each in name_step_groups(leaves, groups) for name in each)
    whole = join_run_measures(leaves, (*marks, *measures))
    return Schema(marks, measures, tuple(dict.fromkeys(groups)), tuple(steps), whole)


def map_leaves_to_groups(source: JobSource) -> NDArray[np.int32]:
    """For each leaf of ``source`` the position of its group in the groups of `read_schema`."""
    groups = source.groups()
    # Leaves may share a group, so positions are counted in names and not in leaves.
    names = list(dict.fromkeys(groups))
    return np.array([names.index(group) for group in groups], np.int32)


def plan_jobs(source: JobSource, streams: Streams, first: int, n: int) -> Plan:
    """`JobSource.plan`, held to the form of its answer. Raises `StrategyError`."""
    # A strategy may be anybody's, and what a driver obeys must be whole: columns are checked here, once for each block.
    plan, name = source.plan(streams, first, n), type(source).__name__
    if not isinstance(plan, Plan):
        raise StrategyError(f"{name}.plan must give a Plan, not {type(plan).__name__}")
    for column, kinds in PLANNED.items():
        values = getattr(plan, column)
        if not isinstance(values, np.ndarray) or values.shape != (n,) or values.dtype.kind not in kinds:
            found = f"{values.dtype} of {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
            raise StrategyError(f"{name} was asked for {n} jobs and planned otherwise: the column {column} is {found}")
    if n and not (plan.leaf.min() >= 0 and plan.leaf.max() < len(source.leaves())):
        raise StrategyError(f"{name}.plan gave a job to a leaf that it does not have")
    if not all(column.shape == (n,) and column.dtype == np.int64 for column in plan.reports.values()):
        raise StrategyError(f"{name}.plan must give int64 reports of {n} jobs")
    return plan


class Job(JobSource):
    """One kind of work: subclass it and write `run`. ::

        class Fetch(Job):
            async def run(self, demand):
                await fetch("http://127.0.0.1:8000/")

    Give `demands` too where the service time is known before the job runs: then ``shortest_first`` can order by it and
    virtual time can simulate it. Override `opened` for what a whole run shares, such as a client session.

    A job that declares ``marks`` or ``measures`` returns what it has to report from `run`: a mapping by name, or a tuple of
    all marks and then all measures, in the order of their declaration. ::

        class Query(Job):
            marks = (Mark("first_row"),)
            measures = (Measure("rows", "rows"),)

            async def run(self, demand):
                first, rows = await query()
                return {"first_row": first, "rows": rows}

    A mark is an instant of ``time.perf_counter_ns()``, between the job's start and its end; a measure is a number from 0 up.
    None, or a name that is left out, is not reported. A job that reports anything else fails as ``InvalidReport``.
    """

    marks: ClassVar[tuple[Mark, ...]] = ()
    """The instants that a job may report."""

    measures: ClassVar[tuple[Measure, ...]] = ()
    """The amounts that a job may report."""

    run_measures: ClassVar[tuple[Measure, ...]] = ()
    """What its pool tells of the run as a whole: see `CallbackPool.take_run_measures`."""

    executor: ClassVar[ExecutorName] = "tasks"
    """What does this work in real time; see `ExecutorName`."""
    real_time_only: ClassVar[bool] = False
    """Whether it cannot be simulated, whatever the demand: it reaches something whose time goes on by itself."""

    counts_turns: ClassVar[bool] = False
    """Whether its pool asks for the turn of a job: see `CallbackPool.turn`."""

    def step_names(self) -> tuple[str, ...]:
        """The names of the steps of which one job consists, in their order; empty for a job that has none.

        Only a `CallbackPool` can record steps (`CallbackPool.record_step`). Each step is a group of the result.
        """
        return ()

    @abstractmethod
    async def run(self, demand: float) -> object:
        """Do the work of one job. ``demand`` is what `demands` said for it, in seconds, else NaN."""

    def demands(self, rng: np.random.Generator, first: int, n: int) -> Floats | None:
        """Service times of jobs ``first`` … ``first + n − 1``, seconds, or None if nobody can know them before."""
        return None

    def reports(self, rng: np.random.Generator, first: int, demand: Floats) -> Mapping[str, Numbers] | None:
        """What jobs ``first`` … report when they do not run: in virtual time, or because they only let time pass.

        By the names that are declared: marks in seconds after the start, no later than the job's ``demand``; measures as
        amounts; NaN if a job reports nothing. A name that is left out, or None for all, is reported by no job.
        """
        return None

    def distribution(self) -> Distribution | None:
        """The distribution of `demands`, where it has a name: the result then carries queueing theory beside it."""
        return None

    def pool_limits(self) -> tuple[int, ...]:
        """The limits of connections that it names: all of its jobs share them, so shards of a run have to divide them."""
        return ()

    def reach(self) -> Reach:
        """What its jobs send to, as their specification says: a server refuses a run by it before anything is sent."""
        return Reach()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenedJob]:
        """Set up what one run needs before its window opens; yields what does one job, or the pool that does all."""
        yield self.run

    def opened_in(self, setup: JobSetup) -> AbstractAsyncContextManager[OpenedJob]:
        """`opened`, for jobs that need to know of the run. A run calls this one."""
        return self.opened()

    def supply(self) -> int | None:
        """How many jobs of this kind there can be, such as rows of data that are used once each; None for any number.

        Arrivals end with the first job of any kind that there is no supply for.
        """
        return None

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        # A stream for each purpose: reports that are drawn, or not, change no demand.
        known = self.demands(streams.rng("demands"), first, n)
        demand = np.full(n, np.nan) if known is None else to_floats(known, n, f"{type(self).__name__}.demands")
        reports = None
        # Without a known demand nobody knows when the job ends, and so neither what it has seen until then.
        if known is not None and (self.marks or self.measures):
            reports = self.reports(streams.rng("reports"), first, demand)
        return Plan(
            demand=demand,
            # A job by itself has no limit, never fails and has no rank: wrappers and branches write those columns.
            limit=np.full(n, np.inf),
            fails=np.zeros(n, bool),
            priority=np.zeros(n, np.int64),
            leaf=np.zeros(n, np.intp),
            reports=plan_reports(type(self).__name__, Schema(self.marks, self.measures), reports, demand),
        )

    def leaves(self) -> tuple[Job, ...]:
        return (self,)


@dataclass(frozen=True)
class Sleep(Job):
    """Lets ``duration`` pass: a wait on something else. Never shorter than asked."""

    duration: Distribution = field(default_factory=lambda: Constant(0.1))
    executor: ClassVar[ExecutorName] = "timers"

    async def run(self, demand: float) -> None:
        """Sleeps, and looks at the clock when woken: event loops may fire timers early."""
        # Never shorter than asked: event loops may fire a timer up to a tick of their clock too early.
        until = perf_counter_ns() + round(demand * NS)
        while (left := until - perf_counter_ns()) > 0:
            await asyncio.sleep(left / NS)

    def demands(self, rng: np.random.Generator, first: int, n: int) -> Floats:
        return draw_durations(self.duration, rng, n)

    def distribution(self) -> Distribution:
        return self.duration


@dataclass(frozen=True)
class Cpu(Job):
    """Burns ``duration`` CPU-seconds in a worker process, one worker a core; the event loop stays free.

    With more slots than cores a job in service may wait for a worker, and that wait is part of its service time.
    """

    duration: Distribution = field(default_factory=lambda: Constant(0.1))
    executor: ClassVar[ExecutorName] = "cpu_workers"

    async def run(self, demand: float) -> None:
        async with self.opened() as run:
            await run(demand)

    def demands(self, rng: np.random.Generator, first: int, n: int) -> Floats:
        return draw_durations(self.duration, rng, n)

    def distribution(self) -> Distribution:
        return self.duration

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Run]:
        async with CpuWorkers() as workers:
            yield workers.burn

    @asynccontextmanager
    async def opened_in(self, setup: JobSetup) -> AsyncIterator[OpenedJob]:
        # Processes that run the job together share the cores: one worker for each core in each of them would measure how
        # the system divides them.
        async with CpuWorkers(max(1, count_workers() // setup.processes)) as workers:
            yield workers.burn
