"""From an empty form to a report that can be handed on. What else a person does stands in the tests of each view."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.browser import runs
from tests.browser.conftest import SECONDS, Visit
from tests.browser.reading import check_figures, read_charts
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]


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


async def test_a_run_is_watched_and_its_report_is_read(server: Server, visit: Visit, context: Any) -> None:
    """Ten seconds, from the editor: figures and charts change while it is on; in the end they are those of its result."""
    from playwright.async_api import expect

    began = time.monotonic()
    page = await visit("#/new")
    await page.get_by_role("button", name="Full specification").click()
    # A machine that draws a page slowly needs time to see it move.
    seconds = 10 * max(1, round(time.monotonic() - began))
    spec = {**runs.queue(seconds=seconds), "clock": "real", "label": "watched"}
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
