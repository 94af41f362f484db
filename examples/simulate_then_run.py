"""Plan in virtual time, then measure on the real clock: one specification, two clocks. Run it with python."""

from __future__ import annotations

from dataclasses import replace

from aurea_engine import Constant, ConstantRate, Fifo, Objective, RunSpec, Sleep, Workload, run_sync, simulate

PLAN = RunSpec(
    Workload(Sleep(Constant(0.02)), ConstantRate(100), jobs=100),
    objectives=(Objective("response_time", at_most=0.06),),
    seed=1,
)


def main() -> None:
    for slots in (1, 2, 3):
        plan = simulate(replace(PLAN, scheduler=Fifo(slots=slots)))
        judged = plan.objectives[0]
        print(f"slots {slots}, simulated: {judged.objective}: {judged.outcome}, with {plan.response_time.mean:.3f} s")
        if judged.outcome == "met":
            break
    real = run_sync(replace(PLAN, scheduler=Fifo(slots=slots)))
    print(f"slots {slots}, for real: {real.counts.completed} of {real.counts.arrived} completed,")
    # The real clock adds a different overhead in each run, but it cannot make a job faster.
    print(f"and no job was faster than in the simulation: {real.response_time.min >= plan.response_time.min}")


if __name__ == "__main__":
    main()
