"""The parts of a run that was cut into shards, merged, are the parts of the run in one piece, column by column."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Branch,
    Chat,
    Closed,
    ConstantRate,
    CostModel,
    Cpu,
    Distribution,
    Exponential,
    Faulty,
    Fifo,
    GammaArrivals,
    JobBatch,
    JobSource,
    Lifo,
    Limited,
    Mix,
    Objective,
    PerJob,
    PerSecond,
    Poisson,
    Priority,
    Prompts,
    Ramp,
    Replay,
    RunParts,
    RunSpec,
    Scheduler,
    Shard,
    ShortestFirst,
    SimulatedChat,
    Sine,
    Sleep,
    SpecError,
    Stage,
    Stages,
    Stop,
    Trace,
    Workload,
    execute,
    plan,
    summarize,
)
from aurea_engine.closed_sets import ARRIVAL_KINDS, JOB_KINDS, SCHEDULER_KINDS, Reason
from aurea_engine.costs import Component, Flat, Fleet, InstanceBusy, JobMeter, MeterTotal, Packed
from aurea_engine.records.batch import Instants
from aurea_engine.run import job_columns
from aurea_engine.run.parts import find_peak

CUTS = (2, 3, 7)
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)

COSTS: list[CostModel] = [
    PerSecond("0.001", step=0.1),
    PerJob("0.01") + Packed(price="0.1", concurrency=2),
    InstanceBusy(price="0.1", concurrency=3) + Fleet(price="0.1"),
]


def at_noon(parts: RunParts) -> RunParts:
    """As if every shard had started at the same instant: the calendar is all that two executions may differ in."""
    return replace(
        parts,
        shards=tuple(replace(report, timeline=replace(report.timeline, started_at=NOON)) for report in parts.shards),
    )


def cut(spec: RunSpec, of: int) -> list[RunParts]:
    return [at_noon(execute(spec, Shard(index, of))) for index in range(of)]


def assert_merges_to_the_whole(spec: RunSpec, of: int) -> None:
    """Columns, meters, series, additive counts, and after `summarize` every figure, finding and the bill."""
    whole, pieces = at_noon(execute(spec)), cut(spec, of)
    merged = pieces[-1].merge(*pieces[:-1])
    assert merged.records == whole.records
    assert merged.numbers is None
    assert merged.missing == ()
    # All that does not tell of single processes, byte for byte.
    same = {"shards": (), "metered": RunParts.empty(spec).metered}
    assert replace(merged, **same) == replace(whole, **same)
    assert merged.metered.counts == {key: whole.metered.counts[key] for key in merged.metered.additive}
    assert (merged.arrived, merged.status, merged.release_end_ns) == (
        whole.arrived,
        whole.status,
        whole.release_end_ns,
    )
    first, second = summarize(spec, whole, benchmark_id="a"), summarize(spec, merged, benchmark_id="a")
    if spec.keep_jobs:
        assert second == first
    else:
        assert second.concurrency.peak is None
        assert replace(
            second, concurrency=first.concurrency, usage=first.usage, cost=first.cost, findings=()
        ) == replace(first, findings=())


open_arrivals = st.from_type(Arrivals).filter(lambda arrivals: not isinstance(arrivals, Closed))
unlimited = st.sampled_from([Fifo(), Lifo(), ShortestFirst(), Priority()])
hundredths = st.integers(0, 40).map(lambda n: n / 100)
workloads = st.builds(
    Workload,
    st.from_type(JobSource),
    open_arrivals,
    jobs=st.integers(1, 60),
    duration=st.sampled_from([None, 0.2, 1.0]),
    patience=st.one_of(st.none(), st.from_type(Distribution)),
    deadline=st.sampled_from([None, 0.05, 0.1]),
    drain=st.one_of(st.none(), hundredths),
    stop_at=st.sampled_from([None, 0.15, 0.3, 2.0]),
)
specs = st.builds(
    RunSpec,
    workloads,
    unlimited,
    cost=st.sampled_from(COSTS),
    seed=st.integers(0, 2**32),
    clock=st.just("virtual"),
    warmup=st.sampled_from([0.0, 0.1, "auto"]),
    objectives=st.sampled_from([(), (Objective("response_time", at_most=0.1, quantile=0.5),)]),
)


@given(specs, st.sampled_from(CUTS))
@example(RunSpec(Workload(Sleep(0.0), AllAtOnce(), jobs=5), Fifo(), seed=0, clock="virtual"), 7)
@example(RunSpec(Workload(Sleep(0.1), Trace((0.0, 0.1, 0.1, 0.2)), jobs=4), Fifo(), seed=0, clock="virtual"), 3)
@example(RunSpec(Workload(Sleep(1.0), ConstantRate(10), jobs=9, drain=0.0), Fifo(), seed=0, clock="virtual"), 2)
def test_merged_shards_equal_the_whole_run(spec: RunSpec, of: int) -> None:
    """Every built-in arrivals but the closed model, every job, every scheduler without slots, and everything that may end a
    run or a wait before its time.
    """
    assert_merges_to_the_whole(spec, of)


ARRIVALS: dict[str, Arrivals] = {
    "all_at_once": AllAtOnce(),
    "constant": ConstantRate(100),
    "gamma": GammaArrivals(100, 2.0),
    "poisson": Poisson(100),
    "ramp": Ramp(10, 200, 2.0),
    "sine": Sine(100, 50, 1.0),
    "stages": Stages((Stage(0.5, rate=100), Stage(1.0, start=100, end=0))),
    "trace": Trace((0.0, 0.01, 0.01, 0.5)),
}
JOBS: dict[str, JobSource] = {
    "chat": Chat(
        "http://127.0.0.1:9",
        prompts=Prompts(output=Exponential(20)),
        simulated=SimulatedChat(first_token_time=Exponential(0.02), token_gap=Exponential(0.001)),
    ),
    "cpu": Cpu(Exponential(0.05)),
    "faulty": Faulty(Sleep(0.05), 0.2),
    "limited": Limited(Sleep(Exponential(0.05)), 0.06),
    "mix": Mix((Branch(1, Sleep(0.01)), Branch(3, Faulty(Sleep(Exponential(0.1)), 0.5), priority=5))),
    "replay": Replay((0.01, 0.02, 0.2)),
    "sleep": Sleep(Exponential(0.05)),
}
SCHEDULERS: dict[str, Scheduler] = {
    "fifo": Fifo(),
    "lifo": Lifo(),
    "priority": Priority(),
    "shortest_first": ShortestFirst(),
}


def test_the_tables_hold_every_kind_there_is() -> None:
    """A kind that is added must be held against its shards too."""
    assert {*ARRIVALS, "closed"} == set(ARRIVAL_KINDS)
    real_only = {"flow", "http"}
    assert (set(JOBS), set(SCHEDULERS)) == (set(JOB_KINDS) - real_only, set(SCHEDULER_KINDS))


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("arrivals", ARRIVALS)
def test_every_kind_merges_to_the_whole(arrivals: str, job: str) -> None:
    """A hundred and fifty jobs of each, in each discipline, cut in 2, 3 and 7."""
    for scheduler, of in itertools.product(SCHEDULERS.values(), CUTS):
        workload = Workload(JOBS[job], ARRIVALS[arrivals], jobs=150)
        assert_merges_to_the_whole(RunSpec(workload, scheduler, cost=COSTS[1], seed=5, clock="virtual"), of)


@given(specs.map(lambda spec: replace(spec, keep_jobs=False, warmup=0.05)), st.sampled_from(CUTS))
def test_so_do_they_without_records(spec: RunSpec, of: int) -> None:
    """Then only the peak is unknown, and what interval meters would have billed."""
    assert_merges_to_the_whole(spec, of)


@pytest.mark.parametrize("of", CUTS)
def test_merged_shards_equal_it_across_blocks(of: int) -> None:
    """More jobs than two blocks of 4,096, and a mean concurrency of some hundred."""
    spec = RunSpec(Workload(Sleep(Exponential(0.1)), Poisson(1000), jobs=10_000), seed=3, clock="virtual", warmup=1.0)
    assert_merges_to_the_whole(replace(spec, cost=COSTS[1]), of)


@pytest.mark.parametrize(("kept", "of"), [(20, 3), (21, 3), (19, 2), (40, 7), (41, 7)])
def test_cuts_do_not_change_when_records_go(kept: int, of: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty jobs and room for so many records: the shards keep theirs where the whole does."""
    monkeypatch.setattr(job_columns, "KEPT_JOBS", kept)
    spec = RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=40), seed=1, clock="virtual")
    pieces = cut(spec, of)
    assert (pieces[0].merge(*pieces[1:]).records is None) == (execute(spec).records is None) == (kept < 40)


