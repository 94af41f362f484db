"""What may end on a cluster while a run is on it: the run ends with the reason, or goes on if asked, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import pytest

from aurea_engine import ConstantRate, Observer, Progress, RunResult, RunSpec, Sleep, Workload
from aurea_engine.errors import ClusterRefused
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_link import open_link
from aurea_engine.shards.dask_shard import run_on_dask
from aurea_engine.shards.split import Sharding
from tests.engine.shards.dask_cluster import Cluster, list_below, start_cluster, wait_until

pytestmark = [pytest.mark.service, pytest.mark.faults]

LONG = RunSpec(Workload(Sleep(0.02), ConstantRate(100), duration=300), seed=7)
SHORT = RunSpec(Workload(Sleep(0.02), ConstantRate(100), jobs=50), seed=7)

TWO = Sharding(2)

BUSY_MACHINE = 60.0
"""Seconds that are not held against it: what is tested is that a loss is noticed long before the run would have ended, and
that nobody is lost of whom only nothing was heard for a while.
"""


def name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def is_there(pid: int) -> bool:
    """Whether it is there, and no zombie that somebody is about to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class Watcher(Observer):
    """Sees whether both shards are under way."""

    arrived: int = 0

    def on_progress(self, progress: Progress) -> None:
        self.arrived = progress.arrived


class Wire:
    """A way to the scheduler that can be closed, or on which nothing gets through any more."""

    def __init__(self, scheduler: ClusterAddress) -> None:
        self._to = scheduler.host_and_port
        self._writers: list[asyncio.StreamWriter] = []
        self._flows = asyncio.Event()
        self._flows.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection(*self._to)
        self._writers += [writer, there]
        await asyncio.gather(self._pass(reader, there), self._pass(back, writer))

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                await self._flows.wait()
                to.write(piece)
        to.close()

    def cut(self) -> None:
        """From now on nothing gets through, and nothing is closed."""
        self._flows.clear()

    def close(self) -> None:
        """Close every connection."""
        self._flows.set()
        for writer in self._writers:
            writer.transport.abort()


@dataclass
class Fault:
    """One thing that happens to a cluster while a run is on it: ``WHAT SIGNAL``, or to the wire to it."""

    kind: str
    cluster: Cluster
    watcher: Watcher = field(default_factory=Watcher)
    seen: set[int] = field(default_factory=set)
    took: float = 0.0

    async def run(self, sharding: Sharding = TWO, spec: RunSpec = LONG) -> RunResult:
        """The result of a run during which it happens. ``took``: from then to the result."""
        before = set(list_below(os.getpid()))
        async with Wire(self.cluster.address) as wire:
            address = replace(self.cluster.address, address=f"tls://127.0.0.1:{wire.port}")
            running = asyncio.create_task(run_on_dask(spec, address, sharding, [self.watcher]))
            while self.watcher.arrived < 60 and not running.done():
                await asyncio.sleep(0.02)
            if running.done():  # a machine without time: it was over before its jobs were seen
                return running.result()
            client = {pid for pid in set(list_below(os.getpid())) - before if name(pid).startswith("aurea")}
            self.seen = client | {pid for worker in self.cluster.workers for pid in list_below(worker)}
            began = time.monotonic()
            self._strike(wire, client)
            result = await running
            self.took = time.monotonic() - began
        return result

    def _strike(self, wire: Wire, client: set[int]) -> None:
        what, _, how = self.kind.partition(" ")
        if what == "wire":
            getattr(wire, how)()
            return
        theirs = {pid for worker in self.cluster.workers for pid in list_below(worker)}
        victims = {
            "worker": self.cluster.workers[1:],
            "nanny": self.cluster.nannies[1:],
            "scheduler": [self.cluster.scheduler],
            "runner": [pid for pid in list_below(self.cluster.workers[1]) if name(pid) == "aurea-runner"],
            "client": [pid for pid in client - theirs if name(pid) == "aurea-runner"],
        }[what]
        assert victims
        for pid in victims:
            os.kill(pid, signal.Signals[how])

    async def check_nothing_is_left(self) -> None:
        """Neither here nor on the machines of the workers, however they ended."""
        await wait_until(lambda: not [pid for pid in self.seen if is_there(pid)])


