"""Durations: what is drawn has the mean and spread that were stated, and a mean that does not exist is not claimed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aurea_engine import (
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Gamma,
    LogNormal,
    Mixture,
    Pareto,
    Uniform,
    Weighted,
)
from aurea_engine.testing import check_distribution

HYPER = Mixture((Weighted(9, Exponential(0.1)), Weighted(1, Exponential(2.0))))


@pytest.mark.parametrize(
    ("distribution", "mean", "scv"),
    [
        pytest.param(Constant(3), 3.0, 0.0, id="constant"),
        pytest.param(Constant(0), 0.0, 0.0, id="nothing"),
        pytest.param(Uniform(1, 3), 2.0, 1 / 12, id="uniform: (3 − 1)²/12 ÷ 2²"),
        pytest.param(Uniform(0, 0), 0.0, 0.0, id="uniform on one point"),
        pytest.param(Exponential(2), 2.0, 1.0, id="exponential"),
        pytest.param(Gamma(2, 0.5), 2.0, 0.25, id="gamma: cv²"),
        pytest.param(Gamma(2, 0), 2.0, 0.0, id="gamma without spread"),
        pytest.param(LogNormal(2, 1.5), 2.0, 2.25, id="log-normal: cv²"),
        pytest.param(LogNormal(2, 0), 2.0, 0.0, id="log-normal without spread"),
        pytest.param(Pareto(2, 3), 2.0, 1 / 3, id="Pareto: 1/(α(α − 2))"),
        pytest.param(Pareto(2, 2), 2.0, math.inf, id="Pareto without a variance"),
        pytest.param(HYPER, 0.29, (0.9 * 2 * 0.01 + 0.1 * 2 * 4) / 0.29**2 - 1, id="hyperexponential"),
        pytest.param(Mixture((Weighted(1, Constant(0)),)), 0.0, 0.0, id="a mixture of nothing"),
        pytest.param(Empirical((1, 2, 3)), 2.0, (2 / 3) / 4, id="measured values"),
        pytest.param(Empirical((0,)), 0.0, 0.0, id="measured zeros"),
    ],
)
def test_moments_are_those_of_textbooks(distribution: Distribution, mean: float, scv: float) -> None:
    """The mean within 6 standard errors, by the conformance check."""
    assert (mean, scv) == pytest.approx(tuple(distribution.moments()))
    check_distribution(distribution)


TINY = [5e-324, 1e-320, 1e-200, 1e-163]


@pytest.mark.parametrize("unit", TINY)
@pytest.mark.parametrize("zero", [False, True], ids=["alone", "beside 0"])
def test_tiny_times_have_moments(unit: float, zero: bool) -> None:
    """A finite mean, and a spread that is a number; down to the smallest number there is."""
    low = 0.0 if zero else unit
    for each in (
        Constant(unit),
        Uniform(low, unit),
        Empirical((low, unit)),
        Exponential(unit),
        Gamma(unit, 2),
        LogNormal(unit, 2),
        Pareto(unit, 2.5),
        Mixture((Weighted(1, Constant(low)), Weighted(1, Constant(unit)))),
        Mixture((Weighted(1, Exponential(unit)), Weighted(1e-300, Constant(1e9)))),
    ):
        mean, scv = each.moments()
        assert 0 <= mean <= 1e9
        assert 0 <= scv < math.inf
        assert (each.sample(np.random.default_rng(0), 100) >= 0).all()


def test_spread_does_not_depend_on_scale() -> None:
    """It has no unit; and where one branch has no variance, the mixture has none, however short its times."""
    assert Uniform(0, 1e-200).moments().scv == pytest.approx(1 / 3)
    assert Empirical((0, 1e-200)).moments().scv == pytest.approx(1)
    assert Mixture((Weighted(1, Constant(0)), Weighted(1, Constant(1e-200)))).moments().scv == pytest.approx(1)
    assert Mixture((Weighted(1, Pareto(5e-324, 1.5)), Weighted(1, Constant(1e9)))).moments().scv == math.inf


@pytest.mark.parametrize(
    ("distribution", "quantile"),
    [
        pytest.param(Uniform(1, 3), lambda q: 1 + 2 * q, id="uniform"),
        pytest.param(Exponential(2), lambda q: -2 * np.log(1 - q), id="exponential"),
        pytest.param(Pareto(3, 1.5), lambda q: (1 - q) ** (-1 / 1.5), id="Pareto with minimum 1"),
    ],
)
def test_draws_follow_the_distribution(distribution: Distribution, quantile) -> None:
    """Kolmogorov–Smirnov at 1 %: 1.63/√n of 20,000."""
    n = 20_000
    drawn = np.sort(distribution.sample(np.random.default_rng(2), n))
    q = np.arange(1, n + 1) / n
    inverse = np.searchsorted(drawn, quantile(q[:-1])) / n
    assert np.abs(inverse - q[:-1]).max() < 1.63 / math.sqrt(n)


def test_a_pareto_starts_at_its_minimum() -> None:
    """mean·(shape − 1)/shape; heavy tails make every sample's mean less than the true one most of the time."""
    drawn = Pareto(0.3, 1.5).sample(np.random.default_rng(3), 50_000)
    assert 0.1 <= drawn.min() < 0.1001


def test_a_bare_number_is_a_constant() -> None:
    """Wherever a distribution is wanted."""
    assert Weighted(1, Constant(2.0)) == Weighted(1, 2)  # type: ignore[arg-type]
