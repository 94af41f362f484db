"""A comparison of two long runs: how long it takes, and how much memory."""

from __future__ import annotations

from time import perf_counter

from aurea_engine import Exponential, Fifo, Poisson, RunFile, RunSpec, Sleep, Workload, compare, simulate
from benchmarks.contest import AUREA, Bound, Contender, Figure, Figures, Row
from benchmarks.memory import MIB, read_peak


def _write_run(jobs: int, seed: int) -> bytes:
    spec = RunSpec(Workload(Sleep(Exponential(0.01)), Poisson(320), jobs=jobs), Fifo(slots=4), seed=seed)
    return RunFile.of(simulate(spec)).to_bytes()


def compare_long_runs(jobs: int) -> Figures:
    """Seconds to read two run files and to compare them, and the peak of the resident set, which has both runs in it."""
    files = [_write_run(jobs, seed) for seed in (1, 2)]
    began = perf_counter()
    a, b = (RunFile.from_bytes(content).to_result() for content in files)
    read = perf_counter()
    comparison = compare(a, b)
    ended = perf_counter()
    assert len(comparison.figures) == 8
    return {"read": read - began, "compare": ended - read, "whole": ended - began, "peak": read_peak() / MIB}


ROWS = (
    Row(
        "compare_long_runs",
        "Two runs of 1,000,000 jobs compared",
        (
            Figure("read", "reading both run files", "s"),
            Figure("compare", "comparing", "s"),
            Figure("whole", "both", "s"),
            Figure("peak", "peak of the resident set", "MiB"),
        ),
        (
            Contender(
                AUREA,
                compare_long_runs,
                "Eight figures with intervals from 5,000 draws of blocks of neighbouring jobs.",
                {"jobs": 1_000_000},
                {"jobs": 50_000},
            ),
        ),
        (Bound("whole", 5, better="less"), Bound("peak", 1024, better="less")),
    ),
)