@given(specs, st.sampled_from(CUTS))
def test_a_shard_plans_every_nth_job_of_the_whole(spec: RunSpec, of: int) -> None:
    """Whole blocks are drawn and rows are kept, so no column of any job depends on the number of shards."""
    whole = plan(spec)
    assert whole.intended is not None
    assert whole.job.tolist() == list(range(len(whole.job)))
    for index in range(of):
        mine = plan(spec, Shard(index, of))
        for name, column in vars(mine).items():
            np.testing.assert_array_equal(column, vars(whole)[name][index::of], name)


def test_a_plan_says_what_is_run() -> None:
    """The records of a run without a limit of slots are its plan."""
    spec = RunSpec(Workload(Faulty(Sleep(Exponential(0.1)), 0.2), Poisson(10), jobs=50), seed=1, clock="virtual")
    planned, jobs = plan(spec), execute(spec).records
    assert jobs is not None
    np.testing.assert_array_equal(planned.intended, jobs.intended)
    np.testing.assert_array_equal(planned.service, jobs.service_ns)
    np.testing.assert_array_equal(planned.outcome, jobs.outcome)
    np.testing.assert_array_equal(np.rint(planned.demand * 1e9), jobs.service_ns)


def test_what_has_no_end_cannot_be_planned() -> None:
    """Without a seed there is no one plan, and how many jobs users send is known when they have sent them."""
    with pytest.raises(SpecError, match="seed"):
        plan(RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=5)))
    with pytest.raises(SpecError, match=r"workload\.jobs"):
        plan(RunSpec(Workload(Sleep(0.1), Closed(2), duration=5.0), seed=1))
    assert plan(RunSpec(Workload(Sleep(0.1), Closed(2), jobs=5), seed=1)).intended is None


