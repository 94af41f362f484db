"""What jobs report: from what `run` returns, and from what is planned, into columns, results, objectives and errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Branch,
    CallbackPool,
    Constant,
    ConstantRate,
    CostModel,
    Faulty,
    Fifo,
    Job,
    JobBatch,
    Limited,
    Mark,
    Measure,
    Mix,
    Objective,
    Outcome,
    Poisson,
    RunParts,
    RunResult,
    RunSpec,
    Shard,
    Sleep,
    SpecError,
    StrategyError,
    Workload,
    execute,
    run,
    simulate,
    summarize,
)
from aurea_engine.costs import Component, Flat, Reported
from aurea_engine.errors import InvalidReport
from aurea_engine.records.reports import ReportReader
from aurea_engine.run.report_columns import decode_planned, encode_planned
from aurea_engine.testing import LoopClock, RecordingObserver
from aurea_engine.workload.distributions import Floats

NS = 10**9
ROWS, SCORE, FIRST = Measure("rows", "rows"), Measure("score", "points", 1000), Mark("first_row")


def now() -> int:
    """The instant by the run's clock, on a loop whose time jumps."""
    return round(asyncio.get_running_loop().time() * NS)


@dataclass(frozen=True)
class Query(Job):
    """Takes 0.3 s, sees its first row after 0.1 s, and reports it and ten rows."""

    marks = (FIRST,)
    measures = (ROWS,)

    async def run(self, demand: float) -> object:
        await asyncio.sleep(0.1)
        first = now()
        await asyncio.sleep(0.2)
        return self.report(first)

    def report(self, first: int) -> object:
        """What it returns."""
        return {"first_row": first, "rows": 10}


@dataclass(frozen=True)
class Planned(Sleep):
    """In virtual time: its first row comes at half of its time, and it has as many rows as its number, in sevenths."""

    marks = (FIRST,)
    measures = (ROWS, SCORE)

    def reports(self, rng: np.random.Generator, first: int, demand: Floats) -> dict[str, Any]:
        numbers = np.arange(first, first + len(demand))
        return {"first_row": demand / 2, "rows": numbers, "score": np.where(numbers % 2, numbers / 8, np.nan)}


def real(jumping: Callable[..., Any], job: Job, jobs: int = 20, **changes: Any) -> RunResult:
    """A run in real time on a loop whose time jumps."""
    spec = RunSpec(Workload(job, ConstantRate(10), jobs=jobs), seed=1, **changes)
    result: RunResult = jumping(run(spec, clock=LoopClock()))
    return result


def test_a_report_becomes_columns_and_figures(jumping: Callable[..., Any]) -> None:
    """The mark 0.1 s after the start, the ten rows of each of twenty jobs."""
    result = real(jumping, Query())
    assert result.jobs is not None
    np.testing.assert_allclose(result.jobs.mark("first_row") - result.jobs.started, NS // 10, atol=1000)
    assert result.jobs.measure("rows").tolist() == [10] * 20
    times, rows = result.marks["first_row"], result.measures["rows"]
    assert times.from_start.mean == pytest.approx(0.1)
    assert times.from_intended.count == 20
    assert (rows.total, rows.unit, rows.amounts.mean, rows.amounts.p50) == (200, "rows", 10, 10)


def test_a_tuple_is_marks_then_measures(jumping: Callable[..., Any]) -> None:
    """In the order of their declaration."""

    class Short(Query):
        def report(self, first: int) -> object:
            return first, 10

    one, other = real(jumping, Short()), real(jumping, Query())
    assert one.jobs == other.jobs


@pytest.mark.parametrize("nothing", [None, (None, None), {}, {"rows": None}])
def test_nothing_reported_is_no_failure(jumping: Callable[..., Any], nothing: object) -> None:
    """A job may have had no answer. The statistics are over the jobs that have it, with their number."""

    class Silent(Query):
        def report(self, first: int) -> object:
            return nothing

    result = real(jumping, Silent())
    assert result.counts.completed == 20
    assert (result.marks["first_row"].from_start.count, result.measures["rows"].amounts.count) == (0, 0)
    assert result.measures["rows"].total == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(lambda _: {"rows": -1}, id="negative"),
        pytest.param(lambda _: {"rows": 1.5}, id="a fraction without a scale"),
        pytest.param(lambda _: {"rows": True}, id="a truth"),
        pytest.param(lambda _: {"rows": "10"}, id="a text"),
        pytest.param(lambda _: {"rows": 2**63}, id="too large"),
        pytest.param(lambda _: {"lines": 1}, id="not declared"),
        pytest.param(lambda first: {"first_row": first / NS}, id="a mark in seconds"),
        pytest.param(lambda first: {"first_row": first + NS}, id="a mark after the end"),
        pytest.param(lambda _: {"first_row": -5, "rows": 5}, id="a mark before the start"),
        pytest.param(lambda first: (first,), id="too few"),
        pytest.param(lambda _: 10, id="no report at all"),
        pytest.param(lambda first: [first, 10], id="a list"),
    ],
)
def test_nonsense_fails_the_job_without_a_trace(jumping: Callable[..., Any], nonsense: Callable[[int], object]) -> None:
    """By a class that says so; the other jobs, and every column, are as if it had said nothing."""

    class Wrong(Query):
        def report(self, first: int) -> object:
            return nonsense(first)

    result = real(jumping, Wrong(), jobs=3)
    assert result.failures == {"InvalidReport": 3}
    assert result.counts.failed == 3
    assert result.jobs is not None
    assert result.jobs.measure("rows").tolist() == result.jobs.mark("first_row").tolist() == [-1] * 3


