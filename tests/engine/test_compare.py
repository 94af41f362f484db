"""Comparing two runs: what is chance is not called a difference, and what is a difference is not called chance."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pytest

from aurea_engine import (
    AllAtOnce,
    Comparison,
    Constant,
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    Finding,
    Free,
    Plan,
    Poisson,
    Ramp,
    RunFile,
    RunResult,
    RunSpec,
    Severity,
    Sleep,
    SpecError,
    Streams,
    Workload,
    compare,
    comparison_from_dict,
    comparison_to_dict,
    encode_json,
    parse_json,
    repeat_sync,
    result_from_dict,
    result_to_dict,
    simulate,
)
from aurea_engine.closed_sets import COMPARED_FIGURES, COMPARISON_REMARKS, COMPARISON_WORDS
from aurea_engine.results.student_t import find_t


def run(jobs: int, seed: int, mean: float = 0.01, rate: float = 320, **more: Any) -> RunResult:
    """M/M/4, at ρ = 0.8 unless something else is asked for."""
    job = more.pop("job", Sleep(Exponential(mean)))
    arrivals = more.pop("arrivals", Poisson(rate))
    return simulate(RunSpec(Workload(job, arrivals, jobs=jobs), Fifo(slots=4), seed=seed, **more))


def words(comparison: Comparison) -> dict[str, str]:
    return {each.figure: each.word for each in comparison.figures}


def codes(comparison: Comparison) -> set[str]:
    return {each.code for each in (*comparison.reasons, *comparison.notes)}


def read_back(result: RunResult, jobs_shown: int = 0) -> RunResult:
    """What is left of it in a JSON document."""
    return result_from_dict(parse_json(encode_json(result_to_dict(result, jobs_shown=jobs_shown)), max_depth=20))


A, A_AGAIN, SLOWER = run(20_000, 1), run(20_000, 2), run(20_000, 3, 0.0108)


def test_chance_is_not_a_difference() -> None:
    """Two runs of one specification, without any tolerance."""
    comparison = compare(A, A_AGAIN, 0)
    assert comparison.word == "inconclusive"
    assert set(words(comparison)) == set(COMPARED_FIGURES)
    assert comparison.comparable
    assert codes(comparison) == {"other_seed"}
    for each in comparison.figures:
        assert each.interval is not None
        assert each.interval.low < each.shift < each.interval.high or each.figure == "failure_ratio"


def test_a_slower_run_is_worse_and_the_other_way_better() -> None:
    """8 % more service time at 80 % load is more than a third more response time: the figures say in which direction."""
    worse = compare(A, SLOWER)
    assert worse.word == "worse"
    assert words(worse)["response_time.mean"] == "worse"
    assert words(worse)["cost_per_million"] == "worse"
    assert words(worse)["throughput"] == "same"
    assert worse.effect is not None
    assert worse.effect.b_slower > 0.55
    better = compare(SLOWER, A)
    assert words(better)["response_time.mean"] == "better"
    assert better.word in {"better", "inconclusive"}


def test_a_shift_within_the_tolerance_is_the_same() -> None:
    """1 % of service time where nobody waits: less than 3 %, and more than nothing."""
    a, b = (run(50_000, seed, mean, rate=40) for seed, mean in ((1, 0.01), (2, 0.0101)))
    comparison = compare(a, b, 0.05)
    assert comparison.word == "same", words(comparison)


def test_sixty_jobs_decide_nothing() -> None:
    """Not even where all jobs are alike, and no spread is seen: never `same`."""
    for job in (Sleep(Exponential(0.01)), Sleep(Constant(0.01))):
        comparison = compare(run(60, 1, job=job), run(60, 2, job=job))
        assert comparison.word == "inconclusive"
        assert set(words(comparison).values()) == {"inconclusive"}
        assert "too_few_jobs" in {each.code for each in comparison.reasons}


def test_equal_runs_are_the_same_without_tolerance_for_times() -> None:
    """The interval is a point. Only that no job fails is never certain."""
    comparison = compare(A, A, 0)
    found = words(comparison)
    assert found.pop("failure_ratio") == "inconclusive"
    assert set(found.values()) == {"same"}
    assert compare(A, A).word == "same"


def test_equal_seeds_are_compared_in_pairs() -> None:
    """Common random numbers: what both share cancels, so 1 % of service time is seen where other seeds would hide it."""
    paired, apart = compare(A, run(20_000, 1, 0.0101), 0), compare(A, run(20_000, 2, 0.0101), 0)
    assert "same_arrivals" in codes(paired)
    assert words(paired)["response_time.mean"] == "worse"
    assert words(apart)["response_time.mean"] == "inconclusive"
    wide, narrow = (each.figure("response_time.mean").interval for each in (apart, paired))  # type: ignore[union-attr]
    assert wide is not None
    assert narrow is not None
    assert narrow.high - narrow.low < (wide.high - wide.low) / 3


def test_the_same_question_has_the_same_answer() -> None:
    """The bootstrap has a seed of its own."""
    assert compare(A, SLOWER) == compare(A, SLOWER)
    assert compare(A, SLOWER, seed=1) != compare(A, SLOWER)


@pytest.mark.parametrize(("arrivals", "error"), [(Poisson(320), 1.0), (ConstantRate(320), 0.15)])
def test_throughput_is_as_uncertain_as_the_arrivals(arrivals: Any, error: float) -> None:
    """1/√N for each of two Poisson processes (their standard error), next to nothing where jobs come evenly."""
    pair = [run(20_000, seed, arrivals=arrivals) for seed in (1, 2)]
    figure = compare(*pair).figure("throughput")
    assert figure is not None
    assert figure.interval is not None
    # The interval of eight figures at 95 % in all is 2.73 standard errors to either side.
    half = (figure.interval.high - figure.interval.low) / 2 / 2.73 / math.sqrt(2 / 20_000)
    assert half == pytest.approx(error, abs=0.15)


def test_failures_are_compared_in_points() -> None:
    """A tenth of the jobs fails: worse by ten points, whatever the ratio was before."""
    failing = compare(A, run(20_000, 1, job=Faulty(Sleep(Exponential(0.01)), 0.1))).figure("failure_ratio")
    assert failing is not None
    assert failing.shift == pytest.approx(0.1, abs=0.01)
    assert failing.word == "worse"


def test_a_run_in_which_every_job_fails_is_worse() -> None:
    """It has no response times to compare, and hundred points more failures."""
    for broken in (run(20_000, 1, job=Faulty(Sleep(Exponential(0.01)), 1)), run(20_000, 2, job=Faulty(Sleep(0.01), 1))):
        for b in (broken, read_back(broken)):
            comparison = compare(A, b)
            assert comparison.word == "worse"
            assert words(comparison) == {"throughput": "worse", "failure_ratio": "worse"}
            assert "response_time.mean" in {each.figure for each in comparison.left_out}


def test_no_failure_seen_is_not_no_failure() -> None:
    """After 20,000 good jobs the ratio may still be 1/5,000, and after 150 it may be 3 %."""
    few, many = compare(run(150, 1), run(150, 2), 0.01), compare(A, A_AGAIN, 0.01)
    assert words(few)["failure_ratio"] == "inconclusive"
    assert words(many)["failure_ratio"] == "same"


def test_what_a_run_does_not_support_is_left_out() -> None:
    """200 jobs have no p99, and free jobs no cost: each is said."""
    comparison = compare(run(200, 1, cost=Free()), A)
    missing = {each.figure: each.why for each in comparison.left_out}
    assert set(missing) == {"response_time.p99", "cost_per_million"}
    assert missing["response_time.p99"] == "A has no response_time.p99, which takes 299 completed jobs"
    assert missing["cost_per_million"].startswith("it is 0 in A")
    assert comparison.figure("response_time.p99") is None
    neither = compare(run(200, 1), run(250, 2))
    assert [each.why for each in neither.left_out] == [
        "neither run has response_time.p99, which takes 299 completed jobs"
    ]


INVALID = Finding("conservation_broken", Severity.INVALID, "it is", "do not")


@pytest.mark.parametrize(
    ("b", "code"),
    [
        (replace(A, findings=(INVALID,)), "invalid_run"),
        (replace(A, spec=replace(A.spec, clock="real")), "other_clock"),
    ],
)
def test_what_cannot_be_compared_is_not(b: RunResult, code: str) -> None:
    """Every word is inconclusive, the figures are there all the same, and --anyway judges them."""
    comparison = compare(A, b)
    assert not comparison.comparable
    assert comparison.word == "inconclusive"
    assert code in {each.code for each in comparison.reasons}
    assert set(words(comparison).values()) == {"inconclusive"}
    anyway = compare(A, b, anyway=True)
    assert (anyway.word, anyway.comparable) == ("same", False)


def test_another_machine_matters_in_real_time_only() -> None:
    """In virtual time no figure depends on it."""
    other = {**A.environment, "cpus": 1000}
    assert compare(A, replace(A, environment=other)).comparable
    real = replace(A, spec=replace(A.spec, clock="real"))
    comparison = compare(real, replace(real, environment=other))
    assert [each.code for each in comparison.reasons] == ["other_machine"]
    assert "1000" in comparison.reasons[0].detail


def test_differences_are_noted() -> None:
    """Two settings may well be compared: that is the purpose."""
    other = replace(A_AGAIN, status="cancelled", environment={**A.environment, "python": "9.9"})
    slower = replace(other, spec=replace(other.spec, scheduler=Fifo(slots=8), label="x"))
    notes = {each.code: each.detail for each in compare(A, slower).notes}
    assert notes.keys() == {"other_specification", "other_seed", "other_environment", "unended_run"}
    assert notes["other_specification"] == "scheduler.slots 4 → 8"


def test_histograms_are_compared_where_records_are_gone() -> None:
    """The same words where the difference is large, from intervals that are wider and never far narrower."""
    whole, left = compare(A, SLOWER), compare(read_back(A), read_back(SLOWER))
    assert "from_histograms" in codes(left)
    assert left.word == whole.word == "worse"
    for one, other in zip(whole.figures, left.figures, strict=True):
        assert one.interval is not None
        assert other.interval is not None
        assert other.shift == pytest.approx(one.shift, abs=0.02)
        assert other.interval.high - other.interval.low > 0.6 * (one.interval.high - one.interval.low)


def test_a_run_that_kept_no_records_is_compared() -> None:
    """The series tells how alike neighbours were: half the response time is seen."""
    fast, slow = (run(60_000, seed, mean, keep_jobs=False) for seed, mean in ((1, 0.005), (2, 0.01)))
    comparison = compare(fast, slow)
    assert comparison.word == "worse"
    assert words(comparison)["response_time.p50"] == "worse"


def test_without_records_and_series_nothing_is_said_of_times() -> None:
    """A histogram alone would take neighbours in a queue for strangers."""
    short = replace(run(20_000, 1, keep_jobs=False), series=())
    comparison = compare(short, A)
    assert {"no_interval", "from_histograms"} <= codes(comparison)
    assert words(comparison)["response_time.mean"] == "inconclusive"
    assert comparison.figure("response_time.mean").interval is None  # type: ignore[union-attr]


def test_a_run_that_drifts_says_so() -> None:
    """Twice as many jobs arrive as can be served: each waits longer than the one before."""
    drifting = compare(run(5_000, 1, rate=800), run(5_000, 2, rate=800))
    assert "no_steady_state" in {each.code for each in drifting.reasons}
    assert words(drifting)["response_time.mean"] == "inconclusive"


@pytest.mark.parametrize("failure_rate", [1.0, 0.999])
def test_pairs_may_have_few_served_jobs_in_one(failure_rate: float) -> None:
    """Stretches of time are as many as jobs were served: blocks of the run that drifts are longer than all of the other."""
    ramp = Ramp(10, 630, over=30)
    drifting = run(10_000, 1, arrivals=ramp)
    failing = run(10_000, 1, arrivals=ramp, job=Faulty(Sleep(Exponential(0.01)), failure_rate))
    for pair in ((drifting, failing), (failing, drifting)):
        comparison = compare(*pair)
        assert "same_arrivals" in codes(comparison)
        assert words(comparison)["failure_ratio"] == ("worse" if pair[0] is drifting else "better")
    throughput = compare(drifting, failing).figure("throughput")
    assert throughput is not None
    assert throughput.word == "worse"


@dataclass(frozen=True)
class Dying(Faulty):
    """The first 200 jobs complete, and no others."""

    def plan(self, streams: Streams, first: int, n: int) -> Plan:
        plan = super().plan(streams, first, n)
        plan.fails |= np.arange(first, first + n) >= 200
        return plan


def test_a_target_that_died_decides_no_time() -> None:
    """All served jobs came in a row. A draw without any of them tells nothing of a time, and is no warning of numpy."""
    dying = run(20_000, 1, job=Dying(Sleep(Exponential(0.01)), 0.0))
    assert dying.counts.completed == 200
    comparison = compare(A, dying)
    assert comparison.word == "worse"
    assert words(comparison)["failure_ratio"] == "worse"
    assert {words(comparison)[f"response_time.{name}"] for name in ("mean", "p50", "p90")} == {"inconclusive"}


def test_cancelled_jobs_in_a_row_are_compared() -> None:
    """A batch of which a quarter was served and the rest cancelled: some draws hold cancelled jobs alone."""
    batch = {"arrivals": AllAtOnce(), "job": Faulty(Sleep(Exponential(0.01)), 0.1)}
    spec = RunSpec(Workload(**batch, jobs=8_000, stop_at=5), Fifo(slots=4), seed=1)
    a, b = simulate(spec), simulate(replace(spec, seed=2))
    assert a.counts.cancelled > 4_000
    assert "failure_ratio" in words(compare(a, b))


def repeated(n: int, seed: int, mean: float = 0.01) -> RunResult:
    """Replications of 1,000 jobs."""
    workload = Workload(Sleep(Exponential(mean)), Poisson(320), jobs=1_000)
    return repeat_sync(RunSpec(workload, Fifo(slots=4), clock="virtual", seed=seed), n)


def test_replications_are_a_sample_by_themselves() -> None:
    """Ten and ten: by Welch, and no block is drawn. 40 % more service time is seen, and chance is not."""
    a, b, slow = repeated(10, 1), repeated(10, 2), repeated(10, 3, 0.014)
    assert compare(a, b, 0).word == "inconclusive"
    worse = compare(a, slow)
    assert worse.word == "worse"
    assert "from_replications" in codes(worse)
    assert words(worse)["response_time.p99"] == "worse"
    stored = [RunFile.from_bytes(RunFile.of(each).to_bytes()).to_result() for each in (a, slow)]
    assert compare(*stored) == worse


def test_the_interval_over_replications_is_that_of_welch() -> None:
    """By hand: of throughput, whose ratio is close to 1, so that its shift is the difference of two means of ten."""
    a, b = repeated(10, 1), repeated(10, 2)
    figure = compare(a, b, 0).figure("throughput")
    assert figure is not None
    assert figure.interval is not None
    assert a.replications is not None
    assert b.replications is not None
    spreads = [each.replications.spread("throughput") for each in (a, b)]  # type: ignore[union-attr]
    errors = [each.std / math.sqrt(10) / each.mean for each in spreads]  # type: ignore[union-attr, operator]
    variances = [error**2 for error in errors]
    degrees = round(sum(variances) ** 2 / sum(each**2 / 9 for each in variances))
    half = find_t(degrees, 1 - (1 - figure.interval.level) / 2) * math.hypot(*errors)
    assert (figure.interval.high - figure.interval.low) / 2 == pytest.approx(half, rel=0.15)


def test_replications_with_equal_seeds_are_pairs() -> None:
    """Each has its twin: 2 % of service time is seen where other seeds would hide it."""
    paired, apart = (compare(repeated(10, 1), repeated(10, seed, 0.0102), 0) for seed in (1, 2))
    assert "same_arrivals" in codes(paired)
    assert words(paired)["response_time.mean"] == "worse"
    assert words(apart)["response_time.mean"] == "inconclusive"


def test_two_replications_have_no_interval() -> None:
    comparison = compare(repeated(2, 1), repeated(2, 2))
    assert "no_interval" in {each.code for each in comparison.reasons}
    assert set(words(comparison).values()) == {"inconclusive"}


def test_a_repeated_run_is_compared_with_a_single_one() -> None:
    """Each by what it has."""
    comparison = compare(repeated(10, 1), SLOWER)
    assert comparison.figure("response_time.mean").interval is not None  # type: ignore[union-attr]
    assert "from_replications" in codes(comparison)


ODD = [0, -1, 1, 1e300, 1e-300, None, 2**62, 0.5, "x", [], {}, True, -1e10, 1e10, "1e5"]


def change_somewhere(document: Any, rng: random.Random) -> Any:
    """The document with one of its members replaced by something odd."""
    node = document = json.loads(json.dumps(document))
    while True:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not (isinstance(node[key], dict | list) and node[key] and rng.random() < 0.85):
            node[key] = rng.choice(ODD)
            return document
        node = node[key]


def test_a_strange_result_is_compared_or_refused(campaign: Callable[[int], int]) -> None:
    """Results may come from anybody: whatever the reader lets through has an answer that is JSON, and no warning."""
    documents = [
        json.loads(encode_json(result_to_dict(run(300, 1, keep_jobs=keep), jobs_shown=shown)))
        for shown, keep in ((300, True), (0, True), (0, False))
    ]
    compared = 0
    for seed in range(campaign(500)):
        rng = random.Random(seed)
        try:
            strange = result_from_dict(change_somewhere(rng.choice(documents), rng), local=False)
        except SpecError:
            continue
        comparison = compare(A, strange, anyway=True)
        assert comparison_from_dict(parse_json(encode_json(comparison_to_dict(comparison)))) == comparison
        compared += 1
    assert compared


@pytest.mark.parametrize("tolerance", [-0.1, 1.1, math.nan, math.inf, True, "3%", None])
def test_a_tolerance_that_is_none_is_refused(tolerance: Any) -> None:
    with pytest.raises(SpecError, match="tolerance: must be a number from 0 to 1"):
        compare(A, A, tolerance)


def test_a_comparison_is_json_and_back() -> None:
    """Whatever is in it, and nothing that JSON has not."""
    for comparison in (compare(A, SLOWER), compare(run(60, 1), read_back(SLOWER)), compare(A, A, anyway=True)):
        written = encode_json(comparison_to_dict(comparison))
        msgspec.json.decode(written)
        assert comparison_from_dict(parse_json(written)) == comparison


@pytest.mark.parametrize("data", [None, [], {}, {"word": "perhaps"}, {"figures": [{}]}, {"reasons": [{"code": "x"}]}])
def test_what_is_no_comparison_is_refused(data: object) -> None:
    with pytest.raises(SpecError):
        comparison_from_dict(data)


def test_words_and_remarks_are_closed_sets() -> None:
    assert set(COMPARISON_WORDS) == {"same", "better", "worse", "inconclusive"}
    assert all(code.islower() and meaning for code, meaning in COMPARISON_REMARKS.items())


def wrong_at_most(rounds: int, chance: float) -> int:
    """How often something of this ``chance`` may happen in so many rounds: once in a thousand campaigns it is more."""
    total, k = 0.0, -1
    while total < 0.999:
        k += 1
        total += math.comb(rounds, k) * chance**k * (1 - chance) ** (rounds - k)
    return k


@pytest.mark.long
def test_equal_specifications_are_hardly_ever_told_apart(campaign: Callable[[int], int]) -> None:
    """Without any tolerance, and with neighbours as alike as they are at 80 % load: 5 %, of 400 pairs 34 at most."""
    rounds = campaign(400)
    found = [compare(run(20_000, 2 * i + 1), run(20_000, 2 * i + 2), 0).word for i in range(rounds)]
    told_apart = sum(word in {"better", "worse"} for word in found)
    assert told_apart <= (34 if rounds == 400 else wrong_at_most(rounds, 0.05))


@pytest.mark.long
def test_five_per_cent_of_service_time_are_seen(campaign: Callable[[int], int]) -> None:
    """In 95 of 100 pairs of 100,000 jobs, by the default tolerance."""
    rounds = campaign(100)
    found = [compare(run(100_000, 2 * i + 1), run(100_000, 2 * i + 2, 0.0105)).word for i in range(rounds)]
    unseen = rounds - found.count("worse")
    assert unseen <= (5 if rounds == 100 else wrong_at_most(rounds, 0.05))
