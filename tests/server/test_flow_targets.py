"""Steps of a flow through the server: each is judged as a job of its own would be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.server.target_double import OK, open_target

Serve = Callable[..., Awaitable[TestClient[Any, Any]]]
Post = Callable[..., Awaitable[tuple[int, Any]]]


def flow(*steps: dict[str, Any], jobs: int = 3, **members: Any) -> dict[str, Any]:
    named = [{"name": f"step{number}", **step} for number, step in enumerate(steps)]
    return {"workload": {"job": {"kind": "flow", "steps": named, **members}, "jobs": jobs}}


async def test_every_step_is_judged_before_first(serve: Serve, post: Post) -> None:
    """One step that is refused is enough: no request of the others is sent."""
    async with open_target() as target:
        client = await serve(allow_target=(f"127.0.0.1:{target.port}",))
        good, bad = f"http://127.0.0.1:{target.port}/", "http://127.0.0.1:3/"
        status, problem = await post(client, flow({"url": good}, {"url": bad}, {"url": "http://evil.invalid/"}))
        assert (status, problem["code"]) == (403, "target_not_allowed")
        assert [each["got"] for each in problem["problems"]] == ["127.0.0.1:3", "evil.invalid:80"]
        assert target.received == []


async def test_steps_run_on_allowed_targets(serve: Serve, post: Post) -> None:
    async with open_target() as one, open_target() as two:
        client = await serve(allow_target=("127.0.0.1",))
        steps = [{"url": f"http://127.0.0.1:{each.port}/"} for each in (one, two, one)]
        status, result = await post(client, flow(*steps))
        assert (status, result["completed_jobs"]) == (200, 3), result
        assert (len(one.requests), len(two.requests)) == (6, 3)


@pytest.mark.parametrize(
    "members",
    [
        {"file": "/etc/hostname"}, {"tls": {"ca": "/etc/ssl/ca.pem"}}, {"tls": {"key": "/k.pem"}},
        {"auth": {"bearer": {"env": "HOME"}}}, {"headers": {"x-api-key": {"file": "/etc/shadow"}}},
        {"url": "unix:/run/app.sock:/"},
    ],
)  # fmt: skip
async def test_steps_name_nothing_of_the_machine(serve: Serve, post: Post, members: dict[str, Any]) -> None:
    client = await serve(allow_target=("0.0.0.0/0",))
    status, problem = await post(client, flow({"url": "http://127.0.0.1:9/", "method": "POST", **members}))
    assert (status, problem["code"]) == (400, "local_reference"), problem


async def test_a_flow_counts_all_that_it_sends(serve: Serve, post: Post) -> None:
    """Three steps at 40/s are 120 requests a second, and a target of two has half of the connections each."""
    client = await serve(allow_target=("127.0.0.1",), max_target_rate=100.0, max_target_connections=10)
    steps = [{"url": "http://127.0.0.1:9/"}, {"url": "http://127.0.0.1:9/"}, {"url": "http://127.0.0.1:10/"}]
    spec = flow(*steps)
    spec["workload"]["arrivals"] = {"kind": "constant", "rate": 40}
    status, problem = await post(client, spec)
    assert (status, problem["problems"][0]["path"]) == (400, "workload.arrivals")
    steps[0]["connections"] = 6
    status, problem = await post(client, flow(*steps))
    assert (status, problem["problems"][0]["got"]) == (400, "6"), problem


async def test_extracted_values_stand_nowhere(serve: Serve, post: Post) -> None:
    """A session that a step was given is sent by the next one, and is in no result."""

    def answer(head: bytes) -> bytes:
        return OK.replace(b"\r\n\r\n", b"\r\nX-Session: planted-61\r\n\r\n")

    async with open_target(answer) as target:
        client = await serve(allow_target=("127.0.0.1",))
        url = f"http://127.0.0.1:{target.port}/"
        steps = [
            {"name": "login", "url": url, "extract": {"session": {"header": "x-session"}}},
            {"name": "use", "url": url, "headers": {"Authorization": "Bearer {{login.session}}"}},
        ]
        status, result = await post(client, {"workload": {"job": {"kind": "flow", "steps": steps}, "jobs": 2}})
        assert (status, result["completed_jobs"]) == (200, 2), result
        assert b"Authorization: Bearer planted-61" in b"".join(target.received)
        assert "planted-61" not in str(result)


async def read_requests(client: TestClient[Any, Any]) -> dict[str, float]:
    """Requests by class of status, as they are scraped."""
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    pairs = (line.removeprefix("benchmark_target_requests_total").split(" ") for line in lines)
    return {
        pair[0].split('"')[1]: float(pair[1])
        for pair in pairs
        if pair[0].startswith("{status_class") and pair[1] != "0.0"
    }


async def test_metrics_count_every_step(serve: Serve, post: Post) -> None:
    """Beside requests that are jobs of their own. A step that is not reached is no request; one that fails is."""

    def answer(head: bytes) -> bytes:
        return b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n" if b"/fails" in head else OK

    async with open_target(answer) as target:
        client = await serve(allow_target=("127.0.0.1",))
        url = f"http://127.0.0.1:{target.port}"
        steps = [{"name": name, "url": f"{url}/{name}"} for name in ("one", "fails", "never")]
        of = [
            {"weight": 1, "name": "flows", "job": {"kind": "flow", "steps": steps}},
            {"weight": 1, "name": "jobs", "job": {"kind": "http", "url": f"{url}/job"}},
            {"weight": 1, "name": "none", "job": {"kind": "http", "url": "http://127.0.0.1:1/"}},
            {"weight": 1, "name": "sleeps", "job": {"kind": "sleep", "duration": 0}},
        ]
        status, result = await post(client, {"workload": {"job": {"kind": "mix", "of": of}, "jobs": 60}, "seed": 3})
        assert status == 200, result
        counted = {group["name"]: group["counts"]["arrived"] for group in result["groups"] if "/" not in group["name"]}
        lines = target.requests
        assert [sum(f"/{name} " in line for line in lines) for name in ("one", "fails", "never", "job")] == [
            counted["flows"], counted["flows"], 0, counted["jobs"]
        ]  # fmt: skip
        assert await read_requests(client) == {
            "2xx": counted["flows"] + counted["jobs"],
            "5xx": counted["flows"],
            "none": counted["none"],
        }
