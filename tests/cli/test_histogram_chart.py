"""The chart of response times: it counts every job once, at round numbers, on any terminal."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from aurea_engine import LatencyHistogram
from aurea_server.cli.histogram_chart import MOST_ROWS, HistogramChart, bin_values, draw_bar


def histogram_of(ns: np.ndarray) -> LatencyHistogram:
    histogram = LatencyHistogram()
    histogram.record(ns.astype(np.int64))
    return histogram


SHAPES = {
    "exponential": lambda rng: rng.exponential(50e6, 5000),
    "lognormal with a tail": lambda rng: np.concatenate([rng.lognormal(0, 0.5, 5000) * 2e6, [1e9] * 3]),
    "nearly constant": lambda rng: 100e6 + rng.normal(0, 1e5, 1000),
    "all the same": lambda _: np.full(5, 1e6),
    "nothing at all": lambda _: np.zeros(3),
    "nanoseconds to centuries": lambda _: 10.0 ** np.arange(0, 18),
    "one": lambda _: np.array([123456789.0]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_value_is_in_one_bin(shape: str) -> None:
    """Against a count of the values themselves: a bound cuts within one bucket of the histogram, 1/128 of an octave."""
    values = SHAPES[shape](np.random.default_rng(3)).astype(np.int64)
    bins = bin_values(histogram_of(values))
    assert 1 <= len(bins) <= 20
    assert sum(each.count for each in bins) == len(values)
    assert [each.upper for each in bins] == sorted({each.upper for each in bins})
    below = np.cumsum([each.count for each in bins])
    for each, found in zip(bins[:-1], below, strict=False):
        assert (values / 1e9 <= each.upper / 1.01).sum() <= found <= (values / 1e9 <= each.upper * 1.01).sum()


def test_bounds_are_round_numbers() -> None:
    bins = bin_values(histogram_of(np.array([1.1e6, 3e6, 4.9e7])))
    assert [float(f"{each.upper:.2g}") for each in bins] == [pytest.approx(each.upper) for each in bins]
    assert len(bins) <= MOST_ROWS


@pytest.mark.parametrize(("share", "bar"), [(1, "████"), (0.5, "██"), (0, ""), (0.0001, "▏"), (0.3, "█▎")])
def test_bars_are_drawn_in_eighths(share: float, bar: str) -> None:
    """What is not nothing is never drawn as nothing."""
    assert draw_bar(share, 4) == bar


@pytest.mark.parametrize("width", [20, 31, 40, 60, 80, 200])
def test_no_figure_is_cut(width: int) -> None:
    """On a narrow terminal the bars give way; counts and shares stay whole. One in ten thousand does not read as none."""
    values = np.concatenate([np.full(9999, 1e6), [1e9]])
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(HistogramChart(histogram_of(values)), crop=False)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "response time"
    assert lines[1].endswith("9,999  100.0 %")
    assert lines[-1].split()[-3:] == ["1", "<0.1", "%"]
    if width >= 40:
        assert max(map(len, lines)) <= width
        assert "█" in lines[1]
