"""Jobs that consist of steps: what a pool says of them, and what a run makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurea_engine import (
    Branch,
    CallbackPool,
    ConstantRate,
    DamagedParts,
    Fifo,
    Job,
    JobSource,
    Limited,
    Mark,
    Measure,
    Mix,
    NeedsRecords,
    NotSimulable,
    Objective,
    Observer,
    Outcome,
    Poisson,
    Progress,
    RunParts,
    RunResult,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    StrategyError,
    Workload,
    engine,
    simulate,
    summarize,
)
from aurea_engine.costs import (
    Composite,
    InstanceBusy,
    Packed,
    PerJob,
    PerSecond,
    Serverless,
    measure,
    price,
    reprice,
)
from aurea_engine.records.batch import NS
from aurea_engine.records.failure_classes import name_failures
from aurea_engine.records.steps import StepBatch
from aurea_engine.run.step_columns import StepColumns, cut_step
from aurea_engine.run.step_meters import StepParts
from aurea_engine.spec import KEPT_JOBS
from aurea_engine.testing import check_result, run_jumping
from aurea_engine.testing.clocks import JumpingLoop, LoopClock
from aurea_engine.workload.access import LOCAL_USER


class StepTimers(CallbackPool):
    """Each step is a `call_later`, after a think time that is one as well; ``bad`` says how a step ends otherwise."""

    def __init__(self, job: Visit) -> None:
        self.visit = job
        self.at: dict[int, list[int]] = {}
        self.timers: dict[int, asyncio.TimerHandle] = {}
        self.begun: dict[int, int] = {}

    def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
        self.begun[job] = self.now()
        self._begin(job, 0, self.now())
        if limit is not None:
            self._call(limit, self._time_out, job)

    def _call(self, ns: int, callback: object, *values: object) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_at(loop.time() + ns / NS, callback, *values)

    def _begin(self, job: int, step: int, intended: int) -> None:
        self.at[job] = [step, intended, self.now()]
        self.timers[job] = self._call(self.visit.service_ns(job, step), self._end, job)

    def _end(self, job: int) -> None:
        step, intended, began = self.at.pop(job)
        outcome, now = self.visit.outcome(job, step), self.now()
        error = None if outcome == Outcome.COMPLETED else "check"
        self.record_step(job, step, (intended, began, began, now), outcome, (began,), (step + 1,), error)
        if outcome != Outcome.COMPLETED or step + 1 == len(self.visit.names):
            self.done(job, self.begun.pop(job), now, outcome, (), (step + 1,), error)
            del self.timers[job]
        else:
            think = self.visit.think_ns(job, step + 1)
            self.timers[job] = self._call(think, self._begin, job, step + 1, now + think)

    def _time_out(self, job: int) -> None:
        if job not in self.begun:
            return
        self.timers.pop(job).cancel()
        if job in self.at:
            step, intended, began = self.at.pop(job)
            self.record_step(job, step, (intended, began, began, self.now()), Outcome.TIMED_OUT)
        self.done(job, self.begun.pop(job), self.now(), Outcome.TIMED_OUT)

    def cancel(self, job: int) -> int | None:
        self.timers.pop(job).cancel()
        if job in self.at:
            step, intended, began = self.at.pop(job)
            self.record_step(job, step, (intended, began, began, -1), Outcome.CANCELLED)
        return self.begun.pop(job)


@dataclass(frozen=True)
class Visit(Job):
    """A visit of a site: page by page, with a think time before each but the first."""

    names: tuple[str, ...] = ("open", "search", "buy")
    fails: float = 0.0
    executor: ClassVar = "callbacks"
    marks: ClassVar = (Mark("first_byte"),)
    measures: ClassVar = (Measure("pages", "pages"),)

    def step_names(self) -> tuple[str, ...]:
        return self.names

    async def run(self, demand: float) -> None:
        raise NotImplementedError

    def _draw(self, job: int, step: int, what: int) -> np.random.Generator:
        return np.random.default_rng((job, step, what))

    def service_ns(self, job: int, step: int) -> int:
        return int(self._draw(job, step, 0).integers(1, 50)) * 1_000_000

    def think_ns(self, job: int, step: int) -> int:
        return int(self._draw(job, step, 1).integers(0, 80)) * 1_000_000

    def outcome(self, job: int, step: int) -> Outcome:
        return Outcome.FAILED if self._draw(job, step, 2).random() < self.fails else Outcome.COMPLETED

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[CallbackPool]:
        yield StepTimers(self)


def run_visits(job: JobSource | None = None, **changes: object) -> RunResult:
    """200 visits, 40 a second."""
    workload = {name: changes.pop(name) for name in ("stop_at", "deadline", "jobs") if name in changes}
    spec = RunSpec(Workload(job or Visit(), Poisson(40), **{"jobs": 200, **workload}), seed=5, **changes)
    result = run_jumping(spec)
    check_result(result)
    return result


def check_conserved(result: RunResult) -> None:
    """Each step: whoever came to it ended somehow, and with those who did not come to it they are all that were served."""
    assert result.parts is not None
    assert result.steps is not None
    served = sum(bool(start >= 0) for start in result.jobs.started.tolist())
    steps = [group for group in result.groups if group.not_reached is not None]
    assert steps
    for group in steps:
        counts = group.counts
        assert counts.arrived == counts.completed + counts.failed + counts.timed_out + counts.cancelled
        if len(steps) == len(result.groups):  # in a mix, other jobs are served too
            assert counts.arrived + group.not_reached == served
        assert counts.arrived == len(result.steps.rows.of_group(group.name))


def test_each_step_is_a_group() -> None:
    """With the counts and times of its own rows; the counts of the run are of whole visits."""
    result = run_visits(Visit(fails=0.2))
    assert [group.name for group in result.groups] == ["open", "search", "buy"]
    assert result.counts.arrived == 200
    opened, searched, bought = result.groups
    assert (opened.counts.arrived, opened.not_reached) == (200, 0)
    assert searched.counts.arrived == opened.counts.completed
    assert bought.not_reached == opened.counts.failed + searched.counts.failed
    assert result.counts.failed == sum(group.counts.failed for group in result.groups)
    check_conserved(result)


def test_visit_lasts_its_steps_and_thoughts() -> None:
    """To the nanosecond: its response is the sum of the responses of its steps and of the times between them."""
    result = run_visits()
    assert result.steps is not None
    for number in range(len(result.jobs)):
        steps = result.steps.of_job(number)
        thinks = [Visit().think_ns(number, step) for step in (1, 2)]
        assert steps.intended[0] == result.jobs.intended[number]
        assert (steps.intended[1:] - steps.finished[:-1]).tolist() == thinks
        assert int(steps.response_ns.sum()) + sum(thinks) == int(result.jobs.response_ns[number])


@settings(max_examples=25)
@given(
    stop=st.one_of(st.none(), st.floats(0.001, 6.0)),
    slots=st.one_of(st.none(), st.integers(1, 8)),
    fails=st.sampled_from([0.0, 0.3]),
    limit=st.one_of(st.none(), st.floats(0.01, 0.2)),
)
def test_steps_are_conserved(stop: float | None, slots: int | None, fails: float, limit: float | None) -> None:
    """However a run ends and whatever its visits come to: every step of every visit is accounted for."""
    job = Visit(fails=fails) if limit is None else Limited(Visit(fails=fails), limit)
    result = run_visits(job, scheduler=Fifo(slots), **({} if stop is None else {"stop_at": stop}))
    check_conserved(result)


@pytest.mark.parametrize("at", [0.5, 1.0, 2.345678901])
def test_stop_cuts_steps_where_it_cuts_jobs(at: float) -> None:
    """What was in service at t ends at t as cancelled; what would have begun at t or later was not reached."""
    whole, cut = run_visits(), run_visits(stop_at=at)
    stop = round(at * NS)
    assert cut.steps is not None
    assert whole.steps is not None
    expected = [
        (int(job), int(begin), min(int(end), stop), Outcome.COMPLETED if end <= stop else Outcome.CANCELLED)
        for job, begin, end in zip(whole.steps.jobs, whole.steps.rows.started, whole.steps.rows.finished, strict=True)
        if begin < stop
    ]
    rows = cut.steps.rows
    assert (
        list(
            zip(
                cut.steps.jobs.tolist(),
                rows.started.tolist(),
                rows.finished.tolist(),
                rows.outcome.tolist(),
                strict=True,
            )
        )
        == expected
    )
    check_conserved(cut)


def test_steps_of_mix_are_named_by_branch() -> None:
    """``NAME/STEP``; jobs without steps beside them have none, and objectives name either."""
    job = Mix((Branch(1, Visit(), name="shop"), Branch(1, Sleep(0.01), name="ping")))
    goal = Objective("group:shop/buy:response_time", at_most=1, quantile=0.5)
    result = run_visits(job, objectives=(goal,))
    assert [group.name for group in result.groups] == ["shop", "ping", "shop/open", "shop/search", "shop/buy"]
    assert [group.not_reached for group in result.groups] == [None, None, 0, 0, 0]
    assert result.groups[0].counts == result.groups[2].counts
    assert result.objectives[0].outcome == "met"
    # An objective on a step makes no job good or bad: all that completed are good.
    assert result.good == result.counts.completed
    check_conserved(result)


def test_what_steps_report_is_theirs() -> None:
    """Marks and measures are of each step, and those of the job are its own."""
    result = run_visits()
    assert [group.measures["pages"].total for group in result.groups] == [200, 400, 600]
    assert result.measures["pages"].total == 600
    assert all(group.marks["first_byte"].from_start.mean == 0 for group in result.groups)


def test_failures_of_steps_have_their_class() -> None:
    """Counted where the step is, and the job failed by the same; each row has its own."""
    result = run_visits(Visit(fails=0.5))
    assert result.steps is not None
    failed = result.steps.rows.outcome == Outcome.FAILED
    assert [name for name in name_failures(result.steps.rows) if name is not None] == ["check"] * int(failed.sum())
    assert sum(group.failures.get("check", 0) for group in result.groups) == result.failures["check"]


def run_shard(spec: RunSpec, shard: Shard) -> RunParts:
    """One shard of ``spec``, in time that jumps."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(engine._drive(engine._Watch(spec, (), None, LOCAL_USER), shard, LoopClock()))


