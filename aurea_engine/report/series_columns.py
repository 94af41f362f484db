"""A run over time as columns: for a page that draws it, with everything that the charts of a report are made of.

There are as many points as the series of the result has, and not only as many as fit on paper. What the result does not
tell is null: times of service, lag, and jobs apart need records, and cost needs a bill that is the sum of its jobs.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from aurea_engine.codec.histograms import histogram_to_dict
from aurea_engine.records.batch import NS, Instants, JobBatch
from aurea_engine.records.histogram import PARTS
from aurea_engine.records.quantiles import find_rank
from aurea_engine.records.series import MOST, BinRow
from aurea_engine.report.distribution import LEAST_SHARE, find_histogram, find_theory
from aurea_engine.report.over_time import COUNTED, Column, count_occupancy, find_worst_lags, sum_costs, take_steps
from aurea_engine.results.result import RunResult

CELLS = 16
"""Cells an octave of a map of response times: each is `PARTS` ÷ 16 buckets of a histogram, 4 % wide."""

CURVE = 160
"""Stretches of a curve of theory."""


def find_cell(bucket: int) -> int:
    """The cell of a bucket; −1 for times of nothing, which have no place on a logarithmic axis."""
    return (bucket - 1) // (PARTS // CELLS)


def encode_cells(buckets: list[int], counts: list[int]) -> list[int]:
    """How many jobs each cell holds: cell, count, cell, count, …"""
    found: dict[int, int] = {}
    for bucket, count in zip(buckets, counts, strict=True):
        if bucket:
            cell = find_cell(bucket)
            found[cell] = found.get(cell, 0) + count
    return [number for pair in sorted(found.items()) for number in pair]


def make_columns(result: RunResult) -> dict[str, Any]:
    """The columns of a run that has ended, as JSON values."""
    histograms = {name: find_histogram(result, name) for name in ("response_time", "service_time")}
    return {
        "width": max(result.series_width, 1),
        "points": _list_points(result),
        "cells": CELLS,
        "histograms": {name: None if each is None else histogram_to_dict(each) for name, each in histograms.items()},
        "theory": _trace_theory(result),
    }


def _list_points(result: RunResult) -> dict[str, Any]:
    steps = take_steps(result, MOST, fewest=1)
    if steps is None:
        return {"until": []}
    jobs, edges = result.jobs, steps.edges
    occupancy = None if jobs is None else count_occupancy(jobs, edges)
    return {
        "until": [begin + length for begin, length in zip(steps.begins, steps.lengths, strict=True)],
        **{name: steps.counts[name] for name in COUNTED},
        "in_system": steps.in_system,
        "in_service": None if occupancy is None else occupancy.in_service,
        "waiting": None if occupancy is None else occupancy.waiting,
        "p50": steps.p50,
        "p90": steps.p90,
        "p99": steps.p99,
        **_find_service_quantiles(jobs, edges),
        "lag": find_worst_lags(jobs, edges) if jobs is not None and result.spec.clock == "real" else None,
        "cost": sum_costs(result, edges),
        "heat": _list_heat(result, len(edges)),
    }


def _find_service_quantiles(jobs: JobBatch | None, edges: Instants) -> dict[str, Column | None]:
    """Of what ended in each stretch, from the start: what a tool that overlooks waiting would show."""
    if jobs is None:
        return {"service_p50": None, "service_p99": None}
    served = jobs.only(jobs.was_served)
    times = served.service_ns
    # An end on an edge belongs to the stretch that it closes, as everywhere.
    at = np.minimum(np.searchsorted(edges, served.finished, side="left"), len(edges) - 1)
    order = np.lexsort((times, at))
    first = np.searchsorted(at[order], np.arange(len(edges) + 1)).tolist()
    ordered = times[order]

    def find(q: float) -> Column:
        return [
            int(ordered[begin + find_rank(q, end - begin) - 1]) / NS if end > begin else None
            for begin, end in pairwise(first)
        ]

    return {"service_p50": find(0.5), "service_p99": find(0.99)}


def _list_heat(result: RunResult, points: int) -> list[list[int]] | None:
    if result.parts is None:
        return None
    heat: list[list[int]] = [[] for _ in range(points)]
    rows: list[BinRow] = result.parts.series.to_rows()
    for row in rows:
        if row.at < points:
            heat[row.at] = encode_cells(row.buckets, row.counts)
    return heat


def _trace_theory(result: RunResult) -> dict[str, Any] | None:
    """The tail that theory predicts, where the run was one of its samples."""
    theory, whole = find_theory(result), result.response_time
    if theory is None or not whole.min or not whole.max:
        return None
    model, tail = theory
    times = [whole.min * math.exp(math.log(whole.max * 1.5 / whole.min) * at / CURVE) for at in range(CURVE + 1)]
    shares = [(time, tail(time)) for time in times]
    kept = [(time, share) for time, share in shares if share >= LEAST_SHARE]
    return {"model": model, "times": [time for time, _ in kept], "shares": [share for _, share in kept]}
