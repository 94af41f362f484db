"""The list of runs: it changes by itself, keeps the focus, filters, compares, cancels and deletes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.browser.conftest import Serve, Visit
from tests.browser.runs import start
from tests.browser.test_connections import is_listed, is_live, run
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

LONG = {"num_jobs": 1, "job_duration_ms": 600_000}


def row(page: Any, label: str) -> Any:
    return page.locator("tr[data-run]", has=page.get_by_role("link", name=label, exact=True))


async def test_rows_show_what_the_list_has(server: Server, visit: Visit) -> None:
    """State, verdict, figures and objectives, as the interface tells them; text from outside is text."""
    from playwright.async_api import expect

    label = '<img src=x onerror="alert(1)"> & "quotes"'
    run_id = start(server, label=label)
    (listed,) = [each for each in server.ask("GET", "/benchmark/runs")[2]["runs"] if each["benchmark_id"] == run_id]
    shown = row(await visit("#/runs"), label)
    await expect(shown).to_have_attribute("data-run", run_id)
    for name in ("throughput", "p99", "total_cost"):
        raw = await shown.locator(f'[data-figure="runs.{run_id}.{name}"]').get_attribute("value")
        assert float(raw) == listed[name]
    assert listed["objectives"] == ["met", "missed", "met", "inconclusive"]
    await expect(shown.get_by_text("2 of 4 met")).to_be_visible()
    await expect(shown.get_by_text(listed["verdict"], exact=True)).to_be_visible()
    await expect(shown.locator("img")).to_have_count(0)


async def test_new_runs_appear_and_leave_the_focus(server: Server, visit: Visit) -> None:
    """A reader who is in a row stays there while others come above it."""
    run(server, "before it")
    page = await visit("#/runs")
    await is_live(page)
    box = row(page, "before it").get_by_role("checkbox")
    await box.focus()
    run(server, "comes by itself")
    await is_listed(page, "comes by itself")
    assert await box.evaluate("each => each === document.activeElement")


async def test_filters_ask_the_server(serve: Serve, visit: Visit) -> None:
    from playwright.async_api import expect

    server = serve()
    for label in ("alpha", "beta", "50 %"):
        run(server, label)
    page = await visit("#/runs", of=server)
    rows = page.locator("tr[data-run]")
    await expect(rows).to_have_count(3)
    await page.get_by_label("Filter by label").fill("LPH")
    await expect(rows).to_have_count(1)
    await page.get_by_label("Filter by label").fill("%")
    await expect(rows.get_by_role("link")).to_have_text(["50 %"])
    await page.get_by_label("Status").select_option("failed")
    await expect(page.get_by_text("No run is like that.")).to_be_visible()
    run(server, "51 %")  # what comes meanwhile is filtered, too
    await page.get_by_label("Status").select_option("completed")
    await expect(rows.get_by_role("link")).to_have_text(["51 %", "50 %"])


async def test_the_later_filter_wins(serve: Serve, visit: Visit, context: Any) -> None:
    """The answer to an older filter comes after that to the newer one, and is no longer wanted."""
    from playwright.async_api import expect

    server = serve()
    for label in ("alpha", "beta"):
        run(server, label)
    asked, released, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(route: Any) -> None:
        asked.set()
        await released.wait()
        await route.continue_()
        answered.set()

    await context.route("**/benchmark/runs?*label=al*", hold)
    page = await visit("#/runs", of=server)
    rows = page.locator("tr[data-run]")
    await expect(rows).to_have_count(2)
    await page.get_by_label("Filter by label").fill("al")
    await asked.wait()
    await page.get_by_label("Filter by label").fill("bet")
    await expect(rows.get_by_role("link")).to_have_text(["beta"])
    async with page.expect_response("**/benchmark/runs?*label=al*") as waiting:
        released.set()
    await (await waiting.value).finished()
    await answered.wait()
    # An answer is read some tasks after it has come: those of another request, made after it, are later.
    await page.evaluate("fetch('benchmark/runs').then(answer => answer.json()).then(() => new Promise(setTimeout))")
    await expect(rows.get_by_role("link")).to_have_text(["beta"])


async def test_older_runs_come_when_asked_for(serve: Serve, visit: Visit) -> None:
    """Fifty at first; a run that comes afterwards moves nothing away."""
    from playwright.async_api import expect

    server = serve()
    for number in range(55):
        run(server, f"number {number}")
    page = await visit("#/runs", of=server)
    rows = page.locator("tr[data-run]")
    await expect(rows).to_have_count(50)
    await page.get_by_role("button", name="Show older runs").click()
    await expect(rows).to_have_count(55)
    await expect(page.get_by_role("button", name="Show older runs")).to_be_hidden()
    run(server, "the newest")
    await expect(rows).to_have_count(56)
    await expect(rows.first.get_by_role("link", name="the newest")).to_be_visible()
    await expect(rows.last.get_by_role("link", name="number 0", exact=True)).to_be_visible()


async def test_two_runs_are_picked_for_a_comparison(server: Server, visit: Visit) -> None:
    """The newer is judged by the older, in whatever order they were picked; a third takes the place of the first."""
    from playwright.async_api import expect

    one, two, three = [start(server, label=f"pick {number}", seconds=20) for number in (1, 2, 3)]
    page = await visit("#/runs")
    link = page.locator(".toolbar a")
    await expect(link).to_have_text("Compare: pick two runs")
    await row(page, "pick 3").get_by_role("checkbox").check()
    await expect(link).to_have_attribute("aria-disabled", "true")
    await row(page, "pick 1").get_by_role("checkbox").check()
    await expect(link).to_have_attribute("href", f"#/compare/{one}/{three}")
    await row(page, "pick 2").get_by_role("checkbox").check()
    await expect(link).to_have_attribute("href", f"#/compare/{one}/{two}")
    await expect(row(page, "pick 3").get_by_role("checkbox")).not_to_be_checked()


async def test_runs_are_cancelled_and_deleted(serve: Serve, visit: Visit) -> None:
    """A run that waits or runs is cancelled; one that has ended is deleted, but only after a question."""
    from playwright.async_api import expect

    server = serve()
    run_id = server.accept({**LONG, "label": "too long"})
    page = await visit("#/runs", of=server)
    other = await visit("#/runs", of=server)
    shown = row(page, "too long")
    await expect(shown.get_by_text("running")).to_be_visible()
    await expect(shown.get_by_role("checkbox")).to_be_disabled()
    await shown.get_by_role("button", name="Cancel too long").click()
    await expect(shown.get_by_text("cancelled")).to_be_visible()
    await shown.get_by_role("button", name="Delete too long").click()
    await page.get_by_role("dialog").get_by_role("button", name="Back").click()
    assert server.get(run_id)["status"] == "cancelled"
    await shown.get_by_role("button", name="Delete too long").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for tab in (page, other):
        await expect(tab.get_by_text("No runs yet")).to_be_visible()
    assert server.ask("GET", f"/benchmark/runs/{run_id}")[0] == 404
