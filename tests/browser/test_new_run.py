"""New run: two numbers, or a specification with hints, which the server checks while it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.accessibility import check_accessibility
from tests.browser.conftest import Complaints, Visit, wait_for
from tests.browser.runs import queue, start
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

CHECKED = "#checked"


async def edit(visit: Visit, example: str = "A mix") -> tuple[Any, Any]:
    """The page, and its editor with an example in it that can be run."""
    page = await visit("#/new")
    await page.get_by_role("button", name=example).click()
    await is_ready(page)
    return page, page.locator("#specification")


async def is_ready(page: Any) -> None:
    from playwright.async_api import expect

    await expect(page.locator(CHECKED)).to_contain_text("Ready:")


async def put_caret(page: Any, text: str, offset: int = 1) -> None:
    """After so many characters of ``text``, where it first occurs."""
    await page.locator("#specification").evaluate(
        "(area, [text, offset]) => { area.focus(); const at = area.value.indexOf(text) + offset;"
        " area.setSelectionRange(at, at); }",
        [text, offset],
    )


async def here(page: Any) -> Any:
    return page.locator(".hints h2 code")


async def test_two_numbers_start_a_run(server: Server, visit: Visit) -> None:
    """The seed's run, which is followed at once."""
    page = await visit("#/new")
    await page.get_by_label("Jobs").fill("7")
    await page.get_by_label("Each takes, in ms").fill("3")
    await page.get_by_role("button", name="Start the run").click()
    await page.wait_for_url("**/#/run/benchmark-*")
    result = server.final(page.url.rpartition("/")[2])
    assert (result["status"], result["num_jobs"]) == ("completed", 7)
    assert result["spec"]["workload"]["job"]["duration"] == {"kind": "constant", "value": 0.003}


async def test_every_example_can_be_run(visit: Visit) -> None:
    """All but the one that sends requests, which its server has to allow: that is told."""
    from playwright.async_api import expect

    page = await visit("#/new")
    await page.get_by_role("button", name="Full specification").click()
    examples = page.locator(".example")
    for number in range(await examples.count()):
        await examples.nth(number).click()
        text = json.loads(await page.locator("#specification").input_value())
        kind, arrivals = (text["workload"][name]["kind"] for name in ("job", "arrivals"))
        expected = "this server does not allow" if kind == "http" else f"Ready: {kind} jobs, {arrivals} arrivals"
        await expect(page.locator(CHECKED)).to_contain_text(expected)


async def test_problems_are_shown_at_their_places(visit: Visit) -> None:
    """All at once, each with its path; a click selects what it is about, whose line is marked."""
    from playwright.async_api import expect

    page, editor = await edit(visit)
    text = (await editor.input_value()).replace('"rate": 100', '"rate": -3').replace('"at_most"', '"at_moss"')
    await editor.fill(text)
    problems = page.locator(f"{CHECKED} li")
    await expect(problems).to_have_count(2)
    await problems.filter(has_text="workload.arrivals.rate").get_by_role("button").click()
    assert await page.evaluate("getSelection().toString()") == '"rate": -3'
    wrong = [int(line) for line in await page.locator(".lines .wrong").all_inner_texts()]
    lines = text.split("\n")
    assert ["rate" in lines[wrong[0] - 1], "at_moss" in lines[wrong[1] - 1]] == [True, True]
    await editor.fill(text.replace("-3", "3").replace("at_moss", "at_most"))
    await is_ready(page)


@pytest.mark.parametrize(
    ("text", "told"), [("", "Write a specification"), ('{"num_jobs": 5', "must be JSON"), ("[]", "must be an object")]
)
async def test_what_is_no_specification_is_told(visit: Visit, text: str, told: str) -> None:
    from playwright.async_api import expect

    page, editor = await edit(visit)
    await editor.fill(text)
    await expect(page.locator(CHECKED)).to_contain_text(told)


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ('"rate"', "workload.arrivals", "rate: a number > 0"),
        ('"weight"', "workload.job.of[0]", "weight: a number ≥ 0"),
        ('"exponential"', "workload.job.of[0].job.duration", "kind:"),
        ('"slots"', "scheduler", "slots: a whole number ≥ 1"),
        ('"quantile"', "objectives[0]", "quantile: a number > 0, < 1"),
        ('"label"', "the whole", "label: a text"),
    ],
)
async def test_hints_follow_the_caret(visit: Visit, text: str, place: str, hint: str) -> None:
    from playwright.async_api import expect

    page, _ = await edit(visit)
    await put_caret(page, text)
    await expect(await here(page)).to_have_text(place)
    await expect(page.locator(".hint-value")).to_contain_text(hint)


