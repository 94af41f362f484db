"""The histogram: exact where it says exact, and within its stated error where it does not."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import LatencyHistogram
from aurea_engine.records.histogram import LE_EXPONENTS, RELATIVE_ERROR, buckets_of, value_of

SECOND = 1_000_000_000
durations = st.lists(st.integers(0, 2**62), max_size=60)


def of(*ns: int) -> LatencyHistogram:
    histogram = LatencyHistogram()
    histogram.record(np.array(ns, np.int64))
    return histogram


def content(histogram: LatencyHistogram) -> dict[str, object]:
    return {**histogram.to_dict(), "shift_ns": 0, "squares": 0, "variance": histogram.variance}


def true_quantile(ns: list[int], q: float) -> int:
    """The smallest x with F(x) ≥ q, by the definition and in exact arithmetic."""
    ordered = sorted(ns)
    share = Fraction(q).limit_denominator(10**6)
    return next(x for i, x in enumerate(ordered, 1) if Fraction(i, len(ordered)) >= share)


@given(durations)
def test_counts_to_powers_of_two_are_exact(ns: list[int]) -> None:
    """Prometheus' buckets are counts of values ≤ 2ᵏ s; compared in whole numbers, as 2ᵏ·10⁹ ns."""
    expected = [sum(value <= Fraction(2) ** k * SECOND for value in ns) for k in LE_EXPONENTS]
    shown = of(*ns).le_counts()
    assert expected == [count for _, count in shown]
    assert [2.0**k for k in LE_EXPONENTS] == [bound for bound, _ in shown]


@pytest.mark.parametrize("k", range(-9, 8))
def test_neighbours_of_powers_of_two(k: int) -> None:
    """2ᵏ s itself is inside the bucket that it bounds; one nanosecond more is not."""
    bound = round(2.0**k * SECOND)
    counts = dict(of(bound - 1, bound, bound + 1).le_counts())
    assert counts[2.0**k] == 2


@given(durations, durations)
def test_merging_is_the_histogram_of_both(left: list[int], right: list[int]) -> None:
    """Every figure, the variance too, is what all the values together would have made."""
    merged = of(*left)
    merged.merge(of(*right))
    assert content(of(*left, *right)) == content(merged)


@given(durations)
def test_a_copy_is_independent(ns: list[int]) -> None:
    """What the copy records later is not the original's."""
    histogram = of(*ns)
    before, twin = content(histogram), histogram.copy()
    assert before == content(twin)
    twin.record(np.array([5], np.int64))
    assert before == content(histogram)


@given(durations)
def test_histogram_survives_json(ns: list[int]) -> None:
    """To a dict and back, through text."""
    histogram = of(*ns)
    read = LatencyHistogram.from_dict(json.loads(json.dumps(histogram.to_dict(), allow_nan=False)))
    assert histogram.to_dict() == read.to_dict()


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=50))
def test_variance_ignores_a_large_offset(ns: list[int]) -> None:
    """It is the sample variance in exact arithmetic, to the last bit of a float, however large the values are."""
    n = len(ns)
    mean = Fraction(sum(ns), n)
    exact = sum((value - mean) ** 2 for value in ns) / (n - 1) / SECOND**2
    far = 10**9 * SECOND
    assert pytest.approx(float(exact), rel=1e-12) == of(*ns).variance
    assert of(*ns).variance == of(*(value + far for value in ns)).variance


@given(durations.filter(bool))
def test_count_sum_mean_min_max_are_exact(ns: list[int]) -> None:
    """In whole nanoseconds."""
    histogram = of(*ns)
    assert (len(ns), sum(ns), min(ns), max(ns)) == (
        histogram.count, histogram.total, histogram.minimum, histogram.maximum,
    )  # fmt: skip
    assert sum(ns) / len(ns) / 1e9 == pytest.approx(histogram.mean)
    assert sum(ns) / 1e9 == pytest.approx(histogram.total_seconds)


@given(st.lists(st.integers(1, 2**62), min_size=1, max_size=60), st.sampled_from([0.001, 0.1, 0.5, 0.9, 0.99, 0.999]))
def test_quantiles_are_within_stated_error(ns: list[int], q: float) -> None:
    """½·1/128 = 0.39 % relative."""
    expected = true_quantile(ns, q) / 1e9
    assert abs(of(*ns).quantile(q) - expected) <= RELATIVE_ERROR * expected * (1 + 1e-9)