def test_jobs_with_a_limit_report_too(jumping: Callable[..., Any]) -> None:
    """Those that keep it; one that is stopped has returned nothing."""
    result = real(jumping, Mix((Branch(1, Limited(Query(), 0.2)), Branch(1, Limited(Query(), 0.4)))), jobs=40)  # type: ignore[arg-type]
    assert result.jobs is not None
    kept = result.jobs.outcome == Outcome.COMPLETED
    assert 0 < kept.sum() < 40
    assert set(result.jobs.measure("rows")[kept].tolist()) == {10}
    assert set(result.jobs.measure("rows")[~kept].tolist()) == {-1}


def test_a_failed_job_keeps_what_it_reported(jumping: Callable[..., Any]) -> None:
    """A failure that is injected after the work: its rows are billed, and are in the total, but in no mean."""
    result = real(jumping, Faulty(Query(), 1.0))  # type: ignore[arg-type]
    assert result.counts.failed == 20
    assert (result.measures["rows"].total, result.measures["rows"].amounts.count) == (200, 0)


def test_a_stopped_job_reports_nothing(jumping: Callable[..., Any]) -> None:
    """It never ended, so nobody read what it would have returned."""
    spec = RunSpec(Workload(Query(), AllAtOnce(), jobs=5, stop_at=0.15), seed=1)
    result: RunResult = jumping(run(spec, clock=LoopClock()))
    assert result.counts.cancelled == 5
    assert result.measures["rows"].total == 0


@given(value=st.one_of(st.integers(0, 2**40), st.floats(0, 1e6), st.fractions(0, 10**6), st.decimals(0, 10**6)))
def test_scaled_amounts_round_once(value: Any) -> None:
    """To the nearest thousandth, from whatever number a job has; exact fractions are the oracle."""
    reader = ReportReader((), (SCORE,))
    expected = round(Fraction(value) * 1000)
    assert reader.read({"score": value}, 0, 0, 0) == [expected]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("nan"), "1", None.__class__, True])
def test_what_is_no_number_is_refused(value: object) -> None:
    """Also by a measure that takes fractions."""
    with pytest.raises(InvalidReport):
        ReportReader((), (SCORE,)).read((value,), 0, 0, 0)


def test_numpy_numbers_are_numbers() -> None:
    """A job may count with arrays."""
    reader = ReportReader((FIRST,), (ROWS,))
    assert reader.read((np.int64(7), np.uint8(5)), 2, 4, 6) == [5, 5]


