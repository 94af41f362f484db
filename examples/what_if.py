"""What would yesterday have been like with twice the visitors? Asked of yesterday's run, and checked. Run it with python."""

from __future__ import annotations

from dataclasses import replace

from aurea_engine import (
    Changes,
    Fifo,
    LogNormal,
    PerJob,
    Poisson,
    RunSpec,
    ShortestFirst,
    Sleep,
    Workload,
    simulate,
    what_if,
)

YESTERDAY = RunSpec(Workload(Sleep(LogNormal(0.06, 1)), Poisson(25), jobs=10_000), Fifo(slots=4), seed=1)
QUESTIONS = {
    "twice the rate": Changes(rate="2x"),
    "and 5 slots": Changes(rate="2x", slots=5),
    "shortest first": Changes(rate="2x", scheduler=ShortestFirst(4)),
}


def main() -> None:
    recorded = simulate(YESTERDAY)
    print(f"recorded: mean {recorded.response_time.mean:.4f} s, p95 {recorded.response_time.p95:.4f} s")
    for name, changes in QUESTIONS.items():
        answer = what_if(recorded, changes, replays=100)
        mean = answer.figure("response_time.mean")
        # The record is one sample of the system. Here the system is known, so the answer can be checked: by a run of
        # 400,000 jobs that asks for other service times.
        truth = simulate(run_for_real(changes)).response_time.mean
        hit = "inside" if mean.interval.low <= truth <= mean.interval.high else "outside"
        print(
            f"{name:15} {mean.value:.4f} s, {mean.interval.low:.4f} … {mean.interval.high:.4f}; truth {truth:.4f}, {hit}"
        )
    dear = what_if(recorded, Changes(rate="2x", costs={"per job": PerJob("0.00001")}), replays=40)
    print(f"a million jobs cost {dear.figure('cost_per_million.per job').value:.2f} USD")
    print(*answer.assumptions, sep="\n")


def run_for_real(changes: Changes) -> RunSpec:
    """The system itself under the changes, for as long as it takes."""
    scheduler = changes.scheduler or Fifo(changes.slots or 4)
    workload = replace(YESTERDAY.workload, arrivals=Poisson(50), jobs=400_000)
    return replace(YESTERDAY, workload=workload, scheduler=scheduler, seed=2)


if __name__ == "__main__":
    main()
