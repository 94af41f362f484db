"""Arrival processes against what they are by definition: worked out by hand, and the classic tests of randomness."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Closed,
    Constant,
    ConstantRate,
    Exponential,
    Fifo,
    GammaArrivals,
    Limited,
    Poisson,
    Ramp,
    Replay,
    RunSpec,
    Sine,
    Sleep,
    Stage,
    Stages,
    Streams,
    Trace,
    Uniform,
    Workload,
    simulate,
)
from aurea_engine.results.arrival_fit import find_poisson_misfits, measure_dispersion
from aurea_engine.testing import check_arrivals
from aurea_engine.workload.arrival_instants import space_evenly


def drawn(arrivals: Arrivals, n: int, seed: int = 0) -> np.ndarray:
    """The first ``n`` instants, ns, or all there are."""
    blocks, taken = [], 0
    for block in arrivals.instants(np.random.default_rng(seed)):
        blocks.append(block)
        taken += len(block)
        if taken >= n:
            break
    return np.concatenate(blocks)[:n]


@pytest.mark.parametrize("rate", [1, 100, 1000, 12_500])
def test_a_constant_rate_has_equal_gaps(rate: int) -> None:
    """To the nanosecond, where a gap is a whole number of them: CV < 1e-9."""
    gaps = np.diff(drawn(ConstantRate(rate), 50_000))
    assert 1e9 / rate == gaps.mean()
    assert gaps.std() / gaps.mean() < 1e-9


@pytest.mark.parametrize("rate", [3, 7, 999.9, 44_100, 1e6 / 3])
def test_a_constant_rate_does_not_drift(rate: float) -> None:
    """After a million arrivals the schedule is still i/λ, within a microsecond."""
    instants = drawn(ConstantRate(rate), 1_000_001)
    ideal = np.arange(1_000_001) / rate
    assert np.abs(instants / 1e9 - ideal).max() < 1e-6
    assert (np.abs(np.diff(instants) - 1e9 / rate) <= 1).all()


@pytest.mark.parametrize("processes", [1, 4, 16])
def test_poisson_passes_tests_of_poisson(processes: int) -> None:
    """Kolmogorov–Smirnov 1.63/√n on the gaps, lag-1 autocorrelation 2.576/√n (both 1 %), and the index of dispersion over
    100 windows in [0.672, 1.404] (the 1 % points of χ²₉₉/99). Several processes, each with a stream of its own, superpose.
    """
    streams = Streams(11)
    parts = [
        np.concatenate(list(islice(Poisson(1000 / processes).instants(streams.child(f"{i}").rng("arrivals")), 20)))
        for i in range(processes)
    ]
    end = min(int(part[-1]) for part in parts)
    merged = np.sort(np.concatenate([part[part <= end] for part in parts]))[:20_000]
    gaps = np.diff(merged) / 1e9
    n = len(gaps)
    ordered = 1 - np.exp(-1000 * np.sort(gaps))
    distance = max((np.arange(1, n + 1) / n - ordered).max(), (ordered - np.arange(n) / n).max())
    assert distance < 1.63 / math.sqrt(n)
    centred = gaps - gaps.mean()
    assert abs(centred[1:] @ centred[:-1] / (centred @ centred)) < 2.576 / math.sqrt(n)
    assert 0.672 < measure_dispersion(merged) < 1.404
    assert find_poisson_misfits(merged, 1000, 0.0001) == []


def test_same_seed_in_processes_is_noticed() -> None:
    """Ten processes with one stream: jobs come in tens, and the counts are ten times over-dispersed."""
    same = np.sort(np.concatenate([drawn(Poisson(100), 2_000, seed=1) for _ in range(10)]))
    assert measure_dispersion(same) > 5
    assert any("not Poisson" in failed for failed in find_poisson_misfits(same, 1000, 0.0001))


@pytest.mark.parametrize("cv", [0.25, 1.0, 3.0])
def test_gamma_has_specified_rate_and_spread(cv: float) -> None:
    """Mean gap within 4·cv/√n. The sample CV of n gamma gaps has a relative standard error of √((κ + 2)/4n)
    with excess kurtosis κ = 6cv² (delta method on the variance; the mean adds less); within 4 of them + 1 %.
    """
    n = 200_000
    gaps = np.diff(drawn(GammaArrivals(50, cv), n + 1)) / 1e9
    assert abs(gaps.mean() * 50 - 1) < 4 * cv / math.sqrt(n)
    error = math.sqrt((6 * cv**2 + 2) / (4 * n))
    assert abs(gaps.std() / gaps.mean() / cv - 1) < 4 * error + 0.01


def test_gamma_without_spread_is_constant() -> None:
    """CV 0."""
    np.testing.assert_array_equal(drawn(ConstantRate(7), 9_000), drawn(GammaArrivals(7, 0), 9_000))


def test_ramp_to_100_in_10_s_has_500_arrivals() -> None:
    """Λ(t) = 5t²: number 125 (counted from 0) comes at 5.0 s."""
    instants = drawn(Ramp(0, 100, 10), 10_000)
    assert len(instants) == 500
    assert instants[125] == 5_000_000_000
    assert instants[0] == 0


@pytest.mark.parametrize(("start", "end", "over"), [(0, 100, 10), (100, 0, 10), (5, 80, 3), (80, 5, 3), (20, 20, 2)])
def test_a_ramp_has_its_closed_form(start: float, end: float, over: float) -> None:
    """Arrival i at (−r0 + √(r0² + 2ki))/k with k = (r1 − r0)/T; evenly where k is 0."""
    instants = drawn(Ramp(start, end, over), 10_000) / 1e9
    i, k = np.arange(len(instants)), (end - start) / over
    expected = (-start + np.sqrt(start**2 + 2 * k * i)) / k if k else i / start
    np.testing.assert_allclose(instants, expected, atol=2e-9, rtol=0)
    assert math.ceil((start + end) / 2 * over) == len(instants)
    assert instants[-1] < over


def test_stages_join_without_gap_or_double() -> None:
    """10/s for 1 s, then 10 → 30/s for 1 s, then 30/s: Λ is continuous, so arrival i comes at Λ(t) = i throughout."""
    stages = Stages((Stage(1, rate=10), Stage(1, start=10, end=30), Stage(1, rate=30)))
    instants = drawn(stages, 10_000) / 1e9
    assert len(instants) == 10 + 20 + 30
    assert instants[10] == 1.0
    assert instants[30] == 2.0
    assert (np.diff(instants) > 0).all()
    assert np.diff(instants)[9] == pytest.approx(0.1)
    assert np.diff(instants)[30] == pytest.approx(1 / 30)


def test_arrival_shared_by_stages_comes_once() -> None:
    """2.5 expected in the first stage, and 2.5 in the second: the third arrival lies half in each."""
    instants = drawn(Stages((Stage(1, rate=2.5), Stage(1, rate=2.5))), 100) / 1e9
    np.testing.assert_allclose(instants, np.arange(5) / 2.5, atol=1e-9)


def test_a_stage_without_arrivals_is_a_pause() -> None:
    """Rate 0 between two bursts."""
    instants = drawn(Stages((Stage(1, rate=2), Stage(5, rate=0), Stage(1, rate=2))), 100) / 1e9
    np.testing.assert_allclose(instants, [0, 0.5, 6, 6.5], atol=1e-9)


@pytest.mark.parametrize("phase", [0.0, math.pi / 2, -1.0])
def test_sine_has_its_expected_counts(phase: float) -> None:
    """Λ(t) = mean·t + A·P/2π·(cos φ − cos(φ + 2πt/P)) is i at arrival i, within λmax nanoseconds of arrivals."""
    mean, amplitude, period = 50.0, 50.0, 3.0
    t = drawn(Sine(mean, amplitude, period, phase), 5_000) / 1e9
    swing = amplitude * period / (2 * math.pi)
    count = mean * t + swing * (math.cos(phase) - np.cos(phase + 2 * math.pi * t / period))
    np.testing.assert_allclose(count, np.arange(5_000), atol=1e-5)


def test_a_trace_is_replayed_as_it_was_recorded() -> None:
    """Rounded to the nanosecond, ties and all."""
    assert drawn(Trace((0.0, 0.5, 0.5, 1.25)), 10).tolist() == [0, 500_000_000, 500_000_000, 1_250_000_000]


def test_all_at_once_is_at_once() -> None:
    """For ever, at 0."""
    assert not drawn(AllAtOnce(), 10_000).any()


@pytest.mark.parametrize(
    "arrivals",
    [ConstantRate(7), Poisson(7), GammaArrivals(7, 2), Sine(7, 7, 1), Closed(7, Exponential(1)), Trace((1, 2, 3)),
     Ramp(0, 7, 900), Stages((Stage(900, rate=7), Stage(30, start=7, end=0))), AllAtOnce()],
    ids=lambda arrivals: type(arrivals).__name__,
)  # fmt: skip
def test_built_in_arrivals_conform(arrivals: Arrivals) -> None:
    """The one that is offered to everybody."""
    check_arrivals(arrivals)


@given(st.from_type(Arrivals), st.integers(0, 2**32))
def test_any_arrivals_conform(arrivals: Arrivals, seed: int) -> None:
    """Whatever their parameters."""
    check_arrivals(arrivals, seed=seed, blocks=2)


@pytest.mark.parametrize(
    ("arrivals", "arrived"),
    [
        pytest.param(ConstantRate(10), 10, id="constant"),
        pytest.param(Ramp(0, 20, 2), 5, id="a ramp that is cut off half-way"),
        pytest.param(Trace((0.0, 0.5, 0.999999999, 1.0, 1.5)), 3, id="a trace: the end itself is outside"),
        pytest.param(Closed(3, Constant(0.4)), 6, id="closed: service 0.1 and thought 0.4"),
    ],
)
def test_duration_stops_releasing(arrivals: Arrivals, arrived: int) -> None:
    """Jobs that would arrive at or after the first second do not."""
    assert arrived == simulate(RunSpec(Workload(Sleep(0.1), arrivals, duration=1.0), seed=0)).counts.arrived


@pytest.mark.parametrize("arrivals", [ConstantRate(10), Poisson(10), AllAtOnce(), Closed(3), Trace(tuple(range(50)))],
                         ids=lambda arrivals: type(arrivals).__name__)  # fmt: skip
def test_jobs_stops_after_so_many(arrivals: Arrivals) -> None:
    """Exactly 20."""
    assert simulate(RunSpec(Workload(Sleep(0.1), arrivals, jobs=20), seed=0)).counts.arrived == 20


def test_trace_shorter_than_jobs_ends_first() -> None:
    """Three instants are three jobs."""
    assert simulate(RunSpec(Workload(Sleep(0.1), Trace((0, 1, 2)), jobs=20), seed=0)).counts.arrived == 3


def test_window_beyond_trace_keeps_rate_honest() -> None:
    """Three arrivals in a window of 10 s are 0.3/s."""
    result = simulate(RunSpec(Workload(Sleep(0.1), Trace((0, 1, 2)), duration=10), seed=0))
    assert result.offered_rate == 0.3


def test_offered_rate_of_ramp_is_its_mean() -> None:
    """500 arrivals over the 10 s that it states."""
    result = simulate(RunSpec(Workload(Sleep(0.001), Ramp(0, 100, 10)), seed=0))
    assert result.offered_rate == 50.0


RATES = [
    3,
    7,
    9,
    11,
    13,
    0.7,
    1 / 3,
    1 / 7,
    3.3,
    333.3333333333333,
    1000 / 7,
    1024,
    12345.678,
    999_983,
    1e6 / 3,
    1e9 / 3,
]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("slots", [1, 2, 5])
def test_slot_is_free_when_next_job_comes(rate: float, slots: int) -> None:
    """Service slots/λ at a constant λ is a utilization of 1, and nobody is turned away: ends and arrivals coincide."""
    service = slots / rate
    jobs = (
        Sleep(service),
        Replay((service,)),
        Limited(Sleep(10 * service + 1), service),
        Sleep(Uniform(service, service)),
    )
    for job in jobs:
        spec = RunSpec(Workload(job, ConstantRate(rate), jobs=1500), Fifo(slots, queue_limit=0), seed=1)
        assert simulate(spec).counts.rejected == 0


@pytest.mark.parametrize("rate", RATES)
def test_other_even_arrivals_leave_the_slot_free(rate: float) -> None:
    """A stage, a ramp and a sine that are flat, and gamma arrivals without variation."""
    over = 900 / rate
    for arrivals in (
        Stages((Stage(over, rate=rate),)),
        Ramp(rate, rate, over),
        Sine(rate, 0, 5),
        GammaArrivals(rate, 0),
    ):
        spec = RunSpec(Workload(Sleep(2 / rate), arrivals, jobs=800), Fifo(2, queue_limit=0), seed=1)
        assert simulate(spec).counts.rejected == 0


@given(st.floats(1e-3, 1e6), st.integers(1, 6))
def test_gaps_are_never_short_of_whole_ns(rate: float, apart: int) -> None:
    """Any two arrivals, k gaps apart, are at least ⌊k·gap⌋ ns apart: what a service of k/λ that is cut down needs."""
    instants = drawn(ConstantRate(rate), 8192)
    assert (instants[apart:] - instants[:-apart]).min() >= math.floor(apart * Fraction(1e9 / rate))


@pytest.mark.parametrize("rate", [7, 1000 / 7, 1 / 3600, 1024, 3.3])
def test_constant_arrivals_do_not_drift(rate: float) -> None:
    """Number i within half a nanosecond of i gaps, after a million blocks as after one; exact fractions are the oracle."""
    gap = Fraction(1e9 / rate)
    for first in (0, 4096, 4096 * 10**6):
        if first * gap < 8 * 10**18:
            block = space_evenly(1e9 / rate, first, 1024)
            assert all(abs(at - (first + k) * gap) <= Fraction(1, 2) for k, at in enumerate(block.tolist()))


def test_one_an_hour_for_a_day_is_24_jobs() -> None:
    """Each of an hour, one after the other without a gap: the slot is busy all day."""
    result = simulate(RunSpec(Workload(Sleep(3600), ConstantRate(1 / 3600), duration=86_400), Fifo(1, queue_limit=0)))
    assert (result.counts.arrived, result.counts.completed, result.utilization) == (24, 24, 1.0)


def test_users_taking_turns_find_slot_free() -> None:
    """Three users, 1/3 s of service and 2/3 s of thought: from the second round on each comes when the slot gets free."""
    spec = RunSpec(Workload(Sleep(1 / 3), Closed(3, Constant(2 / 3)), jobs=3000), Fifo(1, queue_limit=2), seed=1)
    result = simulate(spec)
    assert result.counts.rejected == 0
    assert result.utilization == pytest.approx(1.0)
    assert result.waiting_time.p50 == 0.0


@pytest.mark.parametrize(
    ("seconds", "ns"),
    [(0.3, 300_000_000), (1 / 7, 142_857_142), (0.1 + 0.2, 300_000_000), (4e-10, 0), (6e-10, 1), (1.5e-9, 1)],
)
def test_a_duration_that_is_meant_is_cut_down(seconds: float, ns: int) -> None:
    """To whole ns, but not below one, and never for what only a float is short of."""
    assert simulate(RunSpec(Workload(Sleep(seconds), jobs=1))).duration == ns / 1e9