@given(values=st.lists(st.integers(-1, 2**62 - 1), min_size=1), start=st.integers(0, 2**40))
def test_planned_values_survive_their_encoding(values: list[int], start: int) -> None:
    """Encoded until the job has ended, then what was planned, counted from the start."""
    planned = np.array(values, np.int64)
    everyone = np.ones(len(values), bool)
    starts = np.full(len(values), start, np.int64)
    expected = [-1 if value == -1 else value + start for value in values]
    assert decode_planned(encode_planned(planned), starts, everyone, everyone).tolist() == expected
    assert (decode_planned(encode_planned(planned), starts, everyone, ~everyone) == -1).all()


def test_simulated_jobs_report_what_is_planned() -> None:
    """Marks count from the start of each job, whenever the queue let it start."""
    result = simulate(RunSpec(Workload(Planned(Constant(0.2)), Poisson(20), jobs=300), Fifo(slots=2), seed=3))
    assert result.jobs is not None
    np.testing.assert_array_equal(result.jobs.mark("first_row"), result.jobs.started + NS // 10)
    assert result.jobs.measure("rows").tolist() == list(range(300))
    assert result.measures["score"].amounts.count == 150
    assert result.measures["score"].total == sum(range(1, 300, 2)) / 8
    assert result.marks["first_row"].from_start.p50 == pytest.approx(0.1)


def test_timers_report_in_real_time_as_planned(jumping: Callable[..., Any]) -> None:
    """Nobody runs them, so they report by their plan, like in virtual time."""
    spec = RunSpec(Workload(Planned(Constant(0.2)), ConstantRate(10), jobs=20), Fifo(slots=2), seed=3)
    result: RunResult = jumping(run(spec, clock=LoopClock()))
    assert result.jobs is not None
    assert result.jobs == simulate(spec).jobs


@pytest.mark.parametrize(
    "reports",
    [
        {"lines": [1.0]},
        {"first_row": [0.3]},
        {"first_row": [-0.1]},
        {"rows": [0.5]},
        {"rows": [-1]},
        {"rows": [2.0**63]},
        {"rows": [1, 2]},
        {"score": [float("inf")]},
    ],
)
def test_plans_that_cannot_be_are_refused(reports: dict[str, list[float]]) -> None:
    """A strategy that breaks its contract ends the run, with its name."""

    class Wrong(Planned):
        def reports(self, rng: np.random.Generator, first: int, demand: Floats) -> dict[str, Any]:
            return {name: np.resize(values, (len(values) - 1) + len(demand)) for name, values in reports.items()}

    with pytest.raises(StrategyError, match=r"Wrong\.reports"):
        simulate(RunSpec(Workload(Wrong(Constant(0.2)), jobs=1)))


def reads_and_writes(keep_jobs: bool = True, **changes: Any) -> RunSpec:
    """Three groups of different speed; the last of them fails half of the time, and nothing is served at once."""
    mix = Mix(
        (
            Branch(3, Planned(Constant(0.01)), name="reads"),
            Branch(1, Planned(Constant(0.05)), name="writes"),
            Branch(1, Faulty(Sleep(Constant(0.02)), 0.5), name="checks"),
        )
    )
    workload = Workload(mix, Poisson(150), jobs=3000)
    return RunSpec(
        workload, Fifo(slots=2, queue_limit=20), seed=5, warmup=2, keep_jobs=keep_jobs, clock="virtual", **changes
    )


def test_groups_add_up_to_the_run() -> None:
    """Counts of the whole run, outcome by outcome; and failures by class."""
    result = simulate(reads_and_writes())
    assert [group.name for group in result.groups] == ["reads", "writes", "checks"]
    for outcome in vars(result.counts):
        assert sum(getattr(group.counts, outcome) for group in result.groups) == getattr(result.counts, outcome)
    assert result.counts.rejected > 0
    assert [dict(group.failures) for group in result.groups] == [{}, {}, result.failures]
    assert sum(group.response_time.count for group in result.groups) == result.response_time.count


def test_a_group_is_a_filter_over_the_records() -> None:
    """Its times, to the last bit, are those of its rows."""
    result = simulate(reads_and_writes())
    assert result.jobs is not None
    for group in result.groups:
        jobs = result.jobs.of_group(group.name)
        served = jobs[(jobs.outcome == Outcome.COMPLETED) & (jobs.intended >= 2 * NS)]
        assert group.response_time.count == len(served)
        assert group.response_time.mean == int(served.response_ns.sum()) / len(served) / NS
        assert group.service_time.max == served.service_ns.max() / NS


def test_groups_need_no_records() -> None:
    """And times within a histogram's error."""
    exact, rough = simulate(reads_and_writes()), simulate(reads_and_writes(keep_jobs=False))
    assert rough.jobs is None
    for one, two in zip(exact.groups, rough.groups, strict=True):
        assert (one.counts, one.failures) == (two.counts, two.failures)
        assert two.response_time.p95 == pytest.approx(one.response_time.p95, rel=0.004)
        assert two.response_time.mean == pytest.approx(one.response_time.mean)
        assert two.measures["rows"].total == one.measures["rows"].total
        rows, first = one.measures["rows"].amounts, one.marks["first_row"].from_start
        assert two.measures["rows"].amounts.p90 == (rows.p90 and pytest.approx(rows.p90, rel=0.004))
        assert two.marks["first_row"].from_start.mean == (first.mean and pytest.approx(first.mean))


def test_errors_are_counted_by_group(jumping: Callable[..., Any]) -> None:
    """The class of what the jobs of each branch raised."""

    class Broken(Query):
        def report(self, first: int) -> object:
            raise ConnectionError

    mix = Mix((Branch(1, Query(), name="good"), Branch(1, Broken(), name="bad")))
    result = real(jumping, mix)  # type: ignore[arg-type]
    assert [dict(group.failures) for group in result.groups] == [{}, {"ConnectionError": result.counts.failed}]


@pytest.mark.parametrize("keep_jobs", [True, False])
def test_objectives_on_marks_measures_groups(keep_jobs: bool) -> None:
    """Met, missed and inconclusive; a measure in its own unit, a group among its own jobs only."""
    objectives = (
        Objective("first_row", at_most=10.0, quantile=0.9),
        Objective("rows", at_most=10, quantile=0.5),
        Objective("score", at_least=0),
        Objective("group:reads:service_time", at_most=0.02, quantile=0.99),
        Objective("group:writes:service_time", at_most=0.02, quantile=0.99),
        Objective("group:checks:failure_ratio", at_most=0.2),
        Objective("group:checks:rows", at_most=1),
    )
    result = simulate(reads_and_writes(keep_jobs, objectives=objectives))
    outcomes = [judged.outcome for judged in result.objectives]
    assert outcomes == ["met", "missed", "met", "met", "missed", "missed", "inconclusive"]
    assert "rows" in result.objectives[1].detail
    assert result.objectives[-1].observed is None


def test_a_good_job_is_within_its_own_bounds() -> None:
    """A read that is slower than a write may be is good, and a job that did not report what is bounded is not."""
    objectives = (
        Objective("group:writes:service_time", at_most=0.04, quantile=0.99),
        Objective("rows", at_most=10**9, quantile=0.99),
    )
    result = simulate(reads_and_writes(objectives=objectives))
    assert result.jobs is not None
    served = result.jobs[(result.jobs.outcome == Outcome.COMPLETED) & (result.jobs.finished >= 2 * NS)]
    assert result.good == len(served.of_group("reads"))


@pytest.mark.parametrize(
    ("objective", "problem"),
    [
        (Objective("lines", at_most=1), "first_row"),
        (Objective("group:nobody:rows", at_most=1), "reads, writes, checks"),
        (Objective("group:reads:throughput", at_most=1), "failure_ratio"),
        (Objective("rows", at_most="10ms"), "which is not a time"),  # type: ignore[arg-type]
    ],
)
def test_unreported_objectives_are_refused(objective: Objective, problem: str) -> None:
    """With the specification, and with what there is."""
    with pytest.raises(SpecError, match=problem) as caught:
        reads_and_writes(objectives=(objective,))
    assert caught.value.problems[0].path.startswith("objectives[0].")


def test_a_mark_may_be_bounded_by_a_duration() -> None:
    """As every other time."""
    assert Objective("first_row", at_most="10ms", quantile=0.9).at_most == 0.01  # type: ignore[arg-type]


@pytest.mark.parametrize("of", [2, 3])
def test_shards_merge_to_the_whole(of: int) -> None:
    """Groups, marks, measures and their histograms, through bytes: to the last bit."""
    mix = reads_and_writes().workload.job
    spec = RunSpec(Workload(mix, Poisson(60), jobs=500), seed=5, warmup=1, clock="virtual")
    shards = [RunParts.from_bytes(execute(spec, Shard(i, of)).to_bytes()) for i in range(of)]
    merged, whole = RunParts.empty(spec).merge(*shards), execute(spec)
    assert merged.records == whole.records
    one, two = summarize(spec, merged, benchmark_id="benchmark-1"), summarize(spec, whole, benchmark_id="benchmark-1")
    assert (one.groups, one.marks, one.measures) == (two.groups, two.marks, two.measures)
    assert one.cost.total == two.cost.total


def test_parts_keep_reports_without_records() -> None:
    """A stored run that kept no rows still has its groups, marks and measures."""
    spec = reads_and_writes(keep_jobs=False)
    parts = execute(spec)
    again = RunParts.from_bytes(parts.to_bytes())
    assert again == parts
    assert summarize(spec, again).groups == summarize(spec, parts).groups


def test_plain_jobs_have_no_more_columns() -> None:
    """33 bytes each, as ever."""
    jobs = simulate(RunSpec(Workload(Sleep(Constant(0.1)), jobs=10))).jobs
    assert jobs is not None
    assert sum(column.nbytes for column in jobs.columns().values()) == 330
    assert jobs == JobBatch(jobs.intended, jobs.released, jobs.started, jobs.finished, jobs.outcome)


def test_a_session_of_a_run_reports_too(jumping: Callable[..., Any]) -> None:
    """What `opened` yields does the jobs, and so it is what reports."""

    class Session(Query):
        @asynccontextmanager
        async def opened(self) -> AsyncIterator[Any]:
            async def one(demand: float) -> object:
                return {"rows": 3}

            yield one

    assert real(jumping, Session()).measures["rows"].total == 60


@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(Objective("first_row", at_most=0.02, quantile=0.5, abort=True), id="a mark"),
        pytest.param(Objective("rows", at_most=99, quantile=0.9, abort=True), id="a measure"),
        pytest.param(Objective("group:checks:failure_ratio", at_most=0.01, abort=True), id="a group's failures"),
        pytest.param(Objective("group:writes:service_time", at_most=0.04, quantile=0.5, abort=True), id="a group"),
    ],
)
def test_objectives_on_reports_end_a_run(objective: Objective) -> None:
    """As soon as they are lost for certain, at the same job whatever drives; and the result says that they are missed."""
    spec = reads_and_writes(objectives=(objective,))
    spec = replace(spec, warmup=0.0)
    result = simulate(spec)
    assert result.status == "aborted"
    assert result.objectives[0].outcome == "missed"
    assert result.counts.arrived < 3000
    assert simulate(replace(spec, keep_jobs=False)).counts == result.counts


