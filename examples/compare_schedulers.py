"""Which scheduler is better? Five pairs of runs with the same arrivals and service times. Run it with python."""

from __future__ import annotations

from statistics import mean

from aurea_engine import Exponential, Fifo, Lifo, Poisson, RunSpec, Scheduler, ShortestFirst, Sleep, Workload, simulate

SEEDS = range(1, 6)
WORKLOAD = Workload(Sleep(Exponential(0.06)), Poisson(55), jobs=30_000)


def simulate_figure(scheduler: Scheduler, figure: str) -> list[float]:
    """One figure of the response time, in seconds, for each seed."""
    return [getattr(simulate(RunSpec(WORKLOAD, scheduler, seed=seed)).response_time, figure) for seed in SEEDS]


def main() -> None:
    print("against fifo              mean             p99           p99.9")
    base = {figure: simulate_figure(Fifo(slots=4), figure) for figure in ("mean", "p99", "p999")}
    for name, scheduler in (("shortest_first", ShortestFirst(slots=4)), ("lifo", Lifo(slots=4))):
        cells = []
        for figure, first in base.items():
            changes = [there / here - 1 for here, there in zip(first, simulate_figure(scheduler, figure), strict=True)]
            same_way = max(sum(change > 0 for change in changes), sum(change < 0 for change in changes))
            cells.append(f"{mean(changes):+6.0%} ({same_way} of {len(SEEDS)})")
        print(f"{name:14}  {'  '.join(cells)}")
    print("(n of 5): so many seeds agree on the sign. Seeds change the arrivals; schedulers never do.")


if __name__ == "__main__":
    main()
