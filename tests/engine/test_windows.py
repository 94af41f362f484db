"""Warm-up, flat memory and the window that rates are over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest

from aurea_engine import (
    Closed,
    ConstantRate,
    Exponential,
    Fifo,
    Lifo,
    Objective,
    Poisson,
    Replay,
    RunSpec,
    Sleep,
    Trace,
    Workload,
    simulate,
)
from aurea_engine.records.batch import Instants


@dataclass(frozen=True)
class Recorded(Poisson):
    """Said to be a Poisson process, and so beside theory, but with instants that were chosen."""

    at: tuple[float, ...] = ()

    def instants(self, rng: np.random.Generator) -> Iterator[Instants]:
        return Trace(self.at).instants(rng)

    def span(self) -> float:
        return self.at[-1]


@pytest.mark.parametrize("keep", [True, False])
def test_warm_up_is_left_out_of_figures(keep: bool) -> None:
    """10/s for 10 s, each 0.05 s, of which the first 4 s are warm-up."""
    spec = RunSpec(Workload(Sleep(0.05), ConstantRate(10), duration=10), Fifo(1), seed=0, warmup=4.0, keep_jobs=keep)
    result = simulate(spec)
    assert result.window == (4.0, 10.0)
    assert (result.counts.completed, result.response_time.count) == (100, 60)
    assert (result.offered_rate, result.throughput) == (10.0, 10.0)
    assert pytest.approx(result.utilization) == 0.5
    assert pytest.approx(result.concurrency.mean) == 0.5
    assert float(result.cost.total or 0) == 0.005


def test_job_straddling_warm_up_is_cut() -> None:
    """One job of 2 s and a warm-up of 1: the slot is busy for all of what is left."""
    spec = RunSpec(Workload(Sleep(2.0), ConstantRate(0.5), duration=2), Fifo(1), seed=0, warmup=1.0)
    result = simulate(spec)
    assert (result.utilization, result.throughput, result.response_time.count) == (1.0, 1.0, 0)


@pytest.mark.parametrize("keep", [True, False])
def test_every_share_leaves_the_warm_up_out(keep: bool) -> None:
    """Of two jobs a second one is rejected in the first 5 s, where jobs take 0.6 s, and none in the next 5, at 0.1 s."""
    workload = Workload(Replay((0.6,) * 10 + (0.1,) * 10), ConstantRate(2), duration=10)
    shares = [Objective("failure_ratio", at_most=0.0), Objective("failure_ratio", at_least=0.5)]
    spec = RunSpec(workload, Fifo(1, 0), seed=0, warmup=5.0, keep_jobs=keep, objectives=tuple(shares), clock="virtual")
    result = simulate(spec)
    assert result.counts.rejected == 5
    assert [(each.outcome, each.observed) for each in result.objectives] == [("met", 0.0), ("missed", 0.0)]


@pytest.mark.parametrize("keep", [True, False])
def test_without_objectives_all_is_good(keep: bool) -> None:
    """20/s on one slot that takes 10/s, warm-up 5 s: a hundred and fifty end in the 15 s after it, whenever they came."""
    spec = RunSpec(Workload(Sleep(0.1), ConstantRate(20), jobs=200), Fifo(1), seed=0, warmup=5.0, keep_jobs=keep)
    result = simulate(spec)
    assert (result.window, result.good) == ((5.0, 20.0), 151)
    assert result.goodput == result.throughput == 151 / 15
    bounded = simulate(replace(spec, objectives=(Objective("service_time", at_most=1, quantile=0.5),)))
    assert bounded.goodput == bounded.throughput == result.throughput


def test_theory_ignores_the_warm_up() -> None:
    """A hundred jobs that find no room, and a hundred that do: the shares that wait and are rejected are of the latter."""
    busy, quiet = [i / 1000 for i in range(100)], [1000.0 + 100 * i for i in range(100)]
    for limit, figure in ((None, "wait_ratio"), (0, "rejected_ratio")):
        workload = Workload(Sleep(Exponential(0.01)), Recorded(1.0, tuple(busy + quiet)), jobs=200)
        results = [simulate(RunSpec(workload, Fifo(1, limit), seed=0, warmup=warmup)) for warmup in (0.0, 500.0)]
        shares = [row.measured or 0.0 for result in results for row in result.theory if row.figure == figure]
        assert shares[0] > 0.3
        assert shares[1] == 0.0


@pytest.mark.parametrize(
    ("workload", "rate"),
    [
        pytest.param(Workload(Sleep(10.0), Trace((0, 1, 2))), 1.0, id="recorded instants: two gaps in two seconds"),
        pytest.param(Workload(Sleep(0.1), Closed(20), jobs=20), None, id="users who all come once, at once"),
        pytest.param(Workload(Sleep(0.1), Closed(20), jobs=60), 59 / 0.2, id="users who come three times"),
        pytest.param(Workload(Sleep(0.1), Closed(20), duration=1), 200.0, id="users until a duration ends"),
        pytest.param(Workload(Sleep(0.1), Trace((3.0,))), 1 / 3.1, id="one job"),
        pytest.param(Workload(Sleep(0.1), ConstantRate(7), jobs=21), 7.0, id="a rate"),
    ],
)
def test_offered_rate_needs_no_records(workload: Workload, rate: float | None) -> None:
    """With records and without, and where warm-up cuts the first jobs off."""
    for keep in (True, False):
        result = simulate(RunSpec(workload, seed=0, keep_jobs=keep))
        assert result.offered_rate == (rate if rate is None else pytest.approx(rate))
    cut = [simulate(RunSpec(workload, seed=0, keep_jobs=keep, warmup=0.15)).offered_rate for keep in (True, False)]
    assert cut[0] == cut[1]


def test_a_warm_up_ends_on_the_nanosecond() -> None:
    """0.130999883 s is no whole number of nanoseconds as a float: a job of that very instant counts for all or for none."""
    at = (0.130999883, *(1.13 + i * 0.001 for i in range(298)))
    bound = Objective("response_time", at_most=1, quantile=0.99)
    spec = RunSpec(Workload(Sleep(0.01), Trace(at)), seed=0, warmup=at[0], objectives=(bound,))
    result = simulate(spec)
    assert (result.response_time.count, result.objectives[0].outcome) == (299, "met")


def test_an_automatic_warm_up_cuts_the_transient() -> None:
    """The first 300 of 3,000 jobs take ten times as long."""
    durations = tuple([1.0] * 300 + [0.1 + i % 7 / 100 for i in range(2700)])
    result = simulate(RunSpec(Workload(Replay(durations), ConstantRate(10), jobs=3000), seed=0, warmup="auto"))
    assert 29.0 <= result.window[0] <= 33.0
    assert (result.response_time.max or 0) < 0.2


def test_auto_warm_up_of_steady_run_is_short() -> None:
    """Less than a tenth."""
    spec = RunSpec(Workload(Sleep(Exponential(0.01)), ConstantRate(10), jobs=3000), seed=2, warmup="auto")
    assert simulate(spec).window[0] < 30.0


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(320), jobs=150_000), Fifo(4), seed=1), id="FCFS"),
        pytest.param(RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(320), jobs=150_000), Lifo(4), seed=1), id="general"),
        pytest.param(RunSpec(Workload(Sleep(Exponential(0.01)), Closed(9), jobs=150_000), Fifo(4), seed=1), id="closed"),
    ],
)  # fmt: skip
def test_figures_without_records_are_equal(spec: RunSpec) -> None:
    """Quantiles within the histogram's 0.4 %, everything else the same, over more jobs than are digested at a time."""
    whole, flat = simulate(spec), simulate(replace(spec, keep_jobs=False))
    assert flat.jobs is None
    assert whole.counts == flat.counts
    assert whole.cost.total == flat.cost.total
    assert whole.throughput == pytest.approx(flat.throughput)
    assert whole.utilization == pytest.approx(flat.utilization)
    assert whole.series == flat.series
    for name in ("p50", "p90", "p99", "p999"):
        assert whole.response_time.quantile(name) == pytest.approx(flat.response_time.quantile(name), rel=0.004)
    assert whole.response_time.std == pytest.approx(flat.response_time.std)


