"""Quantiles of Student's t, beside the tables."""

from __future__ import annotations

import math

import pytest

from aurea_engine.results.statistics import T_29
from aurea_engine.results.student_t import ONE_SIDED, TWO_SIDED, find_t

# Abramowitz and Stegun, *Handbook of Mathematical Functions*, table 26.10.
TABLE = {1: (6.314, 12.706), 2: (2.920, 4.303), 3: (2.353, 3.182), 4: (2.132, 2.776), 5: (2.015, 2.571)}
TABLE |= {9: (1.833, 2.262), 10: (1.812, 2.228), 29: (1.699, 2.045), 60: (1.671, 2.000), 120: (1.658, 1.980)}


@pytest.mark.parametrize(("degrees", "points"), TABLE.items())
def test_quantiles_are_those_of_the_table(degrees: int, points: tuple[float, float]) -> None:
    assert find_t(degrees, ONE_SIDED) == pytest.approx(points[0], abs=6e-4)
    assert find_t(degrees, TWO_SIDED) == pytest.approx(points[1], abs=6e-4)


def test_closed_forms_of_one_and_two_degrees() -> None:
    """One degree is Cauchy's distribution, and two have a square root: t = (2p − 1) √(2 / (4p (1 − p)))."""
    for level in (0.6, 0.9, 0.975, 0.9999):
        assert find_t(1, level) == pytest.approx(math.tan(math.pi * (level - 0.5)), rel=1e-10)
        assert find_t(2, level) == pytest.approx((2 * level - 1) * math.sqrt(2 / (4 * level * (1 - level))), rel=1e-10)


def test_median_limit_and_the_batch_means_of_a_run() -> None:
    assert find_t(7, 0.5) == pytest.approx(0, abs=1e-9)
    assert find_t(29) == pytest.approx(T_29, abs=1e-6)
    assert find_t(5000) == pytest.approx(1.959964, abs=1e-3)


@pytest.mark.parametrize(("degrees", "level"), [(0, 0.975), (3, 1.0), (3, 0.4)])
def test_no_quantile_is_refused(degrees: int, level: float) -> None:
    with pytest.raises(ValueError, match="no such quantile"):
        find_t(degrees, level)