def sharded(**changes: object) -> tuple[RunSpec, list[RunParts]]:
    """120 visits, cut in three."""
    spec = RunSpec(Workload(Visit(), ConstantRate(40), jobs=120), seed=3, **changes)
    return spec, [run_shard(spec, Shard(k, 3)) for k in range(3)]


def test_merging_steps_is_associative() -> None:
    """In whatever order: rows by the numbers of their jobs, counts and bills added up."""
    spec, (a, b, c) = sharded(cost=PerJob(1, per="step"))
    merged = a.merge(b).merge(c)
    assert merged == c.merge(b.merge(a)) == RunParts.empty(spec).merge(a, b, c)
    assert merged.steps is not None
    assert merged.steps.records is not None
    assert merged.steps.records.jobs.tolist() == [job for job in range(120) for _ in range(3)]
    result = summarize(spec, merged)
    assert [group.counts.arrived for group in result.groups] == [120, 120, 120]
    assert result.cost.total == 360
    check_conserved(result)


def test_steps_survive_being_stored() -> None:
    """With their records and without: the same parts, the same bytes; a run without steps is written as before."""
    for keep in (True, False):
        spec, shards = sharded(keep_jobs=keep)
        merged = shards[0].merge(*shards[1:])
        content = merged.to_bytes()
        assert RunParts.from_bytes(content) == merged
        assert (merged.steps.records is None) is not keep
        assert [group.counts.arrived for group in summarize(spec, RunParts.from_bytes(content)).groups] == [120] * 3
    plain = simulate(RunSpec(Workload(Sleep(1), jobs=1), clock="virtual", seed=1))
    assert plain.parts.to_bytes()[:8] == b"AUREAP1\n"
    assert content[:8] == b"AUREAP2\n"


