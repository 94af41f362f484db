"""One run in two processes: each executes a shard, and the parts of both merge to the run. Run it with python."""

from __future__ import annotations

import asyncio

from aurea_engine import Exponential, Poisson, RunSpec, Shard, Sleep, Workload, execute, summarize
from aurea_engine.processes.worker_process import open_worker

SPEC = RunSpec(Workload(Sleep(Exponential(0.06)), Poisson(55), jobs=20_000), clock="virtual", seed=7)


async def main() -> None:
    async with open_worker() as one, open_worker() as other:
        cut = await asyncio.gather(one.execute(SPEC, Shard(0, 2)), other.execute(SPEC, Shard(1, 2)))
    for parts in cut:
        print(f"{parts.arrived} jobs in shard {parts.shards[0].shard.index}")
    merged = summarize(SPEC, cut[0].merge(cut[1]))
    whole = summarize(SPEC, execute(SPEC))
    print(
        f"p99 of the merged run: {merged.response_time.p99:.6f} s, of the run in one piece: {whole.response_time.p99:.6f} s"
    )
    print(f"the same counts: {merged.counts == whole.counts}, the same cost: {merged.cost.total == whole.cost.total}")


if __name__ == "__main__":
    asyncio.run(main())
