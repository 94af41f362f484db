"""Jobs: what one unit of work does, and how kinds of jobs are combined.

A `Job` does the work. A `JobSource` says, in columns and many at once, which jobs come: a single kind, a weighted `Mix`,
or the wrappers `Faulty` and `Limited`. Drivers ask `JobSource.plan` and then only obey the columns.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from aurea_engine.errors import Problem, StrategyError
from aurea_engine.fields.checked import Checked, PositiveSeconds, Ratio, Weight, non_empty
from aurea_engine.records.batch import NEVER, NS, Floats
from aurea_engine.records.measures import (
    GroupName,
    Mark,
    Measure,
    Schema,
    find_declared,
    join_declared,
    number_repeated,
)
from aurea_engine.workload.callbacks import CallbackPool
from aurea_engine.workload.cpu_workers import CpuWorkers
from aurea_engine.workload.distributions import (
    Constant,
    Distribution,
    cut_to_whole_ns,
    draw_durations,
    to_floats,
)
from aurea_engine.workload.streams import Streams

Run = Callable[[float], Awaitable[object]]
"""Does one job of the demand (seconds; NaN where it is not known before). Raising makes the job *failed*."""

OpenedJob = Run | CallbackPool
"""What `Job.opened` yields: the second where the executor is ``callbacks``."""

ExecutorName = Literal["timers", "tasks", "cpu_workers", "callbacks"]
"""What does the work of a kind of job in real time.

``timers``: nothing but the demand has to pass; `Job.run` is never called. ``tasks``: each job is an asyncio task.
``cpu_workers``: the same for work that needs this machine's processors, such as processes that burn CPU time: the generator
does not spin on the clock beside it, and releases jobs to a millisecond or two. ``callbacks``: a `CallbackPool`, which
`Job.opened` yields, does the jobs without a task for each.
"""
EXECUTORS: tuple[ExecutorName, ...] = get_args(ExecutorName)

Numbers = NDArray[np.float64] | NDArray[np.int64]
"""Floats, or integers where a float would not hold every digit."""

Priority = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]


@dataclass
class Plan:
    """Columns for ``len(demand)`` jobs, in order of arrival.

    ``demand``: seconds of service asked for, NaN where unknown; ``limit``: seconds after which the job is stopped as timed
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
        """The name of the group of each of `leaves`; empty where jobs are not told apart. Leaves may share a group."""
        return ()


PLANNED = {"demand": "fiu", "limit": "fiu", "fails": "b", "priority": "iu", "leaf": "iu"}
"""The columns of a `Plan`, with the kinds of number that each may hold."""


def read_schema(source: JobSource) -> Schema:
    """The columns that the records of a run of ``source`` have beside the built-in ones.

    Raises `SpecError` for declarations that do not fit together, `StrategyError` for groups that do not fit the leaves.
    """
    leaves, groups = source.leaves(), source.groups()
    if groups and len(groups) != len(leaves):
        name = type(source).__name__
        raise StrategyError(f"{name}.groups must name {len(leaves)} groups, one for each leaf, and names {len(groups)}")
    marks, measures = join_declared(leaves)
    return Schema(marks, measures, tuple(dict.fromkeys(groups)))


def map_leaves_to_groups(source: JobSource) -> NDArray[np.int32]:
    """For each leaf of ``source`` the position of its group in the groups of `read_schema`."""
    groups = source.groups()
    names = list(dict.fromkeys(groups))
    return np.array([names.index(group) for group in groups], np.int32)


