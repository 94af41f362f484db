"""Quantiles by their definition, intervals by their coverage, and the refusal to say what a sample cannot carry."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import Exponential, Fifo, Poisson, RunSpec, Sleep, Workload, simulate
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.quantiles import QUANTILES, count_samples_needed, find_rank
from aurea_engine.results.statistics import (
    BATCHES,
    estimate_mean_interval,
    find_quantile,
    find_quantile_interval,
    find_quantile_ranks,
    find_warmup_mser5,
    integrate_jobs_in_system,
    summarize_histogram,
    summarize_values,
)

SECOND = 1_000_000_000


def seconds(*values: float) -> np.ndarray:
    return np.rint(np.array(values) * SECOND).astype(np.int64)


def test_quantiles_of_1_to_100() -> None:
    """The smallest x with F(x) ≥ q: p10 is 10, p50 50, p99 99, p99.9 100."""
    ranks = [find_rank(q, 100) for q in (0.1, 0.5, 0.9, 0.95, 0.99, 0.999)]
    assert ranks == [10, 50, 90, 95, 99, 100]
    assert summarize_values(seconds(*range(1, 101))).p50 == 50.0


@given(st.integers(1, 5000), st.sampled_from([0.001, 0.05, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999]))
def test_rank_is_smallest_reaching_q(n: int, q: float) -> None:
    """Against exact fractions: 0.7 of 10 is 7, whatever 0.7·10 is in floating point."""
    share = Fraction(str(q))
    expected = next(r for r in range(max(1, math.floor(share * n)), n + 1) if Fraction(r, n) >= share)
    assert expected == find_rank(q, n)


def test_a_point_mass_is_a_point_mass() -> None:
    """0.4 ms comes back as 0.4 ms, and has no spread."""
    timing = summarize_values(np.full(5000, 400_000))
    assert {0.0004} == {
        timing.mean,
        timing.min,
        timing.max,
        timing.p50,
        timing.p90,
        timing.p95,
        timing.p99,
        timing.p999,
    }
    assert timing.std == 0.0


@pytest.mark.parametrize(("q", "needed"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_quantile_needs_enough_jobs(q: float, needed: int) -> None:
    """The n-th power of q is at most 0.05: fewer values, and the answer is None."""
    assert needed == count_samples_needed(q)
    assert q**needed <= 0.05 < q ** (needed - 1)
    ordered = seconds(*range(1, needed + 1))
    assert find_quantile(ordered, q) is not None
    assert find_quantile(ordered[1:], q) is None


def test_no_values_have_no_figures() -> None:
    """None throughout, and never 0."""
    for timing in (summarize_values(np.empty(0, np.int64)), summarize_histogram(LatencyHistogram())):
        assert timing.count == 0
        assert {None} == {timing.mean, timing.std, timing.min, timing.max, *map(timing.quantile, QUANTILES)}


def test_one_value_has_a_mean_and_no_quantile() -> None:
    """Nor a standard deviation, which takes two, nor an interval."""
    histogram = LatencyHistogram()
    histogram.record(seconds(2.5))
    for timing in (summarize_values(seconds(2.5)), summarize_histogram(histogram)):
        assert (
            timing.mean, timing.std, timing.min, timing.max, timing.p50, timing.mean_interval,
        ) == (2.5, None, 2.5, 2.5, None, None)  # fmt: skip


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=40))
def test_mean_and_deviation_of_textbooks(ns: list[int]) -> None:
    """In exact arithmetic, n − 1 in the denominator; adding 1e6 s to each value leaves the deviation as it was."""
    timing, far = summarize_values(np.array(ns)), summarize_values(np.array(ns) + 10**15)
    mean = Fraction(sum(ns), len(ns))
    variance = sum((value - mean) ** 2 for value in ns) / (len(ns) - 1)
    assert float(mean) / 1e9 == pytest.approx(timing.mean)
    assert math.sqrt(variance) / 1e9 == pytest.approx(timing.std, rel=1e-6, abs=1e-9)
    assert timing.std == pytest.approx(far.std, rel=1e-6, abs=1e-9)


def test_sums_beyond_64_bits_are_right() -> None:
    """Forty values of 29 years."""
    timing = summarize_values(np.full(40, 9 * 10**17))
    assert (timing.mean, timing.std) == (9e8, 0.0)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [400, 1501])
def test_quantile_intervals_cover_the_truth(q: float, n: int) -> None:
    """Order statistics are conservative, so of T samples at least 95 % cover: T·0.95 − 4·√(T·0.95·0.05) of 600 or more."""
    rng, trials, covered = np.random.default_rng(5), 600, 0
    truth = -math.log(1 - q)
    for _ in range(trials):
        found = find_quantile_interval(np.sort(np.rint(rng.exponential(1, n) * SECOND).astype(np.int64)), q)
        covered += found is None or found.low <= truth <= found.high
    assert covered >= trials * 0.95 - 4 * math.sqrt(trials * 0.95 * 0.05)


def test_quantile_interval_is_tight() -> None:
    """The ranks for the median of 100 values: 40 and 61 (David and Nagaraja, Order Statistics, table: coverage 0.9648)."""
    found = find_quantile_interval(seconds(*range(1, 101)), 0.5)
    assert found is not None
    assert (found.low, found.high) == (40.0, 61.0)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9, 0.95, 0.99, 0.999])
def test_interval_begins_with_enough_values(q: float) -> None:
    """Of n values one bounds the quantile from each side, with 97.5 %, as soon as max(q, 1 − q)ⁿ ≤ 0.025."""
    n = math.ceil(math.log(0.025) / math.log(max(q, 1 - q)))
    assert find_quantile_interval(np.arange(n - 1), q) is None
    assert find_quantile_interval(np.arange(n), q) is not None


def test_a_quantile_too_far_out_has_no_interval() -> None:
    """p99 of 300 values can be told, but nothing bounds it from above."""
    timing = summarize_values(np.arange(300))
    assert timing.p99 is not None
    assert {"p50", "p90", "p95"} == {name for name, _ in timing.intervals}


def test_mean_intervals_cover_the_truth() -> None:
    """30 batch means of independent values are near normal, so a t-interval covers 95 %: within 4·√(T·0.95·0.05)."""
    rng, trials, covered = np.random.default_rng(8), 800, 0
    for _ in range(trials):
        found = estimate_mean_interval(np.rint(rng.exponential(1, 1500) * SECOND).astype(np.int64))
        assert found is not None
        covered += found.low <= 1 <= found.high
    assert abs(covered - trials * 0.95) <= 4 * math.sqrt(trials * 0.95 * 0.05)


def test_wait_intervals_know_correlation() -> None:
    """M/M/1 at ρ 0.5, 30,000 waits, true mean 10 ms: batch means cover at least 85 % of 60 runs (they end a little short of
    95 % while batches are still correlated; 60·0.9 − 4·√(60·0.9·0.1) is 44.7). The plain standard error covers under 60 %.
    """
    covered = naive = 0
    for seed in range(60):
        spec = RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(50), jobs=30_000), Fifo(1), seed=seed)
        timing = simulate(spec).waiting_time
        assert timing.mean_interval is not None
        assert timing.mean is not None
        assert timing.std is not None
        covered += timing.mean_interval.low <= 0.010 <= timing.mean_interval.high
        naive += abs(timing.mean - 0.010) <= 1.96 * timing.std / math.sqrt(timing.count)
    assert covered >= 45
    assert naive < 36


def test_few_values_have_no_mean_interval() -> None:
    """Thirty batches of two are the least."""
    assert estimate_mean_interval(np.arange(2 * BATCHES - 1)) is None
    assert estimate_mean_interval(np.arange(2 * BATCHES)) is not None


def test_mser_cuts_the_rise_at_the_beginning() -> None:
    """A transient of 400 values that starts at 10 and decays, then noise about 1: the cut lies in it, or little after it."""
    rng = np.random.default_rng(3)
    values = 1 + rng.normal(0, 0.1, 5_000)
    values[:400] += 10 * np.exp(-np.arange(400) / 80)
    assert 200 <= find_warmup_mser5(seconds(*values)) <= 700


def test_mser_leaves_a_steady_sample_nearly_whole() -> None:
    """Noise alone: less than a tenth is cut."""
    values = 1 + np.random.default_rng(4).normal(0, 0.1, 5_000)
    assert find_warmup_mser5(seconds(*values)) < 500


def test_mser_finds_no_false_steady_state() -> None:
    """A straight rise: the answer is the whole sample."""
    assert find_warmup_mser5(seconds(*np.linspace(0, 100, 5_000))) == 5_000


def test_mser_says_nothing_of_a_handful() -> None:
    """Fewer than ten groups of five."""
    assert find_warmup_mser5(seconds(*range(49))) == 0


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=30))
def test_area_is_sum_of_times_in_system(jobs: list[tuple[int, int]]) -> None:
    """Little's law on any sample path, also when the sums leave 64 bits."""
    for scale in (1, 10**14):
        arrived = np.array([a for a, _ in jobs], np.int64) * scale
        ended = np.array([a + d for a, d in jobs], np.int64) * scale
        assert sum(d for _, d in jobs) * scale == integrate_jobs_in_system(arrived, ended)


