"""A run over time while it is under way, from its snapshots: a point for each second or more.

A snapshot says what has happened so far. What happened since an earlier one is the difference: counts are subtracted, and
so are histograms bucket by bucket, which gives the quantiles of that stretch alone. Nothing of this is done in the process
that generates load. Times are of the jobs that count: during a warm-up there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurea_engine.processes.messages import Snapshot
from aurea_engine.records.histogram import value_of
from aurea_engine.records.quantiles import find_rank
from aurea_engine.records.series import MOST
from aurea_engine.report.series_columns import CELLS, encode_cells

Point = dict[str, Any]
Buckets = dict[int, int]

COUNTS = ("arrived", "completed", "failed", "rejected", "abandoned")
ENOUGH = 0.98
"""Share of the width after which a point is closed: snapshots come twice a second, and each a little early or late."""


class LiveSeries:
    """The points of one run, at most `MOST`: then neighbours are merged, and ``width`` (seconds) doubles."""

    def __init__(self) -> None:
        self.width = 1
        self._points: list[Point] = []
        self._until = 0.0
        self._counts = dict.fromkeys(COUNTS, 0)
        self._times: dict[str, Buckets] = {}

    def add(self, snapshot: Snapshot, *, is_last: bool = False) -> Point | None:
        """The point that ends with ``snapshot``, with its number ``n``; None where it goes on. A repeated run has none."""
        passed = snapshot.elapsed - self._until
        if snapshot.replications is not None or passed <= 0 or not (is_last or passed >= self.width * ENOUGH):
            return None
        self._points.append(self._take(snapshot))
        self._until = snapshot.elapsed
        while len(self._points) > MOST:
            self._coarsen()
        return {"n": len(self._points) - 1, "width": self.width, **self._points[-1]}

    def columns(self) -> dict[str, Any]:
        """All of it, as `make_columns` has the series of a run that has ended."""
        names = ("until", *COUNTS, "in_service", "waiting", *TIMES, "lag", "cost", "heat")
        points = {name: [point[name] for point in self._points] for name in names}
        return {"width": self.width, "points": points, "cells": CELLS, "histograms": {}, "theory": None}

    def _take(self, snapshot: Snapshot) -> Point:
        counts, ended = dict.fromkeys(COUNTS, 0), snapshot.counts
        counts |= {"arrived": snapshot.arrived, **{name: ended.get(name, 0) for name in COUNTS[1:]}}
        counts["failed"] += ended.get("timed_out", 0)
        passed = {name: counts[name] - self._counts[name] for name in COUNTS}
        self._counts = counts
        response, service, lag = (self._subtract(snapshot, name) for name in ("response", "service", "lag"))
        cost = snapshot.cost_so_far
        return {
            "until": snapshot.elapsed,
            **passed,
            "in_service": snapshot.in_flight,
            "waiting": snapshot.queued,
            **{f"p{q * 100:g}": _find_quantile(response, q) for q in (0.5, 0.9, 0.99)},
            **{f"service_p{q * 100:g}": _find_quantile(service, q) for q in (0.5, 0.99)},
            "lag": value_of(max(lag)) if lag else None,
            "cost": cost,
            "heat": encode_cells(list(response), list(response.values())),
        }

    def _subtract(self, snapshot: Snapshot, name: str) -> Buckets:
        """The buckets of what has come since the last point."""
        now = _read_buckets(snapshot.histograms.get(name) or {})
        before = self._times.get(name, {})
        self._times[name] = now
        return {bucket: more for bucket, count in now.items() if (more := count - before.get(bucket, 0)) > 0}

    def _coarsen(self) -> None:
        fine, self.width = self._points, self.width * 2
        self._points = [_merge(*fine[at : at + 2]) for at in range(0, len(fine), 2)]


TIMES = ("p50", "p90", "p99", "service_p50", "service_p99")


def _read_buckets(histogram: Mapping[str, Any]) -> Buckets:
    return dict(zip(histogram.get("buckets", ()), histogram.get("counts", ()), strict=True))


def _find_quantile(buckets: Buckets, q: float) -> float | None:
    """The middle of the bucket that holds it, as in the series of a result."""
    total = sum(buckets.values())
    if not total:
        return None
    rank = find_rank(q, total)
    for bucket, count in buckets.items():
        rank -= count
        if rank <= 0:
            return value_of(bucket)
    return None  # not reached: the ranks end with the last value


def _merge(first: Point, second: Point | None = None) -> Point:
    """Two neighbours as one. A quantile of both is not known from theirs: the one with the higher p99 stands for both."""
    if second is None:
        return first
    worst = max(first, second, key=lambda point: point["p99"] or 0.0)
    lags = [point["lag"] for point in (first, second) if point["lag"] is not None]
    heat: Buckets = {}
    for point in (first, second):
        cells = point["heat"]
        for cell, count in zip(cells[::2], cells[1::2], strict=True):
            heat[cell] = heat.get(cell, 0) + count
    return {
        **second,
        **{name: first[name] + second[name] for name in COUNTS},
        **{name: worst[name] for name in TIMES},
        "lag": max(lags, default=None),
        "heat": [number for pair in sorted(heat.items()) for number in pair],
    }