def test_log_uniform_values_within_error() -> None:
    """From 1 µs to 100 s; the sample's own quantiles are the oracle."""
    ns = np.rint(10 ** np.random.default_rng(1).uniform(3, 11, 1_000_000)).astype(np.int64)
    histogram = LatencyHistogram()
    for part in np.array_split(ns, 7):
        histogram.record(part)
    ordered = np.sort(ns)
    for q in [*np.linspace(0.001, 0.999, 333), 0.9999, 0.99999]:
        exact = ordered[math.ceil(q * len(ordered) - 1e-6) - 1] / 1e9
        assert abs(histogram.quantile(float(q)) - exact) <= RELATIVE_ERROR * exact


@pytest.mark.parametrize("ns", [0, 1, 400_000, SECOND, 3_141_592_653, 2**62])
def test_a_point_mass_comes_back_as_itself(ns: int) -> None:
    """0.4 ms is 0.4 ms at every quantile, and not the middle of a bucket."""
    histogram = of(*[ns] * 9)
    assert {ns / 1e9} == {histogram.quantile(q) for q in (0.001, 0.5, 0.999)}


@given(st.integers(1, 2**62))
def test_values_lie_in_their_buckets(ns: int) -> None:
    """The middle of its bucket is never further than the relative error."""
    middle = value_of(int(buckets_of(np.array([ns]))[0]))
    assert abs(middle - ns / 1e9) <= RELATIVE_ERROR * ns / 1e9 * (1 + 1e-9)


def test_buckets_keep_the_order() -> None:
    """Buckets are monotone across octaves."""
    ns = np.unique(np.rint(np.logspace(0, 18, 20_000)).astype(np.int64))
    assert (np.diff(buckets_of(ns)) >= 0).all()


def test_count_above_is_certain() -> None:
    """Exact at powers of two; elsewhere values in the bound's own bucket are given the benefit of the doubt."""
    histogram = of(SECOND, SECOND + 1, 2 * SECOND, 2 * SECOND + 1, 3 * SECOND)
    assert histogram.count_above(1.0) == 4
    assert histogram.count_above(2.0) == 2
    assert histogram.count_above(3.0) == 0
    assert histogram.count_above(0.0) == 5


def test_empty_histogram_has_no_quantiles() -> None:
    """Nothing is ever made up."""
    empty = LatencyHistogram()
    empty.record(np.empty(0, np.int64))
    empty.merge(LatencyHistogram())
    assert (empty.count, empty.variance) == (0, 0.0)
    with pytest.raises(ValueError, match="no quantiles"):
        empty.quantile(0.5)


@pytest.mark.parametrize("seconds", [9.3e9, 1e12, 1e15])
def test_nothing_is_above_what_a_duration_can_hold(seconds: float) -> None:
    """292 years are the most that int64 nanoseconds hold; a bound beyond them is a bound all the same."""
    histogram = LatencyHistogram()
    histogram.record(np.array([0, 10**9, 2**63 - 1]))
    assert histogram.count_above(seconds) == 0


@given(values=st.lists(st.integers(0, 2**62), min_size=1), cuts=st.lists(st.integers(0, 20), max_size=3))
def test_memory_for_octaves_changes_nothing(values: list[int], cuts: list[int]) -> None:
    """However the octaves came to have memory, batch after batch or by merging: the same values, the same answers."""
    whole, pieces = of(*values), LatencyHistogram()
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    for first, last in pairwise(edges):
        piece = LatencyHistogram()
        piece.record(np.array(values[first:last], np.int64))
        pieces.merge(piece)
    assert pieces == whole
    assert pieces.le_counts() == whole.le_counts()
    assert LatencyHistogram.from_dict(whole.to_dict()) == whole
    assert sum(np.array(whole.to_dict()["counts"])) == len(values)


def test_a_narrow_histogram_is_small() -> None:
    """A thousand groups have thousands of them."""
    narrow = of(*range(10**6, 2 * 10**6, 1000), 0)
    assert narrow._counts.nbytes <= 3 * 128 * 8


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(1, 40)), min_size=1, max_size=8))
def test_values_alike_count_as_any_others(runs: list[tuple[int, int]]) -> None:
    """A batch of equal durations has a way of its own, and the histogram is that of the same values one after another."""
    batches = [np.full(count, ns, np.int64) for ns, count in runs]
    at_once, in_turn = LatencyHistogram(), LatencyHistogram()
    for batch in batches:
        in_turn.record(batch)
    at_once.record(np.concatenate(batches))
    assert in_turn == at_once
    assert (in_turn.mean, in_turn.variance) == (at_once.mean, at_once.variance)
