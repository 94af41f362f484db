"""A repeated run: seeds, totals and means, verdict, losses and stops, and the same bytes wherever it is executed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from aurea_engine import (
    AureaError,
    Branch,
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    Mix,
    Objective,
    Observer,
    PerJob,
    Poisson,
    Progress,
    RunResult,
    RunSpec,
    Sleep,
    SpecError,
    Stop,
    StrategyError,
    Workload,
    encode_json,
    open_runner,
    parse_json,
    repeat,
    repeat_sync,
    result_from_dict,
    result_to_dict,
    simulate,
)
from aurea_engine.costs import Fleet
from aurea_engine.studies.runner import RunHere
from aurea_engine.workload.streams import derive_seed

MM1 = RunSpec(
    Workload(Sleep(Exponential(0.01)), Poisson(50), jobs=2000), Fifo(1), clock="virtual", seed=7, cost=PerJob("0.001")
)


def text_of(result: RunResult) -> bytes:
    """All of it as JSON but for the instant at which it was made."""
    usage = replace(result.usage, run=replace(result.usage.run, started_at=None))
    at = result.started_at.replace(year=2026, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return encode_json(result_to_dict(replace(result, benchmark_id="one", started_at=at, usage=usage)))


def singles(n: int, spec: RunSpec = MM1) -> list[RunResult]:
    """The replications, each run by itself."""
    assert spec.seed is not None
    return [simulate(replace(spec, seed=derive_seed(spec.seed, "replication", k))) for k in range(1, n + 1)]


class Runner(RunHere):
    """Executes here, but some replications otherwise: ``odd`` maps the number of one to a change, or to an error."""

    def __init__(self, odd: dict[int, Any], width: int = 1) -> None:
        super().__init__()
        self.width = width
        self._odd = {derive_seed(7, "replication", number): what for number, what in odd.items()}
        self.begun: list[int | None] = []

    async def run(self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None) -> RunResult:
        self.begun.append(spec.seed)
        odd = self._odd.get(spec.seed or 0)
        if isinstance(odd, Exception):
            raise odd
        return await super().run(odd(spec) if odd else spec, observers, stop=stop)


def test_replications_are_runs_of_derived_seeds() -> None:
    """Each is the run that its seed gives by itself; the seeds do not depend on how many there are."""
    result, alone = repeat_sync(MM1, 4), singles(4)
    assert result.replications is not None
    each = result.replications.each
    assert [one.seed for one in each] == [one.spec.seed for one in alone]
    assert [one.figures["response_time.mean"] for one in each] == [one.response_time.mean for one in alone]
    assert len({one.seed for one in each} | {7}) == 5
    shorter = repeat_sync(MM1, 2).replications
    assert shorter is not None
    assert shorter.each == each[:2]
    assert result.spec == MM1


def test_totals_add_up_and_figures_are_means() -> None:
    result, alone = repeat_sync(MM1, 4), singles(4)
    assert result.counts.arrived == sum(one.counts.arrived for one in alone) == 8000
    assert result.cost.total == Fraction(8)
    assert result.duration == pytest.approx(sum(one.duration for one in alone))
    assert result.usage.run.arrived == 8000
    assert result.throughput == pytest.approx(fmean(one.throughput or 0 for one in alone))
    for name in ("mean", "p50", "p99"):
        expected = fmean(one.response_time.quantile(name) or 0 for one in alone)
        assert result.response_time.quantile(name) == pytest.approx(expected)
    assert result.response_time.count == 8000
    assert result.response_time.max == max(one.response_time.max or 0 for one in alone)
    assert (result.jobs, result.parts, result.series) == (None, None, ())
    assert result.environment["repeat"] == 4


def test_pooled_quantiles_are_of_all_jobs() -> None:
    """Exact from records, and within 0.4 % from histograms."""
    lasted = np.sort(np.concatenate([one.jobs.response_ns for one in singles(4) if one.jobs is not None]))
    result = repeat_sync(MM1, 4)
    flat = repeat_sync(replace(MM1, keep_jobs=False), 4)
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        expected = int(lasted[int(np.ceil(q * len(lasted))) - 1]) / 1e9
        assert result.replications is not None
        assert flat.replications is not None
        exact, near = (each.spread(f"response_time.{name}") for each in (result.replications, flat.replications))
        assert exact is not None
        assert near is not None
        assert exact.pooled == expected
        assert near.pooled == pytest.approx(expected, rel=0.005)
    assert result.histograms["response_time"].count == 8000


def test_warmup_is_left_out_of_pooled_quantiles() -> None:
    result, alone = repeat_sync(replace(MM1, warmup=10), 2), singles(2, replace(MM1, warmup=10))
    assert result.replications is not None
    pooled = result.replications.spread("response_time.p50")
    lasted = np.sort(
        np.concatenate([one.jobs.response_ns[one.jobs.intended >= 10 * 10**9] for one in alone if one.jobs])
    )
    assert pooled is not None
    assert pooled.pooled == int(lasted[int(np.ceil(0.5 * len(lasted))) - 1]) / 1e9


def test_one_replication_has_figures_and_no_interval() -> None:
    result, (alone,) = repeat_sync(MM1, 1), singles(1)
    assert result.response_time.mean == alone.response_time.mean
    assert (result.response_time.mean_interval, result.response_time.intervals) == (None, ())
    assert result.replications is not None
    assert all(spread.interval is None for spread in result.replications.spreads)


@pytest.mark.parametrize("width", [2, 3, 7])
def test_result_does_not_depend_on_the_width(width: int) -> None:
    """However many are executed at once, and in whatever order they end."""
    wide = asyncio.run(repeat(MM1, 5, runner=Runner({}, width)))
    assert text_of(wide) == text_of(repeat_sync(MM1, 5))


@pytest.mark.service
async def test_result_is_equal_in_one_and_two_processes() -> None:
    """Byte by byte, with groups, failures, a warm-up and a bill of several lines; also one that ends early."""
    job = Mix((Branch(3, Faulty(Sleep(Exponential(0.01)), 0.1), name="a"), Branch(1, Sleep(0.02), name="b")))
    spec = replace(MM1, workload=Workload(job, Poisson(40), jobs=1500), warmup=2)
    async with open_runner(1) as one, open_runner(2) as two:
        assert text_of(await repeat(spec, 5, runner=one)) == text_of(await repeat(spec, 5, runner=two))
        early = [await repeat(MM1, 40, until=0.05, runner=runner) for runner in (one, two)]
    assert text_of(early[0]) == text_of(early[1])
    assert early[0].replications is not None
    assert 10 <= len(early[0].replications.each) < 40


def test_study_ends_when_the_interval_is_narrow() -> None:
    """As soon as it is, by the replications up to there: one less would not have been enough, or is the least."""
    result = repeat_sync(MM1, 60, until=0.04)
    assert result.replications is not None
    n, spread = len(result.replications.each), result.replications.spread("response_time.mean")
    assert spread is not None
    assert spread.half_width is not None
    assert spread.half_width <= 0.04
    assert 10 < n < 60
    before = repeat_sync(MM1, n - 1).replications
    assert before is not None
    shorter = before.spread("response_time.mean")
    assert shorter is not None
    assert shorter.half_width is not None
    assert shorter.half_width > 0.04
    wide = asyncio.run(repeat(MM1, 60, until=0.04, runner=Runner({}, 4)))
    assert text_of(wide) == text_of(result)


def test_least_and_most_of_a_study_that_may_end_early() -> None:
    easy, hard = repeat_sync(MM1, 30, until=0.9).replications, repeat_sync(MM1, 12, until=0.0001).replications
    assert easy is not None
    assert hard is not None
    assert (len(easy.each), easy.asked, easy.until) == (10, 30, 0.9)
    assert len(hard.each) == 12


def test_objective_is_judged_over_replications() -> None:
    """The mean of M/M/1 at half load is 20 ms: within 5 % met or missed, and across the bound not decided."""
    objectives = tuple(Objective("response_time", at_most=bound) for bound in (0.025, 0.015, 0.02))
    rates = (Objective("throughput", at_least=40), Objective("cost_per_job", at_most=0.0011))
    result = repeat_sync(replace(MM1, objectives=(*objectives, *rates)), 10)
    assert [one.outcome for one in result.objectives] == ["met", "missed", "inconclusive", "met", "met"]
    assert "over 10 replications" in result.objectives[0].detail
    assert result.objectives[0].observed == pytest.approx(0.02, rel=0.1)


def test_quantile_without_data_is_not_decided() -> None:
    spec = replace(MM1, objectives=(Objective("response_time", quantile=0.9999, at_most=10),))
    (judged,) = repeat_sync(spec, 3).objectives
    assert (judged.outcome, judged.observed) == ("inconclusive", None)
    assert "p99.99 needs" in judged.detail


def test_replication_that_did_not_complete_does_not_count() -> None:
    """The study says which, and its jobs are in the totals."""
    cut = Runner({2: lambda spec: replace(spec, objectives=(replace(spec.objectives[0], at_most=0.0001),))})
    spec = replace(MM1, objectives=(Objective("response_time", quantile=0.9, at_most=9, abort=True),))
    result = asyncio.run(repeat(spec, 3, runner=cut))
    assert result.replications is not None
    assert [one.counts for one in result.replications.each] == [True, False, True]
    assert (result.status, result.reason and result.reason.code) == ("aborted", "objective_lost")
    assert result.reason is not None
    assert "2 of 3 replications completed (not in the figures: 2 (aborted))" in result.reason.detail
    assert result.counts.arrived == sum(one.arrived for one in result.replications.each)
    kept = [one.figures["throughput"] for one in result.replications.counted]
    assert result.throughput == pytest.approx(fmean(value or 0 for value in kept))
    assert result.objectives[0].outcome == "missed"
    assert "in replication 2" in result.objectives[0].detail
    assert result.verdict == "degraded"


def test_replication_without_a_result_is_listed() -> None:
    """As where its process was killed; where all are, that is raised."""
    result = asyncio.run(repeat(MM1, 3, runner=Runner({1: AureaError("it was killed")})))
    assert result.replications is not None
    lost = result.replications.each[0]
    assert (lost.status, lost.verdict, lost.figures) == ("failed", None, {})
    assert lost.reason is not None
    assert lost.reason.detail == "it was killed"
    assert (result.status, result.counts.arrived) == ("failed", 4000)
    with pytest.raises(AureaError, match="it was killed"):
        asyncio.run(repeat(MM1, 2, runner=Runner({k: AureaError("it was killed") for k in (1, 2)})))


@pytest.mark.parametrize("error", [SpecError("no such thing"), StrategyError("it broke its contract")])
def test_fault_of_the_specification_is_raised(error: AureaError) -> None:
    """It is the same in every replication, and no more of them are begun."""
    runner = Runner({2: error}, width=2)
    with pytest.raises(type(error)):
        asyncio.run(repeat(MM1, 9, runner=runner))
    assert len(runner.begun) <= 4


def test_stop_ends_a_study_with_what_it_has() -> None:
    """Those that completed count, and no other is begun."""
    stop = Stop()

    class StopAfterTwo(Observer):
        def on_progress(self, progress: Progress) -> None:
            if progress.ended >= 4000:
                stop.now("timed_out")

    result = repeat_sync(MM1, 9, observers=[StopAfterTwo()], stop=stop)
    assert (result.status, result.counts.arrived) == ("timed_out", 4000)
    assert result.replications is not None
    assert len(result.replications.counted) == 2
    assert result.reason is not None
    assert "2 of 9 replications completed, and 7 were not begun" in result.reason.detail


def test_study_that_is_stopped_at_once_has_a_result() -> None:
    stop = Stop()
    stop.now()
    result = repeat_sync(MM1, 3, stop=stop)
    assert result.status == "cancelled"
    assert result.replications is not None
    assert len(result.replications.each) == 1
    assert result.replications.spreads == ()


async def test_cancelled_study_leaves_nothing_running() -> None:
    begun = asyncio.Event()
    gone = 0

    class Endless(RunHere):
        width = 2

        async def run(
            self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None
        ) -> RunResult:
            nonlocal gone
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                gone += 1
            raise AssertionError

    study = asyncio.ensure_future(repeat(MM1, 5, runner=Endless()))
    await begun.wait()
    study.cancel()
    with pytest.raises(asyncio.CancelledError):
        await study
    assert gone == 2


def test_findings_are_not_doubled() -> None:
    """One of each, with where it was seen."""
    spec = replace(MM1, workload=replace(MM1.workload, jobs=100))
    result = repeat_sync(spec, 3)
    found = [finding for finding in result.findings if finding.code == "too_few_samples"]
    assert len(found) == 1
    assert found[0].detail.startswith("in all 3 replications, such as 1: ")


def test_theory_stands_beside_the_mean() -> None:
    """With the standard error over replications, which needs no assumption on neighbouring jobs."""
    result = repeat_sync(replace(MM1, workload=replace(MM1.workload, jobs=10_000)), 10)
    row = next(row for row in result.theory if row.figure == "response_time.mean")
    assert row.expected == pytest.approx(0.02)
    assert row.measured == result.response_time.mean
    assert row.z is not None
    assert all(row.z is None for row in repeat_sync(MM1, 3).theory)
    # Student's t with 9 degrees is beyond 6 in one of 5,000 cases, and the seed is fixed.
    assert abs(row.z) < 6


def test_interval_models_are_billed_by_replication() -> None:
    """Each replication is a run: what is rounded up for a run is rounded up for each."""
    spec = replace(MM1, cost=Fleet(price="0.1", slots=1, step=3600))
    result, alone = repeat_sync(spec, 3), singles(3, spec)
    assert result.cost.total == sum(one.cost.total or 0 for one in alone)
    assert len(result.cost.lines) == len(alone[0].cost.lines)


def test_result_reads_back() -> None:
    """From its JSON, to the last figure; one of an earlier version has no replications."""
    spec = replace(MM1, objectives=(Objective("response_time", quantile=0.9, at_most=1),))
    for result in (repeat_sync(spec, 3), asyncio.run(repeat(MM1, 2, runner=Runner({1: AureaError("lost")})))):
        document = parse_json(encode_json(result_to_dict(result)))
        again = result_from_dict(document)
        assert again.replications == result.replications
        assert encode_json(result_to_dict(again)) == encode_json(result_to_dict(result))
    old = parse_json(encode_json(result_to_dict(simulate(MM1))))
    del old["replications"], old["repeat"]
    assert result_from_dict(old).replications is None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda data: data["repeat"].update(asked=0), "repeat.asked"),
        (lambda data: data["replications"][0].update(seed=-1), "replications[0].seed"),
        (lambda data: data["replications"][1].update(status="fine"), "replications[1].status"),
        (lambda data: data["replications"][1].update({"throughput": "much"}), "replications[1].throughput"),
        (lambda data: data["repeat"]["figures"]["throughput"].update(mean=None), "repeat.figures.throughput.mean"),
        (lambda data: data.update(replications={}), "replications"),
    ],
)
def test_damaged_replications_are_named(change: Any, path: str) -> None:
    data = parse_json(encode_json(result_to_dict(repeat_sync(replace(MM1, seed=3), 2))))
    change(data)
    with pytest.raises(SpecError) as caught:
        result_from_dict(data)
    assert path in [problem.path for problem in caught.value.problems]


def test_progress_only_grows() -> None:
    """Counters are made of it: a replication that begins takes nothing back."""
    heard: list[Progress] = []
    starts: list[RunSpec] = []

    class Listen(Observer):
        def on_start(self, spec: RunSpec) -> None:
            starts.append(spec)

        def on_progress(self, progress: Progress) -> None:
            heard.append(progress)

    result = asyncio.run(repeat(MM1, 4, runner=Runner({}, 2), observers=[Listen()]))
    assert starts == [MM1]
    ended = [progress.ended for progress in heard]
    assert ended == sorted(ended)
    assert ended[-1] == 8000
    assert [progress.replication for progress in heard][-1] == (4, 4)
    assert heard[-1].fraction_done == 1.0
    assert heard[-1].cost == result.cost.total
    costs = [progress.cost or 0 for progress in heard]
    assert costs == sorted(costs)
    assert heard[-1].meters.times["response_time"].count == 8000


def test_numbers_are_checked() -> None:
    with pytest.raises(SpecError, match="repeat: must be"):
        repeat_sync(MM1, 0)


async def test_sync_form_says_what_to_do_in_a_loop() -> None:
    with pytest.raises(SpecError, match=r"await aurea_engine\.repeat"):
        repeat_sync(MM1, 2)


async def test_real_replications_follow_each_other() -> None:
    """Also where the runner could take more at once: they would measure each other."""
    spec = RunSpec(Workload(Sleep(0.001), ConstantRate(500), jobs=20), seed=7)
    running = 0

    class Watch(Runner):
        async def run(
            self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None
        ) -> RunResult:
            nonlocal running
            running += 1
            assert running == 1
            try:
                return await super().run(spec, observers, stop=stop)
            finally:
                running -= 1

    result = await repeat(spec, 3, runner=Watch({}, 3))
    assert result.counts.completed == 60
    assert result.spec.clock == "real"