def check_lost(result: RunResult, told: str) -> None:
    """The run failed, since a shard on a worker that is named was lost, and how."""
    assert (result.status, result.verdict) == ("failed", "invalid")
    assert result.reason is not None
    assert result.reason.code == "shard_lost"
    place = r"\(Dask worker tls://127.0.0.1:\d+ on \S+\)"
    assert re.fullmatch(rf"shard [01] on \S+ was lost after .* s: {told}.* {place}", result.reason.detail)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


# Those that cost the cluster nothing, or no more than a nanny makes good. So each is also a test that the next run is right.


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("runner SIGKILL", "the runner process was killed by SIGKILL"),
        ("client SIGKILL", "the process of the Dask client ended: the runner process was killed by SIGKILL"),
        ("wire close", "the connection to the Dask scheduler is gone"),
        ("worker SIGSTOP", "nothing was heard of its Dask worker for 5 s"),
        pytest.param("wire cut", "nothing was heard of its Dask worker for 5 s", marks=pytest.mark.long),
        pytest.param("runner SIGSTOP", "nothing was heard of it for 5 s, and it used no processor", marks=pytest.mark.long),
        pytest.param("client SIGSTOP", "the process of the Dask client ended", marks=pytest.mark.long),
        pytest.param("scheduler SIGSTOP", "nothing was heard of its Dask worker for 5 s", marks=pytest.mark.long),
    ],
)  # fmt: skip
async def test_run_ends_with_the_reason(
    cluster: Cluster, kind: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "Dask worker for 5 s" not in told:
        monkeypatch.setattr("aurea_engine.shards.dask_link.PATIENCE", BUSY_MACHINE)
    fault = Fault(kind, cluster)
    result = await fault.run()
    check_lost(result, told)
    assert fault.took < 10 + BUSY_MACHINE
    await fault.check_nothing_is_left()
    for pid in cluster.pids:
        os.kill(pid, signal.SIGCONT)


async def test_killed_worker_if_the_run_is_to_go_on(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result says which share was not offered; the nanny has a new worker, and the next run is right."""
    monkeypatch.setattr("aurea_engine.shards.dask_link.PATIENCE", BUSY_MACHINE)
    for seconds in (5, 50):
        fault = Fault("worker SIGKILL", cluster)
        spec = replace(LONG, workload=replace(LONG.workload, duration=seconds))
        result = await fault.run(Sharding(2, "continue"), spec)
        if any(finding.code == "shard_lost" for finding in result.findings):
            break
    assert (result.status, result.verdict) == ("completed", "invalid")
    found = next(finding for finding in result.findings if finding.code == "shard_lost")
    assert "its Dask worker has left the cluster" in found.detail
    assert "50 % of the load was not offered" in found.detail
    assert sorted(shard.jobs for shard in result.shards) == [0, 50 * seconds]
    await fault.check_nothing_is_left()
    async with open_link(cluster.address, []) as link:
        assert 1 <= len(link.workers) <= 2  # the new one may still be starting
    again = await run_on_dask(SHORT, cluster.address)
    assert (again.status, again.counts.completed) == ("completed", 50)


async def test_killed_nanny_then_killed_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker ends with its nanny. Without the scheduler there is no cluster any more, and nothing on its machines."""
    monkeypatch.setattr("aurea_engine.shards.dask_link.PATIENCE", BUSY_MACHINE)
    with start_cluster(tmp_path) as cluster:
        fault = Fault("nanny SIGKILL", cluster)
        check_lost(await fault.run(), "its Dask worker has left the cluster")
        await fault.check_nothing_is_left()
        fault = Fault("scheduler SIGKILL", cluster)
        check_lost(await fault.run(Sharding(1)), "the connection to the Dask scheduler is gone")
        await fault.check_nothing_is_left()
        with pytest.raises(ClusterRefused, match="cannot be reached: connection refused"):
            await run_on_dask(SHORT, cluster.address)
