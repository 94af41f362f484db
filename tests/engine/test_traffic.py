"""What is counted of requests: by class of status, and those that failed before one came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from aurea_engine import Branch, Job, Measure, Mix, RunSpec, Sleep, Workload, run
from aurea_engine.processes.traffic import NO_REQUESTS, Requests, Traffic, make_traffic
from aurea_engine.records.status_codes import STATUS
from aurea_engine.run.meters import Meters

ANSWERS = [200, 204, 301, 404, 503, 999, 42, None, None, 200]
"""Statuses of jobs in turn; None: it fails before one comes."""


@dataclass(frozen=True)
class Asking(Job):
    """Answers from the list above, in turn, with as many bytes."""

    measures: ClassVar[tuple[Measure, ...]] = (
        STATUS, Measure("bytes_sent", "bytes"), Measure("bytes_received", "bytes"),
    )  # fmt: skip

    def opened(self) -> Any:
        turns = iter(ANSWERS * 100)

        class Opened:
            async def __aenter__(self) -> Callable[[float], Any]:
                return answer

            async def __aexit__(self, *_: object) -> None:
                pass

        async def answer(_: float) -> dict[str, int]:
            await asyncio.sleep(0)
            status = next(turns)
            if status is None:
                raise ConnectionResetError
            return {"status": status, "bytes_sent": 10, "bytes_received": 100}

        return Opened()

    async def run(self, demand: float) -> None:
        raise AssertionError


async def traffic_of(job: Any, jobs: int) -> Traffic:
    spec = RunSpec(Workload(job, jobs=jobs), seed=1)
    result = await run(spec)
    assert result.parts is not None
    return make_traffic(result.parts.meters, Requests.of(spec))


async def test_requests_are_counted_by_status() -> None:
    found = await traffic_of(Asking(), len(ANSWERS))
    assert found.statuses == {"2xx": 3, "3xx": 1, "4xx": 1, "5xx": 1, "other": 2, "none": 2}
    assert found.failures == {"other": 2}
    assert (found.bytes_sent, found.bytes_received) == (80, 800)


async def test_other_jobs_of_a_mix_are_no_requests() -> None:
    """A sleep has no status, and is no request that failed."""
    found = await traffic_of(Mix((Branch(1, Asking()), Branch(1, Sleep(0)))), 200)  # type: ignore[arg-type]
    asked = sum(found.statuses.values())
    assert 60 < asked < 140
    assert found.statuses["none"] == found.failures["other"] == pytest.approx(asked / 5, abs=2)


async def test_run_without_requests_has_no_traffic() -> None:
    assert await traffic_of(Sleep(0), 5) == Traffic()  # type: ignore[arg-type]


def test_failures_of_many_classes_only_grow() -> None:
    """A class of ours stays itself among a hundred of a user's, or its counter would fall when they come."""
    meters = Meters()
    meters.failures.update({"reset": 1})
    before = make_traffic(meters, NO_REQUESTS).failures
    meters.failures.update({f"Error{number}": 5 for number in range(100)})
    after = make_traffic(meters, NO_REQUESTS).failures
    assert (before, after) == ({"reset": 1}, {"reset": 1, "other": 500})
