"""Flows of requests through the server: their steps as groups and as a resource, what is refused, and what is billed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from jsonschema import Draft202012Validator

from aurea_server.http.openapi import build_document
from aurea_server.http.operations import OPERATIONS
from aurea_server.runner.kinds import Kinds
from tests.server.target_double import Target, open_target

Serve = Callable[..., Awaitable[TestClient[Any, Any]]]
Post = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with open_target() as opened:
        yield opened


def visiting(port: int, other: int | None = None, **members: Any) -> dict[str, Any]:
    """Seven users of two steps."""
    steps = [
        {"name": "home", "url": f"http://127.0.0.1:{port}/"},
        {"name": "item", "url": f"http://127.0.0.1:{other or port}/item/{{{{index}}}}", "think": 0.01},
    ]
    return {"workload": {"job": {"kind": "flow", "steps": steps}, "jobs": 7}, **members}


async def test_steps_of_a_flow_are_a_resource(serve: Serve, post: Post, target: Target) -> None:
    """Page by page, in the order of their flows, each with what it reported; described as in the OpenAPI document."""
    client = await serve(allow_target=("127.0.0.0/8",))
    status, result = await post(client, visiting(target.port))
    assert (status, result["completed_jobs"]) == (200, 7)
    assert [(each["name"], each["counts"]["completed"], each["not_reached"]) for each in result["groups"]] == [
        ("home", 7, 0),
        ("item", 7, 0),
    ]
    where, rows = f"/benchmark/runs/{result['benchmark_id']}/steps?limit=5", list[dict[str, Any]]()
    schema = {"$ref": "#/components/schemas/StepPage", "components": build_document(OPERATIONS, Kinds())["components"]}
    while where:
        async with client.get(where) as answer:
            page = await answer.json()
            Draft202012Validator(schema).validate(page)
            assert (answer.status, page["total"]) == (200, 14)
            rows += page["steps"]
            where = str(answer.links["next"]["url"].relative()) if "next" in answer.links else ""
    assert [(row["job_id"], row["step"]) for row in rows] == [
        (job["job_id"], step) for job in result["jobs"] for step in ("home", "item")
    ]
    assert all(row["measures"]["status"] == 200 and row["outcome"] == "completed" for row in rows)
    for job, first, second in zip(result["jobs"], rows[::2], rows[1::2], strict=True):
        assert second["intended"] == pytest.approx(first["finished"] + 0.01, abs=1e-9)
        assert job["measures"]["bytes_sent"] == first["measures"]["bytes_sent"] + second["measures"]["bytes_sent"]


async def test_run_without_steps_has_an_empty_page(serve: Serve, post: Post) -> None:
    """And a run that is not there has none."""
    client = await serve()
    _, result = await post(client, {"num_jobs": 3, "job_duration_ms": 1})
    async with client.get(f"/benchmark/runs/{result['benchmark_id']}/steps") as answer:
        assert await answer.json() == {"steps": [], "total": 0, "next": None}
    async with client.get("/benchmark/runs/benchmark-1/steps") as answer:
        assert answer.status == 404
    async with client.get(f"/benchmark/runs/{result['benchmark_id']}/steps?limit=0") as answer:
        assert answer.status == 400


async def test_every_step_is_checked_before_run(serve: Serve, post: Post, target: Target) -> None:
    """One step that may not be sent to refuses the whole flow, and nothing is sent."""
    client = await serve(allow_target=(f"127.0.0.1:{target.port}",))
    status, problem = await post(client, visiting(target.port, other=1))
    assert (status, problem["code"]) == (403, "target_not_allowed")
    assert target.received == []


async def test_secrets_of_steps_are_refused(serve: Serve, post: Post, target: Target) -> None:
    """As those of a request are, each with the path of its step."""
    client = await serve(allow_target=("127.0.0.0/8",))
    document = visiting(target.port)
    steps = document["workload"]["job"]["steps"]
    steps[0]["auth"] = {"bearer": {"env": "HOME"}}
    steps[1]["method"], steps[1]["file"] = "POST", "/etc/passwd"
    status, problem = await post(client, document)
    assert (status, problem["code"]) == (400, "local_reference")
    assert {each["path"].split(".")[2] for each in problem["problems"]} == {"steps[0]", "steps[1]"}
    assert target.received == []


async def test_a_run_of_flows_is_priced_by_step(serve: Serve, post: Post, target: Target) -> None:
    """At once, and again when it is stored."""
    client = await serve(allow_target=("127.0.0.0/8",))
    _, result = await post(client, visiting(target.port, cost={"kind": "per_job", "price": 1, "per": "step"}))
    assert result["total_cost"] == 14
    where = f"/benchmark/runs/{result['benchmark_id']}/reprice"
    for per, total in (("job", "7"), ("step", "14")):
        cost = {"kind": "per_job", "price": 1, "per": per}
        async with client.post(where, json={"cost": cost}) as answer:
            assert (await answer.json())["cost"]["total"] == total
