"""Turns of jobs, supplies that end a plan, and what a job is told when it is set up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from aurea_engine import (
    Access,
    Branch,
    CallbackPool,
    Closed,
    ConstantRate,
    Fifo,
    Job,
    JobSetup,
    Mark,
    Mix,
    Outcome,
    Poisson,
    RunSpec,
    Shard,
    StrategyError,
    Workload,
    execute,
    plan,
    run_sync,
)
from aurea_engine.testing import run_jumping
from aurea_engine.workload.access import Reach
from aurea_engine.workload.arrival_instants import BLOCK

Seen = list[tuple[int, int, int]]


class Noting(CallbackPool):
    """Notes (number, turn, own number) of each of its jobs."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        self.seen.append((self.number(job), self.turn(job), job))
        self.done(job, self.now(), self.now(), Outcome.COMPLETED)

    def cancel(self, job: int) -> int | None:
        raise NotImplementedError


@dataclass(frozen=True)
class Rows(Job):
    """One job for each of ``rows`` rows of data; for any number of jobs without them."""

    rows: int | None = None
    seen: Seen = field(default_factory=list, compare=False)
    setups: list[JobSetup] = field(default_factory=list, compare=False)
    executor = "callbacks"
    counts_turns: ClassVar[bool] = True

    async def run(self, demand: float) -> None:
        raise NotImplementedError

    def supply(self) -> int | None:
        return self.rows

    def opened_in(self, setup: JobSetup) -> AbstractAsyncContextManager[CallbackPool]:
        self.setups.append(setup)
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[CallbackPool]:
        yield Noting(self.seen)


def test_turns_count_the_jobs_of_one_leaf() -> None:
    """In a mix each leaf counts its own jobs, in the order in which they are planned, across blocks of the plan."""
    leaves = Rows(), Rows()
    mix = Mix((Branch(3, leaves[0]), Branch(1, leaves[1])))
    jobs = 2 * BLOCK + 10
    run_jumping(RunSpec(Workload(mix, jobs=jobs), seed=1))
    for leaf in leaves:
        assert [turn for _, turn, _ in sorted(leaf.seen)] == list(range(len(leaf.seen)))
    assert sorted(number for leaf in leaves for number, *_ in leaf.seen) == list(range(jobs))


def test_turns_survive_forgotten_records() -> None:
    """Without records, rows are dropped under way; turns are those of the jobs all the same."""
    leaf = Rows()
    run_jumping(RunSpec(Workload(leaf, Closed(3), jobs=200_000), seed=1, keep_jobs=False))
    assert all(number == turn == job for number, turn, job in leaf.seen)
    assert len(leaf.seen) == 200_000


def test_shards_agree_on_the_turns() -> None:
    """Job 17 has the same number and turn in the run and in any shard of it."""

    def note(*shards: Shard) -> list[Seen]:
        leaves = Rows(), Rows(900)
        mix = Mix((Branch(3, leaves[0]), Branch(1, leaves[1])))
        for shard in shards:
            run_shard(RunSpec(Workload(mix, Poisson(1e6), jobs=5000), seed=4), shard)
        return [sorted(each[:2] for each in leaf.seen) for leaf in leaves]

    whole = note(Shard())
    assert note(*(Shard(index, 3) for index in range(3))) == whole
    assert len(whole[1]) == 900


def run_shard(spec: RunSpec, shard: Shard) -> None:
    assert execute(spec, shard).status == "completed"


@pytest.mark.parametrize("rows", [0, 1, 17, BLOCK - 1, BLOCK, BLOCK + 1])
def test_the_plan_ends_with_the_supply(rows: int) -> None:
    """As many jobs as rows, however many were asked for: in both models, and in the plan as people see it."""
    for arrivals in (ConstantRate(10.0), Closed(2)):
        leaf = Rows(rows)
        spec = RunSpec(Workload(leaf, arrivals, jobs=10 * BLOCK), seed=1)
        result = run_jumping(spec)
        assert (result.status, result.counts.arrived, result.counts.completed) == ("completed", rows, rows)
        assert len(plan(spec).job) == rows
        assert [turn for _, turn, _ in leaf.seen] == list(range(rows))


def test_offered_rate_is_of_time_with_supply() -> None:
    """1,000 rows at 10/s are gone after 100 s, when job 1,000 would have come: the rate is 10/s and not 10.01/s, or 1/s."""
    workload = Workload(Rows(1000), ConstantRate(10.0), duration=1000.0)
    result = run_jumping(RunSpec(workload, seed=1))
    assert (result.offered_rate, result.counts.arrived, result.window[1]) == (10.0, 1000, 100.0)


