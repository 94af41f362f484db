"""Parts of a Dask cluster are killed, frozen and cut off under a run of a server; the eight invariants hold after each."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import FINAL, Server
from tests.faults.strikes import HANGS, ProcessorShare, can_shut_sockets, find_below, strike, wait_until_gone
from tests.faults.test_shard_losses import FAULTS, LIMIT, NEXT, RUN, check_end

pytest.importorskip("distributed")

from tests.engine.shards.dask_cluster import Cluster, start_cluster

pytestmark = pytest.mark.faults

TARGETS = ("scheduler", "worker", "nanny", "aurea-runner")


class Remote:
    """The processes of a run on the workers of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.seen: set[int] = set()

    def find(self, target: str) -> list[int]:
        """Processes that this names: parts of the cluster, or processes of shards."""
        there = {pid: name for worker in self._cluster.workers for pid, name in find_below(worker).items()}
        self.seen |= {pid for pid, name in there.items() if name.startswith("aurea-")}
        parts = {
            "scheduler": [self._cluster.scheduler] * 2,
            "worker": self._cluster.workers,
            "nanny": self._cluster.nannies,
        }
        return parts.get(target) or sorted(pid for pid, name in there.items() if name == target)

    def wait(self, has_begun: Callable[[], bool], after: float) -> None:
        """Until the run is there, and then so many seconds; all of its processes are noted."""
        until = time.monotonic() + HANGS
        while not has_begun():
            assert time.monotonic() < until, "the shards did not start"
            time.sleep(0.01)
        until = time.monotonic() + after
        while time.monotonic() < until:
            self.find("")
            time.sleep(0.05)


def list_options(cluster: Cluster) -> list[str]:
    """Those of a server that has this cluster."""
    where = cluster.address
    options = {"dask": where.address, "dask-ca": where.ca, "dask-cert": where.cert, "dask-key": where.key}
    return ["--max-processes", "2", *(f"--{name}={value}" for name, value in options.items())]


def run_with_fault(server: Server, cluster: Cluster, seed: int) -> tuple[str, dict[str, Any], str]:
    """(the fault, the run that it came into, what happened)."""
    draw = random.Random(seed)
    fault = draw.choice(FAULTS if can_shut_sockets() else FAULTS[:2])
    # Targets in turn, so that also the first tenth has each of them.
    target, after, victim = TARGETS[seed % len(TARGETS)], draw.uniform(0, 3), draw.randrange(2)
    remote, run_id = Remote(cluster), server.accept(RUN)
    # On a machine without time the run may be over before anything of it is seen: then nothing of it is missing.
    remote.wait(lambda: bool(remote.find("aurea-keeper")) or server.get(run_id)["status"] in FINAL, after)
    hit = [pid for pid in remote.find(target)[victim : victim + 1] if strike(pid, fault)]
    struck = time.monotonic()
    with ProcessorShare() as processor:
        document = server.final(run_id, 120)
    took = time.monotonic() - struck
    told = (
        f"seed {seed}: {fault} of {target} {victim + 1} after {after:.2f} s, hit {hit}: {document['status']}, "
        f"{document['reason']} {took:.1f} s later, with {processor.share:.0%} of a processor"
    )
    print(told)
    check_end(document, told)
    assert took * processor.share <= LIMIT, told
    assert wait_until_gone(remote.seen) == [], told
    return f"{fault} of {target}", document, told


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_cluster_at_seeded_instants(
    tmp_path: Path,
    serve: Callable[..., Server],
    invariants: Callable[[Server], None],
    campaign: Callable[[int], int],
) -> None:
    """While shards are set up, while they run and while they end: within ten seconds, for the right reason. The next run, on
    a cluster that is there again, is right.
    """
    ends: Counter[str] = Counter()
    told = "nothing"
    for seed in range(campaign(40)):
        with ExitStack() as stack:
            cluster = stack.enter_context(start_cluster(tmp_path / f"{seed}"))
            server = serve(*list_options(cluster))
            stack.callback(server.stop)
            again = server.run(NEXT, timeout=300)
            assert (again["status"], again["completed_jobs"], len(again["shards"])) == ("completed", 10, 2), told
            server.mark = server._quiet_census()
            what, document, told = run_with_fault(server, cluster, seed)
            invariants(server)
        ends[f"{what}: {document['status']}"] += 1
    print(dict(ends))
    assert any(name.endswith("failed") for name in ends)
