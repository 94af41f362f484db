"""The view of a run in a browser: it moves while the run goes on, and does what its buttons say."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import runs
from tests.browser.conftest import Complaints, Serve, Visit, wait_for
from tests.browser.reading import check_figures, read_charts
from tests.faults.conftest import Server

if TYPE_CHECKING:
    from playwright.async_api import Locator

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

LONG = {
    "workload": {
        "job": {"kind": "sleep", "duration": 0.02},
        "arrivals": {"kind": "constant", "rate": 50},
        "duration": 600,
    },
    "objectives": [{"metric": "failure_ratio", "at_most": 0.5}],
}


def check(locator: Locator) -> Any:
    from playwright.async_api import expect

    return expect(locator)


def figure(page: Any, name: str) -> Locator:
    found: Locator = page.locator(f'data[data-figure="{name}"]').first
    return found


async def moves(page: Any, name: str) -> None:
    """The figure changes by itself."""
    node = figure(page, name)
    await check(node).not_to_have_attribute("value", "")
    before = await node.get_attribute("value")
    await check(node).not_to_have_attribute("value", before or "")


async def has_ended(page: Any, status: str) -> None:
    await check(page.locator("[data-verdict]")).to_be_visible()
    await check(page.locator(".heading .badge", has_text=status)).to_be_visible()


async def test_it_moves_and_then_has_ended(server: Server, visit: Visit) -> None:
    """One view: figures, objectives and charts change while the run is on, and end as the API has them."""
    began = time.monotonic()
    page = await visit("#/runs")
    await check(page.locator("h1")).to_be_visible()
    # A machine that draws a page slowly needs time to see it move.
    seconds = 8 * max(1, round(time.monotonic() - began))
    spec = {**LONG, "workload": {**LONG["workload"], "duration": seconds}, "label": "eight seconds"}
    run_id = server.accept(spec)
    await visit(f"#/run/{run_id}", page=page)
    await moves(page, "progress.counts.completed")
    await moves(page, "progress.cost")
    await check(page.locator("[data-objective='0'][data-outcome='met']")).to_be_visible()
    await check(page.locator("[data-chart='rates'] canvas")).to_be_visible()
    await check(page.locator("[data-chart='heat-map']")).to_be_visible()
    await has_ended(page, "completed")
    await check_figures(page, runs.result(server, run_id))
    points = runs.series(server, run_id)["points"]
    # What was told of it while it was on stays until its series has been read.
    await wait_for(
        page,
        "until => String(main.querySelector('[data-chart=cost]').chart.data[0]) === String(until)",
        arg=points["until"],
    )
    charts = await read_charts(page)
    assert charts["cost"] == [points["until"], points["cost"]]
    assert charts["heat-map"] == points["heat"]
    low, high, counts = charts["distribution"]
    assert sum(counts) <= sum(points["completed"])
    assert low == sorted(low)
    assert high == sorted(high)


async def test_a_run_is_cancelled_and_deleted(server: Server, visit: Visit) -> None:
    run_id = server.accept({**LONG, "label": "too long"})
    page = await visit(f"#/run/{run_id}")
    await moves(page, "progress.counts.completed")
    await page.locator("[data-action='cancel']").click()
    await has_ended(page, "cancelled")
    await page.locator("[data-action='delete']").click()
    await page.locator("dialog").get_by_role("button", name="Delete").click()
    await page.wait_for_url("**/#/runs")
    assert server.ask("GET", f"/benchmark/runs/{run_id}")[0] == 404


async def test_a_run_is_priced_and_run_again(server: Server, visit: Visit) -> None:
    run_id = runs.start(server, label="again")
    page = await visit(f"#/run/{run_id}")
    await has_ended(page, "completed")
    await page.locator("[data-action='reprice']").click()
    cost = {"kind": "per_job", "price": "0.25", "currency": "EUR"}
    await page.locator("#reprice-cost").fill(json.dumps(cost))
    await page.get_by_role("button", name="Price", exact=True).click()
    _, _, priced = server.ask("POST", f"/benchmark/runs/{run_id}/reprice", {"cost": cost})
    await check(figure(page, "own:repriced.total")).to_have_attribute("value", priced["cost"]["total"])
    await page.locator("#reprice-cost").fill("{")
    await page.get_by_role("button", name="Price", exact=True).click()
    await check(page.get_by_role("alert")).to_contain_text("no JSON")
    await page.locator("[data-action='again']").click()
    await wait_for(page, f"() => !location.hash.includes('{run_id}')")
    await has_ended(page, "completed")
    again = await page.evaluate("location.hash.split('/').at(-1)")
    before, after = runs.result(server, run_id), runs.result(server, again)
    assert before["counts"] == after["counts"], "the same specification and seed"


async def test_files_of_a_run(server: Server, visit: Visit) -> None:
    run_id = runs.start(server, label="files")
    page = await visit(f"#/run/{run_id}")
    await has_ended(page, "completed")
    async with page.expect_download() as waiting:
        await page.locator("[data-action='json']").click()
    file = await (await waiting.value).path()
    assert json.loads(file.read_bytes()) == runs.result(server, run_id)
    async with page.expect_download() as waiting:
        await page.locator("[data-action='csv']").click()
    lines = (await (await waiting.value).path()).read_text().splitlines()
    assert len(lines) == 1 + runs.result(server, run_id)["num_jobs"]


async def test_without_a_stream_it_asks(serve: Serve, visit: Visit, complaints: Complaints) -> None:
    """Where there is no room for another follower the view moves all the same, once a second, with all points."""
    complaints.expected = "status of 503"
    crowded = serve("--max-followers", "0")
    run_id = crowded.accept({**LONG, "label": "by asking"})
    page = await visit(f"#/run/{run_id}", of=crowded)
    await moves(page, "progress.counts.completed")
    await wait_for(page, "() => main.querySelector('[data-chart=rates]')?.chart.data[0].length >= 3")
    await page.locator("[data-action='cancel']").click()
    await has_ended(page, "cancelled")


async def test_all_points_are_read_after_the_end(
    serve: Serve, visit: Visit, context: Any, complaints: Complaints
) -> None:
    """Also where a reading that began before the end is still under way when the end is told."""
    complaints.expected = "status of 503"
    crowded = serve("--max-followers", "0")
    run_id = crowded.accept({**LONG, "label": "read twice"})
    held, released = asyncio.Event(), asyncio.Event()
    asked: list[str] = []

    async def answer(route: Any) -> None:
        known = await route.fetch()
        asked.append(route.request.url)
        if len(asked) == 2:  # the view hears of events after the first
            held.set()
            await released.wait()
        await route.fulfill(response=known)

    await context.route(f"**/benchmark/runs/{run_id}/series", answer)
    page = await visit("#/new", of=crowded)
    await visit(f"#/run/{run_id}", of=crowded, page=page)
    await held.wait()
    await moves(page, "progress.counts.completed")
    await page.locator("[data-action='cancel']").click()
    await has_ended(page, "cancelled")
    released.set()
    await check(page.locator("[data-chart='distribution']")).to_be_visible()
    await wait_for(
        page,
        "until => String(main.querySelector('[data-chart=cost]')?.chart.data[0]) === String(until)",
        arg=runs.series(crowded, run_id)["points"]["until"],
    )


async def test_charts_are_read_by_keys(server: Server, visit: Visit) -> None:
    """Each picture is a slider: its name and the values of a point are told, and the arrows go from point to point."""
    run_id = runs.start(server, label="by keys")
    page = await visit(f"#/run/{run_id}")
    await has_ended(page, "completed")
    await check(page.locator("[data-chart='heat-map']")).to_be_visible()
    for name in ("rates", "response-times", "heat-map", "distribution", "tail"):
        picture = page.locator(f"[data-chart='{name}'] [role='slider']")
        await picture.focus()
        await page.keyboard.press("Home")
        first = await picture.get_attribute("aria-valuetext")
        await page.keyboard.press("ArrowRight")
        second = await picture.get_attribute("aria-valuetext")
        assert first, name
        assert second, name
        assert first != second, name


@pytest.mark.parametrize("repeat", [1, 3])
async def test_what_there_is_nothing_to_draw_of(server: Server, visit: Visit, repeat: int) -> None:
    """A run of an instant and a repeated one say why there are no charts over time."""
    more = {"repeat": repeat} if repeat > 1 else {}
    run_id = server.run({"num_jobs": 3, "job_duration_ms": 1, "clock": "virtual", "seed": 1, **more})["benchmark_id"]
    page = await visit(f"#/run/{run_id}")
    await has_ended(page, "completed")
    told = "keeps no series" if repeat > 1 else "too short"
    await check(page.locator("p.empty", has_text=told)).to_be_visible()


SHARDED = {"workload": {**LONG["workload"], "duration": 1}, "processes": 2, "on_loss": "continue", "label": "in two"}
REPEATED = runs.queue(seconds=2, repeat=3, until=0.001, objectives=[], label="three times")


@pytest.mark.parametrize("spec", [SHARDED, REPEATED], ids=["processes", "repeat"])
async def test_it_runs_again_as_it_ran(serve: Serve, server: Server, visit: Visit, spec: dict[str, Any]) -> None:
    """In how many processes and how often is no part of a specification, and is asked for again; also in the editor."""
    able = serve("--max-processes", "2") if "processes" in spec else server
    before = able.run(spec)
    page = await visit(f"#/new?from={before['benchmark_id']}", of=able)
    asked = {name: value for name, value in spec.items() if name in ("processes", "on_loss", "repeat", "until")}
    await check(page.locator("#checked")).to_contain_text("Ready:")
    assert asked.items() <= json.loads(await page.locator("#specification").input_value()).items()
    await visit(f"#/run/{before['benchmark_id']}", of=able, page=page)
    await page.locator("[data-action='again']").click()
    await wait_for(page, "id => !location.hash.includes(id)", arg=before["benchmark_id"])
    after = able.final(await page.evaluate("location.hash.split('/').at(-1)"))
    where = [{name: each["environment"].get(name) for name in ("processes", "on_loss")} for each in (before, after)]
    assert where[0] == where[1]
    assert [len(each["replications"]) for each in (before, after)] == [spec.get("repeat", 0)] * 2


async def test_the_place_in_the_queue_moves(server: Server, visit: Visit) -> None:
    """While it is watched: runs before it are cancelled, and it learns so without an event of its own."""
    ids = [server.accept({**LONG, "label": f"number {i}"}) for i in range(4)]
    status, _, search = server.ask("POST", "/benchmark/searches", {**LONG, "low": 1, "high": 2, "label": "after them"})
    assert status == 202, search
    page, other = await visit(f"#/run/{ids[-1]}"), await visit(f"#/capacity/{search['search_id']}")
    state, waits = page.locator(".heading .badge"), other.get_by_text("It waits for its turn")
    await check(state).to_have_text("queued, 3 before it")
    await check(waits).to_contain_text("4 before it")
    for each in (page, other):
        await each.locator("#feed[data-mode='live']").wait_for()
    for place, run_id in ((2, ids[1]), (1, ids[0])):
        server.ask("POST", f"/benchmark/runs/{run_id}/cancel", {})
        await check(state).to_have_text(f"queued, {place} before it")
        await check(waits).to_contain_text(f"{place + 1} before it")
    server.ask("POST", f"/benchmark/searches/{search['search_id']}/cancel", {})
    for run_id in ids[2:]:
        server.ask("POST", f"/benchmark/runs/{run_id}/cancel", {})
    await has_ended(page, "cancelled")


async def test_findings_say_what_is_so_by_now(server: Server, visit: Visit, context: Any) -> None:
    """A finding is told once, when it is made. What it says later, and that it is none any more, is read again."""
    run_id = server.accept({**LONG, "label": "with findings"})
    late = {"code": "late_releases", "severity": "degraded", "advice": "Lower the rate."}
    told = [[{**late, "detail": "by 6 ms"}], [{**late, "detail": "by 75 ms"}], []]

    async def answer(route: Any) -> None:
        known = await route.fetch()
        found = told[0] if len(told) == 1 else told.pop(0)
        await route.fulfill(response=known, json={**await known.json(), "findings": found})

    await context.route(f"**/benchmark/runs/{run_id}?jobs=0", answer)
    page = await visit(f"#/run/{run_id}")
    await check(page.locator("[data-finding='late_releases']")).to_contain_text("by 75 ms")
    await check(page.locator("[data-finding='late_releases']")).to_have_count(0)
    server.ask("POST", f"/benchmark/runs/{run_id}/cancel", {})
    await has_ended(page, "cancelled")
