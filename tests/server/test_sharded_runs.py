"""Runs in several processes over HTTP: within the operator's limit, with one result, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

RUN = {
    "workload": {"job": {"kind": "sleep", "duration": 0.01}, "arrivals": {"kind": "poisson", "rate": 100}, "jobs": 60}
}
LONG = {
    "workload": {"job": {"kind": "sleep", "duration": 0.01}, "arrivals": {"kind": "constant", "rate": 50}, "jobs": 5000}
}


def find_runners() -> set[int]:
    """Processes below this one in which jobs run."""
    waiting, found = [os.getpid()], set[int]()
    while waiting:
        pid = waiting.pop()
        try:
            if Path(f"/proc/{pid}/comm").read_text().strip() == "aurea-runner":
                found.add(pid)
            for thread in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        except OSError:
            continue  # it ends at any moment
    return found


@pytest.fixture
def count_runners() -> Callable[[], int]:
    """How many runners there are that were not there before: servers of other tests may be running still."""
    others = find_runners()
    return lambda: len(find_runners() - others)


async def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


async def test_run_in_two_processes(count_runners: Callable[[], int], serve: Any, post: Any) -> None:
    """One result, which is in the history as any other; its specification is as if it had run in one."""
    client = await serve(max_processes=2)
    status, result = await post(client, {**RUN, "processes": 2, "on_loss": "continue"})
    assert (status, result["status"], result["completed_jobs"]) == (200, "completed", 60)
    assert [shard["jobs"] for shard in result["shards"]] == [30, 30]
    assert (result["environment"]["processes"], result["environment"]["on_loss"]) == (2, "continue")
    assert "processes" not in result["spec"]
    async with client.get(f"/benchmark/runs/{result['benchmark_id']}") as answer:
        stored = await answer.json()
    assert stored["shards"] == result["shards"]
    # The runner that ran it is kept, its shards are not.
    await wait_until(lambda: count_runners() <= 1)


async def test_auto_is_bounded_by_the_server(serve: Any, post: Any) -> None:
    client = await serve(max_processes=1)
    _, result = await post(client, {**RUN, "processes": "auto"})
    assert (result["status"], len(result["shards"])) == ("completed", 1)


async def test_events_and_metrics_are_of_the_whole(serve: Any, post: Any) -> None:
    """Not of one process: counts rise to those of the run, and the metrics have each job once."""
    client = await serve(max_processes=2)
    _, accepted = await post(client, {**RUN, "processes": 2}, Prefer="respond-async")
    async with client.get(f"/benchmark/runs/{accepted['benchmark_id']}/events") as answer:
        events = (await answer.text()).replace("\r\n", "\n").split("\n\n")
    told = [dict(line.split(": ", 1) for line in each.splitlines() if ": " in line) for each in events]
    arrived = [json.loads(each["data"])["arrived"] for each in told if each.get("event") == "progress"]
    assert arrived == sorted(arrived)
    assert arrived[-1] == 60
    async with client.get("/metrics") as answer:
        metrics = await answer.text()
    assert "\nbenchmark_jobs_total 60.0\n" in metrics
    assert '\nbenchmark_job_outcomes_total{outcome="completed"} 60.0\n' in metrics
    assert "\nbenchmark_response_time_seconds_count 60.0\n" in metrics


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"processes": 3}, "processes"),
        ({"processes": 0}, "processes"),
        ({"processes": "many"}, "processes"),
        ({"processes": 2, "on_loss": "retry"}, "on_loss"),
        ({"processes": 2, "scheduler": {"slots": 4}}, "scheduler.slots"),
        ({"processes": 2, "clock": "virtual"}, "processes"),
    ],
)
async def test_what_cannot_be_done_is_400(serve: Any, post: Any, members: dict[str, Any], path: str) -> None:
    """Before anything is written or started."""
    client = await serve(max_processes=2)
    status, problem = await post(client, {**RUN, **members})
    assert status == 400
    assert [each["path"] for each in problem["problems"]] == [path]


async def test_cancelled_run_leaves_nothing(count_runners: Callable[[], int], serve: Any, post: Any) -> None:
    client = await serve(max_processes=2)
    status, document = await post(client, {**LONG, "processes": 2}, Prefer="respond-async")
    assert status == 202
    await wait_until(lambda: count_runners() >= 3)
    async with client.post(f"/benchmark/runs/{document['benchmark_id']}/cancel", json={}) as answer:
        assert answer.status == 202
    ended: dict[str, Any] = {}
    until = time.monotonic() + 120
    while ended.get("status") != "cancelled" and time.monotonic() < until:
        async with client.get(f"/benchmark/runs/{document['benchmark_id']}") as answer:
            ended = await answer.json()
        await asyncio.sleep(0.05)
    assert ended["status"] == "cancelled"
    await wait_until(lambda: count_runners() <= 1)
