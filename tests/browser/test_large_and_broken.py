"""Pictures of more numbers than a call can have arguments, and pictures that cannot be drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser import runs
from tests.browser.conftest import Complaints, Visit
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

PICTURES = {
    "heat_map.js": ("HeatMap", ["rates", "distribution"]),
    "distribution.js": ("Distribution", ["rates", "heat-map"]),
    "time_charts.js": ("TimeCharts", ["heat-map", "distribution"]),
}
BREAK = """async ([file, name]) => {
    const module = await import(new URL(`ui/run/${file}`, document.baseURI));
    module[name].prototype.update = () => { throw new Error("a broken picture"); };
}"""


async def test_a_heat_map_of_many_cells(server: Server, context: Any, visit: Visit) -> None:
    """Half a million cells, as a run of a million jobs may have: all of them are drawn, and what comes after them."""
    from playwright.async_api import expect

    run_id = runs.start(server, label="many cells")
    series = runs.series(server, run_id)
    columns = 500
    points = {name: list(column or []) for name, column in series["points"].items()}
    series["points"] = {name: (column * columns)[:columns] or None for name, column in points.items()}
    series["points"]["until"] = [series["width"] * (at + 1) for at in range(columns)]
    series["points"]["heat"] = [[number for cell in range(900) for number in (cell, 1)] for _ in range(columns)]
    series["points"]["heat"][-1] = [0, 7]
    body = json.dumps(series)

    async def answer(route: Any) -> None:
        await route.fulfill(status=200, content_type="application/json", body=body)

    await context.route(f"**/benchmark/runs/{run_id}/series", answer)
    page = await visit(f"#/run/{run_id}")
    await expect(page.locator("[data-chart='rates'] canvas")).to_be_visible()
    await expect(page.locator("[data-chart='heat-map'] .legend")).to_contain_text("7 jobs")


@pytest.mark.parametrize("file", PICTURES)
async def test_a_broken_picture_keeps_no_other(server: Server, visit: Visit, complaints: Complaints, file: str) -> None:
    from playwright.async_api import expect

    complaints.expected = "a broken picture"
    name, others = PICTURES[file]
    run_id = runs.start(server, label=f"without {name}")
    page = await visit("#/new")
    await page.evaluate(BREAK, [file, name])
    await visit(f"#/run/{run_id}", page=page)
    for other in others:
        await expect(page.locator(f"[data-chart='{other}']")).to_be_visible()
    assert complaints.found, "it is told all the same"
