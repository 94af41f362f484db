"""A figure over replications: mean, interval, spread, and which replications are far from the others."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from aurea_engine.studies.figure_spread import find_interval, name_outlying, spread_figure


def numbered(*values: float | None) -> dict[int, float | None]:
    return dict(enumerate(values, start=1))


def test_interval_is_student_t() -> None:
    """A worked example: ten values with mean 5.02 and deviation 0.1619; t with 9 degrees is 2.262."""
    values = [4.9, 5.1, 5.0, 4.8, 5.2, 5.3, 4.9, 5.0, 5.1, 4.9]
    spread = spread_figure("throughput", numbered(*values))
    assert spread is not None
    assert (spread.mean, spread.std) == (pytest.approx(5.02), pytest.approx(statistics.stdev(values)))
    assert (spread.min, spread.max) == (4.8, 5.3)
    assert spread.interval is not None
    half = 2.262157 * statistics.stdev(values) / math.sqrt(10)
    assert spread.interval.low == pytest.approx(5.02 - half, rel=1e-6)
    assert spread.half_width == pytest.approx(half / 5.02, rel=1e-6)


def test_one_replication_has_no_interval() -> None:
    spread = spread_figure("throughput", numbered(3.0))
    assert spread is not None
    assert (spread.mean, spread.interval, spread.std, spread.half_width) == (3.0, None, None, None)


def test_figure_that_some_do_not_have_is_left_out() -> None:
    """A mean over those that have a p999 would be one of the replications with the most jobs."""
    assert spread_figure("response_time.p999", numbered(1.0, None, 1.2)) is None
    assert spread_figure("goodput", {}) is None


def test_interval_does_not_reach_below_zero() -> None:
    interval = find_interval([0.0, 0.0, 0.9])
    assert interval is not None
    assert interval.low == 0.0
    assert interval.high > 0.9


def test_sum_does_not_depend_on_the_order() -> None:
    values = [float(x) for x in np.random.default_rng(1).exponential(1, 50)]
    assert find_interval(values) == find_interval(values[::-1])


def test_outlying_replication_is_named() -> None:
    """One of ten that is 30 deviations away; without it none."""
    normal = [1.0, 1.02, 0.98, 1.01, 0.99, 1.03, 0.97, 1.0, 1.01]
    assert name_outlying(dict(enumerate([*normal, 1.8], start=1))) == (10,)
    assert name_outlying(dict(enumerate(normal, start=1))) == ()


def test_outlier_cannot_be_told_of_few_or_equal_ones() -> None:
    assert name_outlying({1: 1.0, 2: 1.0, 3: 1.1, 4: 9.0}) == ()
    assert name_outlying({1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 9.0}) == ()


@pytest.mark.parametrize("n", [5, 8, 10, 20, 50])
def test_false_alarms_are_as_rare_as_documented(n: int) -> None:
    """Of normal values with nothing wrong, at most 4 of 100 samples have an outlier, and two deviations more."""
    draws = np.random.default_rng(n).standard_normal((1000, n))
    alarms = sum(bool(name_outlying(dict(enumerate(row.tolist())))) for row in draws)
    assert alarms <= 40 + 2 * math.sqrt(1000 * 0.04 * 0.96)
