"""Repeated runs over HTTP: the result of the same study here, within the limits, live, stored and priced again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aurea_engine import (
    encode_json,
    parse_json,
    repeat,
    result_from_dict,
    result_to_dict,
    spec_from_dict,
)
from aurea_server.http.openapi import build_document
from aurea_server.http.operations import OPERATIONS
from aurea_server.runner.kinds import Kinds

pytestmark = pytest.mark.service

SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}},
        "arrivals": {"kind": "poisson", "rate": 50},
        "jobs": 1000,
    },
    "scheduler": {"kind": "fifo", "slots": 1},
    "objectives": [{"metric": "response_time", "at_most": 0.1}],
    "clock": "virtual",
    "seed": 7,
}
TOLD_LATER = ("benchmark_id", "start_time", "end_time", "environment", "usage")


async def read(client: Any, path: str) -> Any:
    async with client.get(path) as answer:
        assert answer.status == 200
        return await answer.json(content_type=None)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    """All that does not tell when and where it was made."""
    return {name: value for name, value in result.items() if name not in TOLD_LATER}


async def test_result_is_that_of_the_study_here(serve: Any, post: Any) -> None:
    """In one process or two; and it is in the history as it was answered."""
    client = await serve(max_processes=2)
    here = json.loads(encode_json(result_to_dict(await repeat(spec_from_dict(SPEC), 4))))
    for processes in ({}, {"processes": 1}, {"processes": 2}):
        status, result = await post(client, {**SPEC, "repeat": 4, **processes})
        assert (status, result["status"]) == (200, "completed")
        assert figures(result) == figures(here)
        assert result["environment"]["repeat"] == 4
        assert "repeat" not in result["spec"]
    path = f"/benchmark/runs/{result['benchmark_id']}"
    stored = await read(client, path)
    assert stored == result
    read_again = result_from_dict(parse_json(json.dumps(stored)))
    assert read_again.replications is not None
    assert len(read_again.replications.each) == 4
    assert await read(client, f"{path}/jobs") == {"jobs": [], "total": 0, "next": None}
    listed = (await read(client, "/benchmark/runs?limit=1"))["runs"]
    assert listed[0]["num_jobs"] == 4000


async def test_answers_are_as_described(serve: Any, post: Any) -> None:
    """By the document that clients are generated from; a run that is not repeated, too."""
    described = build_document(OPERATIONS, Kinds())
    schema = {"$ref": "#/components/schemas/Result", "components": described["components"]}
    client = await serve()
    for members in ({"repeat": 3}, {"repeat": 1}, {}):
        _, result = await post(client, {**SPEC, **members})
        Draft202012Validator(schema).validate(result)
    assert (result["replications"], result["repeat"]) == ([], None)


async def test_stored_study_is_priced_again(serve: Any, post: Any) -> None:
    """From its usage, which is that of its replications one after the other."""
    client = await serve()
    _, result = await post(client, {**SPEC, "repeat": 3})
    path = f"/benchmark/runs/{result['benchmark_id']}/reprice"
    async with client.post(path, json={"cost": {"kind": "per_job", "price": "0.001"}}) as answer:
        assert answer.status == 200
        assert (await answer.json())["cost"]["total"] == "3"


@pytest.mark.parametrize(
    ("members", "path", "told"),
    [
        ({"repeat": 0}, "repeat", "must be a whole number from 1 to 1000"),
        ({"repeat": "ten"}, "repeat", "must be a whole number from 1 to 1000"),
        ({"repeat": 5, "until": 2}, "until", "must be a share above 0"),
        ({"repeat": 5, "processes": 3}, "processes", "must be <= 1 on this server"),
        ({"repeat": 11}, "workload.jobs", "must be <= 909 on this server, which limits all replications together"),
        ({"until": "1%"}, "workload.jobs", "must be <= 100 on this server, which limits all replications together"),
    ],
)
async def test_limits_are_of_all_replications(serve: Any, post: Any, members: Any, path: str, told: str) -> None:
    client = await serve(max_jobs=10_000)
    status, answer = await post(client, {**SPEC, **members})
    assert status == 400
    (problem,) = [each for each in answer["problems"] if each["path"] == path]
    assert problem["problem"].startswith(told)


async def test_time_limit_is_of_all_replications(serve: Any, post: Any) -> None:
    """It ends the study with what it has: a real one of minutes, of which the first replications may have completed."""
    for limit in (1.5, 15):  # on a busy machine none may complete within the shorter one
        client = await serve(max_seconds=limit)
        status, result = await post(client, {"num_jobs": 5, "job_duration_ms": 50, "repeat": 1000})
        if result["replications"]:
            break
    assert (status, result["status"], result["reason"]["code"]) == (200, "timed_out", "time_limit")
    assert 1 <= len(result["replications"]) < 1000
    assert result["repeat"]["asked"] == 1000


async def test_progress_and_metrics_are_of_all_replications(serve: Any, post: Any) -> None:
    """Events name the replication that is under way, and the counters end at the jobs of all."""
    client = await serve()
    body = {"num_jobs": 20, "job_duration_ms": 300, "repeat": 3}
    status, accepted = await post(client, body, Prefer="respond-async")
    assert status == 202
    seen: list[dict[str, Any]] = []
    async with client.get(f"/benchmark/runs/{accepted['benchmark_id']}/events") as answer:
        text = await answer.text()
    for event in text.replace("\r\n", "\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        if lines.get("event") == "progress":
            seen.append(json.loads(lines["data"]))
    assert seen
    assert {progress["replications"] for progress in seen} == {3}
    numbers = [progress["replication"] for progress in seen]
    assert numbers == sorted(numbers)
    arrived = [progress["arrived"] for progress in seen]
    assert arrived == sorted(arrived)
    assert arrived[-1] == 60
    async with client.get("/metrics") as answer:
        metrics = await answer.text()
    assert "\nbenchmark_jobs_total 60.0\n" in metrics
    assert "\nbenchmark_runs_total 1.0\n" in metrics
    assert "\nbenchmark_job_duration_seconds_count 60.0\n" in metrics


async def test_cancelled_study_keeps_what_completed(serve: Any, post: Any) -> None:
    client = await serve()
    body = {"num_jobs": 5, "job_duration_ms": 100, "repeat": 900}
    _, accepted = await post(client, body, Prefer="respond-async")
    path = f"/benchmark/runs/{accepted['benchmark_id']}"
    async with client.get(f"{path}/events") as answer:
        # Until the second is under way; then it is told to end, and the events end with it.
        async for line in answer.content:
            if line.startswith(b"data: ") and json.loads(line[6:]).get("replication", 0) > 1:
                async with client.post(f"{path}/cancel", json={}) as cancelled:
                    assert cancelled.status == 202
                break
        await answer.content.read()
    result = await read(client, path)
    assert (result["status"], result["reason"]["code"]) == ("cancelled", "stop_requested")
    assert 1 <= len(result["replications"]) < 900
    assert result["num_jobs"] == sum(each["num_jobs"] for each in result["replications"])