def test_a_run_without_one_of_its_shards_failed() -> None:
    """Its figures are of what is there, and nobody can take them for those of the run."""
    spec = RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=30), seed=1, clock="virtual")
    pieces = cut(spec, 3)
    result = summarize(spec, pieces[0].merge(pieces[2]))
    assert result.status == "failed"
    assert result.reason == Reason("shard_lost", "only 2 of 3 shards of the run are in these parts")
    assert result.counts.arrived == 20
    assert pieces[0].merge(pieces[2]).missing == (1,)


parts_of_one_run = st.tuples(st.integers(0, 2**32), st.booleans(), st.permutations(range(5)))


@given(parts_of_one_run, st.integers(0, 5), st.integers(0, 5))
def test_merging_is_associative_and_commutative(drawn: tuple[int, bool, list[int]], first: int, second: int) -> None:
    """Five shards in any order, bracketed in any way, some of them missing in between."""
    seed, keep, order = drawn
    spec = RunSpec(Workload(Sleep(Exponential(0.1)), Poisson(20), jobs=50), seed=seed, keep_jobs=keep, clock="virtual")
    pieces = [execute(spec, Shard(index, 5)) for index in range(5)]
    a, b = sorted((first, second))
    groups = [order[:a], order[a:b], order[b:]]
    bracketed = [RunParts.empty(spec).merge(*(pieces[i] for i in group)) for group in groups]
    assert bracketed[0].merge(bracketed[1]).merge(bracketed[2]) == bracketed[2].merge(bracketed[0], bracketed[1])
    assert bracketed[1].merge(bracketed[2]).merge(bracketed[0]) == pieces[0].merge(*pieces[1:])


@dataclass(frozen=True)
class Upset(JobMeter):
    """Raises, with another text in each shard."""

    def measure(self, jobs: JobBatch) -> Instants:
        raise ValueError(f"the first of these came at {jobs.intended[0]} ns")


@dataclass(frozen=True)
class UpsetModel(CostModel):
    def components(self) -> Iterator[Component]:
        yield Component("upset", MeterTotal(Upset()), Flat("1"), "upsets")


def test_broken_meters_merge_in_any_order() -> None:
    """Each shard has a fault of its own to tell of. The merged parts told of whichever happened to come first."""
    spec = RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=9), seed=1, clock="virtual", cost=UpsetModel())
    pieces = cut(spec, 3)
    merged = [first.merge(*others) for first, *others in itertools.permutations(pieces)]
    assert all(parts == merged[0] for parts in merged)
    assert [*merged[0].metered.broken.values()] in [[*parts.metered.broken.values()] for parts in pieces]


@given(specs)
def test_the_empty_parts_change_nothing(spec: RunSpec) -> None:
    """On either side, and however often."""
    none, parts = RunParts.empty(spec), execute(spec, Shard(0, 2))
    assert none.merge(parts) == parts.merge(none, none) == parts
    assert none.merge(none) == none


def test_parts_of_different_runs_are_not_merged() -> None:
    """Another seed, another number of shards, and a shard that is there twice."""
    spec = RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=10), seed=1, clock="virtual")
    parts = execute(spec, Shard(0, 2))
    for other in (
        execute(replace(spec, seed=2), Shard(1, 2)),
        execute(spec, Shard(1, 3)),
        execute(spec, Shard(0, 2)),
        execute(replace(spec, warmup=0.1), Shard(1, 2)),
    ):
        with pytest.raises(ValueError, match=r"parts|rules"):
            parts.merge(other)


