"""Combinations of jobs: a weighted `Mix`, and the wrappers `Faulty` and `Limited`.

Each of them plans by asking the sources that it is made of, and changes their columns; what does the work are their leaves.
The branches of a mix are the groups of the result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import Annotated, TypeVar

import numpy as np

from aurea_engine.errors import Problem, within
from aurea_engine.fields.checked import Checked, PositiveSeconds, Ratio, Weight, non_empty
from aurea_engine.records.batch import NEVER
from aurea_engine.records.measures import GroupName, number_repeated
from aurea_engine.workload.distributions import cut_to_whole_ns
from aurea_engine.workload.jobs import PLANNED, Job, JobSource, Plan, Priority, plan_jobs
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.token_traces import TokenLengths


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
            # The branch's own plan, so it may be written to: `plan_jobs` gave it to nobody else.
            if branch.priority is not None:
                part.priority[:] = branch.priority
            part.leaf += offset
            # Row numbers and not a mask, which each of the columns below would count through again, on both sides.
            mine = np.flatnonzero(choice == i)
            for column in PLANNED:
                getattr(whole, column)[mine] = getattr(part, column)[mine]
            # Other branches may not declare what this one reports: their jobs report nothing by that name.
            for name, reports in part.reports.items():
                whole.reports.setdefault(name, np.full(n, NEVER, np.int64))[mine] = reports[mine]
            offset += len(branch.job.leaves())
        return whole

    def bound_to(self, lengths: TokenLengths | None) -> Mix:
        branches = []
        for i, branch in enumerate(self.of):
            with within(f"of[{i}].job"):
                bound = branch.job.bound_to(lengths)
            branches.append(branch if bound is branch.job else replace(branch, job=bound))
        return self if all(map(is_, branches, self.of)) else replace(self, of=tuple(branches))

    def leaves(self) -> tuple[Job, ...]:
        return tuple(leaf for branch in self.of for leaf in branch.job.leaves())

    def groups(self) -> tuple[str, ...]:
        names = [branch.name or _own_name(branch.job) for branch in self.of]
        # Names that were given come first: a kind that would be called like one of them is numbered instead.
        given = [name for name in names if name is not None]
        kinds = iter(
            number_repeated(
                [_kind_of(branch.job) for branch, name in zip(self.of, names, strict=True) if name is None], given
            )
        )
        # A branch that has groups of its own is told apart by them; its leaves are the leaves of those.
        return tuple(
            f"{name}/{inner}" if inner else name
            for name, branch in zip([name or next(kinds) for name in names], self.of, strict=True)
            for inner in _inner_groups(branch.job)
        )


def _own_name(source: JobSource) -> str | None:
    """The name that a job has by itself, also where it is wrapped; None for a job without one, and for a mix."""
    while isinstance(source, (Faulty, Limited)):
        source = source.job
    return next(iter(source.groups()), None) if isinstance(source, Job) else None


def _inner_groups(source: JobSource) -> Sequence[str]:
    """The groups within a branch. A single job has none: its own name, if any, is that of the branch."""
    is_mix = _own_name(source) is None
    return (source.groups() if is_mix else ()) or [""] * len(source.leaves())


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

    def bound_to(self, lengths: TokenLengths | None) -> Faulty:
        return _bind_wrapped(self, lengths)

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

    def bound_to(self, lengths: TokenLengths | None) -> Limited:
        return _bind_wrapped(self, lengths)

    def leaves(self) -> tuple[Job, ...]:
        return self.job.leaves()

    def groups(self) -> tuple[str, ...]:
        return self.job.groups()


_Wrapper = TypeVar("_Wrapper", Faulty, Limited)


def _bind_wrapped(wrapper: _Wrapper, lengths: TokenLengths | None) -> _Wrapper:
    """`JobSource.bound_to` of a wrapper: that of the job within it."""
    with within("job"):
        bound = wrapper.job.bound_to(lengths)
    return wrapper if bound is wrapper.job else replace(wrapper, job=bound)
