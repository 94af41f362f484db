"""Parts of a Dask cluster are killed, frozen and cut off under a run: it ends in time and says why, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aurea_engine import ConstantRate, RunResult, RunSpec, Sleep, Workload
from aurea_engine.errors import ClusterRefused
from aurea_engine.shards.dask_shard import run_on_dask
from aurea_engine.shards.split import Sharding
from tests.faults.strikes import ProcessorShare, can_shut_sockets, find_below, strike, wait_until_gone

pytest.importorskip("distributed")

from tests.engine.shards.dask_cluster import Cluster, start_cluster

pytestmark = pytest.mark.faults

JOBS = 150
SPEC = RunSpec(Workload(Sleep(0.02), ConstantRate(100), jobs=JOBS), seed=7)
NEXT = RunSpec(Workload(Sleep(0.001), jobs=10), seed=7)
TARGETS = ("scheduler", "worker", "nanny", "aurea-runner")
FAULTS = ("SIGKILL", "SIGSTOP", "socket")
LIMIT = 10.0
"""Seconds from the fault to the end of the run, on a machine that is not busy otherwise."""


@dataclass
class Fault:
    """What happens to which part of the cluster, so many seconds after the run has processes on it."""

    seed: int
    what: str
    target: str
    after: float
    victim: int
    hit: bool = False
    struck_at: float = 0.0
    seen: set[int] = field(default_factory=set)

    @classmethod
    def draw(cls, seed: int) -> Fault:
        draw = random.Random(seed)
        faults = FAULTS if can_shut_sockets() else FAULTS[:2]
        # Targets in turn, so that also the first tenth has each of them.
        return cls(seed, draw.choice(faults), TARGETS[seed % len(TARGETS)], draw.uniform(0, 3), draw.randrange(2))

    def __str__(self) -> str:
        hit = "" if self.hit else " (it had ended)"
        return f"seed {self.seed}: {self.what} of {self.target} {self.victim + 1} after {self.after:.2f} s{hit}"

    async def strike(self, cluster: Cluster) -> None:
        """Wait for the run to be there, and then for its instant."""
        while not self._look(cluster, "aurea-keeper"):
            await asyncio.sleep(0.01)
        until = time.monotonic() + self.after
        while time.monotonic() < until:
            self._look(cluster, "")
            await asyncio.sleep(0.05)
        victims = {"scheduler": [cluster.scheduler] * 2, "worker": cluster.workers, "nanny": cluster.nannies}
        found = victims.get(self.target) or self._look(cluster, self.target)
        self.struck_at = time.monotonic()
        self.hit = any(strike(pid, self.what) for pid in found[self.victim : self.victim + 1])

    def _look(self, cluster: Cluster, name: str) -> list[int]:
        """Processes of ours of this name, on the workers. All of ours are remembered, and what is below us."""
        there = {pid: comm for worker in cluster.workers for pid, comm in find_below(worker).items()}
        ours = {pid for pid, comm in there.items() if comm.startswith("aurea-")}
        mine = {pid for pid, comm in find_below(os.getpid()).items() if comm.startswith("aurea-")}
        self.seen |= ours | mine
        return sorted(pid for pid in ours if there[pid] == name)


async def run_with(fault: Fault, cluster: Cluster) -> RunResult | None:
    """The result, or None where the cluster was refused before anything began."""
    striking = asyncio.create_task(fault.strike(cluster))
    try:
        return await run_on_dask(SPEC, cluster.address, Sharding(2))
    except ClusterRefused:
        return None
    finally:
        await striking


def check_end(result: RunResult | None, told: str) -> str:
    """It failed for the loss of a shard, or nothing of it is missing, or nothing was begun. Nothing in between."""
    if result is None:
        return "refused"
    if result.status == "completed":
        assert result.counts.completed == JOBS, told
        return "completed"
    assert (result.status, result.verdict) == ("failed", "invalid"), told
    assert result.reason is not None, told
    assert result.reason.code == "shard_lost", told
    return "failed"


async def check_next(cluster: Cluster, told: str) -> None:
    """The next run is right, on a cluster that is there again."""
    again = await run_on_dask(NEXT, cluster.address, Sharding(2))
    assert (again.status, again.counts.completed, len(again.shards)) == ("completed", 10, 2), told


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_cluster_at_seeded_instants(tmp_path: Path, campaign: Callable[[int], int]) -> None:
    """While shards are set up, while they run and while they end: within ten seconds, for the right reason."""
    ends: Counter[str] = Counter()
    told = "at first"
    for seed in range(campaign(40)):
        fault = Fault.draw(seed)
        with ExitStack() as stack:
            cluster = stack.enter_context(start_cluster(tmp_path / f"{seed}"))
            await check_next(cluster, f"after {told}")
            with ProcessorShare() as processor:
                result = await run_with(fault, cluster)
            took = time.monotonic() - fault.struck_at
            reason = None if result is None else result.reason
            told = f"{fault}: {reason} {took:.1f} s later, with {processor.share:.0%} of a processor"
            print(told)
            end = check_end(result, told)
            assert took * processor.share <= LIMIT, told
            assert wait_until_gone(fault.seen) == [], told
        ends[f"{fault.what} of {fault.target}: {end}"] += 1
    print(dict(ends))
    assert any(name.endswith("failed") for name in ends)
