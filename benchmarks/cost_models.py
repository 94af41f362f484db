"""How fast runs are priced: jobs per second on one core, by kind of cost model, and beside the obvious other ways.

    python benchmarks/cost_models.py [JOBS]

Prints the machine and, for each line, the median of three rounds. Nothing is asserted: machines differ.
"""

from __future__ import annotations

import platform
import statistics
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np

from aurea_engine.costs import (
    CostModel,
    InstanceBusy,
    Metering,
    Packed,
    PerJob,
    PerSecond,
    RunInfo,
    Serverless,
    Usage,
    price,
    reprice,
)  # fmt: skip
from aurea_engine.records.batch import NS, JobBatch

ADDITIVE: dict[str, CostModel] = {
    "per_second": PerSecond("0.001"),
    "per_second, up to 1 s": PerSecond("0.001", step=1),
    "serverless": Serverless(price="0.0000166667", request_price="0.0000002"),
    "serverless + per_second + per_job": Serverless(price="0.0000166667") + PerSecond() + PerJob("0.0000002"),
}
INTERVAL: dict[str, CostModel] = {
    "packed, 8 at once": Packed(price="0.00003", concurrency=8),
    "packed, 80 at once": Packed(price="0.00003", concurrency=80),
    "instance_busy, 80 at once, one instance": InstanceBusy(price="0.00003", concurrency=80),
    "instance_busy, 8 at once, several": InstanceBusy(price="0.00003", concurrency=8),
    "instance_busy, 1 at once, dozens": InstanceBusy(price="0.00003", concurrency=1),
}


def machine() -> str:
    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return f"{model}, Python {platform.python_version()}, numpy {np.__version__}"


def run_of(jobs: int) -> JobBatch:
    """Poisson arrivals, about 30 jobs of exponential length in service, in the order in which they complete."""
    rng = np.random.default_rng(4)
    started = np.cumsum(rng.exponential(NS / 300, jobs)).astype(np.int64)
    finished = started + rng.exponential(NS / 10, jobs).astype(np.int64) + 1
    order = np.argsort(finished)
    started, finished = started[order], finished[order]
    return JobBatch(started, started, started, finished, np.ones(jobs, np.uint8))


def median_seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        before = perf_counter()
        work()
        times.append(perf_counter() - before)
    return statistics.median(times)


def metered(batch: JobBatch, model: CostModel) -> Usage:
    """As a run does it: in blocks, with all the meters that are always kept."""
    metering = Metering(model)
    for first in range(0, len(batch), 1 << 16):
        metering.feed(batch[first : first + (1 << 16)])
    return metering.close(RunInfo(int(batch.finished.max())))


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    print(f"{machine()}; {jobs:,} jobs, one core")
    batch = run_of(jobs)
    for title, models in (("additive", ADDITIVE), ("interval", INTERVAL)):
        print(f"\n{title + ' model':42} {'seconds':>8} {'jobs/s':>14}  total")
        for name, model in models.items():
            seconds = median_seconds(lambda model=model: metered(batch, model))  # type: ignore[misc]
            total = price(metered(batch[:1000], model), model).total
            print(f"{name:42} {seconds:8.2f} {jobs / seconds:14,.0f}  {float(total or 0):.6g} for the first 1000")
    usage = metered(batch, ADDITIVE["per_second"])
    again = median_seconds(lambda: reprice(usage, ADDITIVE["serverless"]))
    print(f"\npriced again from usage: {again * 1000:.3f} ms, whatever the number of jobs")
    others(batch, jobs)


def others(batch: JobBatch, jobs: int) -> None:
    """The same sum, per_second at 0.001, done in other ways, on as many jobs as they bear."""
    few = min(jobs, 200_000)
    lasted = batch.service_ns
    some = lasted[:few].tolist()
    rate, exact = Decimal("0.001"), Fraction(1, 1000)
    model = ADDITIVE["per_second"]
    ways: list[tuple[str, int, Callable[[], object]]] = [
        ("aurea: integers, priced once", jobs, lambda: price(metered(batch, model), model).total),
        ("numpy floats (not exact)", jobs, lambda: float((lasted / NS * 0.001).sum())),
        ("a Decimal for each job", few, lambda: sum((Decimal(each) / NS * rate for each in some), Decimal(0))),
        ("a Fraction for each job", few, lambda: sum((Fraction(each, NS) * exact for each in some), Fraction(0))),
    ]
    print(f"\n{'the same bill in other ways':42} {'jobs/s':>14} {'ratio':>8}")
    first = 0.0
    for name, count, work in ways:
        speed = count / median_seconds(work)
        first = first or speed
        print(f"{name:42} {speed:14,.0f} {speed / first:8.3f}")


if __name__ == "__main__":
    main()
