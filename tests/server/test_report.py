"""`GET /benchmark/runs/{id}/report`: a stored run as a page, drawn with every job of its, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aurea_engine.report.document import MOST_BYTES
from aurea_engine.report.page import render_html
from aurea_engine.report.stylesheet import POLICY
from aurea_server.http import app_keys
from aurea_server.runner.pool import MAX_COMPARED, RunnerPool
from aurea_server.runner.stored_runs import read_stored_run

pytestmark = pytest.mark.service

Post = Callable[..., Awaitable[Any]]


async def make_run(client: Any, post: Post, **more: Any) -> str:
    job = {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}}
    workload = {"job": job, "arrivals": {"kind": "poisson", "rate": 200}, "jobs": 2000}
    status, result = await post(client, {"workload": workload, "clock": "virtual", "seed": 1} | more)
    assert status == 200
    return str(result["benchmark_id"])


async def ask(client: Any, run_id: str, **headers: str) -> tuple[int, Any, Any]:
    async with client.get(f"/benchmark/runs/{run_id}/report", headers=headers) as answer:
        is_page = answer.content_type == "text/html"
        return answer.status, await (answer.text() if is_page else answer.json(content_type=None)), answer.headers


async def test_a_stored_run_is_drawn_with_every_job(client: Any, post: Post) -> None:
    """Exactly as the result itself would be; the label cannot do anything, and the policy allows it nothing."""
    workload = {
        "job": {"kind": "sleep", "duration": 0.01},
        "arrivals": {"kind": "constant", "rate": 2000},
        "jobs": 20_000,
    }
    run_id = await make_run(client, post, label="<script>alert(1)</script>", workload=workload)
    status, page, headers = await ask(client, run_id)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page == render_html(read_stored_run(*await client.app[app_keys.READER].stored(run_id)))
    assert 'id="heat-map"' in page
    assert "<script" not in page
    assert len(page.encode()) <= MOST_BYTES
    policy = headers["Content-Security-Policy"]
    assert policy.startswith(f"sandbox; {POLICY}; ")
    assert "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_what_is_not_there_or_not_done(client: Any, post: Post) -> None:
    status, problem, _ = await ask(client, "benchmark-1")
    assert (status, problem["code"]) == (404, "run_not_found")
    _, accepted = await post(client, {"num_jobs": 1, "job_duration_ms": 600_000}, Prefer="respond-async")
    status, problem, _ = await ask(client, accepted["benchmark_id"])
    assert (status, problem["code"]) == (409, "run_in_progress")
    assert "can be drawn when it has" in problem["error"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
async def test_pages_of_other_sites_are_refused(client: Any, site: str) -> None:
    status, problem, _ = await ask(client, "benchmark-1", **{"Sec-Fetch-Site": site})
    assert (status, problem["code"]) == (403, "cross_site")


async def test_so_many_wait_and_no_more(client: Any, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await make_run(client, post)
    reader, began, goes_on = client.app[app_keys.READER], asyncio.Event(), asyncio.Event()
    stored = reader.stored

    async def wait(asked: str) -> Any:
        began.set()
        await goes_on.wait()
        return await stored(asked)

    monkeypatch.setattr(reader, "stored", wait)
    asked = [asyncio.ensure_future(ask(client, run_id)) for _ in range(MAX_COMPARED)]
    await began.wait()
    while client.app[app_keys.REPORTER]._pool._comparing._asked < MAX_COMPARED:
        await asyncio.sleep(0.01)
    status, problem, _ = await ask(client, run_id)
    assert (status, problem["code"]) == (429, "queue_full")
    goes_on.set()
    assert [status for status, *_ in await asyncio.gather(*asked)] == [200] * MAX_COMPARED


async def test_a_report_that_takes_too_long_is_ended(client: Any, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await make_run(client, post)
    monkeypatch.setattr("aurea_server.runner.pool.COMPARE_SECONDS", 0.0)
    status, problem, _ = await ask(client, run_id)
    assert (status, problem["code"]) == (503, "report_failed")
    monkeypatch.undo()
    assert (await ask(client, run_id))[0] == 200


async def test_damaged_parts_are_the_servers_fault(client: Any, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await make_run(client, post)
    draw = RunnerPool.draw

    async def damage(pool: RunnerPool, what: str, collect: Any) -> Any:
        async def collect_damaged() -> dict[str, bytes]:
            return {**await collect(), "parts": b"AUREAP1\nxxxx"}

        return await draw(pool, what, collect_damaged)

    monkeypatch.setattr(RunnerPool, "draw", damage)
    status, problem, _ = await ask(client, run_id)
    assert (status, problem["code"]) == (503, "storage_failed")


async def test_a_token_is_asked_for(serve: Callable[..., Awaitable[Any]], tmp_path: Any) -> None:
    """As everywhere: without it nobody learns whether there is such a run."""
    file = tmp_path / "token"
    file.write_text("a-long-and-secret-token-0123456789")
    file.chmod(0o600)
    guarded = await serve(token_file=str(file))
    assert (await ask(guarded, "benchmark-1"))[0] == 401
