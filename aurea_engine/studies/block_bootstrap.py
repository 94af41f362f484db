"""The moving-block bootstrap: how far the figures of one run may be off, where neighbouring jobs are alike.

Jobs that wait in one queue are no independent sample. A job that waits long is followed by others that wait long, and at
80 % load the textbook standard error of a mean wait is several times too small. So not single jobs are drawn again, with
replacement, but *blocks* of neighbours: inside a block everything is as it was in the run (Künsch 1989; Liu and Singh 1992).
Blocks are taken around a circle, so that the first and the last jobs are drawn as often as all others (Politis and Romano
1992).

**Length of a block.** Long enough that what it cuts apart does not matter, and short enough that there are many.

1. The rule of Politis and White (2004), as corrected by Patton, Politis and White (2009), for circular blocks: with the
   autocovariances R(k) and the flat-top window λ up to lag M,
   ``G = Σ λ(k/M)·|k|·R(k)``, ``D = 4/3·(Σ λ(k/M)·R(k))²``, and ``length = (2G²/D)^⅓ · n^⅓``. M is twice the lag after which
   all correlations are within ``2·√(log₁₀ n/n)``. It is at least n^⅓.
2. It grows with what autocorrelation is left: while the means of neighbouring blocks are still correlated by more than
   ``2/√blocks``, the length doubles, until there would be fewer than `FEWEST` blocks. A run that gets there has no steady
   state to speak of, and it is said.

**Few blocks** make intervals that are too narrow, as a normal quantile does in place of Student's t. So the distance of
every draw from the observed value is stretched by ``√(B/(B−1)) · √((B−1)/χ²)``, which makes a normal distribution into
Student's t with B − 1 degrees of freedom (the reason for the "expanded percentile interval" of Hesterberg, *The American
Statistician* 2015).

**Speed.** Neighbouring jobs are added up to at most some 20,000 rows first, and the sum of a block is the difference of two
running sums. So 5,000 draws of a million jobs take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aurea_engine.records.batch import Column, Floats
from aurea_engine.workload.streams import Streams

DRAWS = 5_000
"""Bootstrap draws. The farthest tail that is read, 0.3 % under the correction for eight figures, has sixteen of them."""

ROWS = 20_000
"""Rows of sums, from so many to twice as many where there are more jobs."""

FEWEST = 10
"""Blocks of a run: with fewer, intervals are so wide that nothing is decided."""

_MOST_BLOCKS = 1_000
_AT_ONCE = 2**21
"""Numbers that are gathered at a time: it bounds the memory."""


def sum_rows(column: Column, size: int) -> Floats:
    """Sums of ``size`` neighbours each; the last row may be of fewer."""
    numbers = np.asarray(column, float)
    return numbers if size == 1 else np.add.reduceat(numbers, np.arange(0, len(numbers), size))


def choose_row_size(n: int) -> int:
    """How many neighbours a row adds up, of ``n``."""
    return max(1, n // ROWS)


@dataclass(frozen=True)
class BlockLength:
    """In rows. ``steady``: whether blocks of this length are no longer alike."""

    rows: int
    steady: bool = True


def limit_length(rows: int, n: int) -> int:
    """``rows``, or the longest block that leaves `FEWEST` of them in ``n`` rows, if that is less."""
    return min(rows, max(1, n // FEWEST))


def choose_block_length(values: Floats) -> BlockLength:
    """The length of a block for a series in order of time, by the rule above."""
    n = len(values)
    most = limit_length(n, n)
    least = max(round(n ** (1 / 3)), -(-n // _MOST_BLOCKS), 1)
    length = min(max(_find_politis_white(values), least), most)
    # With twenty blocks or more their correlation can be told from chance, and there is room for longer ones.
    while n // length >= 2 * FEWEST and _are_alike(values, length):
        length *= 2
    return BlockLength(min(length, most), steady=not _are_alike(values, min(length, most)))


def _are_alike(values: Floats, length: int) -> bool:
    """Whether the means of neighbouring blocks are correlated by more than chance."""
    blocks = len(values) // length
    means = values[: blocks * length].reshape(blocks, length).mean(axis=1)
    means = means - means.mean()
    spread = float(np.square(means).sum())
    if blocks < 4 or spread <= 0:
        return False
    return bool(float((means[1:] * means[:-1]).sum()) / spread > 2 / np.sqrt(blocks))


def _find_politis_white(values: Floats) -> int:
    """The length that is best for the variance of the mean; 1 for a series without spread."""
    n = len(values)
    covariances = _find_autocovariances(values, min(n - 1, int(3 * np.sqrt(n)) + 5))
    if covariances[0] <= 0:
        return 1
    window = 2 * _find_last_lag(covariances / covariances[0], n)
    lags = np.arange(1, min(window, len(covariances) - 1) + 1)
    weights = np.clip(2 * (1 - lags / max(window, 1)), 0, 1)
    weighted = weights * covariances[1 : len(lags) + 1]
    # Lags of both signs count, and R(−k) = R(k).
    g, level = 2 * float((lags * weighted).sum()), float(covariances[0] + 2 * weighted.sum())
    if level <= 0:
        return 1
    return int(np.ceil((2 * g**2 / (4 / 3 * level**2)) ** (1 / 3) * n ** (1 / 3)))


def _find_last_lag(correlations: Floats, n: int) -> int:
    """The lag after which five or more correlations in a row are no more than chance; the last if there is none."""
    in_a_row = max(5, int(np.sqrt(np.log10(n))))
    small = np.abs(correlations[1:]) < 2 * np.sqrt(np.log10(n) / n)
    runs = np.convolve(small, np.ones(in_a_row), "valid") == in_a_row
    return max(1, int(np.argmax(runs))) if runs.any() else len(small)


def _find_autocovariances(values: Floats, most: int) -> Floats:
    """R(0) … R(most), by the Fourier transform: a sum for each lag would take quadratic time."""
    n = len(values)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(values - values.mean(), size)
    return np.asarray(np.fft.irfft(np.square(np.abs(spectrum)), size)[: most + 1] / n)


@dataclass(frozen=True)
class Blocks:
    """Draws of blocks of ``length`` out of ``rows`` rows. Equal ones draw the same rows: runs whose jobs belong together in
    pairs are drawn in pairs.
    """

    rows: int
    length: int
    seed: int
    purpose: str

    @property
    def count(self) -> int:
        """Blocks in a draw: enough to be as long as the run."""
        return -(-self.rows // self.length)

    def draw(self, columns: Mapping[str, Floats]) -> dict[str, Floats]:
        """For each column its sum over every draw, relative to its sum over the run: 1 on average; 1 for a sum of 0."""
        rng = Streams(self.seed).rng(f"{self.purpose} blocks")
        sums = {name: _sum_blocks(column, self.length) for name, column in columns.items()}
        drawn = {name: np.empty(DRAWS) for name in columns}
        step = max(1, _AT_ONCE // self.count)
        for begin in range(0, DRAWS, step):
            end = min(begin + step, DRAWS)
            starts = rng.integers(0, self.rows, (end - begin, self.count))
            for name, at_start in sums.items():
                drawn[name][begin:end] = at_start[starts].sum(axis=1)
        # A draw is a little longer than the run, where the length does not go into the rows.
        longer = self.count * self.length / self.rows
        return {name: _relate(each, float(columns[name].sum()) * longer) for name, each in drawn.items()}

    def draw_stretch(self) -> Floats:
        """For each draw the factor that turns normal deviations into those of Student's t."""
        degrees = max(self.count - 1, 1)
        rng = Streams(self.seed).rng(f"{self.purpose} stretch")
        return np.asarray(np.sqrt(self.count / degrees) * np.sqrt(degrees / rng.chisquare(degrees, DRAWS)))


def _sum_blocks(column: Floats, length: int) -> Floats:
    """The sum of the block that begins at each row; the last ones go on with the first rows."""
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([column, column[: length - 1]]))])
    return np.asarray(running[length:] - running[:-length])


def _relate(drawn: Floats, whole: float) -> Floats:
    return drawn / whole if whole else np.ones(len(drawn))
