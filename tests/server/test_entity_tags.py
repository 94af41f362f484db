"""A run that has ended does not change, so who has its result is told so instead of being sent it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
async def ended(client: Any, post: Callable[..., Any]) -> str:
    status, run = await post(client, {"num_jobs": 2, "job_duration_ms": 1})
    assert status == 200
    return f"/benchmark/runs/{run['benchmark_id']}"


async def test_ended_run_has_a_strong_tag(client: Any, ended: str) -> None:
    one, other = [await client.get(ended) for _ in range(2)]
    assert one.headers["ETag"] == other.headers["ETag"]
    assert one.headers["ETag"].startswith('"')
    assert one.headers["Cache-Control"] == "private, no-cache"
    assert await one.read() == await other.read()


@pytest.mark.parametrize("known", ["{tag}", "W/{tag}", '"else", {tag}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_known_result_is_not_sent_again(client: Any, ended: str, known: str, method: str) -> None:
    tag = (await client.get(ended)).headers["ETag"]
    async with client.request(method, ended, headers={"If-None-Match": known.format(tag=tag)}) as answer:
        assert answer.status == 304
        assert answer.headers["ETag"] == tag
        assert await answer.read() == b""
        assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("known", ['"else"', "nonsense", '"', ""])
async def test_other_tags_get_the_result(client: Any, ended: str, known: str) -> None:
    async with client.get(ended, headers={"If-None-Match": known}) as answer:
        assert answer.status == 200
        assert (await answer.json())["num_jobs"] == 2


async def test_deleted_run_is_gone_for_all(client: Any, ended: str) -> None:
    tag = (await client.get(ended)).headers["ETag"]
    assert (await client.delete(ended, headers={"Content-Type": "application/json"})).status == 204
    assert (await client.get(ended, headers={"If-None-Match": tag})).status == 404


async def test_active_run_has_no_tag(client: Any, post: Callable[..., Any]) -> None:
    _, run = await post(client, {"num_jobs": 1, "job_duration_ms": 60_000}, Prefer="respond-async")
    path = f"/benchmark/runs/{run['benchmark_id']}"
    async with client.get(path, headers={"If-None-Match": "*"}) as answer:
        assert answer.status == 200
        assert "ETag" not in answer.headers
    assert (await client.post(f"{path}/cancel", json={})).status == 202
