"""The contract between the coordinator and whatever runs a shard: a process here, or one on another machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aurea_engine.closed_sets import Status
from aurea_engine.errors import AureaError
from aurea_engine.run.parts import RunParts

Hear = Callable[[RunParts], None]


class ShardLost(AureaError, RuntimeError):
    """A shard will give no parts: its process ended, froze, or was cut off. The text says how."""


class ShardRun(Protocol):
    """**Protocol:** one shard, from its set-up to its end, as the coordinator sees it.

    The coordinator calls `prepare`, `start`, `finish`, each once, and `close` in any case. It knows neither processes nor
    networks: a transport finds out by itself whether its shard is lost, and says so by `ShardLost` from `prepare` or
    `finish`. All instants that it is given and gives are of the coordinator's monotonic clock, in ns.
    """

    lead_ns: int
    """How far ahead the start must be, so that the word of it is there in time."""

    async def prepare(self) -> None:
        """Until the jobs of the shard are set up. Raises SpecError or StrategyError where they cannot be, and
        `ShardLost`.
        """

    def start(self, opens_at_ns: int) -> None:
        """Have the window open at this instant."""

    async def finish(self, hear: Hear) -> RunParts:
        """The parts of the shard when it has ended. ``hear`` is told of those so far about four times a second, without
        records. Raises `ShardLost`, and StrategyError where a strategy broke its contract.
        """

    def stop(self, status: Status) -> None:
        """End the shard with what it has, also before it was started; one that does not obey within seconds is lost."""

    async def close(self) -> None:
        """Nothing of it is left when this returns. Called more than once."""
