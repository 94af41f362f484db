"""Schedules that can be worked out on paper: the simulator must reproduce them to the nanosecond."""

from __future__ import annotations

import numpy as np
import pytest

from aurea_engine import (
    AllAtOnce,
    Closed,
    Constant,
    ConstantRate,
    Fifo,
    Lifo,
    Replay,
    RunResult,
    RunSpec,
    Scheduler,
    ShortestFirst,
    Sleep,
    Trace,
    Workload,
    simulate,
)


def batch(jobs: int, slots: int | None, service: float = 0.1) -> RunResult:
    return simulate(RunSpec(Workload(Sleep(service), AllAtOnce(), jobs=jobs), Fifo(slots), seed=0))


def test_100_jobs_on_10_slots_take_10_rounds() -> None:
    """Response times are 0.1 … 1.0, ten jobs each: mean 0.55, p50 0.5, p95 1.0; a hundred jobs cannot carry a p99."""
    result = batch(100, 10)
    assert result.duration == 1.0
    assert result.throughput == 100.0
    assert result.utilization == 1.0
    assert 0.1 == result.service_time.min == result.service_time.max
    assert pytest.approx(0.55, rel=1e-12) == result.response_time.mean
    response = result.response_time
    assert (response.p50, response.p90, response.p95, response.p99, response.p999) == (0.5, 0.9, 1.0, None, None)
    assert (response.min, response.max) == (0.1, 1.0)
    assert result.concurrency.peak == 10
    assert result.concurrency.mean == 10.0


def test_95_jobs_on_10_slots_idle_half_a_round() -> None:
    """The last round has five jobs."""
    result = batch(95, 10)
    assert (result.duration, result.throughput) == (1.0, 95.0)
    assert pytest.approx(0.95) == result.utilization


def test_without_slots_all_jobs_run_at_once() -> None:
    """The seed form: a hundred sleeps of 0.1 take 0.1."""
    result = batch(100, None)
    assert (result.duration, result.waiting_time.max, result.concurrency.peak) == (0.1, 0.0, 100)
    assert result.utilization is None


@pytest.mark.parametrize(
    ("scheduler", "mean"),
    [
        pytest.param(Fifo(1), 12.25, id="one slot, in order of arrival"),
        pytest.param(ShortestFirst(1), 6.5, id="one slot, shortest first"),
        pytest.param(Lifo(1), 12.25, id="one slot, last come: one instant keeps its order"),
        pytest.param(Fifo(2), 6.25, id="two slots, in order of arrival"),
        pytest.param(ShortestFirst(2), 4.5, id="two slots, shortest first"),
    ],
)
def test_mean_response_of_8_4_2_1_second_jobs(scheduler: Scheduler, mean: float) -> None:
    """All arrive at 0, before any starts: else shortest first would have begun with the 8."""
    spec = RunSpec(Workload(Replay((8, 4, 2, 1)), AllAtOnce(), jobs=4), scheduler, seed=0)
    assert mean == simulate(spec).response_time.mean


def test_end_frees_slot_for_same_instant() -> None:
    """At one instant ends come first, then arrivals, then starts: a back-to-back job neither waits nor is rejected."""
    spec = RunSpec(Workload(Sleep(0.1), Trace((0.0, 0.1, 0.2)), jobs=3), Fifo(1, queue_limit=0), seed=0)
    result = simulate(spec)
    assert (result.counts.completed, result.counts.rejected) == (3, 0)
    assert result.waiting_time.max == 0.0


def test_two_arrivals_share_slot_and_queue() -> None:
    """One slot and one place: of three that come together while the slot is freed, one starts, one waits, one is lost."""
    spec = RunSpec(Workload(Sleep(0.1), Trace((0.0, 0.1, 0.1, 0.1))), Fifo(1, queue_limit=1), seed=0)
    result = simulate(spec)
    assert result.jobs is not None
    assert (result.counts.completed, result.counts.rejected) == (3, 1)
    assert result.jobs.outcome.tolist() == [1, 1, 1, 4]


def test_overload_drains_when_theory_says() -> None:
    """500/s for 10 s on 4 slots of 10 ms. Job 4k + j starts at 10k + 2j ms and arrived at 2·(4k + j): it waits 2k ms.

    The last, 4999 = 4·1249 + 3, waits 2.498 s, starts at 12.496 and ends at 12.506; 5000 ÷ 12.506 is 399.81/s.
    """
    result = simulate(RunSpec(Workload(Sleep(0.01), ConstantRate(500), duration=10), Fifo(4), seed=0))
    jobs = result.jobs
    assert jobs is not None
    k = np.arange(5000) // 4
    np.testing.assert_array_equal(k * 2_000_000, jobs.waiting_ns)
    assert jobs.waiting_ns[-1] == 2_498_000_000
    assert result.duration == 12.506
    assert pytest.approx(399.81, abs=0.005) == result.throughput
    assert result.offered_rate == 500.0


def test_a_constant_rate_of_100_is_100_and_not_101() -> None:
    """A hundred arrivals at i/100: the last gap belongs to the window too."""
    result = simulate(RunSpec(Workload(Sleep(0.001), ConstantRate(100), duration=1), seed=0))
    assert result.jobs is not None
    np.testing.assert_array_equal(np.arange(100) * 10_000_000, result.jobs.intended)
    assert (result.offered_rate, result.throughput) == (100.0, 100.0)


def test_100_jobs_at_100_per_s_are_100_per_s() -> None:
    """The same where the number of jobs ends the workload and not its duration."""
    result = simulate(RunSpec(Workload(Sleep(0.001), ConstantRate(100), jobs=100), seed=0))
    assert (result.offered_rate, result.throughput) == (100.0, 100.0)


def test_ten_users_without_thinking() -> None:
    """Each does a job of 0.1 s after the other; none begins at the tenth second."""
    spec = RunSpec(Workload(Sleep(0.1), Closed(10), duration=10), seed=0)
    result = simulate(spec)
    assert (result.counts.completed, result.duration, result.throughput) == (1000, 10.0, 100.0)


def test_users_arrive_after_their_think_time() -> None:
    """Service 0.1, thought 0.4: every user arrives each half second."""
    spec = RunSpec(Workload(Sleep(0.1), Closed(2, Constant(0.4)), duration=2), seed=0)
    jobs = simulate(spec).jobs
    assert jobs is not None
    assert (jobs.intended // 100_000_000).tolist() == [0, 0, 5, 5, 10, 10, 15, 15]


def test_a_lone_job_is_the_whole_run() -> None:
    """One job: no rate can be told from one arrival, nor how times spread, but its times can."""
    result = batch(1, 1)
    assert (result.duration, result.throughput, result.response_time.mean) == (0.1, 10.0, 0.1)
    assert result.response_time.std is None
    assert result.response_time.p50 is None
