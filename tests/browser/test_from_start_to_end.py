"""What a person does: start a run, watch it, open its report, run it again, compare, cancel, delete."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.browser import runs
from tests.browser.conftest import SECONDS, Visit
from tests.browser.reading import check_figures, read_charts
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

LONG = {"num_jobs": 3, "job_duration_ms": 60_000}


def id_of(page: Any) -> str:
    return str(page.url.rpartition("/")[2])


async def ended(page: Any, status: str = "completed") -> None:
    from playwright.async_api import expect

    await page.locator("[data-verdict]").wait_for()
    await expect(page.locator(".heading .badge")).to_have_text(status)


async def differing(read: Any, many: int) -> list[Any]:
    """What ``read`` answers, until it has answered so many different things."""
    found: list[Any] = []
    async with asyncio.timeout(SECONDS):
        while len(found) < many:
            value = await read()
            if value not in found:
                found.append(value)
            await asyncio.sleep(0.05)
    return found


async def test_two_numbers_are_a_run(server: Server, visit: Visit) -> None:
    page = await visit("#/new")
    await page.get_by_label("Jobs").fill("20")
    await page.get_by_label("Each takes, in ms").fill("150")
    await page.get_by_role("button", name="Start the run").click()
    await page.wait_for_url("**/#/run/benchmark-*")
    await ended(page)
    run = runs.result(server, id_of(page))
    assert (run["num_jobs"], run["completed_jobs"], run["verdict"] is not None) == (20, 20, True)
    await check_figures(page, run)


async def test_a_run_is_watched_and_its_report_is_read(server: Server, visit: Visit, context: Any) -> None:
    """Ten seconds, from the editor: figures and charts change while it is on; in the end they are those of its result."""
    from playwright.async_api import expect

    spec = {**runs.queue(seconds=10), "clock": "real", "label": "watched"}
    page = await visit("#/new")
    await page.get_by_role("button", name="Full specification").click()
    await page.get_by_label("Specification, as JSON").fill(json.dumps({**spec, "sede": 7}))
    await expect(page.get_by_text("sede", exact=True)).to_be_visible()  # the server found what is wrong
    await page.get_by_label("Specification, as JSON").fill(json.dumps(spec))
    await expect(page.get_by_text("Ready:")).to_be_visible()
    await page.get_by_role("button", name="Start the run").click()
    await page.wait_for_url("**/#/run/benchmark-*")
    figure = page.locator("[data-figure='progress.counts.completed']").first
    counts = await differing(lambda: figure.get_attribute("value"), 4)
    assert sorted(counts, key=lambda count: float(count or 0)) == counts

    async def points() -> int:
        return len((await read_charts(page)).get("rates", [[]])[0])

    assert len(await differing(points, 3)) == 3
    await expect(page.locator(".heading .badge")).to_have_text("running")
    await ended(page)
    run_id = id_of(page)
    await check_figures(page, runs.result(server, run_id))
    async with context.expect_page() as opened:
        await page.get_by_role("button", name="Report").click()
    report = await opened.value
    assert report.url.endswith(f"/benchmark/runs/{run_id}/report")
    await expect(report.locator("h1")).to_contain_text("watched")
    assert await report.evaluate("document.querySelectorAll('svg').length") >= 4
    assert await report.evaluate("getComputedStyle(document.body).maxWidth") != "none"


async def test_two_runs_are_compared(server: Server, visit: Visit) -> None:
    """Picked in the list; the older is what the newer is judged by."""
    before, after = (runs.start(server, label=f"compared {i}", seed=i) for i in (1, 2))
    page = await visit("#/runs")
    await page.get_by_label("Compare compared 2").check()
    await page.get_by_label("Compare compared 1").check()
    await page.get_by_role("link", name="Compare the two").click()
    await page.wait_for_url(f"**/#/compare/{before}/{after}")
    await page.locator("[data-figure]").first.wait_for()
    status, _, comparison = server.ask("GET", f"/benchmark/compare?a={before}&b={after}")
    assert status == 200
    assert len(await check_figures(page, comparison)) >= 20


async def test_a_run_is_cancelled_in_its_view(server: Server, visit: Visit) -> None:
    run_id = server.accept({**LONG, "label": "cancelled in its view"})
    page = await visit(f"#/run/{run_id}")
    await page.get_by_role("button", name="Cancel").click()
    await ended(page, "cancelled")
    assert server.final(run_id)["status"] == "cancelled"


async def test_a_run_is_cancelled_and_deleted_in_the_list(server: Server, visit: Visit) -> None:
    from playwright.async_api import expect

    run_id = server.accept({**LONG, "label": "gone in the end"})
    page = await visit("#/runs")
    row = page.locator(f"[data-run='{run_id}']")
    await row.get_by_role("button", name="Cancel").click()
    await expect(row).to_contain_text("cancelled")
    await row.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Back").click()
    await expect(row).to_be_visible()
    await row.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(row).to_have_count(0)
    assert server.ask("GET", f"/benchmark/runs/{run_id}")[0] == 404
    server.acknowledged.remove(run_id)


async def test_a_run_is_run_again_and_priced_again(server: Server, visit: Visit) -> None:
    from playwright.async_api import expect

    page = await visit(f"#/run/{runs.start(server, label='again')}")
    await page.get_by_role("button", name="Reprice").click()
    await page.get_by_label("Another cost model, as JSON").fill('{"kind": "per_job", "price": "0.01"}')
    await page.get_by_role("button", name="Price", exact=True).click()
    price = page.locator("[data-figure='own:repriced.total']")
    await expect(price).to_have_attribute("value", "23.9")
    first = id_of(page)
    await page.get_by_role("button", name="Run again").click()
    await page.wait_for_url(lambda url: "/#/run/" in url and first not in url)
    await ended(page)
    assert runs.result(server, id_of(page))["spec"] == runs.result(server, first)["spec"]
