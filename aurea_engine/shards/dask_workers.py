"""The workers of a Dask cluster, and which shard goes to which of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from aurea_engine.errors import Problem, SpecError
from aurea_engine.run.shard_facts import Count, ShortText, Signed


# Read from another process, and told to it by a cluster: so with bounds in the types.
@dataclass(frozen=True)
class Worker:
    """One worker of a cluster: how many tasks it runs at once, and how far its clock is ahead of ours. ``pid``: of its
    process, 0 if it is on another machine.
    """

    address: ShortText
    host: ShortText
    threads: Annotated[int, Meta(ge=0, le=100_000)]
    clock_ahead_ns: Signed = 0
    clock_bound_ns: Count = 0
    pid: Count = 0

    def __str__(self) -> str:
        return f"{self.address} on {self.host}" if self.host else self.address


def deal_shards(workers: Sequence[Worker], number: int) -> list[Worker]:
    """The worker of each of so many shards. Raises SpecError if there is no room for them."""
    # One to each worker before any has two: the second on a machine takes its processors from the first.
    rounds = max((worker.threads for worker in workers), default=0)
    places = [worker for turn in range(rounds) for worker in workers if worker.threads > turn]
    if number > len(places):
        there = f"{_count(len(workers), 'worker')} with {_count(len(places), 'thread')}"
        text = f"must be <= {len(places)} on this cluster, which has {there}: a shard takes one"
        raise SpecError([Problem("processes", text, f"{number}")])
    return places[:number]


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def count_on_machine(dealt: Sequence[Worker], worker: Worker) -> int:
    """How many of the shards are on the machine of ``worker``."""
    return Counter(each.host for each in dealt)[worker.host]
