"""Theory of divided slots: against the formulas of one shard, against closed forms, and against runs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    Arrivals,
    Closed,
    ConstantRate,
    Exponential,
    Fifo,
    JobSource,
    Lifo,
    Poisson,
    RunParts,
    RunResult,
    RunSpec,
    Scheduler,
    Shard,
    Sleep,
    Workload,
    execute,
    summarize,
)
from aurea_engine.results.theory import closed_mva, erlang_b, erlang_c, mmc_wait, predict_figures
from aurea_engine.results.theory_divided import lost_share, predict_divided, solve_station

SERVICE = 0.1


@given(st.floats(0.01, 0.98), st.integers(1, 100))
def test_every_job_of_one_stream_is_erlang_c(share: float, slots: int) -> None:
    """One shard is M/M/c, also where one of the formula's terms is 0 ÷ 0, as at 3 of 4 slots."""
    for load in (share * slots, slots * 0.75, float(slots - 1) or 0.5):
        station = solve_station(load, 1, slots)
        assert station.waits == pytest.approx(erlang_c(load, slots), rel=1e-6, abs=1e-12)
        assert station.mean_wait == pytest.approx(mmc_wait(load, 1, slots), rel=1e-6, abs=1e-12)
        assert lost_share(load, 1, slots) == pytest.approx(erlang_b(load, slots), rel=1e-9, abs=1e-12)


@given(st.floats(0.05, 0.98), st.integers(2, 7))
def test_one_slot_a_shard_is_gi_m_1(share: float, shards: int) -> None:
    """σ = A*(μ(1 − σ)) is the share that waits, and σ ÷ (1 − σ) the mean wait; of two shards in closed form."""
    station = solve_station(share * shards, shards, 1)
    sigma = station.waits
    assert sigma == pytest.approx((share * shards / (share * shards + 1 - sigma)) ** shards, rel=1e-9)
    assert station.mean_wait == pytest.approx(sigma / (1 - sigma))
    if shards == 2:
        # σ(a + 1 − σ)² = a² has the root 1; the one below it solves a quadratic.
        a = 2 * share
        assert sigma == pytest.approx((2 * a + 1 - math.sqrt(4 * a + 1)) / 2)


def run(spec: RunSpec, shards: int) -> RunResult:
    pieces: list[RunParts] = [execute(spec, Shard(k, shards)) for k in range(shards)]
    return summarize(spec, pieces[0].merge(*pieces[1:]))


def divide(arrivals: Arrivals, scheduler: Scheduler, jobs: int = 200_000) -> RunSpec:
    return RunSpec(
        Workload(Sleep(Exponential(SERVICE)), arrivals, jobs=jobs), scheduler, seed=1, clock="virtual", warmup=20.0
    )


@pytest.mark.parametrize(
    ("spec", "shards", "model"),
    [
        (divide(Poisson(12), Fifo(2, divided=True)), 2, "E2/M/1"),
        (divide(Poisson(40), Fifo(7, divided=True)), 3, "E3/M/2 and E3/M/3"),
        (divide(Closed(12, 0.3), Fifo(4, divided=True)), 2, "closed MVA of 2 shards"),
    ],
)
def test_runs_come_to_what_it_says(spec: RunSpec, shards: int, model: str) -> None:
    """Within five standard errors, and shares and quantiles within a few per cent; what one queue would come to is not."""
    rows = run(spec, shards).theory
    assert {row.model for row in rows} == {model}
    for row in rows:
        assert row.measured == pytest.approx(row.expected, rel=0.08), row
        assert row.z is None or abs(row.z) < 5, row
    whole = {each.figure: each.expected for each in predict_figures(spec)}
    (divided,) = [row for row in rows if row.figure == "response_time.mean"]
    assert divided.expected > whole["response_time.mean"] * 1.02


def test_lost_jobs_of_a_divided_system() -> None:
    """Erlang's formula is of Poisson arrivals at all slots; every second job of them is more even, at half the slots."""
    spec = divide(Poisson(38), Fifo(4, 0, divided=True))
    (row,) = run(spec, 2).theory
    assert row.model == "E2/M/2 without a queue"
    assert row.measured == pytest.approx(row.expected, rel=0.02)
    assert row.expected != pytest.approx(erlang_b(3.8, 4), rel=0.02)


@pytest.mark.parametrize(
    ("job", "arrivals", "scheduler", "jobs"),
    [
        pytest.param(Sleep(SERVICE), Poisson(10), Fifo(4), 9, id="not exponential"),
        pytest.param(Sleep(Exponential(SERVICE)), Poisson(40), Fifo(4), 9, id="no steady state"),
        pytest.param(Sleep(Exponential(SERVICE)), Poisson(40), Fifo(5), 9, id="none in the smallest shard"),
        pytest.param(Sleep(Exponential(SERVICE)), Poisson(10), Fifo(4, 3), 9, id="a limited queue"),
        pytest.param(Sleep(Exponential(SERVICE)), Poisson(10), Fifo(), 9, id="no slots"),
        pytest.param(Sleep(Exponential(SERVICE)), Poisson(10), Lifo(4), 9, id="another discipline"),
        pytest.param(Sleep(Exponential(SERVICE)), ConstantRate(10), Fifo(4), 9, id="not Poisson"),
        pytest.param(Sleep(Exponential(SERVICE)), Closed(7), Fifo(4), 9, id="unequal shards that end at other times"),
        pytest.param(Sleep(Exponential(SERVICE)), Poisson(10), Fifo(303), 9, id="too many slots"),
    ],
)
def test_nothing_is_said_of_other_systems(job: JobSource, arrivals: Arrivals, scheduler: Scheduler, jobs: int) -> None:
    assert (
        list(predict_divided(RunSpec(Workload(job, arrivals, jobs=jobs), scheduler), 3 - (scheduler.slots == 5))) == []
    )


def test_unequal_networks_are_weighed_by_their_jobs() -> None:
    """With a duration, a shard of more users sends more jobs."""
    spec = RunSpec(Workload(Sleep(Exponential(SERVICE)), Closed(7, 0.2), duration=9.0), Fifo(3, divided=True))
    told = {each.figure: each.expected for each in predict_divided(spec, 2)}
    (fast, first), (slow, second) = closed_mva(4, 0.2, SERVICE, 2), closed_mva(3, 0.2, SERVICE, 1)
    assert told["throughput"] == fast + slow
    assert told["response_time.mean"] == pytest.approx((fast * first + slow * second) / (fast + slow))
