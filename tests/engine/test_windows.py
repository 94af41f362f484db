"""Warm-up, flat memory and the window that rates are over."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest

from aurea_engine import (
    Closed,
    ConstantRate,
    Exponential,
    Fifo,
    Lifo,
    Poisson,
    Replay,
    RunSpec,
    Sleep,
    Workload,
    simulate,
)


@pytest.mark.parametrize("keep", [True, False])
def test_the_warm_up_is_left_out_of_rates_and_times_but_not_out_of_counts_and_cost(keep: bool) -> None:
    """10/s for 10 s, each 0.05 s, of which the first 4 s are warm-up."""
    spec = RunSpec(Workload(Sleep(0.05), ConstantRate(10), duration=10), Fifo(1), seed=0, warmup=4.0, keep_jobs=keep)
    result = simulate(spec)
    assert result.window == (4.0, 10.0)
    assert (result.counts.completed, result.response_time.count) == (100, 60)
    assert (result.offered_rate, result.throughput) == (10.0, 10.0)
    assert pytest.approx(result.utilization) == 0.5
    assert pytest.approx(result.concurrency.mean) == 0.5
    assert float(result.cost.total or 0) == 0.005


def test_a_job_that_straddles_the_warm_up_s_end_counts_from_there() -> None:
    """One job of 2 s and a warm-up of 1: the slot is busy for all of what is left."""
    spec = RunSpec(Workload(Sleep(2.0), ConstantRate(0.5), duration=2), Fifo(1), seed=0, warmup=1.0)
    result = simulate(spec)
    assert (result.utilization, result.throughput, result.response_time.count) == (1.0, 1.0, 0)


def test_an_automatic_warm_up_cuts_the_transient() -> None:
    """The first 300 of 3,000 jobs take ten times as long."""
    durations = tuple([1.0] * 300 + [0.1 + i % 7 / 100 for i in range(2700)])
    result = simulate(RunSpec(Workload(Replay(durations), ConstantRate(10), jobs=3000), seed=0, warmup="auto"))
    assert 29.0 <= result.window[0] <= 33.0
    assert (result.response_time.max or 0) < 0.2


def test_an_automatic_warm_up_of_a_steady_run_cuts_little() -> None:
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
def test_a_run_without_records_has_the_same_figures(spec: RunSpec) -> None:
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


def test_more_jobs_than_are_kept_go_over_to_histograms_in_mid_run() -> None:
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


def test_memory_stays_flat_where_no_records_are_kept() -> None:
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
