"""The measurement does not flatter: coordinated omission, overload, blocked loops and the wall clock."""

from __future__ import annotations

import asyncio
import datetime as dt
import time

import numpy as np
import pytest

import aurea_engine
from aurea_engine import (
    ConstantRate,
    Exponential,
    Fifo,
    Poisson,
    Replay,
    RunSpec,
    Sleep,
    Workload,
    run_sync,
    simulate,
)
from aurea_engine.testing import ManualClock, run_jumping


def test_freeze_shows_in_every_due_job() -> None:
    """1000/s for 10 s on one slot of 0.2 ms, and job 5000 takes 1.0 s more. Of the 1250 jobs that the freeze delays the k-th
    takes 1.0002 − 0.0008k s, so the mean is 62.75 ms; the service times alone would say 0.30 ms and 0.2 at p99.
    """
    durations = [0.0002] * 10_000
    durations[5_000] = 1.0002
    result = simulate(RunSpec(Workload(Replay(tuple(durations)), ConstantRate(1000), jobs=10_000), Fifo(1), seed=0))
    response = result.response_time
    assert pytest.approx(0.06275, abs=1e-9) == response.mean
    assert (response.p50, response.p90, response.p95, response.p99) == (0.0002, 0.2002, 0.6002, 0.9202)
    assert pytest.approx(0.0003, abs=1e-9) == result.service_time.mean
    assert result.service_time.p99 == 0.0002


async def test_late_generator_counts_from_intended() -> None:
    """The clock leaps over 0.3 s, as when the loop is blocked: the jobs of that time are late, and say by how much."""
    clock = ManualClock()
    spec = RunSpec(Workload(Sleep(0.01), ConstantRate(100), duration=1), seed=0)
    running = asyncio.create_task(aurea_engine.run(spec, clock=clock))
    await clock.advance(0.5)
    await clock.advance(0.3, at_once=True)
    await clock.advance(1.0)
    result = await running
    assert result.jobs is not None
    lag = result.jobs.lag_ns
    held = np.arange(51, 80)
    np.testing.assert_array_equal((800 - 10 * held) * 1_000_000, lag[held])
    assert not lag[:51].any()
    assert not lag[81:].any()
    late_end = np.where(np.arange(100) == 50, 290_000_000, 0)  # it was in service, and its end was noticed late
    np.testing.assert_array_equal(lag + 10_000_000 + late_end, result.jobs.response_ns)
    assert result.lag.max == 0.29
    assert {"late_releases", "loop_lag"} <= {finding.code for finding in result.findings}
    assert result.verdict != "valid"
    assert (result.counts.completed, result.offered_rate) == (100, 100.0)


async def test_nothing_after_a_hold_up_moves() -> None:
    """The schedule is absolute: intended starts are the same as if nothing had happened."""
    clock = ManualClock(ns=123_456_789)
    spec = RunSpec(Workload(Sleep(0.01), ConstantRate(100), duration=1), seed=0)
    running = asyncio.create_task(aurea_engine.run(spec, clock=clock))
    await clock.advance(0.42, at_once=True)
    await clock.advance(1.0)
    jobs = (await running).jobs
    assert jobs is not None
    np.testing.assert_array_equal(np.arange(100) * 10_000_000, jobs.intended)


async def test_overloaded_generator_says_so() -> None:
    """2000 jobs in 1 s are asked for, and the clock leaps 4 s: a rate shortfall, and everything is still counted."""
    clock = ManualClock()
    spec = RunSpec(Workload(Sleep(0.001), ConstantRate(2000), duration=1), seed=0)
    running = asyncio.create_task(aurea_engine.run(spec, clock=clock))
    await clock.advance(4.0, at_once=True)
    await clock.advance(1.0)
    result = await running
    assert {"rate_shortfall"} <= {finding.code for finding in result.findings}
    assert result.verdict == "invalid"
    assert 2000 == result.counts.arrived == result.counts.completed


def test_wall_clock_may_step_during_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a label and nothing else: durations come from the monotonic clock."""
    real = time.time

    def stepping() -> float:
        stepping.calls += 1  # type: ignore[attr-defined]
        return real() + 3600 * (-1) ** stepping.calls  # type: ignore[attr-defined]

    stepping.calls = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(time, "time", stepping)
    monkeypatch.setattr(time, "time_ns", lambda: int(stepping() * 1e9))
    result = run_sync(RunSpec(Workload(Sleep(0.01), jobs=5), seed=0))
    assert 0.01 <= result.duration < 60
    assert (result.service_time.min or 0) >= 0.01
    assert dt.timedelta(seconds=result.duration) == result.ended_at - result.started_at


def test_a_sleep_is_never_shorter_than_asked() -> None:
    """1 ms, two hundred times, by whatever loop is installed: none measures under 1 ms."""
    result = run_sync(RunSpec(Workload(Sleep(0.001), jobs=200), Fifo(50), seed=0))
    assert (result.service_time.min or 0) >= 0.001


async def test_direct_sleep_is_never_shorter() -> None:
    """Event loops may fire timers early; the job looks at the clock when it wakes."""
    for _ in range(20):
        began = time.perf_counter_ns()
        await Sleep(0.001).run(0.001)
        assert time.perf_counter_ns() - began >= 1_000_000


@pytest.mark.realtime
async def test_a_blocked_loop_is_found_out() -> None:
    """Held for 200 ms in mid-run: a lag finding, a lag of at least 0.2 s, and no valid verdict."""

    async def block() -> None:
        await asyncio.sleep(0.3)
        time.sleep(0.21)

    spec = RunSpec(Workload(Sleep(0.005), ConstantRate(200), duration=1), seed=0)
    blocking = asyncio.create_task(block())
    result = await aurea_engine.run(spec)
    await blocking
    assert result.verdict != "valid"
    assert {"late_releases", "loop_lag"} & {finding.code for finding in result.findings}
    assert (result.lag.max or 0) >= 0.2
    assert result.counts.arrived == result.counts.completed == 200


@pytest.mark.realtime
def test_unreachable_rate_is_a_shortfall() -> None:
    """Ten million a second: no event loop in Python gets there, and conservation still holds."""
    result = run_sync(RunSpec(Workload(Sleep(0.0), ConstantRate(1e7), jobs=400_000), Fifo(4), seed=0))
    assert {"rate_shortfall"} <= {finding.code for finding in result.findings}
    assert result.verdict == "invalid"
    assert 400_000 == result.counts.arrived == result.counts.completed


@pytest.mark.realtime
def test_quiet_runs_are_valid() -> None:
    """At 5 % load a run is valid, or says what the machine did to it: it may be busy."""
    spec = RunSpec(Workload(Sleep(Exponential(0.005)), Poisson(20), duration=0.5), Fifo(2))
    for result in [run_sync(spec) for _ in range(20)]:
        assert result.verdict == "valid" or {finding.code for finding in result.findings} - {"too_few_samples"}


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_found_where_nothing_is_late(seed: int) -> None:
    """The same on a clock that jumps, on which every release is on time: valid, however busy the machine is."""
    result = run_jumping(RunSpec(Workload(Sleep(Exponential(0.005)), Poisson(20), duration=5), Fifo(2), seed=seed))
    assert result.verdict == "valid", result.findings