def test_histogram_figures_within_error() -> None:
    """0.4 % for quantiles; count, mean, deviation and extremes exactly."""
    ns = np.rint(np.random.default_rng(2).lognormal(0, 1, 50_000) * SECOND).astype(np.int64)
    histogram = LatencyHistogram()
    histogram.record(ns)
    exact, rough = summarize_values(ns), summarize_histogram(histogram)
    assert (exact.count, exact.min, exact.max) == (rough.count, rough.min, rough.max)
    assert exact.mean == pytest.approx(rough.mean)
    assert exact.std == pytest.approx(rough.std)
    for name in QUANTILES:
        assert exact.quantile(name) == pytest.approx(rough.quantile(name), rel=0.004)
    assert (exact.exact, rough.exact) == (True, False)
    assert rough.mean_interval is None


@given(st.integers(1, 400), st.sampled_from([0.01, 0.1, 0.37, 0.5, 0.9, 0.99]))
def test_ranks_about_a_quantile_are_tight(n: int, q: float) -> None:
    """P(fewer than ``low`` values at or below it) and P(``high`` or more below it) are at most 5 %, by exact sums."""

    def below(k: int) -> float:
        """P(Binomial(n, q) ≤ k)"""
        return sum(math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k + 1))

    low, high = find_quantile_ranks(n, q, 0.05)
    assert below((low or 0) - 1) <= 0.05 + 1e-9
    assert below(low or 0) > 0.05 - 1e-9
    assert below(n - 1 if high is None else high - 2) < 0.95 + 1e-9
    assert high is None or below(high - 1) >= 0.95 - 1e-9


@given(st.lists(st.integers(0, 50), min_size=1, max_size=3000), st.integers(1, 3000))
def test_partly_ordered_values_are_enough(few: list[int], repeated: int) -> None:
    """A table reads some twenty values of a sample, with many ties too, and they are those of the sample in order."""
    values = np.array(few * (1 + repeated % 7), np.int64)
    ordered = np.sort(values)
    timing = summarize_values(values, 1)
    assert (timing.min, timing.max) == (ordered[0], ordered[-1])
    assert [timing.quantile(name) for name in QUANTILES] == [find_quantile(ordered, q, 1) for q in QUANTILES.values()]
    expected = {name: find_quantile_interval(ordered, q, 1) for name, q in QUANTILES.items()}
    assert dict(timing.intervals) == {name: interval for name, interval in expected.items() if interval is not None}