def test_what_can_still_be_met_ends_nothing() -> None:
    """Others' jobs, and those that reported nothing, might all have been good: none of them counts against it."""
    objectives = (
        Objective("group:reads:service_time", at_most=0.04, quantile=0.5, abort=True),
        Objective("score", at_most=10.0**6, quantile=0.99, abort=True),
        Objective("group:checks:failure_ratio", at_most=0.99, abort=True),
    )
    assert simulate(reads_and_writes(objectives=objectives)).status == "completed"


def test_a_budget_is_spent_by_reported_rows() -> None:
    """A run ends when the rows that were reported have cost more than the objective allows, whatever they are billed by."""

    @dataclass(frozen=True)
    class PerRow(CostModel):
        def components(self) -> Iterator[Component]:
            yield Component("rows", Reported("rows"), Flat(1), "Rows")

    workload = Workload(Planned(Constant(0.001)), ConstantRate(10), jobs=1000)
    spec = RunSpec(workload, cost=PerRow(), seed=1, objectives=(Objective("cost", at_most=50, abort=True),))
    result = simulate(spec)
    # Job k reports k rows: 0 + 1 + … + 9 = 45 are within it, and the tenth more are not.
    assert (result.status, result.counts.completed, result.measures["rows"].total) == ("aborted", 11, 55)


