"""Memory without records: the jobs of a run may be ten million, and what they report may be of many kinds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MIB = 2**20
PROGRAM = """
import json, resource, sys
from dataclasses import dataclass
from aurea_engine import Branch, Exponential, Fifo, Mark, Measure, Mix, Poisson, RunSpec, Sleep, Workload, simulate

@dataclass(frozen=True)
class Reporting(Sleep):
    marks = (Mark("first"),)
    measures = (Measure("rows", "rows"), Measure("bytes_received", "bytes"))

    def reports(self, rng, first, demand):
        n = len(demand)
        return {"first": demand / 2, "rows": rng.integers(0, 1000, n), "bytes_received": rng.integers(0, 10**9, n)}

jobs = int(sys.argv[1])
mix = Mix(tuple(Branch(1, Reporting(Exponential(0.01)), name=name) for name in ("reads", "writes", "checks")))
spec = RunSpec(Workload(mix, Poisson(320), jobs=jobs), Fifo(slots=4), clock="virtual", keep_jobs=False, seed=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = simulate(spec)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
amounts = {name: each.amounts.count for name, each in result.measures.items()}
print(json.dumps({"grown": grown, "amounts": amounts, "jobs": sum(group.counts.completed for group in result.groups)}))
"""


@pytest.mark.long
@pytest.mark.service
@pytest.mark.skipif(sys.platform == "win32", reason="reads the peak of memory as Linux and macOS have it")
def test_reports_without_records_keep_memory_flat(campaign: Callable[[int], int]) -> None:
    """Ten million jobs in three groups that report a mark and two measures: 64 MiB, and 16 for each of the three."""
    jobs = campaign(10_000_000)
    command = [sys.executable, "-c", PROGRAM, str(jobs)]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    measured = json.loads(done.stdout)
    assert measured["amounts"] == {"rows": jobs, "bytes_received": jobs}
    assert measured["jobs"] == jobs
    unit = 1024 if sys.platform == "darwin" else 1  # macOS tells bytes, and Linux KiB
    assert measured["grown"] / unit <= (64 + 3 * 16) * MIB