def plan_jobs(source: JobSource, streams: Streams, first: int, n: int) -> Plan:
    """`JobSource.plan`, held to the form of its answer. Raises `StrategyError`."""
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

    executor: ClassVar[ExecutorName] = "tasks"
    """What does this work in real time; see `ExecutorName`."""

    @abstractmethod
    async def run(self, demand: float) -> object:
        """Do the work of one job. ``demand`` is what `demands` said for it, in seconds, else NaN."""

    def demands(self, rng: np.random.Generator, first: int, n: int) -> Floats | None:
        """Service times of jobs ``first`` … ``first + n − 1``, seconds, or None where nobody can know them before."""
        return None

    def reports(self, rng: np.random.Generator, first: int, demand: Floats) -> Mapping[str, Numbers] | None:
        """What jobs ``first`` … report when they do not run: in virtual time, or because they only let time pass.

        By the names that are declared: marks in seconds after the start, no later than the job's ``demand``; measures as
        amounts; NaN where a job reports nothing. A name that is left out, or None for all, is reported by no job.
        """
        return None

    def distribution(self) -> Distribution | None:
        """The distribution of `demands`, where it has a name: the result then carries queueing theory beside it."""
        return None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenedJob]:
        """Set up what one run needs before its window opens; yields what does one job, or the pool that does all."""
        yield self.run

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        known = self.demands(streams.rng("demands"), first, n)
        demand = np.full(n, np.nan) if known is None else to_floats(known, n, f"{type(self).__name__}.demands")
        reports = None
        if known is not None and (self.marks or self.measures):
            reports = self.reports(streams.rng("reports"), first, demand)
        return Plan(
            demand=demand,
            limit=np.full(n, np.inf),
            fails=np.zeros(n, bool),
            priority=np.zeros(n, np.int64),
            leaf=np.zeros(n, np.intp),
            reports=plan_reports(self, reports, demand),
        )

    def leaves(self) -> tuple[Job, ...]:
        return (self,)


def plan_reports(job: Job, given: Mapping[str, Numbers] | None, demand: Floats) -> dict[str, NDArray[np.int64]]:
    """What `Job.reports` gave, held to its contract, as a `Plan` has it. Raises `StrategyError`."""
    what, planned = f"{type(job).__name__}.reports", dict[str, NDArray[np.int64]]()
    for name, values in (given or {}).items():
        mark, measure = find_declared(job.marks, name), find_declared(job.measures, name)
        if mark is None and measure is None:
            raise StrategyError(f"{what} names {ascii(name)[:80]}, which {type(job).__name__} does not declare")
        numbers = _scale_exactly(values, NS if measure is None else measure.scale, len(demand), f"{what}[{name!r}]")
        if measure is None and (numbers > np.rint(demand * NS)).any():
            raise StrategyError(f"{what} has the mark {name} later than the end of its job")
        planned[name] = numbers
    return planned


def _scale_exactly(values: Numbers, scale: int, n: int, what: str) -> NDArray[np.int64]:
    """``values × scale`` as whole numbers from 0 up, `NEVER` for NaN."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and scale == 1 and values.shape == (n,):
        numbers = values.astype(np.int64)  # not by way of floats, which end at 2⁵³
        if n and values.min() < 0:
            raise StrategyError(f"{what} must be >= 0, and is {values.min()}")
        return numbers
    scaled = to_floats(values, n, what) * scale
    known = ~np.isnan(scaled)
    if not ((scaled[known] >= 0) & (scaled[known] < MOST_PLANNED)).all():
        raise StrategyError(f"{what} must be >= 0, below 2^62 when scaled, or NaN for no report")
    if scale == 1 and (scaled[known] != np.rint(scaled[known])).any():
        raise StrategyError(f"{what} must be whole numbers: the measure has no scale")
    whole = np.full(n, NEVER, np.int64)
    whole[known] = np.rint(scaled[known]).astype(np.int64)
    return whole


MOST_PLANNED = 2.0**62
"""Planned values are kept as −2 − v until their job has ended, so they need a little room below int64."""


@dataclass(frozen=True)
class Sleep(Job):
    """Lets ``duration`` pass: a wait on something else. Never shorter than asked."""

    duration: Distribution = field(default_factory=lambda: Constant(0.1))
    executor: ClassVar[ExecutorName] = "timers"

    async def run(self, demand: float) -> None:
        """Sleeps, and looks at the clock when woken: event loops may fire timers early."""
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


@dataclass(frozen=True)
class Branch(Checked):
    """One kind of job in a `Mix`. ``priority``, where given, replaces the job's own; ``name`` is that of its group."""

    weight: Weight
    job: JobSource
    priority: Priority | None = None
    name: GroupName | None = None


