"""What-if: a recorded run replayed under another load, and how far the answer can be trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Branch,
    Changes,
    Closed,
    Constant,
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    GammaArrivals,
    Interval,
    JobBatch,
    Limited,
    Mark,
    Measure,
    Mix,
    Objective,
    Outcome,
    PerJob,
    Poisson,
    Priority,
    Ramp,
    RunResult,
    RunSpec,
    ShortestFirst,
    Sine,
    Sleep,
    SpecError,
    Stage,
    Stages,
    Trace,
    Workload,
    encode_json,
    parse_json,
    result_from_dict,
    result_to_dict,
    simulate,
    spec_from_dict,
    what_if,
    what_if_to_dict,
)
from aurea_engine.codec.parsing import RESULT_DEPTH
from aurea_engine.studies.recorded_sample import find_block
from aurea_engine.studies.replays import estimate
from aurea_engine.studies.scaled_arrivals import find_factor, scale_arrivals
from aurea_engine.workload.distributions import Floats

FEW = 40
"""Replays, as few as there may be."""

BRIEF = Changes(jobs=50)
"""Where only the record is looked at."""


def record(seed: int = 1, rate: float = 200, jobs: int = 2000, **more: Any) -> RunResult:
    """An M/M/4 run."""
    return simulate(RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(rate), jobs=jobs), Fifo(4), seed=seed, **more))


@pytest.mark.parametrize("scheduler", [Fifo(4), ShortestFirst(4), Priority(4)])
def test_no_change_gives_the_run_again(scheduler: Any) -> None:
    """Of a simulated run, job by job: the same arrivals, and the recorded service times in their order."""
    recorded = simulate(RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(300), jobs=2000), scheduler, seed=5))
    answer = what_if(recorded, replays=FEW)
    assert answer.result.jobs == recorded.jobs
    assert (answer.sample, answer.recorded) == (2000, recorded.benchmark_id)


def test_jobs_of_the_warm_up_are_left_out() -> None:
    """What was too early for the figures is too early for an answer; at twice the rate the warm-up is half as long."""
    recorded = record(warmup=2.0)
    answer = what_if(recorded, Changes(rate="2x"), replays=FEW)
    assert recorded.jobs is not None
    assert answer.sample == int((recorded.jobs.intended >= 2e9).sum())
    assert answer.result.spec.warmup == 1.0


def test_overload_has_the_known_answer() -> None:
    """D/D: 500/s on four slots of 10 ms, from a record at 100/s. Nothing is drawn, so the interval has no width."""
    recorded = simulate(RunSpec(Workload(Sleep(0.01), ConstantRate(100), jobs=5000), Fifo(4), seed=1))
    answer = what_if(recorded, Changes(rate="5x"), replays=FEW)
    assert answer.result.waiting_time.max == pytest.approx(2.498, abs=1e-6)
    throughput = answer.figure("throughput")
    assert throughput.value == pytest.approx(399.81, abs=0.005)
    assert throughput.interval == Interval(throughput.value, throughput.value)
    assert answer.result.counts.arrived == 5000


THEORY = {"response_time.mean": 0.0174554, "response_time.p50": 0.013462, "response_time.p99": 0.068932}
"""Of M/M/4 at 320/s, μ = 100/s: KNOWN_ANSWERS."""


@pytest.mark.long
def test_answers_cover_the_theory_of_another_load(campaign: Callable[[int], int]) -> None:
    """Recorded at 200/s, asked for at 320/s. An interval of 95 % covers in 16 or more of 20 with all but 0.03 % chance, and
    in the tenth of them in both but for 10 %: there it may miss once, by at most half of its width beyond.
    """
    rounds = campaign(20)
    covered = dict.fromkeys(THEORY, 0)
    for seed in range(rounds):
        answer = what_if(record(seed, jobs=20_000), Changes(rate=320))
        assert answer.warnings == ()
        for name, expected in THEORY.items():
            interval = answer.figure(name).interval
            assert interval is not None
            covered[name] += interval.low <= expected <= interval.high
            # Three times the interval is what no seed leaves (t of 39 degrees beyond 6 standard errors).
            assert abs((interval.low + interval.high) / 2 - expected) < 1.5 * (interval.high - interval.low)
    assert min(covered.values()) >= (16 if rounds == 20 else rounds - 1), covered


@pytest.mark.parametrize("jobs", [400, 1000])
def test_more_records_narrow_the_interval(jobs: int) -> None:
    """With four times as many it is about half as wide: no number of replays would do that."""
    widths = []
    for n in (jobs, 4 * jobs):
        interval = what_if(record(3, jobs=n), Changes(rate="1.2x"), replays=FEW).figure("response_time.mean").interval
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths[1] < 0.85 * widths[0]


def test_an_estimate_is_that_of_the_formula() -> None:
    """Two resamples of five: means 3 and 13, variances within of 2.5."""
    mean, interval = estimate([1.0, 2.0, 3.0, 4.0, 5.0, 11.0, 12.0, 13.0, 14.0, 15.0])
    half = 12.7062047362 * math.sqrt(50 - 2.5 / 5 + 50 / 2)
    assert mean == 8.0
    assert interval is not None
    assert interval.low == 0.0  # no figure is less
    assert interval.high == pytest.approx(8 + half)
    assert estimate([1.0, None, 3.0, 4.0, 5.0]) == (None, None)


def test_failures_come_again() -> None:
    """As often as they did, and failed and stopped jobs last as long as they lasted."""
    job = Limited(Faulty(Sleep(Exponential(0.01)), 0.1), 0.03)
    recorded = simulate(RunSpec(Workload(job, Poisson(200), jobs=3000), Fifo(4), seed=2))
    answer = what_if(recorded, Changes(slots=8), replays=FEW)
    assert answer.result.counts == recorded.counts
    assert recorded.counts.failed > 200
    assert recorded.counts.timed_out > 50
    assert answer.result.jobs is not None
    assert recorded.jobs is not None
    assert np.array_equal(answer.result.jobs.service_ns, recorded.jobs.service_ns)
    assert any("fail or time out as often" in text for text in answer.assumptions)


@dataclass(frozen=True)
class Rows(Sleep):
    """Reports when the first row came, and how many came."""

    marks = (Mark("first_row"),)
    measures = (Measure("rows", "rows"),)

    def reports(self, rng: np.random.Generator, first: int, demand: Floats) -> dict[str, Floats]:
        return {"first_row": demand / 2, "rows": np.floor(rng.uniform(1, 9, len(demand)))}


def test_groups_marks_and_measures_come_again() -> None:
    """A job keeps what it reported, and its group; so what is priced by a measure can be priced."""
    job = Mix((Branch(3, Rows(Exponential(0.01)), name="read"), Branch(1, Sleep(0.02), name="write")))
    objectives = (
        Objective("group:write:response_time", at_most=1.0, quantile=0.9),
        Objective("first_row", at_most=0.5),
    )
    recorded = simulate(RunSpec(Workload(job, Poisson(200), jobs=2000), Fifo(6), seed=2, objectives=objectives))
    answer = what_if(recorded, Changes(slots=8), replays=FEW)
    assert [group.name for group in answer.result.groups] == ["read", "write"]
    assert [group.counts for group in answer.result.groups] == [group.counts for group in recorded.groups]
    assert answer.result.measures["rows"].total == recorded.measures["rows"].total
    assert answer.result.marks["first_row"].from_start == recorded.marks["first_row"].from_start
    assert [judged.outcome for judged in answer.result.objectives] == ["met", "met"]
    # The document is a result like any other, though nobody can run it.
    document = parse_json(encode_json(what_if_to_dict(answer)), max_depth=RESULT_DEPTH)
    again = result_from_dict(document, keep_unknown=True)
    assert again.counts == answer.result.counts
    assert [each.outcome for each in again.objectives] == ["met", "met"]
    with pytest.raises(SpecError, match="replay that run with aurea what-if"):
        spec_from_dict(document["spec"])


def test_priorities_are_planned_again() -> None:
    """No record holds them: by the specification the urgent ones overtake, in the answer as in the run itself."""
    job = Mix((Branch(1, Sleep(0.01), 5, "urgent"), Branch(3, Sleep(0.01), 0, "usual")))
    workload = Workload(job, Poisson(95), jobs=3000)
    recorded = simulate(RunSpec(workload, Fifo(4), seed=4))
    answer = what_if(recorded, Changes(scheduler=Priority(1)), replays=FEW)
    expected = simulate(RunSpec(workload, Priority(1), seed=4))
    assert answer.result.jobs is not None
    assert expected.jobs is not None
    assert np.array_equal(answer.result.jobs.started, expected.jobs.started)


def crowded(*, slower: bool, jobs: int = 4000) -> RunResult:
    """Ten slots, and jobs that take twice as long where more than four others are in service, if ``slower``."""
    rng, free, rows = np.random.default_rng(3), [0] * 10, []
    at = np.cumsum(rng.exponential(0.003, jobs) * 1e9).astype(int)
    ends: list[int] = []
    for arrived, service in zip(at.tolist(), (rng.exponential(0.01, jobs) * 1e9).astype(int).tolist(), strict=True):
        slot = min(range(10), key=free.__getitem__)
        start = max(arrived, free[slot])
        beside = sum(end > start for end in ends[-40:])
        free[slot] = start + service * (2 if slower and beside > 4 else 1)
        ends.append(free[slot])
        rows.append((arrived, start, free[slot]))
    intended, started, finished = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    batch = JobBatch(intended, intended, started, finished, np.full(jobs, Outcome.COMPLETED, np.uint8))
    return replace(record(jobs=jobs), jobs=batch)


def test_a_contradiction_is_told() -> None:
    """Service times that depend on the load; and none where they do not."""
    (warning,) = what_if(crowded(slower=True), BRIEF, replays=FEW).warnings
    assert "depended on the load" in warning
    assert "% longer" in warning
    assert what_if(crowded(slower=False), BRIEF, replays=FEW).warnings == ()


@pytest.mark.parametrize("scheduler", [Fifo(4), ShortestFirst(4), Priority(4)])
def test_a_scheduler_is_no_contradiction(scheduler: Any) -> None:
    """Shortest first starts short jobs where there is a queue: that is no effect of the load on them."""
    for seed in range(3):
        spec = RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(360), jobs=3000), scheduler, seed=seed)
        assert what_if(simulate(spec), BRIEF, replays=FEW).warnings == ()


def test_neighbours_alike_are_told() -> None:
    """A slow minute is no chance: its jobs came together, and blocks keep only a part of that."""
    recorded = record(jobs=3000)
    assert recorded.jobs is not None
    slow = np.repeat(np.arange(30) % 3 == 0, 100)
    finished = recorded.jobs.finished + np.where(slow, 40_000_000, 0)
    answer = what_if(
        replace(recorded, jobs=replace(recorded.jobs, finished=finished)), Changes(slots=9, jobs=50), replays=FEW
    )
    assert any("service times alike" in warning for warning in answer.warnings)
    assert find_block(3000) == 14


def test_an_answer_beyond_the_record_is_told() -> None:
    """Sixteen slots where four were: nobody measured how long jobs take beside fifteen others."""
    answer = what_if(record(), Changes(rate="5x", slots=16), replays=FEW)
    assert any("never more than 4 jobs were in service" in warning for warning in answer.warnings)


def test_jobs_that_were_not_served_are_told() -> None:
    """Rejected and abandoned ones have no service time."""
    workload = Workload(Sleep(Exponential(0.01)), Poisson(400), jobs=1000, patience=Exponential(0.005))
    answer = what_if(simulate(RunSpec(workload, Fifo(4, queue_limit=3), seed=1)), Changes(jobs=300), replays=FEW)
    assert any("were not served to their end" in warning for warning in answer.warnings)
    assert answer.result.counts.abandoned > 0


def test_histograms_serve_where_records_are_gone() -> None:
    """Within their error, and it says what that costs."""
    spec = RunSpec(
        Workload(Faulty(Sleep(Exponential(0.01)), 0.1), Poisson(200), jobs=2000), Fifo(4), seed=1, keep_jobs=False
    )
    answer = what_if(simulate(spec), Changes(rate="1.5x"), replays=FEW)
    whole = what_if(simulate(replace(spec, keep_jobs=True)), Changes(rate="1.5x"), replays=FEW)
    assert "histogram" in answer.warnings[0]
    assert "failed jobs" in answer.warnings[1]
    for figure in ("response_time.mean", "response_time.p99"):
        assert answer.figure(figure).value == pytest.approx(whole.figure(figure).value, rel=0.1)
    assert answer.figure("failure_ratio").value == pytest.approx(0.1, abs=0.02)


def test_a_part_of_the_records_is_told() -> None:
    recorded = record(jobs=2000)
    assert recorded.jobs is not None
    answer = what_if(replace(recorded, jobs=None), records=recorded.jobs[:500], replays=FEW)
    assert answer.warnings[0] == "only the first 500 of 2,000 jobs are in the result, and stand for all"
    assert (answer.sample, answer.result.counts.arrived) == (500, 2000)


def test_prices_stand_side_by_side() -> None:
    """Each model by its name, with what the recorded run cost under it."""
    recorded = record()
    costs = {"cheap": PerJob("0.000001"), "dear": PerJob("0.000002")}
    answer = what_if(recorded, Changes(costs=costs, jobs=500), replays=FEW)
    for name, amount in (("cheap", 1.0), ("dear", 2.0)):
        figure = answer.figure(f"cost_per_million.{name}")
        assert figure.recorded == pytest.approx(amount)
        assert figure.value == pytest.approx(amount)
    assert answer.result.counts.arrived == 500
    with pytest.raises(KeyError, match="the figures are response_time"):
        answer.figure("nonsense")


@pytest.mark.parametrize(
    ("bound", "outcome"), [(0.0001, "missed"), (0.0175, "inconclusive"), (0.5, "met")], ids=["missed", "open", "met"]
)
def test_objectives_are_judged_by_the_interval(bound: float, outcome: str) -> None:
    """A single replay would decide more than the record can."""
    objectives = (Objective("response_time", at_most=bound), Objective("throughput", at_least=1))
    recorded = record(1, objectives=objectives, jobs=2000)
    answer = what_if(recorded, Changes(rate=320), replays=FEW)
    assert [judged.outcome for judged in answer.result.objectives] == [outcome, "met"]
    assert answer.result.objectives[0].observed == answer.figure("response_time.mean").value


OPEN: list[Arrivals] = [
    ConstantRate(50),
    Poisson(50),
    GammaArrivals(50, 2),
    Ramp(10, 90, 20),
    Sine(50, 30, 7, 1),
    Stages((Stage(5, rate=20), Stage(5, start=20, end=80))),
    Trace(at=(0.0, 0.5, 0.5, 3.25)),
]


@pytest.mark.parametrize("arrivals", OPEN, ids=lambda each: type(each).__name__)
def test_twice_the_rate_is_twice_the_rate(arrivals: Arrivals) -> None:
    """Kinds without an end of their own come at half of their instants; a ramp is twice as steep."""
    before, after = (
        np.concatenate([*_first(each.instants(np.random.default_rng(3)))])
        for each in (arrivals, scale_arrivals(arrivals, 2))
    )
    if isinstance(arrivals, (Ramp, Stages)):
        assert len(after) == pytest.approx(2 * len(before), abs=1)
    elif isinstance(arrivals, Sine):
        n = np.searchsorted(after, 70e9)
        assert n == pytest.approx(2 * np.searchsorted(before, 70e9), abs=2)
    else:
        assert np.abs(after - before / 2).max() <= 1


def _first(blocks: Any) -> Any:
    for _, block in zip(range(2), blocks, strict=False):
        yield block


@pytest.mark.parametrize(
    ("arrivals", "rate", "says"),
    [
        (AllAtOnce(), "2x", "open arrivals"),
        (Closed(4), 20, "open arrivals"),
        (Trace(at=(0.0, 1.0)), "320/s", "is not known"),
        (Poisson(5), "320/d", 'a factor such as "2x"'),
        (Poisson(5), True, 'a factor such as "2x"'),
        (Poisson(5), "0x", "greater than 0"),
        (Poisson(5), float("nan"), "greater than 0"),
    ],
)
def test_a_rate_that_fits_nothing_is_refused(arrivals: Arrivals, rate: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        find_factor(arrivals, rate)


@pytest.mark.parametrize(
    ("arrivals", "mean"), [(Ramp(10, 90, 20), 50), (Stages((Stage(5, rate=20), Stage(15, start=20, end=80))), 42.5)]
)
def test_a_rate_of_many_rates_is_their_mean(arrivals: Arrivals, mean: float) -> None:
    assert find_factor(arrivals, 2 * mean) == pytest.approx(2)


def test_unknown_arrivals_are_not_scaled() -> None:
    """Nothing is known of somebody else's kind."""

    @dataclass(frozen=True)
    class Mine(Poisson):
        pass

    class Other(Arrivals):
        def instants(self, rng: np.random.Generator) -> Any:
            yield np.zeros(1, np.int64)

    assert isinstance(scale_arrivals(Mine(5), 2), Mine)
    with pytest.raises(SpecError, match="and Other cannot"):
        scale_arrivals(Other.__new__(Other), 2)