def test_forged_steps_are_refused() -> None:
    """Counts of other rows, rows of no step, and rows without jobs: `DamagedParts`, and nothing else."""
    _, (parts, *_) = sharded()
    steps = parts.steps
    rows = steps.records.rows
    forged = [
        StepParts(steps.meters, steps.records[:-1]),
        StepParts(steps.meters, StepBatch(replace(rows, group=rows.group + 1), steps.records.jobs)),
        StepParts(steps.meters, StepBatch(replace(rows, group=None, groups=()), steps.records.jobs)),
        StepParts(steps.meters, StepBatch(rows, steps.records.jobs[::-1])),
        StepParts(steps.meters, StepBatch(rows, steps.records.jobs - 5)),
        StepParts(steps.meters, StepBatch(replace(rows, started=rows.started - 10 * NS), steps.records.jobs)),
    ]
    for each in forged:
        with pytest.raises(DamagedParts):
            RunParts.from_bytes(replace(parts, steps=each).to_bytes())


def test_damaged_bytes_of_steps_are_refused() -> None:
    """A byte that was changed anywhere."""
    content = sharded()[1][0].to_bytes()
    for at in range(0, len(content), len(content) // 50):
        damaged = bytearray(content)
        damaged[at] ^= 0x55
        with pytest.raises(DamagedParts):
            RunParts.from_bytes(bytes(damaged))


def test_many_steps_are_not_kept() -> None:
    """A run keeps its records or its steps' as a whole, by the number of its jobs; figures without records remain."""
    spec = RunSpec(Workload(Visit(), ConstantRate(40), jobs=100), seed=1)
    columns = StepColumns(spec)
    assert columns.most_jobs_kept == KEPT_JOBS // 3
    assert StepColumns(spec, Shard(1, 3)).most_jobs_kept == Shard(1, 3).count_of(KEPT_JOBS // 3)
    columns.drop_records()
    assert columns.close().records is None
    result = run_jumping(replace(spec, keep_jobs=False))
    assert result.steps is None
    assert [group.counts.completed for group in result.groups] == [100] * 3
    assert result.groups[0].response_time.mean == pytest.approx(
        run_jumping(spec).groups[0].response_time.mean, rel=0.01
    )


def test_virtual_time_refuses_steps() -> None:
    """Nobody knows before how long a step takes: said in words, with the remedy."""
    with pytest.raises(NotSimulable, match=r"consists of steps.*set clock"):
        simulate(RunSpec(Workload(Visit(), jobs=1)))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a", "a"), "different names"),
        (("a/b",), "without a slash"),
        (("a:b",), "colon"),
        (("",), "at most 128"),
    ],
)
def test_wrong_names_of_steps_are_refused(names: tuple[str, ...], says: str) -> None:
    """When the specification is made."""
    with pytest.raises(SpecError, match=says):
        RunSpec(Workload(Visit(names), jobs=1))


