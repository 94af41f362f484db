"""Memory: of a long run that keeps no records, and of a record that is kept."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

import numpy as np

from aurea_engine import Exponential, Fifo, Poisson, RunSpec, Sleep, Workload, simulate
from benchmarks.contest import AUREA, Bound, Contender, Figure, Figures, Row

MIB = 2**20


def _make_spec(jobs: int, keep_jobs: bool) -> RunSpec:
    workload = Workload(Sleep(Exponential(0.01)), Poisson(320), jobs=jobs)
    return RunSpec(workload, Fifo(slots=4), clock="virtual", keep_jobs=keep_jobs)


def read_peak() -> int:
    """Bytes that were resident at most, since this process began."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _read_resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def run_without_records(jobs: int) -> Figures:
    """Peak of the resident set after the run, over what a fresh process with the package imported had."""
    # A peak cannot be lowered, so this needs a process in which nothing larger came before.
    before = read_peak()
    result = simulate(_make_spec(jobs, keep_jobs=False))
    assert result.counts.completed == jobs
    assert result.jobs is None
    return {"growth": (read_peak() - before) / MIB}


def run_with_records(jobs: int) -> Figures:
    """Bytes of the columns of a result, and what the process grew by while it held one, over the number of jobs."""
    # Once in small, so that code and tables that any run loads are not counted as its records.
    simulate(_make_spec(10_000, keep_jobs=True))
    gc.collect()
    before = _read_resident()
    result = simulate(_make_spec(jobs, keep_jobs=True))
    gc.collect()
    grown = _read_resident() - before
    assert result.jobs is not None
    # The columns are what a record is; what the process grew by holds the result's figures and what the allocator keeps,
    # too.
    columns = [column for column in vars(result.jobs).values() if isinstance(column, np.ndarray)]
    return {"columns": sum(column.nbytes for column in columns) / jobs, "grown": grown / jobs}


ROWS = (
    Row(
        "memory_without_records",
        "10,000,000 virtual jobs without records",
        (Figure("growth", "growth of the peak resident set", "MiB"),),
        (
            Contender(
                AUREA,
                run_without_records,
                "`keep_jobs=False` in a fresh process: histograms, meters and the series remain.",
                {"jobs": 10_000_000},
                {"jobs": 500_000},
            ),
        ),
        (Bound("growth", 64, better="less"),),
    ),
    Row(
        "memory_of_a_record",
        "A record that is kept, 1,000,000 of them",
        (Figure("columns", "its columns", "bytes"), Figure("grown", "growth of the process with the result", "bytes")),
        (
            Contender(
                AUREA,
                run_with_records,
                "Four instants of int64 nanoseconds and an outcome of one byte.",
                {"jobs": 1_000_000},
                {"jobs": 200_000},
            ),
        ),
        (Bound("columns", 33, better="less"),),
    ),
)
