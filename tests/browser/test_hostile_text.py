"""Text from outside is text on the page, wherever it stands and whatever it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser import runs
from tests.browser.conftest import Visit
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

IMAGE = "<img src=x onerror=globalThis.hit=1>"
SCRIPT = "</script><script>globalThis.hit=1</script>"
ATTRIBUTE = "\"' onmouseover='globalThis.hit=1' x=\""
ADDRESS = "javascript:globalThis.hit=1"
TURNED = "שלום \u202eexe.gpj\u202c {{7*7}} ${7*7}"
LONG = "<u>" + "W" * 250
HOSTILE = [IMAGE, SCRIPT, ATTRIBUTE, ADDRESS, TURNED, LONG]
MARKUP = "['#main img', '#main script', '#main u', '[onmouseover]', '[onerror]', '[href^=javascript]']"


def plant_in_list(document: dict[str, Any], text: str) -> dict[str, Any]:
    return {**document, "runs": [{**run, "label": text, "currency": text[:20]} for run in document["runs"]]}


def plant(document: dict[str, Any], text: str) -> dict[str, Any]:
    """What a server would say if a job, a package or a target had written the text."""
    finding = {"code": text, "severity": "note", "detail": text, "advice": text, "at": 1.0}
    objective = {"objective": text, "metric": "response_time", "outcome": "missed", "observed": 1, "detail": text}
    groups = [{**group, "name": f"{i} {text}"} for i, group in enumerate(document["groups"])]
    times = document["response_time"]
    return {
        **document,
        "label": text,
        "groups": groups,
        "status": "failed",
        "reason": {"code": text, "detail": text, "output": text},
        "failures": {text: 5},
        "statuses": {text: 7},
        "findings": [finding],
        "objectives": [*document["objectives"], {**objective, "interval": None}],
        "environment": {text: text, "list": [text]},
        "marks": {text: {"from_intended": times, "from_start": times, **times}},
        "measures": {text: {"unit": text, "total": 3, **times}},
    }


async def check_harmless(page: Any) -> None:
    count = await page.evaluate(f"{MARKUP}.map(each => document.querySelectorAll(each).length)")
    assert set(count) == {0}
    assert await page.evaluate("globalThis.hit") is None


@pytest.mark.parametrize("text", HOSTILE, ids=["image", "script", "attribute", "address", "turned", "long"])
async def test_text_stays_text(server: Server, visit: Visit, context: Any, text: str) -> None:
    """Labels, names of groups, classes of failures, findings, reasons, environments: as if the server said them."""
    from playwright.async_api import expect

    run_id = runs.start(server, label="harmless")

    def answer(change: Any) -> Any:
        async def fulfil(route: Any) -> None:
            response = await route.fetch()
            await route.fulfill(response=response, body=json.dumps(change(await response.json(), text)))

        return fulfil

    await context.route(f"**/benchmark/runs/{run_id}?*", answer(plant))
    await context.route("**/benchmark/runs?*", answer(plant_in_list))
    page = await visit("#/runs")
    await expect(page.locator(f"[data-run='{run_id}']")).to_contain_text(text)
    await check_harmless(page)
    await page.evaluate("id => { location.hash = `#/run/${id}` }", run_id)
    await expect(page.locator("#main h1")).to_have_text(text)
    await expect(page.locator("[data-finding]").first).to_contain_text(text)
    for summary in await page.locator("#main summary").all():
        await summary.click()
    assert (await page.locator("#main").text_content()).count(text) >= 10
    await check_harmless(page)


async def test_a_refusal_with_hostile_text(visit: Visit) -> None:
    """What is in the address, too."""
    from playwright.async_api import expect

    page = await visit(f"#/{IMAGE}/{SCRIPT}")
    await expect(page.get_by_role("alert")).to_contain_text(IMAGE)
    await check_harmless(page)


async def test_a_label_and_a_group_that_the_server_takes(server: Server, visit: Visit) -> None:
    from playwright.async_api import expect

    job = {"kind": "mix", "of": [{"weight": 1, "name": IMAGE, "job": {"kind": "sleep", "duration": 0.01}}]}
    workload = {"job": job, "arrivals": {"kind": "constant", "rate": 50}, "duration": 20}
    run_id = server.run({"workload": workload, "clock": "virtual", "seed": 1, "label": SCRIPT})["benchmark_id"]
    page = await visit(f"#/run/{run_id}")
    await expect(page.locator("#main h1")).to_have_text(SCRIPT)
    await expect(page.locator("#main table", has_text="Arrived")).to_contain_text(IMAGE)
    await check_harmless(page)
