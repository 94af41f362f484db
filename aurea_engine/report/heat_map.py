"""The heat map: how many jobs ended when, after which response time. It shows two modes that a quantile hides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aurea_engine.records.batch import NS
from aurea_engine.records.histogram import value_of
from aurea_engine.report.chart import Chart, Plot, label_ticks
from aurea_engine.report.markup import Markup, element
from aurea_engine.report.over_time import FEWEST_POINTS
from aurea_engine.report.scales import Linear, Logarithmic, label_seconds, time_ticks
from aurea_engine.results.result import RunResult

MOST_COLUMNS, ROWS, LEVELS = 96, 32, 6
SHORTEST = 0.005
HEIGHT = 208

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class HeatMap:
    """``counts``: jobs by row of response times, from ``low`` to ``high`` seconds in equal steps of their logarithm, and by
    column of ``width`` seconds.
    """

    low: float
    high: float
    width: float
    counts: Counts


def measure_heat(result: RunResult) -> HeatMap | None:
    """From the records, or from the series of the parts; None where the result has neither, or nothing to show."""
    found = _read_jobs(result) if result.jobs is not None else _read_series(result)
    if found is None:
        return None
    ends, times, counts = found
    # What took no time has no place on a logarithmic axis.
    ends, times, counts = ends[times > 0], times[times > 0], counts[times > 0]
    length = max(result.window[1], result.duration)
    # By the length of the run, which may be far longer than its series: nothing may have happened for most of it.
    width = max(result.series_width, 1)
    width *= math.ceil(length / width / MOST_COLUMNS)
    columns = math.ceil(length / width)
    if not len(ends) or len(result.series) < FEWEST_POINTS:
        return None
    # A few very short ones would take most of the height: they are counted in the lowest row.
    order = np.argsort(times)
    shortest = times[order][np.searchsorted(np.cumsum(counts[order]), SHORTEST * counts.sum())]
    low, high = max(float(shortest), float(times.max()) / 1e5) * 0.996, float(times.max()) * 1.004
    middle = math.sqrt(low * high)
    low, high = min(low, middle / 1.3), max(high, middle * 1.3)
    row = (np.log(times / low) / math.log(high / low) * ROWS).astype(np.int64).clip(0, ROWS - 1)
    column = (ends / width).astype(np.int64).clip(0, columns - 1)
    cells = np.bincount(row * columns + column, weights=counts, minlength=ROWS * columns)
    return HeatMap(low, high, width, cells.astype(np.int64).reshape(ROWS, columns))


Read = tuple[NDArray[np.float64], NDArray[np.float64], Counts]
"""(when jobs ended, s; their response times, s; how many)."""


def _read_jobs(result: RunResult) -> Read | None:
    assert result.jobs is not None
    served = result.jobs.only(result.jobs.was_served)
    # One nanosecond before: an end on an edge belongs to what it closes, as in the series.
    ends = (np.maximum(served.finished - 1, 0) / NS).astype(float)
    return ends, served.response_ns / NS, np.ones(len(served), np.int64)


def _read_series(result: RunResult) -> Read | None:
    if result.parts is None:
        return None
    series = result.parts.series
    rows = series.to_rows()
    # The middle of an interval stands for all of it: columns are never narrower than one.
    ends = [np.full(len(row.buckets), (row.at + 0.5) * series.width) for row in rows]
    buckets = [np.array(row.buckets, np.int64) for row in rows]
    if not rows:
        return None
    names, where = np.unique(np.concatenate(buckets), return_inverse=True)
    times = np.array([value_of(int(name)) for name in names], float)[where]
    return np.concatenate(ends), times, np.concatenate([np.array(row.counts, np.int64) for row in rows])


def draw_heat_map(result: RunResult, heat: HeatMap) -> Chart:
    """The map, in as many depths of colour as an eye tells apart; the scale of counts is logarithmic."""
    end = max(result.window[1], result.duration)
    x, y = Linear(0.0, end), Logarithmic(heat.low, heat.high)
    plot = Plot(x, y, time_ticks(0.0, end, 8), label_ticks(y.ticks(6), label_seconds), HEIGHT)
    # Logarithmic: one job in the tail has to be seen beside thousands at the median.
    most = int(heat.counts.max())
    levels = np.zeros(heat.counts.shape, np.int64)
    filled = heat.counts > 0
    span = math.log(most) if most > 1 else 1.0
    levels[filled] = 1 + np.minimum((np.log(heat.counts[filled]) / span * LEVELS).astype(np.int64), LEVELS - 1)
    paths = [_trace_level(levels == level, plot, heat.width, level) for level in range(1, LEVELS + 1)]
    note = f"How many completed jobs ended when, after which response time: cells of {label_seconds(heat.width)}. "
    note += "The lowest row also has all that were shorter."
    return Chart(
        "heat-map",
        "Response times over time",
        note,
        "A map of completed jobs by the instant of their end and by response time.",
        plot,
        paths,
        over=[_draw_key(plot, most)],
        data={"low": [heat.low], "high": [heat.high], "width": [heat.width], "cells": _write_cells(heat.counts)},
    )


def _draw_key(plot: Plot, most: int) -> Markup:
    """What the depths mean, on the right of the map: as wide as the labels of other charts, so that their axes agree."""
    size, top = 14, (plot.height - 14 * LEVELS) / 2
    squares = [
        element(
            "rect",
            x="100%",
            y=top + size * (LEVELS - level),
            width=12,
            height=size,
            transform="translate(12)",
            class_=f"heat-{level}",
        )
        for level in range(1, LEVELS + 1)
    ]
    ends = ((f"{most:,} job{'s' if most > 1 else ''}", top + 10), ("1", top + size * LEVELS - 3))
    words = [element("text", text, x="100%", dx="28", y=y, class_="tick") for text, y in ends]
    return element("g", *squares, *words, aria_hidden="true")


def _trace_level(cells: NDArray[np.bool_], plot: Plot, width: float, level: int) -> Markup:
    """All cells of one depth as one path: neighbours in a row are one rectangle."""
    height, pieces = plot.height / ROWS, []
    for row, filled in enumerate(cells):
        # Where a run of filled cells begins and where it ends, by turns.
        edges = np.flatnonzero(np.diff(np.concatenate([[0], filled.astype(np.int8), [0]])))
        top = plot.height - (row + 1) * height
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            left, right = plot.across(first * width), plot.across(last * width)
            pieces.append(f"M{left:.1f} {top:g}H{right:.1f}v{height:g}H{left:.1f}z")
    return element("path", d="".join(pieces), class_=f"heat-{level}") if pieces else Markup()


def _write_cells(counts: Counts) -> Sequence[str]:
    """Row by row from the lowest: ``n`` for a count, ``0xN`` for N zeros in a row."""
    # Most cells are empty: without the zeros it is a tenth of the size.
    words = []
    for row in counts.tolist():
        zeros = 0
        for count in row:
            if not count:
                zeros += 1
                continue
            words += [f"0x{zeros}"] if zeros else []
            words.append(str(count))
            zeros = 0
        words += [f"0x{zeros}"] if zeros else []
    return words