def test_many_jobs_switch_to_histograms() -> None:
    """1,000,001 jobs: the counts and totals are whole, and the first million is not forgotten."""
    result = simulate(RunSpec(Workload(Sleep(0.001), ConstantRate(1000), jobs=1_000_001), Fifo(2), seed=0))
    assert result.jobs is None
    assert 1_000_001 == result.counts.completed == result.response_time.count
    assert Fraction(1_000_001, 1_000_000) == result.cost.total


MEMORY = """
import resource
from aurea_engine import *
def rss(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
spec = lambda n: RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(320), jobs=n), Fifo(4), seed=1, keep_jobs=False)
simulate(spec(200_000)); before = rss(); simulate(spec(1_500_000)); print(rss() - before)
"""


@pytest.mark.service
def test_memory_is_flat_without_records() -> None:
    """Peak resident memory of 1.5 million jobs is within 16 MiB of that of 200,000: they alone would be 50 MB as records."""
    grown = int(subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True).stdout)
    assert grown * (1 if sys.platform == "darwin" else 1024) < 16 * 2**20


@pytest.mark.parametrize("jobs", [1, 100, 4096, 4097])
def test_records_are_kept_in_33_bytes_a_job(jobs: int) -> None:
    """Four instants of eight bytes and an outcome."""
    records = simulate(RunSpec(Workload(Sleep(0.001), jobs=jobs), seed=0)).jobs
    assert records is not None
    columns = (records.intended, records.released, records.started, records.finished, records.outcome)
    assert 33 * jobs == sum(column.nbytes for column in columns)


def test_a_record_is_a_view_in_seconds() -> None:
    """Instants are stored and durations derived; what did not come is None."""
    jobs = simulate(RunSpec(Workload(Sleep(0.25), jobs=3), Fifo(1, 1), seed=0)).jobs
    assert jobs is not None
    first, second, third = (jobs.record(i) for i in range(3))
    assert (first.number, first.intended, first.waiting_time, first.response_time) == (0, 0.0, 0.0, 0.25)
    assert (second.waiting_time, second.service_time, second.response_time) == (0.25, 0.25, 0.5)
    assert (third.waiting_time, third.service_time, third.response_time) == (None, None, None)
    assert third.outcome.name == "REJECTED"