def test_step_named_like_a_group_is_refused() -> None:
    """An objective could not tell them apart."""
    job = Mix((Branch(1, Visit(("b",)), name="a"), Branch(1, Sleep(0.1), name="a/b")))
    with pytest.raises(SpecError, match="one name"):
        RunSpec(Workload(job, jobs=1))


def test_an_objective_on_a_step_cannot_abort() -> None:
    """It is judged at the end, and says so before the run."""
    goal = Objective("group:buy:response_time", at_most=1, quantile=0.5, abort=True)
    with pytest.raises(SpecError, match=r"abort.*on a step"):
        RunSpec(Workload(Visit(), jobs=1), objectives=(goal,))


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([(0, (0, 0, 0, 0)), (0, (0, 0, 0, 0))], "twice"),
        ([(1, (0, 0, 0, 0)), (0, (0, 0, 0, 0))], "after a later one"),
        ([(3, (0, 0, 0, 0))], "step 3 is none"),
        ([(1, (5, 0, 0, 0))], "was in service from 0 to 0"),
        ([(1, (0, 0, 9, 8))], "was in service from 9 to 8"),
    ],
)
def test_pool_that_misreports_steps_ends_run(told: list, says: str) -> None:
    """As one that misreports jobs does."""

    class Misreports(CallbackPool):
        def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
            for step, times in told:
                self.record_step(job, step, times, Outcome.COMPLETED)

        def cancel(self, job: int) -> int | None:
            return None

    @dataclass(frozen=True)
    class Wrong(Visit):
        @asynccontextmanager
        async def opened(self) -> AsyncIterator[CallbackPool]:
            yield Misreports()

    with pytest.raises(StrategyError, match=says):
        run_jumping(RunSpec(Workload(Wrong(), jobs=1)))


def test_only_a_pool_can_record_steps() -> None:
    """A coroutine has no way to tell of them."""

    @dataclass(frozen=True)
    class Wrong(Visit):
        executor: ClassVar = "tasks"

    with pytest.raises(StrategyError, match="only a CallbackPool"):
        RunSpec(Workload(Wrong(), jobs=1))


MODELS = {
    "per_job": PerJob("0.5", per="step"),
    "per_second": PerSecond("0.25", step=0.1, per="step"),
    "serverless": Serverless(price="0.5", request_price="0.25", memory_mb=1024, per="step"),
    "instance_busy": InstanceBusy(price="0.5", concurrency=2, per="step"),
    "packed": Packed(price="0.5", concurrency=2, per="step"),
}


@pytest.mark.parametrize("name", MODELS)
def test_steps_are_billed_as_jobs_would_be(name: str) -> None:
    """The bill by step is the bill of a run whose jobs are these steps, to the last digit."""
    model = MODELS[name]
    result = run_visits(Visit(fails=0.2), cost=model)
    assert result.steps is not None
    usage = measure(result.steps.rows, result.usage.run, replace(model, per="job"))
    assert result.cost.total == price(usage, replace(model, per="job")).total


def test_job_without_steps_is_billed_as_one() -> None:
    """In a mix: visits by their steps, and single requests by themselves."""
    job = Mix((Branch(1, Visit(), name="shop"), Branch(1, Sleep(0.01), name="ping")))
    result = run_visits(job, cost=PerJob(1, per="step"))
    shop, ping, *steps = result.groups
    assert result.cost.total == ping.counts.arrived + sum(step.counts.arrived for step in steps)
    assert shop.counts.arrived * 3 == sum(step.counts.arrived for step in steps)


