"""`GET /benchmark/runs/{id}/series`: a run over time as columns, the same while it is active and afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from aurea_engine import RunParts, simulate, spec_from_dict
from aurea_engine.processes.messages import Snapshot
from aurea_engine.processes.so_far import MOST_GROUPS, SoFar, make_so_far
from aurea_engine.records.histogram import bounds_of
from aurea_engine.records.series import MOST
from aurea_engine.report.series_columns import CELLS, find_cell, make_columns
from aurea_engine.results.observers import Observer, Progress
from aurea_server.runs.live_series import COUNTS, LiveSeries

Post = Callable[..., Awaitable[Any]]


def snapshot(elapsed: float, completed: int, buckets: dict[int, int], **more: Any) -> Snapshot:
    times = {"buckets": list(buckets), "counts": list(buckets.values())}
    histograms = {"response": times, "service": times, "lag": {"buckets": [0], "counts": [completed]}}
    return Snapshot(
        elapsed=elapsed, arrived=completed + 3, counts={"completed": completed}, histograms=histograms, **more
    )


def test_points_are_differences() -> None:
    """Each is of what came since the one before it: its counts, and its quantiles."""
    series = LiveSeries()
    assert series.add(snapshot(0.5, 5, {3000: 5})) is None
    first = series.add(snapshot(1.0, 10, {3000: 10}, in_flight=2, queued=1, cost="1/4"))
    assert first is not None
    assert (first["n"], first["until"], first["arrived"], first["completed"]) == (0, 1.0, 13, 10)
    assert (first["in_service"], first["waiting"], first["cost"], first["lag"]) == (2, 1, 0.25, 0.0)
    second = series.add(snapshot(2.0, 30, {3000: 10, 4000: 20}))
    assert second is not None
    assert (second["n"], second["arrived"], second["completed"]) == (1, 20, 20)
    low, high = bounds_of(4000)
    assert low < second["p50"] == second["service_p50"] < high
    assert second["heat"] == [find_cell(4000), 20]
    assert series.columns()["points"]["completed"] == [10, 20]


def test_the_last_snapshot_closes_a_point() -> None:
    series = LiveSeries()
    series.add(snapshot(1.0, 10, {3000: 10}))
    assert series.add(snapshot(1.2, 12, {3000: 12}), is_last=True) is not None
    assert series.add(snapshot(1.2, 12, {3000: 12}), is_last=True) is None
    assert sum(series.columns()["points"]["completed"]) == 12


def test_a_long_run_has_wider_points() -> None:
    """Counts add up to the same; of a quantile the worse stays, so that no peak is lost."""
    series, total = LiveSeries(), 0
    for number in range(1, MOST + 2):
        total += number % 7
        series.add(snapshot(float(number), total, {3000: total} if total else {}))
    points = series.columns()["points"]
    assert series.width == 2
    assert len(points["until"]) == MOST // 2 + 1
    assert sum(points["completed"]) == total
    assert sum(count for cells in points["heat"] for count in cells[1::2]) == total
    assert points["until"] == sorted(points["until"])


def test_a_repeated_run_has_no_points() -> None:
    assert LiveSeries().add(snapshot(5.0, 10, {3000: 10}, replication=1, replications=5)) is None


QUEUE = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.06}},
        "arrivals": {"kind": "poisson", "rate": 55},
        "duration": 40,
    },
    "scheduler": {"kind": "fifo", "slots": 4},
    "clock": "virtual",
    "seed": 7,
}


def test_columns_are_those_of_the_result() -> None:
    """Every count and quantile of the series is there; what needs records comes from each job."""
    result = simulate(spec_from_dict(QUEUE))
    columns = make_columns(result)
    points = columns["points"]
    assert columns["width"] == result.series_width
    for name in (*COUNTS, "in_system", "p50", "p90", "p99"):
        assert points[name] == [getattr(point, name) for point in result.series], name
    assert [a + b for a, b in zip(points["in_service"], points["waiting"], strict=True)] == points["in_system"]
    assert points["cost"][-1] == pytest.approx(float(result.cost.total or 0))
    assert points["lag"] is None  # in virtual time nothing is late
    assert result.jobs is not None
    edges = np.array([round(each * 1e9) for each in points["until"]])
    at = np.searchsorted(edges, result.jobs.finished, side="left")
    for number in (0, 7, len(edges) - 1):
        times = np.sort(result.jobs.service_ns[at == number])
        assert points["service_p50"][number] == times[(len(times) + 1) // 2 - 1] / 1e9
    assert sum(count for cells in points["heat"] for count in cells[1::2]) == result.counts.completed
    assert columns["theory"]["model"] == "M/M/4"
    assert columns["histograms"]["response_time"]["count"] == result.response_time.count


def test_cells_are_buckets_of_histograms() -> None:
    """Eight buckets each, and the edges of an octave are edges of cells."""
    assert [find_cell(bucket) for bucket in (1, 8, 9, 128, 129)] == [0, 0, 1, CELLS - 1, CELLS]


def test_without_records_the_rest_is_there() -> None:
    result = simulate(spec_from_dict({**QUEUE, "keep_jobs": False}))
    points = make_columns(result)["points"]
    assert points["in_service"] is points["service_p99"] is points["cost"] is None
    assert points["p99"] == [point.p99 for point in result.series]
    assert sum(count for cells in points["heat"] for count in cells[1::2]) == result.counts.completed


@pytest.mark.service
async def test_so_far_and_afterwards(client: Any, post: Post) -> None:
    """While a run is active, points come with its events; afterwards they add up to the result."""
    for seconds in (3, 30):  # on a busy machine a short run may be over before its first point is looked at
        if await was_seen_so_far(client, post, seconds):
            return
    raise AssertionError("it was over before its first point was looked at")


async def was_seen_so_far(client: Any, post: Post, seconds: int) -> bool:
    """Whether the run was on when its first point was looked at."""
    was_seen = False
    workload = {
        "job": {"kind": "sleep", "duration": 0.01},
        "arrivals": {"kind": "constant", "rate": 50},
        "duration": seconds,
    }
    objectives = [{"metric": "response_time", "quantile": 0.9, "at_most": 60}]
    _, run = await post(client, {"workload": workload, "objectives": objectives}, Prefer="respond-async")
    url = f"/benchmark/runs/{run['benchmark_id']}"
    seen: list[dict[str, Any]] = []
    async with client.get(f"{url}/events") as answer:
        kind = ""
        async for line in answer.content:
            text = line.decode().rstrip()
            kind = text[7:] if text.startswith("event: ") else kind
            if text.startswith("data: ") and kind == "progress":
                seen.append(json.loads(text[6:]))
                if seen[-1]["point"] and seen[-1]["point"]["n"] == 0:
                    so_far = await get(client, f"{url}/series")
                    was_seen = (await get(client, url))["status"] == "running"
                    assert not was_seen or so_far["points"]["until"][0] == seen[-1]["point"]["until"]
    points = [each["point"] for each in seen if each["point"]]
    assert [each["n"] for each in points] == list(range(len(points)))
    assert sum(each["completed"] for each in points) == 50 * seconds
    last = seen[-1]["so_far"]
    assert (last["objectives"][0]["outcome"], last["objectives"][0]["metric"]) == ("met", "response_time")
    assert last["response_time"]["p50"] > 0.009
    assert last["cost_per_success"] is not None
    both = await asyncio.gather(*(get(client, f"{url}/series") for _ in range(20)))
    assert all(each == both[0] for each in both)
    assert sum(both[0]["points"]["completed"]) == 50 * seconds
    assert max(both[0]["points"]["lag"]) == (await get(client, url))["lag"]["max"]
    return was_seen


@pytest.mark.service
async def test_a_result_without_its_jobs(client: Any, post: Post) -> None:
    _, run = await post(client, {"num_jobs": 5, "job_duration_ms": 0})
    short = await get(client, f"/benchmark/runs/{run['benchmark_id']}?jobs=0")
    assert (short["jobs"], short["jobs_truncated"]) == ([], True)
    assert len((await get(client, f"/benchmark/runs/{run['benchmark_id']}?jobs=2"))["jobs"]) == 2
    async with client.get(f"/benchmark/runs/{run['benchmark_id']}?jobs=-1") as answer:
        assert answer.status == 400


@pytest.mark.service
async def test_what_has_no_series(client: Any) -> None:
    async with client.get("/benchmark/runs/benchmark-1/series") as answer:
        assert answer.status == 404
    async with client.get("/benchmark/runs/benchmark-1/series", headers={"Sec-Fetch-Site": "cross-site"}) as answer:
        assert answer.status == 403


async def get(client: Any, path: str) -> Any:
    async with client.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json(content_type=None)


class Latest(Observer):
    """Keeps what it was told last."""

    def on_parts(self, parts: RunParts) -> None:
        self.parts = parts

    def on_progress(self, progress: Progress) -> None:
        self.progress = progress


def test_so_far_is_bounded() -> None:
    """However many groups and classes of failures there are, and however long their names."""
    job = {"kind": "faulty", "failure_rate": 0.5, "job": {"kind": "sleep", "duration": 0.01}}
    groups = [{"weight": 1, "job": job, "name": f"group {number} {'x' * 100}"} for number in range(20)]
    workload = {"job": {"kind": "mix", "of": groups}, "arrivals": {"kind": "constant", "rate": 100}, "jobs": 2000}
    objectives = [{"metric": "failure_ratio", "at_most": 0.1}]
    latest = Latest()
    spec = spec_from_dict({"workload": workload, "clock": "virtual", "seed": 1, "objectives": objectives})
    result = simulate(spec, [latest])
    so_far = make_so_far(latest.progress, latest.parts)
    assert (len(so_far.groups), so_far.more_groups) == (MOST_GROUPS, 4)
    assert [each.arrived for each in so_far.groups] == [each.counts.arrived for each in result.groups[:MOST_GROUPS]]
    assert latest.progress.objectives == result.objectives
    assert (so_far.objectives[0].outcome, so_far.objectives[0].observed) == ("missed", result.objectives[0].observed)
    assert so_far.failures == result.failures
    assert so_far.cost_per_success == float(result.cost.per_success or 0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(so_far), type=SoFar) == so_far


@pytest.mark.parametrize("evil", [{"failures": {"x" * 201: 1}}, {"statuses": {"200": -1}}, {"more": 1}])
def test_so_far_may_have_been_written_by_a_job(evil: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(evil), type=SoFar)
