"""A run ten times: how sure its figures are, and how many jobs it takes to be surer. Run it with python."""

from __future__ import annotations

import asyncio

from aurea_engine import Exponential, Fifo, Objective, Poisson, RunSpec, Sleep, Workload, open_runner, repeat

# One slot that is busy for half of the time: queueing theory says that the mean response time is 0.2 s.
SPEC = RunSpec(
    Workload(Sleep(Exponential(0.1)), Poisson(5), jobs=20_000),
    Fifo(1),
    clock="virtual",
    seed=7,
    warmup=100,
    objectives=(Objective("response_time", at_most=0.21),),
)


async def main() -> None:
    async with open_runner(2) as runner:  # two at a time; the result is the same with one
        ten = await repeat(SPEC, 10, runner=runner)
        narrow = await repeat(SPEC, 100, until=0.01, runner=runner)
    for name, result in (("ten replications", ten), ("until it is within 1 %", narrow)):
        assert result.replications is not None
        spread = result.replications.spread("response_time.mean")
        assert spread is not None
        assert spread.interval is not None
        low, high = spread.interval.low, spread.interval.high
        print(
            f"{name}: {len(result.replications.each)} runs, mean {spread.mean:.4f} s, between {low:.4f} and {high:.4f} s"
        )
    assert ten.replications is not None
    print("means:", [round(each.figures["response_time.mean"] or 0, 3) for each in ten.replications.each])
    print(f"objective {ten.objectives[0].objective}: {ten.objectives[0].outcome}, {ten.objectives[0].detail}")


if __name__ == "__main__":
    asyncio.run(main())
