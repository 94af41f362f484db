"""The floor: what the same client reaches against a target that answers at once, beside the figures of a run.

It is subtracted from nothing. A figure near the floor is the client's and the kernel's, and not the target's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aurea_engine.results.findings import sort_by_severity
from aurea_engine.results.statistics import Timing
from aurea_engine.results.target_checks import make_client_limited

if TYPE_CHECKING:
    from aurea_engine.results.result import RunResult

NEAR_THE_FLOOR = 0.8
"""Share of the floor's throughput from which on the client sets the rate."""


@dataclass(frozen=True)
class Floor:
    """Measured against a null target. ``throughput``: jobs per second with ``users`` in a closed loop, as fast as they can.
    ``service_time`` and ``response_time``: under the arrivals of the run itself.
    """

    throughput: float | None
    users: int | None
    service_time: Timing
    response_time: Timing

    @classmethod
    def of(cls, latency: RunResult, ceiling: RunResult) -> Floor:
        """``latency``: a run with the arrivals of the run that it is the floor of; ``ceiling``: one in a closed loop."""
        users = getattr(ceiling.spec.workload.arrivals, "users", None)
        return cls(ceiling.throughput, users, latency.service_time, latency.response_time)


def attach_floor(result: RunResult, floor: Floor) -> RunResult:
    """``result`` with its floor, and with the finding that the client set the rate where the two are too near."""
    result = replace(result, floor=floor)
    reached, possible = result.throughput, floor.throughput
    known = any(finding.code == "client_limited" for finding in result.findings)
    if known or reached is None or not possible or reached < NEAR_THE_FLOOR * possible:
        return result
    found = make_client_limited(
        f"the throughput of {reached:,.0f}/s is {100 * reached / possible:.0f} % of what this client reaches against "
        f"a target that answers at once, {possible:,.0f}/s"
    )
    return replace(result, findings=sort_by_severity([*result.findings, found]))