@pytest.mark.parametrize(
    ("changes", "more", "says"),
    [
        (Changes(users=5), {}, "closed model"),
        (Changes(users=5, rate="2x"), {}, "cannot stand beside rate"),
        (Changes(rate="2x", arrivals=Poisson(3)), {}, "cannot stand beside rate"),
        (Changes(slots=0), {}, "slots"),
        (Changes(jobs=0), {}, "jobs: must be a whole number >= 1"),
        (Changes(rate=[2]), {}, "rate: must be a factor"),  # type: ignore[arg-type]
        (Changes(), {"replays": "40"}, "replays: must be a multiple of 5 from 40 on, got '40'"),
        (Changes(), {"replays": 20}, "a multiple of 5 from 40 on"),
        (Changes(), {"replays": 41}, "a multiple of 5 from 40 on"),
    ],
)
def test_changes_that_do_not_fit_are_refused(changes: Changes, more: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        what_if(record(), changes, **more)


def test_too_few_jobs_are_refused() -> None:
    for keep in (True, False):
        with pytest.raises(SpecError, match="needs the service times of 30 jobs, and this result has those of 29"):
            what_if(record(jobs=29, keep_jobs=keep))


def test_closed_models_change_their_users() -> None:
    """Twice the users on enough slots: twice the throughput, by the law of response times X = N/(R + Z)."""
    workload = Workload(Sleep(Exponential(0.01)), Closed(5, Constant(0.09)), jobs=2000)
    recorded = simulate(RunSpec(workload, Fifo(50), seed=1))
    answer = what_if(recorded, Changes(users=10), replays=FEW)
    assert answer.figure("throughput").value == pytest.approx(100, rel=0.03)


def test_other_arrivals_may_be_given() -> None:
    answer = what_if(record(), Changes(arrivals=ConstantRate(100)), replays=FEW)
    assert answer.figure("throughput").value == pytest.approx(100, rel=0.01)
    assert any("constant at 100/s" in text for text in answer.assumptions)


def test_the_answer_is_the_same_every_time() -> None:
    """By its seed."""
    recorded = record()
    first, second, other = (
        encode_json(what_if_to_dict(what_if(recorded, Changes(rate="1.5x"), seed=seed, replays=FEW)))
        for seed in (1, 1, 2)
    )
    names = ("what_if", "assumptions", "response_time")
    one, two, three = ({name: json.loads(text)[name] for name in names} for text in (first, second, other))
    assert one == two != three


def test_a_stored_result_answers_as_the_run_did() -> None:
    """From JSON, which holds up to 10,000 jobs."""
    recorded = record(jobs=1000)
    again = result_from_dict(parse_json(encode_json(result_to_dict(recorded)), max_depth=RESULT_DEPTH))
    assert what_if(again, replays=FEW).figures == what_if(recorded, replays=FEW).figures
