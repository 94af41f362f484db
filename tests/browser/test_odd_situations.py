"""What happens to a view when what it shows is deleted, cancelled, failed, huge or out of reach."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import Any

import pytest

from tests.browser import runs
from tests.browser.conftest import Complaints, Serve, Visit
from tests.browser.reading import check_figures
from tests.browser.test_connections import is_listed, is_live
from tests.browser.test_from_start_to_end import ended
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]


def delete(server: Server, path: str) -> None:
    assert server.ask("DELETE", path)[0] == 204
    server.acknowledged[:] = [each for each in server.acknowledged if each not in path]


async def test_a_run_that_is_deleted_while_it_is_viewed(server: Server, visit: Visit, complaints: Complaints) -> None:
    """The list loses it at once; its own view stays until it is asked for again, and then says that there is none."""
    from playwright.async_api import expect

    complaints.expected = "status of 404"
    run_id = runs.start(server, label="soon deleted")
    listed, viewed = await visit("#/runs"), await visit(f"#/run/{run_id}")
    await is_listed(listed, "soon deleted")
    await ended(viewed)
    await is_live(listed)
    delete(server, f"/benchmark/runs/{run_id}")
    await expect(listed.locator(f"[data-run='{run_id}']")).to_have_count(0)
    await viewed.goto("about:blank")
    await visit(f"#/run/{run_id}", page=viewed)
    await expect(viewed.get_by_role("alert")).to_be_visible()
    await viewed.get_by_role("link", name="To the list of runs").click()
    await expect(viewed.get_by_role("heading", name="Runs", exact=True)).to_be_visible()


async def test_a_run_of_10_000_jobs(server: Server, visit: Visit) -> None:
    """Its result is megabytes, of which the page asks for none."""
    body = {"num_jobs": 10_000, "job_duration_ms": 1, "clock": "virtual", "label": "many"}
    run_id = server.run(body)["benchmark_id"]
    page = await visit(f"#/run/{run_id}")
    await ended(page)
    await check_figures(page, runs.result(server, run_id))


async def test_a_run_that_failed(server: Server, visit: Visit) -> None:
    """A run without a result has a reason, and no button that leads nowhere."""
    from playwright.async_api import expect

    run_id = server.accept({"num_jobs": 1, "job_duration_ms": 600_000, "label": "killed"})
    server.running(run_id)
    page = await visit(f"#/run/{run_id}")
    # The first that is found may be that of the run before, on its way out.
    while server.get(run_id)["status"] == "running":
        with suppress(ProcessLookupError):
            os.kill(server.runner(), signal.SIGKILL)
        await asyncio.sleep(0.2)
    assert server.final(run_id)["status"] == "failed"
    await page.locator("[data-verdict]").wait_for()
    await expect(page.locator("#main")).to_contain_text("ended as")
    # What was seen of it while it was on stays until it is looked at again.
    again = await visit(f"#/run/{run_id}")
    await expect(again.locator("#main")).to_contain_text("ended as")
    shown = runs.result(server, run_id)
    # Without a result there are only the plain members, of which the view makes those that it draws.
    counts = {"arrived": shown["num_jobs"], "completed": shown["completed_jobs"]}
    await check_figures(again, {**shown, "counts": counts, "cost": {"total": shown["total_cost"]}})


async def test_a_search_that_is_cancelled_while_it_is_viewed(server: Server, visit: Visit) -> None:
    from playwright.async_api import expect

    slowly = {"job": {"kind": "sleep", "duration": 0.01}, "arrivals": {"kind": "constant", "rate": 1}, "duration": 60}
    spec = {"workload": slowly, "clock": "real", "rate": "1/s..2/s", "objectives": runs.OBJECTIVES[:1], "seed": 1}
    status, _, search = server.ask("POST", "/benchmark/searches", spec)
    assert status == 202, search
    page = await visit(f"#/capacity/{search['search_id']}")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator(".heading .badge")).to_have_text("cancelled")
    await page.get_by_role("button", name="Delete").wait_for()


@pytest.mark.parametrize("status", ["failed", "timed_out", "interrupted"])
async def test_a_run_without_a_result(server: Server, visit: Visit, context: Any, status: str) -> None:
    """As the server describes one whose process died: the seed's members, some of them null, and a reason."""
    from playwright.async_api import expect

    run_id = runs.start(server, label="without a result", seconds=5)
    result = runs.result(server, run_id)
    seed = (
        "num_jobs",
        "completed_jobs",
        "throughput",
        "mean_latency",
        "total_cost",
        "start_time",
        "end_time",
        "duration",
    )
    bare = {
        "benchmark_id": run_id,
        **dict.fromkeys(seed),
        "currency": None,
        "status": status,
        "verdict": "invalid",
        "reason": {"code": "runner_died", "detail": "it was killed", "output": "Killed\n"},
        "spec": result["spec"],
        "jobs": [],
        "jobs_truncated": False,
    }

    async def answer(route: Any) -> None:
        await route.fulfill(status=200, content_type="application/json", body=json.dumps(bare))

    await context.route(f"**/benchmark/runs/{run_id}?*", answer)
    page = await visit(f"#/run/{run_id}")
    await expect(page.locator("#main")).to_contain_text("it was killed")
    await expect(page.get_by_role("button", name="Report")).to_have_count(0)
    await check_figures(page, bare)


async def test_offline_and_back(server: Server, context: Any, visit: Visit, complaints: Complaints) -> None:
    """A view that cannot be read says so, and is there when the network is."""
    from playwright.async_api import expect

    complaints.expected = "ERR_|Failed to fetch"
    run_id = runs.start(server, label="seen before")
    page = await visit(f"#/run/{run_id}")
    await ended(page)
    await page.get_by_role("link", name="Runs", exact=True).click()
    await is_listed(page, "seen before")
    await context.set_offline(True)
    await page.locator(f"[data-run='{run_id}']").get_by_role("link").first.click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await context.set_offline(False)
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator("#main h1")).to_contain_text("seen before")


async def test_two_servers_with_two_tokens(serve: Serve, visit: Visit, complaints: Complaints) -> None:
    """Each is sent its own; a browser that is signed in at one of them is a stranger at the other."""
    from playwright.async_api import expect

    complaints.expected = "status of 401"
    for token in ("the-first-of-the-two", "the-other-of-the-two"):
        page = await visit(of=serve(AUREA_TOKEN=token))
        await page.get_by_label("Token").fill(token)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.locator("#sign-out")).to_be_visible()
        await is_live(page)