async def test_hints_write_what_they_offer(visit: Visit) -> None:
    """A member is added with its default and selected, a kind is replaced by another; both can be undone."""
    from playwright.async_api import expect

    page, editor = await edit(visit)
    before = json.loads(await editor.input_value())
    await put_caret(page, '"slots"')
    await page.get_by_role("button", name="Add queue_limit").click()
    await page.keyboard.type("25")
    await put_caret(page, '"rate"')
    await page.get_by_role("group", name="Kinds").get_by_role("button", name="ramp", exact=True).click()
    await is_ready(page)
    after = json.loads(await editor.input_value())
    assert after["scheduler"] == {**before["scheduler"], "queue_limit": 25}
    assert set(after["workload"]["arrivals"]) == {"kind", "start", "end", "over"}
    for _ in range(10):
        await editor.press("Control+z")
    assert json.loads(await editor.input_value()) == before
    await expect(page.locator(CHECKED)).to_contain_text("poisson")


async def test_a_specification_can_be_made_of_hints_alone(visit: Visit) -> None:
    page, editor = await edit(visit)
    await editor.fill("")
    await page.get_by_role("button", name="Add num_jobs").click()
    await page.get_by_role("button", name="Add label").click()
    await page.keyboard.type('"of hints"')
    await is_ready(page)
    assert json.loads(await editor.input_value()) == {"num_jobs": 1, "label": "of hints"}


async def test_what_is_set_is_told_in_one_line(visit: Visit) -> None:
    """Also beside a member whose hint is long."""
    page, editor = await edit(visit)
    await editor.fill('{"num_jobs": 1, "processes": 1}')
    await put_caret(page, '"processes"')
    told = page.locator(".members li", has_text="processes").locator("> .muted")
    await told.first.wait_for()
    lines = "node => { const all = new Range(); all.selectNodeContents(node); return all.getClientRects().length }"
    assert [await told.nth(i).evaluate(lines) for i in range(await told.count())] == [1] * await told.count()


async def test_a_run_is_made_again_with_changes(server: Server, visit: Visit) -> None:
    """From the specification of a stored run, its seed included."""
    run_id = start(server, label="the first", seconds=5)
    page = await visit(f"#/new?from={run_id}")
    await is_ready(page)
    editor = page.locator("#specification")
    assert json.loads(await editor.input_value())["seed"] == queue()["seed"]
    await editor.fill((await editor.input_value()).replace("the first", "the second"))
    await page.get_by_role("button", name="Start the run").click()
    await page.wait_for_url("**/#/run/benchmark-*")
    again = server.final(page.url.rpartition("/")[2])
    assert (again["label"], again["throughput"]) == ("the second", server.get(run_id)["throughput"])


async def test_a_refused_start_is_told(visit: Visit, complaints: Complaints) -> None:
    """With all of its problems, and nothing that was written is lost."""
    from playwright.async_api import expect

    complaints.expected = "status of 400"
    page, editor = await edit(visit)
    await editor.fill('{"num_jobs": 0, "nonsense": 1}')
    await page.get_by_role("button", name="Start the run").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("2 problems")
    await expect(alert).to_contain_text("num_jobs")
    assert await editor.input_value() == '{"num_jobs": 0, "nonsense": 1}'


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_start_a_run(visit: Visit, scheme: Any) -> None:
    """Axe-core finds nothing serious in either form, with problems and hints shown; a phone shows all of its width."""
    page = await visit("#/new")
    await page.emulate_media(color_scheme=scheme)
    await page.get_by_label("Jobs").wait_for()
    await check_accessibility(page)
    await page.get_by_role("button", name="A mix").click()
    await page.locator(".members").wait_for()
    await page.locator("#specification").fill('{"num_jobs": 0, "cost": {"kind": "free"}}')
    await page.locator(f"{CHECKED} li").wait_for()
    await put_caret(page, '"free"')
    await page.locator(".hint-value").wait_for()
    await check_accessibility(page)
    await page.set_viewport_size({"width": 360, "height": 800})
    await wait_for(page, "document.documentElement.scrollWidth <= 360")


async def test_nothing_but_a_new_run_reads_the_description(
    server: Server, visit: Visit, complaints: Complaints
) -> None:
    """It is larger than the page."""
    page = await visit("#/runs")
    await page.locator("h1").wait_for()
    assert not [url for url in complaints.requests if url.endswith("openapi.json")]
    await page.goto(f"http://127.0.0.1:{server.port}/#/new")
    await page.get_by_role("button", name="Full specification").click()
    await page.locator(".members").wait_for()
    assert len([url for url in complaints.requests if url.endswith("openapi.json")]) == 1
