"""Shards that are killed, frozen or cut off: the run ends with the reason, or goes on if asked, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from aurea_engine import ConstantRate, Observer, Progress, RunResult, RunSpec, Shard, Sleep, Workload, summarize
from aurea_engine.shards.coordinator import Coordinator
from aurea_engine.shards.local import LocalShard
from aurea_engine.shards.split import OnLoss, prepare_spec
from aurea_engine.workload.access import LOCAL_USER

pytestmark = pytest.mark.service

SPEC = RunSpec(Workload(Sleep(0.02), ConstantRate(100), duration=600), seed=7)
NAMES = ("aurea-runner", "aurea-guard", "aurea-keeper")


def list_below(pid: int) -> dict[int, str]:
    """All processes of a tree, by number, with their names."""
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError):
            found[each] = Path(f"/proc/{each}/comm").read_text().strip()
            waiting += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
    return found


def is_there(pid: int) -> bool:
    """Whether it is there, and no zombie that somebody is about to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class Fault(Observer):
    """What happens to one shard of a run, and all processes that the run had."""

    kind: str
    arrived: int = 0
    shards: list[LocalShard] = field(default_factory=list)
    victim: int = 1
    seen: dict[int, str] = field(default_factory=dict)
    done_at: float = 0.0

    def on_progress(self, progress: Progress) -> None:
        self.arrived = progress.arrived

    async def strike(self, after: float) -> None:
        """So many seconds after every shard has its three processes, and the run its first jobs."""
        while not (all(len(self._look(shard)) >= 3 for shard in self.shards) and self.arrived):
            await asyncio.sleep(0.005)
        await asyncio.sleep(after)
        worker = self.shards[self.victim]._worker
        assert worker is not None
        tree = list_below(worker._process.pid)
        self.done_at = time.monotonic()
        if self.kind == "socket":
            worker._process._writer.transport.abort()
            return
        name, number = self.kind.split(" ")
        for pid in (pid for pid, each in tree.items() if each == name):
            os.kill(pid, signal.Signals[number])

    def _look(self, shard: LocalShard) -> dict[int, str]:
        # Asked again and again, since a process that has ended says no more what was below it.
        tree = {} if shard._worker is None else list_below(shard._worker._process.pid)
        self.seen |= tree
        return {pid: name for pid, name in tree.items() if name in NAMES}

    async def wait_until_gone(self) -> list[int]:
        """What is still there after a while."""
        until = time.monotonic() + 120
        while (left := [pid for pid in self.seen if is_there(pid)]) and time.monotonic() < until:
            await asyncio.sleep(0.02)
        return left


async def run_with(fault: Fault, after: float, *, on_loss: OnLoss = "fail", spec: RunSpec = SPEC) -> RunResult:
    shared = prepare_spec(spec, 2)
    fault.shards = [LocalShard(shared, Shard(k, 2), None, LOCAL_USER) for k in range(2)]
    striking = asyncio.create_task(fault.strike(after))
    parts = await Coordinator(spec, shared, fault.shards, observers=[fault], on_loss=on_loss).run()
    if not striking.done():  # a machine without time: the run was over before anybody saw its first jobs
        striking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await striking
    return summarize(spec, parts)


KINDS = [*(f"{name} SIGKILL" for name in NAMES), "aurea-runner SIGSTOP", "aurea-runner SIGSEGV", "socket"]


@pytest.mark.parametrize("kind", KINDS)
async def test_lost_shard_ends_the_run(kind: str) -> None:
    """Failed, shard_lost, with what the other had; nothing is left."""
    fault = Fault(kind)
    result = await run_with(fault, after=0.5)
    assert (result.status, result.verdict) == ("failed", "invalid")
    assert result.reason is not None
    assert result.reason.code == "shard_lost"
    assert result.reason.detail.startswith("shard 1 on ")
    assert [each.shard for each in result.shards if each.loss is not None] == [1]
    assert result.counts.arrived > 0
    assert await fault.wait_until_gone() == []


async def test_run_goes_on_if_asked() -> None:
    """Half of the load is offered from then on, and the result says so."""
    # On a machine without time a short run is over before the fault: then a longer one.
    for seconds in (4, 40):
        spec = replace(SPEC, workload=replace(SPEC.workload, duration=seconds))
        fault = Fault("aurea-runner SIGKILL")
        result = await run_with(fault, after=0, on_loss="continue", spec=spec)
        if any(shard.loss for shard in result.shards):
            break
    assert (result.status, result.verdict) == ("completed", "invalid")
    assert result.counts.completed == 50 * seconds
    found = next(finding for finding in result.findings if finding.code == "shard_lost")
    assert "50 % of the load was not offered" in found.detail
    assert "SIGKILL" in found.detail
    assert result.environment["on_loss"] == "continue"
    assert await fault.wait_until_gone() == []


async def test_cancelled_run_leaves_nothing() -> None:
    fault = Fault("aurea-runner SIGCONT")
    running = asyncio.create_task(run_with(fault, after=0.5))
    async with asyncio.timeout(120):
        while not fault.done_at and not running.done():
            await asyncio.sleep(0.01)
    assert len(fault.seen) >= 6
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await fault.wait_until_gone() == []