def test_observers_see_reports_under_way() -> None:
    """Their meters have what jobs reported so far, of all and of each group, also where no records are kept."""
    seen = RecordingObserver()
    result = simulate(reads_and_writes(keep_jobs=False), [seen])
    meters = seen.reports[-1].meters
    assert meters.totals["rows"] == result.measures["rows"].total
    assert meters.reported["first_row"].count == result.marks["first_row"].from_intended.count
    assert [meters.groups[group.name].counts.total() for group in result.groups] == [
        group.counts.arrived for group in result.groups
    ]


def test_a_callback_pool_reports_with_its_ends(jumping: Callable[..., Any]) -> None:
    """Marks by the run's own time, amounts, and -1 for what it did not see; nonsense fails the job here too."""

    class Pool(CallbackPool):
        def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
            began = self.now()
            asyncio.get_running_loop().call_later(0.2, self._end, job, began)

        def _end(self, job: int, began: int) -> None:
            # Job 1 sees no first row, job 2 counts wrongly, and job 3 fails after it has read three rows.
            marks = [-1 if job == 1 else began + NS // 10]
            measures = [-7 if job == 2 else 3]
            outcome = Outcome.FAILED if job == 3 else Outcome.COMPLETED
            self.done(job, began, self.now(), outcome, marks, measures, "reset" if job == 3 else None)

        def cancel(self, job: int) -> int | None:
            return None

    class Called(Query):
        executor = "callbacks"

        @asynccontextmanager
        async def opened(self) -> AsyncIterator[Any]:
            yield Pool()

    result = real(jumping, Called(), jobs=5)
    assert result.jobs is not None
    assert result.failures == {"InvalidReport": 1, "reset": 1}
    assert result.jobs.measure("rows").tolist() == [3, 3, -1, 3, 3]
    came = result.jobs.mark("first_row") - result.jobs.started
    assert came[[0, 3, 4]].tolist() == [NS // 10] * 3
    assert result.jobs.mark("first_row")[[1, 2]].tolist() == [-1, -1]
    assert (result.measures["rows"].total, result.measures["rows"].amounts.count) == (12, 3)


def test_pools_of_a_mix_share_the_columns(jumping: Callable[..., Any]) -> None:
    """Branches that declare some of the same, in another order and with gaps: each job's numbers are in its own columns."""
    a, b, c = (Measure(name, "things") for name in "abc")

    class Pool(CallbackPool):
        def __init__(self, numbers: tuple[int, ...]) -> None:
            self._numbers = numbers

        def start(self, job: int, demand: float, limit: int | None, deadline: int | None) -> None:
            self.done(job, self.now(), self.now(), Outcome.COMPLETED, (), self._numbers)

        def cancel(self, job: int) -> int | None:
            return None

    class Told(Job):
        executor = "callbacks"
        numbers: ClassVar[tuple[int, ...]] = ()

        async def run(self, demand: float) -> None:
            raise NotImplementedError

        @asynccontextmanager
        async def opened(self) -> AsyncIterator[Any]:
            yield Pool(self.numbers)

    class All(Told):
        measures: ClassVar = (a, b, c)
        numbers: ClassVar = (1, 2, 3)

    class Turned(Told):
        measures: ClassVar = (c, a)
        numbers: ClassVar = (30, 10)

    class One(Told):
        measures: ClassVar = (b,)
        numbers: ClassVar = (200,)

    mix = Mix((Branch(1, All(), name="all"), Branch(1, Turned(), name="turned"), Branch(1, One(), name="one")))
    jobs = jumping(run(RunSpec(Workload(mix, AllAtOnce(), jobs=60)), clock=LoopClock())).jobs
    expected = {"all": (1, 2, 3), "turned": (10, -1, 30), "one": (-1, 200, -1)}
    for name, numbers in expected.items():
        mine = jobs.of_group(name)
        assert len(mine)
        assert {tuple(row) for row in zip(*(mine.measure(each) for each in "abc"), strict=True)} == {numbers}
