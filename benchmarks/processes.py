"""Closed loop in one process and in two: 50 users, a job that somebody wrote and that does nothing, every job on record."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from aurea_engine import Catalog, Closed, Fifo, RunSpec, Workload, default_catalog, run_sharded_sync
from benchmarks.closed_loop import USERS, Nothing
from benchmarks.contest import AUREA, CORES, Bound, Contender, Figure, Figures, Row

ONE = "Aurea, one process"


def run_in_one(jobs: int) -> Figures:
    """As a supervised process, too: the second one is all that is different."""
    return _run_in(1, jobs)


def run_in_two(jobs: int) -> Figures:
    """Each has half of the users and of the jobs."""
    return _run_in(2, jobs)


def _run_in(processes: int, jobs: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        catalog = _install(Path(folder))
        spec = RunSpec(Workload(Nothing(), Closed(USERS), jobs=jobs), Fifo(divided=True))
        began = time.perf_counter()
        result = run_sharded_sync(spec, processes, catalog=catalog)
        wall = time.perf_counter() - began
    assert result.jobs is not None
    assert result.counts.completed == len(result.jobs) == jobs
    cpu = sum(shard.cpu for shard in result.shards)
    return {"rate": jobs / result.duration, "whole_rate": jobs / wall, "cpu": cpu / jobs}


def _install(folder: Path) -> Catalog:
    """Offer the job to other processes, as an installed package does: a class of this program alone they cannot know."""
    package = folder / "benchmarked-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: benchmarked\nVersion: 1\n")
    (package / "entry_points.txt").write_text(f"[aurea.jobs]\nnothing = {Nothing.__module__}:{Nothing.__name__}\n")
    root = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), root])
    sys.path[:0] = [str(folder)]
    return default_catalog().with_entry_points()


ROWS = (
    Row(
        "processes",
        "Closed loop in one process and in two, 50 users, a user's own empty job, every job recorded",
        (
            Figure("rate", "jobs/s in the window", "/s"),
            Figure("whole_rate", "jobs/s, start and result included", "/s"),
            Figure("cpu", "CPU time per job in the window", "µs"),
            Figure(CORES, "cores used", "cores"),
        ),
        (
            Contender(
                AUREA,
                run_in_two,
                "`--processes 2`: 25 users and half of the jobs in each. Both begin at one instant; there is one result.",
                {"jobs": 1_000_000},
                {"jobs": 50_000},
            ),
            Contender(
                ONE,
                run_in_one,
                "`--processes 1`: the run in a supervised process, its parts sent back.",
                {"jobs": 1_000_000},
                {"jobs": 50_000},
            ),
        ),
        (Bound("rate", 1.7, ONE),),
        "The machine has two cores, and both must be idle otherwise. What the processes take to start, and the merging, is"
        " only in the second figure.",
    ),
)