def test_a_shard_of_a_stopped_run_knows_its_jobs() -> None:
    """One of three is stopped from outside: the rows are still in the order of job numbers, with holes."""
    spec = RunSpec(Workload(Sleep(Exponential(0.1)), Poisson(100), duration=200.0), seed=1, clock="virtual")
    stop = Stop()
    stop.now()
    stopped = [execute(spec, Shard(index, 3), stop=stop if index == 1 else None) for index in range(3)]
    merged = stopped[0].merge(*stopped[1:])
    assert merged.numbers is not None
    assert merged.records is not None
    assert (np.diff(merged.numbers) > 0).all()
    for index, piece in enumerate(stopped):
        assert piece.records is not None
        assert merged.records[merged.numbers % 3 == index] == piece.records
    result = summarize(spec, merged)
    assert (result.status, result.counts.arrived) == ("cancelled", merged.arrived)


REFUSED = {
    "scheduler.slots": RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=5), Fifo(4), seed=1),
    "scheduler.queue_limit": RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=5), Fifo(None, 4), seed=1),
    "workload.arrivals": RunSpec(Workload(Sleep(0.1), Closed(4), jobs=5), seed=1),
    "seed": RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=5)),
    "objectives[0].abort": RunSpec(
        Workload(Sleep(0.1), Poisson(10), jobs=5),
        seed=1,
        objectives=(Objective("failure_ratio", at_most=0.1, abort=True),),
    ),
}


@pytest.mark.parametrize("member", REFUSED)
def test_shards_refuse_what_all_jobs_share(member: str) -> None:
    """The member is named, with a remedy; in one piece the same specification runs."""
    spec = replace(REFUSED[member], clock="virtual")
    with pytest.raises(SpecError) as refused:
        execute(spec, Shard(0, 2))
    (problem,) = refused.value.problems
    assert problem.path == member
    assert ": " in problem.problem
    assert execute(spec).status == "completed"


@dataclass(frozen=True)
class Polite(Arrivals):
    """A closed model of somebody else's."""

    def instants(self, rng: np.random.Generator) -> Iterator[np.ndarray[Any, Any]]:
        yield np.zeros(2, np.int64)

    def think_times(self, rng: np.random.Generator) -> Iterator[np.ndarray[Any, Any]]:
        while True:
            yield np.full(10, 10**9)


def test_any_closed_model_is_refused_in_a_shard() -> None:
    """Whoever wrote it: it shows in the think times."""
    spec = RunSpec(Workload(Sleep(0.1), Polite(), jobs=5), seed=1, clock="virtual")
    with pytest.raises(SpecError, match=r"workload\.arrivals"):
        execute(spec, Shard(0, 2))
    assert execute(spec).arrived == 5


@pytest.mark.parametrize(("index", "of"), [(-1, 2), (2, 2), (0, 0), (0, 10**6)])
def test_a_shard_that_does_not_exist_is_refused(index: int, of: int) -> None:
    with pytest.raises(SpecError, match="shard"):
        Shard(index, of)


def test_without_records_instances_have_no_price() -> None:
    """The instances of two shards do not add up to those of the whole: the finding says why there is no price."""
    spec = RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=20), cost=COSTS[2], seed=1, clock="virtual", keep_jobs=False)
    first, second = cut(spec, 2)
    result = summarize(spec, first.merge(second))
    assert result.cost.total is None
    assert "cost_unpriced" in {finding.code for finding in result.findings}
    assert "its records" in str(result.cost.problem)
    assert summarize(spec, execute(spec)).cost.total is not None


def test_a_fleet_is_priced_without_records() -> None:
    """It is as large as the service time of all jobs asks for, and that adds up."""
    spec = RunSpec(Workload(Sleep(0.1), Poisson(10), jobs=20), cost=Fleet(price="0.1"), seed=1, keep_jobs=False)
    spec = replace(spec, clock="virtual")
    first, second = cut(spec, 2)
    assert summarize(spec, first.merge(second)).cost.lines == summarize(spec, execute(spec)).cost.lines


@given(specs)
def test_records_show_the_peak_of_the_run(spec: RunSpec) -> None:
    """The dispatcher counts while the run goes on; the records are looked at afterwards."""
    parts = execute(spec)
    assert parts.records is not None
    assert find_peak(parts.records) == parts.shards[0].totals.peak