@dataclass(frozen=True)
class Mix(JobSource):
    """Each job is of one branch, chosen with probability weight ÷ sum of weights.

    Each branch is a group of the result, under its name, or else under its job's kind, numbered where that repeats. The
    branches of a mix inside a branch are groups of their own, ``OUTER/INNER``: every job is in exactly one group.
    """

    of: Annotated[tuple[Branch, ...], non_empty("weights must sum to more than 0: it must hold at least one branch")]

    def check(self) -> list[Problem]:
        problems = []
        if not sum(branch.weight for branch in self.of) > 0:
            problems.append(Problem("of", "weights must sum to more than 0"))
        names = [branch.name for branch in self.of]
        problems += [
            Problem(f"of[{i}].name", "must be different from the other branches' names", ascii(name))
            for i, name in enumerate(names)
            if name is not None and name in names[:i]
        ]
        return problems

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        weights = np.array([branch.weight for branch in self.of])
        choice = streams.rng("mix").choice(len(self.of), n, p=weights / weights.sum())
        whole = Plan(np.empty(n), np.empty(n), np.empty(n, bool), np.empty(n, np.int64), np.empty(n, np.intp))
        offset = 0
        for i, branch in enumerate(self.of):
            # Every branch plans the whole block: what one draws cannot depend on how often the others were chosen.
            part = plan_jobs(branch.job, streams.child(f"branch {i}"), first, n)
            if branch.priority is not None:
                part.priority[:] = branch.priority
            part.leaf += offset
            mine = choice == i
            for column in PLANNED:
                getattr(whole, column)[mine] = getattr(part, column)[mine]
            for name, reports in part.reports.items():
                whole.reports.setdefault(name, np.full(n, NEVER, np.int64))[mine] = reports[mine]
            offset += len(branch.job.leaves())
        return whole

    def leaves(self) -> tuple[Job, ...]:
        return tuple(leaf for branch in self.of for leaf in branch.job.leaves())

    def groups(self) -> tuple[str, ...]:
        given = [branch.name for branch in self.of if branch.name is not None]
        kinds = number_repeated([_kind_of(branch.job) for branch in self.of if branch.name is None], given)
        unnamed = iter(kinds)
        names = [next(unnamed) if branch.name is None else branch.name for branch in self.of]
        # A branch that has groups of its own is told apart by them; its leaves are the leaves of those.
        return tuple(
            f"{name}/{inner}" if inner else name
            for name, branch in zip(names, self.of, strict=True)
            for inner in branch.job.groups() or [""] * len(branch.job.leaves())
        )


def _kind_of(source: JobSource) -> str:
    """The kind of a source as JSON writes it: its class's name in lower case, words joined by underscores."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(source).__name__).lower()


@dataclass(frozen=True)
class Faulty(JobSource):
    """Does the work of ``job``, and then fails with probability ``failure_rate``."""

    job: JobSource
    failure_rate: Ratio

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        plan = plan_jobs(self.job, streams.child("faulty"), first, n)
        plan.fails |= streams.rng("failures").random(n) < self.failure_rate
        return plan

    def leaves(self) -> tuple[Job, ...]:
        return self.job.leaves()

    def groups(self) -> tuple[str, ...]:
        return self.job.groups()


@dataclass(frozen=True)
class Limited(JobSource):
    """Stops ``job`` after ``timeout`` seconds of service: it is then *timed out*, and occupied its slot that long."""

    job: JobSource
    timeout: PositiveSeconds

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        plan = plan_jobs(self.job, streams.child("limited"), first, n)
        np.minimum(plan.limit, cut_to_whole_ns(np.array(self.timeout)), out=plan.limit)
        return plan

    def leaves(self) -> tuple[Job, ...]:
        return self.job.leaves()

    def groups(self) -> tuple[str, ...]:
        return self.job.groups()