def test_first_leaf_without_supply_ends_all() -> None:
    """The other kinds of a mix stop with it: they would go on in another mix than the one asked for."""
    scarce, plenty = Rows(50), Rows(100_000)
    mix = Mix((Branch(1, scarce), Branch(1, plenty)))
    result = run_jumping(RunSpec(Workload(mix, ConstantRate(10.0), jobs=100_000), seed=2))
    numbers = [number for number, *_ in plan_numbers(mix)]
    assert (len(scarce.seen), result.counts.arrived) == (50, numbers[50])


def plan_numbers(mix: Mix) -> list[tuple[int, int]]:
    """(number, leaf) of the jobs of leaf 0 where no supply ends them."""
    endless = replace(mix, of=tuple(replace(branch, job=Rows()) for branch in mix.of))
    planned = plan(RunSpec(Workload(endless, ConstantRate(10.0), jobs=1000), seed=2))
    return [(number, leaf) for number, leaf in enumerate(planned.leaf.tolist()) if leaf == 0]


@pytest.mark.parametrize("supply", [-1, 2.0, "3"])
def test_supply_that_is_no_number_is_refused(supply: object) -> None:
    class Wrong(Rows):
        def supply(self) -> int | None:
            return supply  # type: ignore[return-value]

    with pytest.raises(StrategyError, match=r"Wrong\.supply must give a number of jobs or None"):
        run_jumping(RunSpec(Workload(Wrong(), jobs=3), seed=1))


def test_jobs_are_told_of_their_run() -> None:
    """What they may reach, and how many of them there can be at once."""
    leaf, access = Rows(), Access()
    run_sync(RunSpec(Workload(leaf, Closed(7), jobs=20), Fifo(5), seed=3), access=access)
    (setup,) = leaf.setups
    assert setup.access is access
    assert (setup.jobs, setup.slots, setup.users, setup.most_in_service) == (20, 5, 7, 5)


def test_ceilings_are_shared_by_all_leaves() -> None:
    """Connections are dealt out among the leaves that reach for a target; the rate is one for all that the run sends."""

    class Reaching(Rows):
        def reach(self) -> Reach:
            return Reach((("target.example", 80),))

    leaves = Reaching(), Reaching(), Rows()
    access = Access(most_connections=7, most_rate=100.0)
    run_sync(RunSpec(Workload(Mix(tuple(Branch(1, leaf) for leaf in leaves)), jobs=3), seed=3), access=access)
    setups = [leaf.setups[0] for leaf in leaves]
    assert [setup.access.most_connections for setup in setups] == [3, 3, 3]
    assert setups[0].pacer is not None
    assert all(setup.pacer is setups[0].pacer for setup in setups)


def test_shards_are_told_of_their_share() -> None:
    """Bounds are of the process: a shard opens no more connections than it can use."""
    leaf = Rows(10)
    execute(RunSpec(Workload(leaf, Poisson(1e6), jobs=100), seed=3), Shard(1, 4))
    (setup,) = leaf.setups
    assert (setup.jobs, setup.slots, setup.users, setup.most_in_service) == (3, None, None, 3)


def test_streams_of_jobs_change_no_plan() -> None:
    """Each leaf has its own, the same for the same seed, apart from those of the plan."""
    leaves = Rows(), Rows()
    spec = RunSpec(Workload(Mix((Branch(1, leaves[0]), Branch(1, leaves[1]))), jobs=4), seed=3)
    run_sync(spec)
    run_sync(spec)
    drawn = [[setup.streams.rng("rows").integers(2**62) for setup in leaf.setups] for leaf in leaves]
    assert drawn[0][0] == drawn[0][1] != drawn[1][0] == drawn[1][1]


def test_jobs_without_a_setup_open_as_ever() -> None:
    """Whoever overrides `opened` alone need not know of setups."""

    class Old(Job):
        marks = (Mark("half"),)

        async def run(self, demand: float) -> None:
            raise AssertionError

        @asynccontextmanager
        async def opened(self) -> AsyncIterator[object]:
            async def run(demand: float) -> None:
                return None

            yield run

    assert run_sync(RunSpec(Workload(Old(), jobs=3), seed=0)).counts.completed == 3
