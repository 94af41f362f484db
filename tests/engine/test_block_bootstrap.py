"""The bootstrap of blocks, against series and queues whose spread is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aurea_engine import Exponential, Fifo, Poisson, RunSpec, Sleep, Workload, simulate
from aurea_engine.studies.block_bootstrap import DRAWS, Blocks, choose_block_length, choose_row_size, sum_rows
from aurea_engine.studies.shifts import Shift, find_shift, judge_shifts, judge_whole


def ar1(phi: float, n: int, seed: int = 1) -> np.ndarray:  # type: ignore[type-arg]
    """A series in which each value is ``phi`` times the one before, and noise."""
    noise = np.random.Generator(np.random.PCG64(seed)).normal(size=n).tolist()
    values, value = [], 0.0
    for each in noise:
        value = phi * value + each
        values.append(value + 100)
    return np.array(values)


@pytest.mark.parametrize(("phi", "expected"), [(0.0, 27), (0.5, 38), (0.8, 84), (0.95, 225)])
def test_blocks_grow_with_the_autocorrelation(phi: float, expected: int) -> None:
    """Politis and White's rule for AR(1), worked out by hand from ``R(k) ∝ φᵏ``: G = 2φ/(1−φ)²·R, D = 4/3·((1+φ)/(1−φ)·R)²,
    hence (2G²/D)^⅓ n^⅓; never below n^⅓ = 27.
    """
    n = 20_000
    g, level = 2 * phi / (1 - phi) ** 2, (1 + phi) / (1 - phi)
    by_hand = max(27, (2 * g * g / (4 / 3 * level**2)) ** (1 / 3) * n ** (1 / 3))
    assert by_hand == pytest.approx(expected, rel=0.02)
    found = choose_block_length(ar1(phi, n))
    assert found.steady
    assert by_hand / 1.5 <= found.rows <= by_hand * 2.5


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_the_spread_is_that_of_theory(phi: float) -> None:
    """The standard error of the mean of AR(1) is 1/(1 − φ)/√n."""
    values = ar1(phi, 20_000)
    drawn = Blocks(len(values), choose_block_length(values).rows, 0, "test").draw({"x": values})["x"] * values.mean()
    assert drawn.std() == pytest.approx(1 / (1 - phi) / math.sqrt(len(values)), rel=0.2)
    assert drawn.mean() == pytest.approx(values.mean(), abs=4 * drawn.std() / math.sqrt(DRAWS))


def test_the_spread_of_a_queue_is_that_of_theory() -> None:
    """The mean wait of 100,000 customers of M/M/1 at ρ = 0.8 has a standard error of 1.406 ms, which is 9 times as much as
    for independent waits: √(ρ(2+5ρ−4ρ²+ρ³)/((1−ρ)⁴n))/μ.
    """
    found = []
    for seed in (1, 2, 3, 4):
        spec = RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(80), jobs=100_000), Fifo(slots=1), seed=seed)
        jobs = simulate(spec).jobs
        assert jobs is not None
        waits = sum_rows(jobs.waiting_ns, choose_row_size(len(jobs)))
        blocks = Blocks(len(waits), choose_block_length(waits).rows, 0, "test")
        found.append(float(blocks.draw({"x": waits})["x"].std() * jobs.waiting_ns.mean() / 1e6))
    assert np.mean(found) == pytest.approx(1.406, rel=0.25)


def test_few_blocks_have_the_tails_of_student() -> None:
    """Ten blocks: 2.26 standard errors to either side (t with 9 degrees), and not 1.96."""
    stretch = Blocks(100, 10, 0, "test").draw_stretch()
    normal = np.random.Generator(np.random.PCG64(2)).normal(size=DRAWS)
    half = np.quantile(np.abs(normal * stretch), 0.95)
    assert half == pytest.approx(2.262 * math.sqrt(10 / 9), rel=0.06)


def test_equal_blocks_draw_equal_rows() -> None:
    """What belongs together is drawn together."""
    values = ar1(0.5, 1000)
    one, other = (Blocks(1000, 20, 3, "pair").draw({"x": each})["x"] for each in (values, values * 2))
    assert np.allclose(one, other)
    assert not np.allclose(one, Blocks(1000, 20, 4, "pair").draw({"x": values})["x"])


@pytest.mark.parametrize("n", [1, 2, 5, 11, 100])
def test_short_and_flat_series_are_no_trouble(n: int) -> None:
    for values in (np.ones(n), np.zeros(n), np.arange(n, dtype=float)):
        length = choose_block_length(values)
        assert 1 <= length.rows <= max(1, n // 10)
        drawn = Blocks(n, length.rows, 0, "test").draw({"x": values})["x"]
        assert np.isfinite(drawn).all()


@pytest.mark.parametrize("n", [1, 19_999, 45_000, 1_000_003])
def test_rows_add_up(n: int) -> None:
    size = choose_row_size(n)
    rows = sum_rows(np.ones(n), size)
    assert rows.sum() == n
    assert len(rows) <= 40_000


def shift(low: float, high: float, figure: str = "response_time.mean") -> Shift:
    """A shift whose draws lie evenly between two bounds."""
    return Shift(figure, 1.0, 1.0, (low + high) / 2, np.linspace(low, high, DRAWS))


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.031, 0.2, "worse"),
        (-0.2, -0.031, "better"),
        (-0.029, 0.029, "same"),
        (0.02, 0.04, "inconclusive"),
        (-0.2, 0.2, "inconclusive"),
        (-0.04, 0.0, "inconclusive"),
    ],
)
def test_a_word_is_where_the_whole_interval_is(low: float, high: float, word: str) -> None:
    """The rule of the study; of throughput more is better."""
    assert [each.word for each in judge_shifts([shift(low, high)], 0.03, decides=True)] == [word]
    turned = {"worse": "better", "better": "worse"}.get(word, word)
    assert [each.word for each in judge_shifts([shift(low, high, "throughput")], 0.03, decides=True)] == [turned]


def test_many_figures_are_corrected_for() -> None:
    """Holm by hand: 2 % of the draws are within the bound. Alone that decides; beside an open one it does not, for 5 %/2 in
    two tails is 1.25 %; beside one that is decided it does again.
    """

    def doubtful(figure: str) -> Shift:
        return Shift(
            figure, 1, 1, 0.1, np.concatenate([np.full(DRAWS // 50, 0.0), np.linspace(0.05, 0.2, DRAWS * 49 // 50)])
        )

    names = ("response_time.mean", "response_time.p50")
    alone = judge_shifts([doubtful(names[0])], 0.03, decides=True)
    beside = judge_shifts([doubtful(names[0]), shift(-0.5, 0.5, names[1])], 0.03, decides=True)
    decided = judge_shifts([doubtful(names[0]), shift(0.1, 0.2, names[1])], 0.03, decides=True)
    assert [each.word for each in alone] == ["worse"]
    assert [each.word for each in beside] == ["inconclusive", "inconclusive"]
    assert [each.word for each in decided] == ["worse", "worse"]
    levels = [each.interval.level for each in decided if each.interval is not None]
    assert levels == pytest.approx([0.95, 0.975])


def test_the_whole_is_as_bad_as_its_worst_figure() -> None:
    """Worse, else inconclusive, else better, else same; nothing at all is inconclusive."""
    bounds = {"same": (-0.01, 0.01), "better": (-0.2, -0.1), "inconclusive": (-0.1, 0.1), "worse": (0.1, 0.2)}
    judged = {word: judge_shifts([shift(*ends)], 0.03, decides=True)[0] for word, ends in bounds.items()}
    for word, chosen in {
        "same": ["same"],
        "better": ["same", "better"],
        "inconclusive": ["same", "better", "inconclusive"],
        "worse": ["better", "inconclusive", "worse"],
    }.items():
        assert judge_whole([judged[each] for each in chosen]) == word
    assert judge_whole([]) == "inconclusive"


def test_a_shift_from_nothing_is_none() -> None:
    """But that of a failure ratio, which is a difference."""
    assert find_shift("cost_per_million", 0, 1, None, 0) is None
    found = find_shift("failure_ratio", 0, 0.25, None, 0)
    assert found is not None
    assert found.observed == 0.25
