"""Open loop in real time: how late jobs are released, and up to which rate they are not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import NDArray

from aurea_engine import Constant, ConstantRate, RunSpec, Sleep, Workload, run_sync
from benchmarks.contest import AUREA, CORES, Bound, Contender, Figure, Figures, Row
from benchmarks.k6 import run_scenario

LATE = 1e-3
"""Seconds: the p99 lag up to which a rate counts as kept."""

Instants = NDArray[np.float64]


def run_aurea(rate: float, seconds: float) -> Figures:
    """Lag and dispersion of what the engine released."""
    return _describe_lags(*_release_by_aurea(rate, seconds), rate)


def run_asyncio(rate: float, seconds: float) -> Figures:
    """The loop people write, on the same absolute schedule: sleep until arrival i at i ÷ rate, stamp, go on."""
    return _describe_lags(*asyncio.run(_release_by_asyncio(rate, seconds)), rate)


def find_highest_aurea(seconds: float) -> Figures:
    """Highest rate that the engine keeps."""

    def keeps(rate: float) -> bool:
        intended, released = _release_by_aurea(rate, seconds)
        return bool(np.quantile(released - intended, 0.99) <= LATE)

    return {"rate": _search_highest(keeps)}


def find_highest_k6(seconds: float) -> Figures:
    """Highest rate at which k6 drops nothing and starts 99 % of what was asked; it does not say how late."""

    def keeps(rate: float) -> bool:
        scenario = {
            "executor": "constant-arrival-rate",
            "rate": round(rate),
            "duration": f"{seconds}s",
            "preAllocatedVUs": 50,
            "maxVUs": 200,
        }
        # It starts what it can and counts the rest as dropped, so a rate that is not kept shows in either.
        done = run_scenario(scenario)
        return done["dropped"] == 0 and done["rate"] >= 0.99 * rate

    return {"rate": _search_highest(keeps)}


def _release_by_aurea(rate: float, seconds: float) -> tuple[Instants, Instants]:
    # No more than records are kept for: the lag of every single release is wanted.
    jobs = min(round(rate * seconds), 1_000_000)
    result = run_sync(RunSpec(Workload(Sleep(Constant(0.0)), ConstantRate(rate), jobs=jobs)))
    assert result.jobs is not None
    assert result.counts.completed == jobs
    return result.jobs.intended / 1e9, result.jobs.released / 1e9


async def _release_by_asyncio(rate: float, seconds: float) -> tuple[Instants, Instants]:
    # Absolute instants, so that it does not drift; asyncio's own loop, since that is what people have.
    released, clock = [], time.perf_counter
    opened = clock()
    for i in range(round(rate * seconds)):
        if (left := opened + i / rate - clock()) > 0:
            await asyncio.sleep(left)
        released.append(clock() - opened)
    return np.arange(len(released)) / rate, np.array(released)


def _describe_lags(intended: Instants, released: Instants, rate: float) -> Figures:
    """``dispersion``: variance ÷ mean of the counts of 100 windows; 0 for even arrivals, 1 for Poisson."""
    # By hand and not from the result, so that both contenders' figures are worked out by the same lines.
    p50, p99 = np.quantile(released - intended, [0.5, 0.99]).tolist()
    counts = np.histogram(released, 100, (0.0, len(intended) / rate))[0]
    return {"p50": p50, "p99": p99, "dispersion": float(counts.var() / counts.mean())}


def _search_highest(
    keeps: Callable[[float], bool], first: float = 2_000, step: float = 1.6, halvings: int = 3
) -> float:
    """By steps until a rate is not kept (twice: one bad moment must not end the search), then by bisection."""
    # Geometric both ways: what matters of a rate is its size to within some per cent, from a thousand to a million.
    low, high = 0.0, first
    for _ in count():
        if not (keeps(high) or keeps(high)):
            break
        low, high = high, high * step
    for _ in range(halvings if low else 0):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low


_RATE = 5_000

ROWS = (
    Row(
        "open_loop",
        "Open loop, constant 5,000/s, an empty job",
        (
            Figure("p50", "lag p50", "µs"),
            Figure("p99", "lag p99", "µs"),
            Figure("dispersion", "dispersion of the releases", ""),
            Figure(CORES, "cores used", "cores"),
        ),
        (
            Contender(
                AUREA,
                run_aurea,
                "Arrival i at i ÷ 5,000 s; the lag of every release is part of its record.",
                {"rate": _RATE, "seconds": 5},
                {"rate": _RATE, "seconds": 1},
            ),
            Contender(
                "asyncio loop",
                run_asyncio,
                "`await asyncio.sleep(...)` until the same instants, on asyncio's own loop, and a stamp.",
                {"rate": _RATE, "seconds": 5},
                {"rate": _RATE, "seconds": 1},
            ),
        ),
        (
            Bound("p50", 10e-6, better="less", prototype="2 µs"),
            Bound("p99", 100e-6, better="less", prototype="6 µs"),
            Bound("dispersion", 0.05, better="less"),
        ),
        "No other tool reports how late it released a job, so the other contender is the loop that people write.",
    ),
    Row(
        "highest_rate",
        "Open loop, highest rate with a p99 lag of at most 1 ms",
        (Figure("rate", "jobs/s", "/s"), Figure(CORES, "cores used", "cores")),
        (
            Contender(
                AUREA,
                find_highest_aurea,
                "Every job recorded; rates by steps of 1.6, then by bisection.",
                {"seconds": 2.5},
                {"seconds": 0.5},
            ),
            Contender(
                "k6",
                find_highest_k6,
                "`constant-arrival-rate`. It does not say how late an iteration began, so an easier question:"
                " the highest rate with nothing dropped and 99 % started.",
                {"seconds": 3},
                {"seconds": 1},
            ),
        ),
        (Bound("rate", 80_000, prototype="100,000–150,000/s"),),
    ),
)
