"""Processes of a sharded run are killed, frozen and cut off, at any instant; the eight invariants hold after each."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.conftest import FINAL, Server, processes
from tests.faults.strikes import HANGS, ProcessorShare, can_shut_sockets, find_below, strike, wait_until_gone

pytestmark = pytest.mark.faults

RUN = {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.02},
        "arrivals": {"kind": "constant", "rate": 100},
        "duration": 1.5,
    },
    "processes": 2,
}
JOBS = 150
NEXT = {**RUN, "workload": {"job": {"kind": "sleep", "duration": 0.001}, "jobs": 10}}
ROLES = ("aurea-runner", "aurea-guard", "aurea-keeper")
FAULTS = ("SIGKILL", "SIGSTOP", "socket")
LIMIT = 10.0
"""Seconds from the fault to the end of the run, on a machine that is not busy otherwise."""


class Shards:
    """The processes of the shards of the run that goes on: each has a keeper, below it a guard, below it a runner."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.seen: set[int] = set()

    def find(self, role: str) -> list[int]:
        """Those of this role that are there now, oldest first."""
        table, below = processes(), find_below(self._server.process.pid)
        keepers = [
            pid
            for pid, name in below.items()
            if name == "aurea-keeper" and pid in table and below.get(table[pid][0]) == "aurea-runner"
        ]
        trees = [{pid: below[pid], **find_below(pid)} for pid in keepers]
        self.seen.update(*trees)
        return sorted(pid for tree in trees for pid, name in tree.items() if name == role)

    def wait_for_two(self, run_id: str) -> None:
        """Until both are there. On a machine without time the run may be over before they are seen: then they have been."""
        until = time.monotonic() + HANGS
        while len(self.find("aurea-runner")) < 2 and self._server.get(run_id)["status"] not in FINAL:
            assert time.monotonic() < until, "the shards did not start"
            time.sleep(0.005)


def check_end(document: dict[str, Any], told: str) -> None:
    """It failed for the loss of a shard, or nothing of it is missing. Nothing in between."""
    if document["status"] == "completed":
        assert document["completed_jobs"] == JOBS, told
        assert {shard["status"] for shard in document["shards"]} == {"completed"}, told
        return
    assert document["status"] == "failed", told
    assert document["reason"]["code"] == "shard_lost", told
    assert document["verdict"] == "invalid", told


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_shards_at_seeded_instants(
    serve: Callable[..., Server], invariants: Callable[[Server], None], campaign: Callable[[int], int]
) -> None:
    """While they are set up, while they run and while they end: within ten seconds, for the right reason, and nothing is
    left. The next run in two processes is right.
    """
    server = serve("--max-processes", "2")
    server.run(NEXT)
    faults = FAULTS if can_shut_sockets() else FAULTS[:2]
    ends: Counter[str] = Counter()
    for seed in range(campaign(60)):
        draw = random.Random(seed)
        fault, after = draw.choice(faults), draw.uniform(0, 1.9)
        role, victim = draw.choice(ROLES) if fault != "socket" else "aurea-runner", draw.randrange(2)
        shards, run_id = Shards(server), server.accept(RUN)
        shards.wait_for_two(run_id)
        time.sleep(after)
        hit = [pid for pid in shards.find(role)[victim : victim + 1] if strike(pid, fault)]
        struck = time.monotonic()
        with ProcessorShare() as processor:
            document = server.final(run_id, 120)
        took = time.monotonic() - struck
        told = (
            f"seed {seed}: {fault} of {role} {victim + 1} after {after:.2f} s, hit {hit}: {document['status']}, "
            f"{document['reason']} {took:.1f} s later, with {processor.share:.0%} of a processor"
        )
        print(told)
        assert document["status"] in FINAL, told
        check_end(document, told)
        assert took * processor.share <= LIMIT, told
        assert wait_until_gone(shards.seen) == [], told
        again = server.run(NEXT)
        assert (again["status"], again["completed_jobs"], len(again["shards"])) == ("completed", 10, 2), told
        invariants(server)
        ends[f"{fault}: {document['status']}"] += 1
    print(dict(ends))
    assert any(name.endswith("failed") for name in ends)
