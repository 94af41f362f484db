"""What the process of a shard knows of itself: where it is, what CPU time it took, how punctual it was."""

from __future__ import annotations

import os
import platform
from time import process_time_ns

from aurea_engine.run.context import DriverStats
from aurea_engine.run.meters import Meters
from aurea_engine.run.shard_facts import ProcessFacts, Releases
from aurea_engine.spec import Thresholds


class ProcessWatch:
    """This process since the window opened. The environment of a run names no host; that of a shard has to."""

    def __init__(self, stats: DriverStats) -> None:
        self._stats, self._before = stats, process_time_ns()

    def describe(self) -> ProcessFacts:
        """As it stands."""
        used_ns = process_time_ns() - self._before
        return ProcessFacts(platform.node()[:200], os.getpid(), used_ns, self._stats.skew_ns)


def count_releases(meters: Meters, limits: Thresholds) -> Releases:
    """How many jobs were released, and how punctually, of those that count and have ended."""
    lag = meters.times["lag"]
    if not lag.count:
        return Releases()
    return Releases(lag.count, lag.count_above(limits.lag), max(lag.maximum, 0))
