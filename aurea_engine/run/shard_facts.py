"""What a shard tells of the process that ran it, so that the worst of several can be found and named.

Plain values, with bounds in their types: they are read back from bytes that another machine sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

# Whole nanoseconds or jobs.
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Signed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
ShortText = Annotated[str, Meta(max_length=500)]


@dataclass(frozen=True)
class ProcessFacts:
    """Where a shard ran, and by which clock. ``host`` is empty and ``process`` 0 of a run that is no shard.

    ``cpu_ns``: CPU time of the process while the window was open, without the processes that its jobs started.
    ``start_skew_ns``: how long after the common instant it began. ``clock_offset_ns``: how much its clock is ahead of the
    coordinator's, which is known to ``clock_bound_ns``; both are 0 on one machine.
    """

    host: ShortText = ""
    process: Count = 0
    cpu_ns: Count = 0
    start_skew_ns: Count = 0
    clock_offset_ns: Signed = 0
    clock_bound_ns: Count = 0


@dataclass(frozen=True)
class Releases:
    """How punctually a shard released its jobs: how many it did, how many of them ``late`` (`Thresholds.lag`), and the
    longest delay.
    """

    jobs: Count = 0
    late: Count = 0
    worst_ns: Count = 0


@dataclass(frozen=True)
class Loss:
    """A shard was lost under way, ``at_ns`` after the window opened, and how that showed.

    ``reported``: jobs that it had released by its last report; no figure knows of them. ``tolerated``: the others went on
    without it.
    """

    at_ns: Count
    detail: ShortText
    reported: Count = 0
    tolerated: bool = False
