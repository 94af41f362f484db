"""Comparisons and capacity searches in a browser: what the API answers, live where it goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser import runs
from tests.browser.accessibility import check_accessibility
from tests.browser.conftest import Serve, Visit
from tests.browser.reading import check_figures, read_charts
from tests.browser.test_run_view import check
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]


async def test_two_runs_are_compared(server: Server, visit: Visit) -> None:
    """Chosen on the page; words, shifts and intervals are those of the API, and both distributions are drawn."""
    a, b = runs.start(server, label="before", seconds=200), runs.start(server, label="after", seconds=200, seed=8)
    page = await visit(f"#/compare/{a}")
    await check(page.get_by_text("Choose two runs.")).to_be_visible()
    await page.locator("#run-b").select_option(b)
    await page.locator("[data-compared]").first.wait_for()
    _, _, found = server.ask("GET", f"/benchmark/compare?a={a}&b={b}")
    shown = await check_figures(page, found)
    assert {"figures.0.a", "figures.0.b", "figures.0.shift", "tolerance"} <= shown
    words = await page.locator("[data-compared]").evaluate_all("rows => rows.map(row => row.dataset.word)")
    assert words == [each["word"] for each in found["figures"]]
    tails = (await read_charts(page))["tails-response_time"]
    assert len(tails) == 4
    assert all(max(shares) == 1 for shares in tails[1::2])
    await check_accessibility(page)
    await page.get_by_role("button", name="Swap").click()
    await page.wait_for_url(f"**/#/compare/{b}/{a}")


async def test_what_cannot_be_compared(server: Server, visit: Visit) -> None:
    """It says why, and judges it anyway where it is asked to."""
    a = runs.start(server, label="virtual")
    b = server.run({"num_jobs": 50, "job_duration_ms": 5, "label": "real"})["benchmark_id"]
    page = await visit(f"#/compare/{a}/{b}")
    again = page.get_by_role("link", name="Judge anyway")
    box = await again.bounding_box()
    assert box is not None
    assert box["width"] < 300, "a button is as wide as its text"
    await again.click()
    await page.wait_for_url("**anyway=true")
    await check(page.locator("[data-word]").first).to_be_visible()


SEARCH = {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.01},
        "arrivals": {"kind": "constant", "rate": 50},
        "jobs": 500,
    },
    "scheduler": {"kind": "fifo", "slots": 1},
    "clock": "virtual",
    "seed": 7,
    "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": 0.0125}],
}


async def begin(page: Any, spec: dict[str, Any], **fields: str) -> str:
    await page.get_by_text("New search").click()
    await page.locator("#search-spec").fill(json.dumps(spec))
    for name, text in fields.items():
        await page.locator(f"#search-{name}").fill(text)
    await page.get_by_role("button", name="Search", exact=True).click()
    await page.wait_for_url("**/#/capacity/search-*")
    return str(await page.evaluate("location.hash.split('/').at(-1)"))


async def test_a_capacity_is_searched(serve: Serve, visit: Visit) -> None:
    """Begun on the page and followed there; figures of its answer and of each trial are those of the API."""
    server = serve("--max-jobs", "5000")  # so that trials are short: else they have up to a million jobs
    costs = {"by the second": {"kind": "per_second"}, "by the job": {"kind": "per_job", "price": "0.00001"}}
    page = await visit("#/capacity", of=server)
    search_id = await begin(page, {**SEARCH, "label": "on the page"}, costs=json.dumps(costs))
    await check(page.locator("[data-answer]")).to_be_visible()
    _, _, found = server.ask("GET", f"/benchmark/searches/{search_id}")
    shown = await check_figures(page, found)
    assert {"answer.value", "answer.interval.low", "answer.costs.0.per_million_good", "trials.0.jobs"} <= shown
    charts = await read_charts(page)
    tried = [trial["value"] for trial in found["trials"] if trial["value"] is not None]
    assert charts["trials"][1] == tried
    curve = [float(point["per_million_good"]) for point in found["answer"]["curves"][0]["points"]]
    assert charts["prices"][1] == curve
    await check_accessibility(page)
    await page.goto(page.url.partition("#")[0] + "#/capacity")
    await check(page.locator(f"[data-search='{search_id}']")).to_contain_text("found")


async def test_a_search_is_cancelled_and_deleted(server: Server, visit: Visit) -> None:
    """While it goes on: its bracket, and the trial that runs now."""
    spec = {**SEARCH, "clock": "real", "workload": {**SEARCH["workload"], "jobs": 20_000}, "label": "a long search"}
    page = await visit("#/capacity")
    search_id = await begin(page, spec, low="20", high="40")
    await check(page.get_by_role("link", name="The trial that runs now")).to_be_visible()
    await page.locator("[data-action='cancel']").click()
    await check(page.locator(".heading .badge", has_text="cancelled")).to_be_visible()
    await page.locator("[data-action='delete']").click()
    await page.locator("dialog").get_by_role("button", name="Delete").click()
    await page.wait_for_url("**/#/capacity")
    assert server.ask("GET", f"/benchmark/searches/{search_id}")[0] == 404


async def test_a_search_that_is_refused(visit: Visit, complaints: Any) -> None:
    complaints.expected = "status of 400"
    page = await visit("#/capacity")
    await page.get_by_text("New search").click()
    await page.locator("#search-spec").fill(json.dumps({**SEARCH, "objectives": []}))
    await page.get_by_role("button", name="Search", exact=True).click()
    await check(page.get_by_role("alert")).to_contain_text("objective")
    await page.locator("#search-spec").fill("{")
    await page.get_by_role("button", name="Search", exact=True).click()
    await check(page.get_by_role("alert")).to_contain_text("cannot be read as JSON")