def test_run_without_steps_is_billed_by_job() -> None:
    """``per`` changes nothing where every job is one step, also of a run that was stored before there were steps."""
    result = simulate(RunSpec(Workload(Sleep(0.1), jobs=10), seed=1, cost=PerJob(2, per="step")))
    assert result.cost.total == 20
    assert reprice(result.usage, Serverless(price=1, request_price=1, per="step")) == replace(
        reprice(result.usage, Serverless(price=1, request_price=1))
    )


def test_a_run_with_steps_is_priced_again() -> None:
    """From its usage by the common meters; by others from its records with their steps, and never from jobs alone."""
    result = run_visits()
    assert reprice(result.usage, PerJob(1)).total == 200
    assert reprice(result.usage, PerJob(1, per="step")).total == 600
    odd = PerSecond(1, step=0.0123, per="step")
    with pytest.raises(NeedsRecords):
        reprice(result.usage, odd)
    with pytest.raises(NeedsRecords):
        reprice(result.usage, odd, result.jobs)
    both = reprice(result.usage, odd, result.jobs, result.steps)
    assert both.total == run_visits(cost=odd).cost.total


def test_bills_by_step_and_by_job_add_up() -> None:
    """One composite may hold both."""
    result = run_visits(cost=Composite((PerJob(1), PerJob(1, per="step"))))
    assert [line.unit for line in result.cost.lines] == ["Jobs", "Steps"]
    assert result.cost.total == 800


def test_the_cost_so_far_counts_steps() -> None:
    """Live, as exact as that of jobs."""
    seen = []

    class Look(Observer):
        def on_progress(self, progress: Progress) -> None:
            seen.append(progress.bill.total)

    spec = RunSpec(Workload(Visit(), Poisson(40), jobs=50), seed=5, cost=PerJob(1, per="step"))
    run_jumping(spec, [Look()])
    assert seen[-1] == 150


@pytest.mark.parametrize("with_others", [False, True])
def test_run_ends_when_steps_cost_too_much(with_others: bool) -> None:
    """At the first job with which they do, as if each step were a job; jobs without steps are one step each."""
    goal = Objective("cost", at_most=100, abort=True)
    job = Mix((Branch(1, Visit(), name="a"), Branch(1, Sleep(0.01), name="b"))) if with_others else Visit()
    result = run_visits(job, cost=PerJob(1, per="step"), objectives=(goal,))
    assert result.status == "aborted"
    # Up to three steps end together with the job that is one too many; what was cancelled in service is billed, too.
    ended = result.cost.total - sum(group.counts.cancelled for group in result.groups if group.not_reached is not None)
    assert 100 < ended <= 103 + 3 * result.counts.cancelled


def step_row(*times: int, outcome: int = Outcome.COMPLETED) -> tuple[int, ...]:
    """Of job 7, step 1, without a class and with one report; ``times``: intended, released, started, finished."""
    return 7, 1, *times, outcome, -1, 5


@pytest.mark.parametrize(
    ("row", "first", "after"),
    [
        (step_row(10, 10, 20, 50), False, step_row(10, 10, 20, 50)),
        (step_row(10, 10, 20, 100), False, step_row(10, 10, 20, 100)),
        (step_row(10, 10, 20, 101), False, (7, 1, 10, 10, 20, 100, Outcome.CANCELLED, -1, -1)),
        (step_row(10, 10, 120, 150), False, (7, 1, 10, 10, -1, -1, Outcome.CANCELLED, -1, -1)),
        (step_row(10, 110, 120, 150), False, (7, 1, 10, 100, -1, -1, Outcome.CANCELLED, -1, -1)),
        (step_row(100, 100, 120, 150), False, None),
        (step_row(130, 130, 140, 150), False, None),
        (step_row(10, 10, -1, -1, outcome=Outcome.CANCELLED), False, (7, 1, 10, 10, -1, -1, Outcome.CANCELLED, -1, -1)),
        (
            step_row(10, 10, 20, -1, outcome=Outcome.CANCELLED),
            False,
            (7, 1, 10, 10, 20, 100, Outcome.CANCELLED, -1, -1),
        ),
        (step_row(10, 10, 105, 150), True, (7, 1, 10, 10, 105, 105, Outcome.CANCELLED, -1, -1)),
    ],
)
def test_late_pump_undoes_what_came_later(row: tuple[int, ...], first: bool, after: tuple[int, ...] | None) -> None:
    """A stop at 100 that is noticed later: steps are as they were at 100, and one that was to come then never was."""
    assert cut_step(row, 100, first=first) == after
