"""The formulas beside the measurement, against published tables and brute force."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aurea_engine import (
    AllAtOnce,
    Arrivals,
    Closed,
    Constant,
    ConstantRate,
    Exponential,
    Faulty,
    Fifo,
    Gamma,
    JobSource,
    Lifo,
    Pareto,
    Poisson,
    RunSpec,
    Scheduler,
    Sleep,
    Workload,
)
from aurea_engine.results.theory import (
    closed_mva,
    erlang_b,
    erlang_c,
    mg1_wait,
    mmc_response_quantile,
    mmc_response_tail,
    mmc_wait,
    predict_figures,
)


@pytest.mark.parametrize(
    ("load", "slots", "lost"),
    [(8, 10, 0.121661), (3.2, 4, 0.228145), (1, 1, 0.5), (2, 2, 0.4), (10, 10, 0.214582), (100, 100, 0.075700)],
)
def test_erlang_b_is_the_table_s(load: float, slots: int, lost: float) -> None:
    """Six digits of the usual tables."""
    assert lost == pytest.approx(erlang_b(load, slots), abs=5e-7)


@given(st.integers(1, 60), st.integers(1, 80))
def test_erlang_b_is_its_definition(tenths: int, slots: int) -> None:
    """(aᶜ/c!) ÷ Σ aᵏ/k!"""
    load = Fraction(tenths, 2)
    terms = [load**k / math.factorial(k) for k in range(slots + 1)]
    assert float(terms[-1] / sum(terms)) == pytest.approx(erlang_b(float(load), slots), rel=1e-12)


@pytest.mark.parametrize(
    ("rate", "slots", "waits", "wait", "p50", "p95", "p99"),
    [
        (80, 1, 0.8, 0.04, 0.034657, 0.149787, 0.230259),
        (320, 4, 0.596432, 0.0074554, 0.013462, 0.047380, 0.068932),
        (200, 4, 0.173913, 0.0008696, 0.007834, 0.031497, 0.047642),
    ],
)
def test_erlang_c_is_the_table_s(
    rate: float, slots: int, waits: float, wait: float, p50: float, p95: float, p99: float
) -> None:
    """μ = 100/s."""
    assert waits == pytest.approx(erlang_c(rate / 100, slots), abs=5e-7)
    assert wait == pytest.approx(mmc_wait(rate, 0.01, slots), abs=5e-8)
    for q, value in ((0.5, p50), (0.95, p95), (0.99, p99)):
        assert value == pytest.approx(mmc_response_quantile(rate, 0.01, slots, q), abs=5e-7)


@pytest.mark.parametrize(("rate", "slots"), [(80, 1), (320, 4), (200, 4), (100, 2), (300, 4), (299.9999999, 4)])
def test_response_tail_integrates_to_mean(rate: float, slots: int) -> None:
    """∫P(R > t)dt = W + 1/μ, also where the two exponentials of the formula coincide (cμ − λ = μ)."""
    t = np.linspace(0, 2.0, 200_001)
    idle, waits = slots - rate * 0.01, erlang_c(rate * 0.01, slots)
    tail = np.array([mmc_response_tail(idle, waits, float(each) / 0.01) for each in t[::10]])
    area = float(((tail[1:] + tail[:-1]) / 2 * np.diff(t[::10])).sum())
    assert area == pytest.approx(mmc_wait(rate, 0.01, slots) + 0.01, rel=1e-4)


@pytest.mark.parametrize(("scv", "wait"), [(0, 0.02), (1, 0.04), (4, 0.1)])
def test_pollaczek_and_khinchine(scv: float, wait: float) -> None:
    """ρ 0.8, mean service 10 ms."""
    assert wait == pytest.approx(mg1_wait(80, 0.01, scv))


@pytest.mark.parametrize(("users", "throughput", "response"), [(10, 9.24074, 0.082165), (30, 19.8309, 0.512794)])
def test_mean_value_analysis_is_the_table_s(users: int, throughput: float, response: float) -> None:
    """Think 1 s, service 50 ms, one slot."""
    x, r = closed_mva(users, 1.0, 0.05)
    assert throughput == pytest.approx(x, rel=5e-6)
    assert response == pytest.approx(r, rel=5e-6)


@given(st.integers(1, 25), st.integers(1, 6), st.integers(0, 20))
def test_mva_is_the_stationary_distribution(users: int, slots: int, think: int) -> None:
    """Machine repair as a birth and death chain: birth (N − n)/Z, death min(n, c)/s."""
    z, s = max(think, 1) / 10, 0.05
    weights = [1.0]
    for n in range(1, users + 1):
        weights.append(weights[-1] * ((users - n + 1) / z) / (min(n, slots) / s))
    p = np.array(weights) / sum(weights)
    throughput = sum(p[n] * min(n, slots) / s for n in range(users + 1))
    response = sum(n * p[n] for n in range(users + 1)) / throughput
    x, r = closed_mva(users, z, s, slots)
    assert throughput == pytest.approx(x, rel=1e-6)
    assert response == pytest.approx(r, rel=1e-6)


@pytest.mark.parametrize(
    ("users", "think", "service", "slots"),
    [(2000, 1, 1, 1000), (500, 1, 1, 200), (200, 1, Fraction(1, 10), 10), (300, Fraction(1, 100), 1, 299)],
)
def test_mva_copes_with_many_slots(users: int, think: int | Fraction, service: int | Fraction, slots: int) -> None:
    """Against the stationary distribution in exact arithmetic; 2000 users on 1000 slots come to 992.63/s and not 609."""
    weights = [Fraction(1)]
    for n in range(1, users + 1):
        weights.append(weights[-1] * (users - n + 1) * service / (min(n, slots) * Fraction(think)))
    rate = sum(weight * min(n, slots) for n, weight in enumerate(weights)) / sum(weights) / service
    x, r = closed_mva(users, float(think), float(service), slots)
    assert float(rate) == pytest.approx(x, rel=1e-10)
    assert float(users / rate - think) == pytest.approx(r, rel=1e-10)


def test_mva_with_a_million_users() -> None:
    """Saturated, c/s; with a slot for everyone, N/(Z + s); and without thoughts the slots are always full."""
    assert closed_mva(1_000_000, 1.0, 1.0, 10) == pytest.approx((10, 99_999))
    assert closed_mva(1_000_000, 1.0, 1.0, 1_000_000) == pytest.approx((500_000, 1))
    assert closed_mva(6, 0.0, 0.1, 2) == pytest.approx((20, 0.3))


MAGNITUDES = st.one_of(
    st.sampled_from([5e-324, 1e-310, 1e-200, 1e-9, 1 / 161, 0.01, 1.0, 1e9]), st.floats(1e-9, 1e9, allow_nan=False)
)


@settings(max_examples=300)
@given(MAGNITUDES, MAGNITUDES, st.sampled_from([1, 2, 3, 1000]), st.integers(1, 50), st.booleans())
@example(1 / 161, 161.0, 1, 1, True)
def test_theory_has_no_answer_that_is_not_a_number(
    mean: float, other: float, slots: int, users: int, exponential: bool
) -> None:
    """Whatever the magnitudes, and however close to saturation: 161 · (1/161) is one rounding below 1."""
    job = Sleep(Exponential(mean) if exponential else Constant(mean))
    for arrivals in (Poisson(other), Poisson(min(1e9, slots / mean)), Closed(users, Constant(other)), Closed(users)):
        for limit in (None, 0):
            for row in predict_figures(RunSpec(Workload(job, arrivals, jobs=1), Fifo(slots, limit))):
                assert math.isfinite(row.expected), row


@pytest.mark.parametrize(
    ("job", "arrivals", "scheduler", "model"),
    [
        pytest.param(Sleep(Exponential(0.01)), Poisson(80), Fifo(1), {"M/M/1"}, id="M/M/1"),
        pytest.param(Sleep(0.01), Poisson(80), Fifo(1), {"M/D/1"}, id="M/D/1"),
        pytest.param(Sleep(Gamma(0.01, 2)), Poisson(80), Fifo(1), {"M/G/1"}, id="M/G/1"),
        pytest.param(Sleep(0.01), Poisson(800), Fifo(4, 0), {"Erlang B"}, id="Erlang B, overload is no matter"),
        pytest.param(Sleep(Exponential(0.01)), Closed(5), Fifo(2), {"closed MVA"}, id="closed"),
        pytest.param(Sleep(Exponential(0.01)), Poisson(80), Lifo(1), set(), id="another discipline"),
        pytest.param(Sleep(Exponential(0.01)), Poisson(80), Fifo(), set(), id="no limit of slots"),
        pytest.param(Sleep(Exponential(0.01)), Poisson(80), Fifo(1, 5), set(), id="a limited queue"),
        pytest.param(Sleep(Exponential(0.01)), Poisson(100), Fifo(1), set(), id="no steady state"),
        pytest.param(Sleep(Gamma(0.01, 2)), Poisson(80), Fifo(2), set(), id="M/G/2 has no formula"),
        pytest.param(Sleep(Pareto(0.01, 1.5)), Poisson(80), Fifo(1), set(), id="no variance"),
        pytest.param(Sleep(Exponential(0.01)), ConstantRate(80), Fifo(1), set(), id="arrivals that are not Poisson"),
        pytest.param(Sleep(Constant(0.01)), Closed(5), Fifo(2), set(), id="closed, but not exponential"),
        pytest.param(Sleep(Exponential(1)), Closed(1_000_000), Fifo(2), {"closed MVA"}, id="a million users"),
        pytest.param(Faulty(Sleep(0.01), 0.1), Poisson(80), Fifo(1), set(), id="a wrapped job"),
        pytest.param(Sleep(0.01), AllAtOnce(), Fifo(1), set(), id="a batch"),
    ],
)
def test_only_textbook_models_are_predicted(
    job: JobSource, arrivals: Arrivals, scheduler: Scheduler, model: set[str]
) -> None:
    """And everything else has none."""
    spec = RunSpec(Workload(job, arrivals, jobs=10), scheduler)
    assert model == {prediction.model for prediction in predict_figures(spec)}
