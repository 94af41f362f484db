"""`GET /benchmark/compare`: stored runs compared with every job of theirs, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aurea_engine import compare, comparison_from_dict
from aurea_engine.report.comparison_page import render_comparison
from aurea_server.http import app_keys
from aurea_server.runner.pool import MAX_COMPARED, RunnerPool
from aurea_server.runner.stored_runs import read_stored_run

pytestmark = pytest.mark.service

Post = Callable[..., Awaitable[Any]]


def spec(seed: int, mean: float = 0.01, jobs: int = 20_000, **more: Any) -> dict[str, Any]:
    job = {"kind": "sleep", "duration": {"kind": "exponential", "mean": mean}}
    workload = {"job": job, "arrivals": {"kind": "poisson", "rate": 200}, "jobs": jobs}
    return {"workload": workload, "scheduler": {"slots": 4}, "clock": "virtual", "seed": seed, **more}


async def ask(client: Any, **query: str) -> tuple[int, Any]:
    async with client.get("/benchmark/compare", params=query) as answer:
        return answer.status, await answer.json(content_type=None)


async def run_id(client: Any, post: Post, *which: Any, **more: Any) -> str:
    status, result = await post(client, spec(*which, **more))
    assert status == 200
    return str(result["benchmark_id"])


async def test_stored_runs_are_compared_with_every_job(client: Any, post: Post) -> None:
    """By their records, of which a result over HTTP shows half: the same as for the runs themselves."""
    a, b = await run_id(client, post, 1), await run_id(client, post, 2, 0.011)
    status, document = await ask(client, a=a, b=b)
    assert status == 200
    comparison = comparison_from_dict(document)
    assert comparison.word == "worse"
    assert comparison.names == (a, b)
    assert "from_histograms" not in {each.code for each in comparison.notes}
    reader = client.app[app_keys.READER]
    results = [read_stored_run(*await reader.stored(each)) for each in (a, b)]
    assert comparison == compare(*results)
    status, narrower = await ask(client, a=a, b=b, tolerance="0.5", anyway="true")
    assert (status, narrower["tolerance"]) == (200, 0.5)


async def ask_page(client: Any, **query: str) -> tuple[int, Any, Any]:
    async with client.get("/benchmark/compare/report", params=query) as answer:
        is_page = answer.content_type == "text/html"
        return answer.status, await (answer.text() if is_page else answer.json(content_type=None)), answer.headers


async def test_a_comparison_is_drawn_as_a_page(client: Any, post: Post) -> None:
    """The page of the very comparison that the other resource answers with, and it may do nothing in a browser."""
    a, b = await run_id(client, post, 1, 0.01, 2000), await run_id(client, post, 2, 0.011, 2000)
    status, page, headers = await ask_page(client, a=a, b=b, tolerance="0.01")
    _, document = await ask(client, a=a, b=b, tolerance="0.01")
    assert (status, page) == (200, render_comparison(comparison_from_dict(document)))
    assert headers["Content-Security-Policy"].startswith("sandbox; ")
    assert "<script" not in page


async def test_pages_of_comparisons_refuse_as_comparisons_do(client: Any) -> None:
    status, problem, _ = await ask_page(client, a="x", b="benchmark-1", tolerance="3")
    assert (status, [each["path"] for each in problem["problems"]]) == (400, ["a", "tolerance"])
    status, problem, _ = await ask_page(client, a="benchmark-1", b="benchmark-2")
    assert (status, problem["code"]) == (404, "run_not_found")
    async with client.get("/benchmark/compare/report", headers={"Sec-Fetch-Site": "cross-site"}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "cross_site")


async def test_a_run_without_records_is_compared(client: Any, post: Post) -> None:
    a, b = await run_id(client, post, 1, keep_jobs=False), await run_id(client, post, 2)
    _, document = await ask(client, a=a, b=b)
    assert [each["code"] for each in document["notes"] if each["code"] == "from_histograms"] == ["from_histograms"]


async def test_a_wrong_query_is_refused_as_a_whole(client: Any) -> None:
    """All problems at once, before any run is looked for."""
    status, problem = await ask(client, a="x", tolerance="3%", anyway="yes")
    assert (status, problem["code"]) == (400, "invalid_query")
    assert [each["path"] for each in problem["problems"]] == ["a", "b", "tolerance", "anyway"]


@pytest.mark.parametrize("tolerance", ["", "-0.1", "2", "nan", "inf", "1e400", "0x1", "9" * 500])
async def test_a_tolerance_that_is_none_is_refused(client: Any, tolerance: str) -> None:
    status, problem = await ask(client, a="benchmark-1", b="benchmark-2", tolerance=tolerance)
    assert (status, problem["problems"][0]["path"]) == (400, "tolerance")


async def test_what_is_not_there_or_not_done_is_named(client: Any, post: Post) -> None:
    """404 for an unknown run, 409 for one that has not ended."""
    a = await run_id(client, post, 1, 0.01, 200)
    status, problem = await ask(client, a=a, b="benchmark-1")
    assert (status, problem["code"], problem["error"]) == (404, "run_not_found", "There is no run benchmark-1.")
    status, accepted = await post(client, {"num_jobs": 1, "job_duration_ms": 600_000}, Prefer="respond-async")
    assert status == 202
    status, problem = await ask(client, a=a, b=accepted["benchmark_id"])
    assert (status, problem["code"]) == (409, "run_in_progress")
    assert accepted["benchmark_id"] in problem["error"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
async def test_pages_of_other_sites_are_refused(client: Any, site: str) -> None:
    """They could not read the answer, but they could keep a server busy."""
    query = {"a": "benchmark-1", "b": "benchmark-2"}
    async with client.get("/benchmark/compare", params=query, headers={"Sec-Fetch-Site": site}) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (403, "cross_site")
    async with client.get("/benchmark/compare", params=query, headers={"Sec-Fetch-Site": "same-origin"}) as answer:
        assert answer.status == 404


async def test_so_many_wait_and_no_more(client: Any, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pair at a time, a few that wait, and 429 for the rest: each would hold the records of two runs."""
    a = await run_id(client, post, 1, 0.01, 200)
    began, goes_on = asyncio.Event(), asyncio.Event()
    collect = client.app[app_keys.COMPARER]._collect

    async def wait(*ids: str) -> dict[str, bytes]:
        began.set()
        await goes_on.wait()
        return await collect(*ids)  # type: ignore[no-any-return]

    monkeypatch.setattr(client.app[app_keys.COMPARER], "_collect", wait)
    asked = [asyncio.ensure_future(ask(client, a=a, b=a)) for _ in range(MAX_COMPARED)]
    await began.wait()
    while client.app[app_keys.COMPARER]._pool._comparing._asked < MAX_COMPARED:
        await asyncio.sleep(0.01)
    status, problem = await ask(client, a=a, b=a)
    assert (status, problem["code"]) == (429, "queue_full")
    goes_on.set()
    assert [status for status, _ in await asyncio.gather(*asked)] == [200] * MAX_COMPARED


async def test_a_comparison_that_hangs_is_ended(client: Any, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its deadline, which here is over before the process can answer; the server goes on."""
    a = await run_id(client, post, 1, 0.01, 200)
    monkeypatch.setattr("aurea_server.runner.pool.COMPARE_SECONDS", 0.0)
    status, problem = await ask(client, a=a, b=a)
    assert (status, problem["code"]) == (503, "comparison_failed")
    monkeypatch.undo()
    assert (await ask(client, a=a, b=a))[0] == 200


async def test_damaged_parts_are_the_servers_fault(client: Any, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk has lost is for the operator's log, and no answer of a process that dies."""
    a = await run_id(client, post, 1, 0.01, 200)
    compare_there = RunnerPool.compare

    async def damage(pool: RunnerPool, order: Any, collect: Any) -> Any:
        async def collect_damaged() -> dict[str, bytes]:
            return {**await collect(), "b parts": b"AUREAP1\nxxxx"}

        return await compare_there(pool, order, collect_damaged)

    monkeypatch.setattr(RunnerPool, "compare", damage)
    status, problem = await ask(client, a=a, b=a)
    assert (status, problem["code"]) == (503, "storage_failed")
