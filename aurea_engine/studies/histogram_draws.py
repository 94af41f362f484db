"""Draws of the figures of a run whose records are gone: what histograms, and the series beside them, still tell.

A histogram has forgotten in which order jobs came, and so how alike neighbours were. What is left of that:

- The interval of the mean that was worked out while the records were there (30 batch means), which is in the result. How
  many times wider it is than for independent jobs is how much wider every interval is.
- Else the number of jobs in the system at the end of each bin of the series: by Little's law its mean is the arrival rate
  times the mean response time. A sample of it every second says less than all of it, so the interval is wider.
- Neither: then no interval is honest, and the figure is inconclusive.

What it costs, beside the wider intervals: quantiles are within 0.4 %, which is added to their intervals; and a bill cannot
be divided among jobs, so its interval takes the spread of service times and that of throughput together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from aurea_engine.records.batch import Floats
from aurea_engine.records.histogram import RELATIVE_ERROR, LatencyHistogram, value_of
from aurea_engine.records.series import Point
from aurea_engine.results.comparison import Remark
from aurea_engine.results.result import RunResult
from aurea_engine.results.statistics import BATCHES, T_29, Timing
from aurea_engine.studies.block_bootstrap import DRAWS, Blocks, choose_block_length
from aurea_engine.studies.figure_draws import (
    QUANTILES,
    FigureDraws,
    draw_failure_ratio,
    find_values,
    move_probability,
)
from aurea_engine.workload.streams import Streams

_FEWEST_BINS = 20


def draw_from_histograms(result: RunResult, seed: int, name: str) -> FigureDraws:
    """Draws of a run by its histograms, its series and the intervals in its result."""
    values, timing = find_values(result), result.response_time
    ended = result.counts.arrived - result.counts.cancelled
    note = f"{name}: quantiles are within 0.4 %, and intervals are wider than its records would make them"
    remarks = [Remark("from_histograms", note)]
    throughput = _draw_throughput(result, seed, name)
    draws = (
        {} if throughput is None or "throughput" not in values else {"throughput": values["throughput"] * throughput}
    )
    error, degrees = _find_error(result)
    inflation = 1.0 if error is None else _find_inflation(timing, error)
    # Whether jobs that fail together are alike, nothing tells; where all or none failed, it does not matter.
    if "failure_ratio" in values and (error is not None or values["failure_ratio"] in (0, 1)):
        ratio = values["failure_ratio"]
        draws["failure_ratio"] = draw_failure_ratio(ratio, ended, inflation if 0 < ratio < 1 else 1.0, seed, name)
    if error is None:
        remarks.append(Remark("no_interval", f"{name}: nothing tells how alike its neighbouring jobs were"))
        return FigureDraws(values, draws, timing.count, ended, RELATIVE_ERROR, tuple(remarks))
    if "response_time" not in result.histograms:  # a result of an earlier version
        remarks.append(Remark("no_interval", f"{name}: it has no histogram, which its quantiles need"))
    rng = Streams(seed).rng(f"{name} histogram")
    draws |= _draw_times(result, values, rng, (error, degrees))
    if "cost_per_million" in values:
        service = _read_error(result.service_time) or _find_spread(result.service_time) * math.sqrt(inflation)
        draws["cost_per_million"] = values["cost_per_million"] * _vary(rng, degrees, service) / throughput
    return FigureDraws(values, draws, timing.count, ended, RELATIVE_ERROR, tuple(remarks))


def _draw_times(
    result: RunResult, values: Mapping[str, float], rng: np.random.Generator, accuracy: tuple[float, int]
) -> dict[str, Floats]:
    """Draws of the mean and the quantiles. ``accuracy``: the relative standard error of the mean, and its degrees."""
    (error, degrees), draws = accuracy, {}
    if "response_time.mean" in values:
        draws["response_time.mean"] = values["response_time.mean"] * _vary(rng, degrees, error)
    histogram, inflation = result.histograms.get("response_time"), _find_inflation(result.response_time, error)
    for figure, q in QUANTILES.items() if histogram is not None and histogram.count else ():
        if figure in values:
            assert histogram is not None
            # The standard error of a share's logarithmic odds is that of the share ÷ q(1 − q).
            moved = rng.standard_t(degrees, DRAWS) * math.sqrt(inflation / (q * (1 - q) * histogram.count))
            draws[figure] = _read_quantiles(histogram, move_probability(q, moved))
    return draws


def _vary(rng: np.random.Generator, degrees: int, error: float) -> Floats:
    """Draws about 1 with a relative standard error of ``error``."""
    return np.maximum(1 + rng.standard_t(degrees, DRAWS) * error, 1e-9)


def _find_spread(timing: Timing) -> float:
    """The relative standard error of the mean of independent values."""
    return (timing.std or 0.0) / math.sqrt(timing.count) / timing.mean if timing.count and timing.mean else 0.0


def _read_error(timing: Timing) -> float | None:
    """The relative standard error behind the interval of a mean, which is over batches of jobs."""
    if timing.mean_interval is None or not timing.mean:
        return None
    # The lower end is cut off at 0, so the upper one is read.
    return (timing.mean_interval.high - timing.mean) / T_29 / timing.mean


def _find_inflation(timing: Timing, error: float) -> float:
    """How many jobs are worth one independent one."""
    alone = _find_spread(timing)
    # Between one and all of them, whatever a document claims of its interval.
    return max(min(error / alone, math.sqrt(timing.count)), 1.0) ** 2 if alone else 1.0


def _find_error(result: RunResult) -> tuple[float | None, int]:
    """The relative standard error of the mean response time, and its degrees of freedom. None where nothing tells."""
    error = _read_error(result.response_time)
    if error is not None:
        return error, BATCHES - 1
    levels = np.array([point.in_system for point in _bins_of_window(result)], float)
    if len(levels) < _FEWEST_BINS or not levels.sum():
        return None, 1
    blocks = Blocks(len(levels), choose_block_length(levels).rows, 0, "level")
    return float(blocks.draw({"level": levels})["level"].std()), max(blocks.count - 1, 1)


def _draw_throughput(result: RunResult, seed: int, purpose: str) -> Floats:
    """Draws of the throughput, relative to it."""
    finishes = np.array([point.completed for point in _bins_of_window(result)], float)
    if len(finishes) >= _FEWEST_BINS and finishes.sum():
        blocks = Blocks(len(finishes), choose_block_length(finishes).rows, seed, f"{purpose} bins")
        return np.maximum(1 + (blocks.draw({"finishes": finishes})["finishes"] - 1) * blocks.draw_stretch(), 1e-9)
    jobs = result.response_time.count
    if not jobs:
        return np.ones(DRAWS)
    # Of a run of a few seconds the series has a few bins. Then jobs are taken to come as a Poisson process has them.
    return np.asarray(Streams(seed).rng(f"{purpose} poisson").poisson(jobs, DRAWS) / jobs).clip(1e-9)


def _bins_of_window(result: RunResult) -> list[Point]:
    begin, end = result.window
    # Whole bins only: the last one is cut off where the run ended.
    return [point for point in result.series if point.at >= begin and point.at + result.series_width <= end]


def _read_quantiles(histogram: LatencyHistogram, probabilities: Floats) -> Floats:
    """The quantile of each probability, s: infinite beyond the largest value."""
    buckets, counts = histogram.list_filled()
    values = np.array([value_of(bucket) for bucket in buckets.tolist()])
    ranks = np.ceil(probabilities * histogram.count)
    at = np.searchsorted(np.cumsum(counts), np.clip(ranks, 1, histogram.count))
    # From the largest value on nothing is known of how far the quantile might go, unless all are alike.
    return np.where((ranks >= histogram.count) & (len(values) > 1), np.inf, values[at])
