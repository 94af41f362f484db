"""How the page stays in touch with its server: one stream for all tabs, without streams, over restarts, behind a prefix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import SECONDS, Complaints, Serve, Visit, wait_for
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]


def run(server: Server, label: str) -> str:
    return str(server.run({"num_jobs": 1, "job_duration_ms": 1, "label": label})["benchmark_id"])


async def is_listed(page: Any, label: str) -> None:
    """Sooner or later."""
    from playwright.async_api import expect

    await expect(page.get_by_role("link", name=label)).to_be_visible()


async def is_live(page: Any, mode: str = "live") -> None:
    from playwright.async_api import expect

    await expect(page.locator("#feed")).to_have_attribute("data-mode", mode)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not true():
            await asyncio.sleep(0.02)


async def test_two_tabs_share_one_stream(server: Server, visit: Visit, complaints: Complaints) -> None:
    """A browser has six connections to a host. The tab that reads passes all on, and another takes its place."""

    def streams() -> int:
        return len([url for url in complaints.requests if url.endswith("/benchmark/events")])

    first = await visit()
    await is_live(first)
    second = await visit()
    await is_live(second)
    run(server, "for both tabs")
    await is_listed(first, "for both tabs")
    await is_listed(second, "for both tabs")
    assert streams() == 1
    await first.close()
    await until(lambda: streams() == 2)
    await is_live(second)
    run(server, "for the tab that is left")
    await is_listed(second, "for the tab that is left")


async def test_where_there_is_no_room_it_asks(serve: Serve, visit: Visit, complaints: Complaints) -> None:
    complaints.expected = r"status of 503"
    crowded = serve("--max-followers", "0")
    page = await visit(of=crowded)
    await is_live(page, "polling")
    run(crowded, "found by asking")
    await is_listed(page, "found by asking")


async def test_a_restart_is_no_end(serve: Serve, visit: Visit, complaints: Complaints) -> None:
    """While the server is away the page says so; when it is back, the page shows what has happened."""
    complaints.expected = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET"
    again = serve()
    run(again, "before the restart")
    page = await visit(of=again)
    await is_live(page)
    again.stop()
    await is_live(page, "polling")
    again.start()
    run(again, "after the restart")
    await is_listed(page, "after the restart")
    await is_live(page)
    await is_listed(page, "before the restart")


FOLLOW = """async () => {
    const { follow } = await import(new URL("ui/app/follow.js", document.baseURI));
    window.heard = [];
    follow("benchmark-999999", ({kind, number}) => heard.push(`${kind} ${number}`), new AbortController().signal);
}"""
LAG = """() => {
    new BroadcastChannel("aurea feed /").postMessage({kind: "lagged"});
    return heard;
}"""


async def test_an_end_is_heard_after_the_events_are_gone(context: Any, visit: Visit) -> None:
    """A server that has lost what it told of a run answers with the end alone, as the first event."""
    asked: list[str | None] = []

    async def answer(route: Any) -> None:
        asked.append(route.request.headers.get("last-event-id"))
        kinds = {40: "progress"} if len(asked) == 1 else {1: "end"}
        body = "".join(f"id: {number}\nevent: {kind}\ndata: {{}}\n\n" for number, kind in kinds.items())
        await route.fulfill(status=200, content_type="text/event-stream", body=body)

    await context.route("**/benchmark/runs/benchmark-999999/events", answer)
    page = await visit()
    await is_live(page)
    await page.evaluate(FOLLOW)
    await wait_for(page, "heard.length === 1")
    async with asyncio.timeout(SECONDS):
        while len(heard := await page.evaluate(LAG)) < 2:
            await asyncio.sleep(0.02)
    assert heard == ["progress 40", "end 1"]
    assert asked[:2] == [None, "40"]
    for _ in range(3):
        assert await page.evaluate(LAG) == heard, "once"


@pytest.mark.parametrize("base", ["/", "/bench/"])
async def test_it_is_at_home_behind_a_prefix(serve: Serve, visit: Visit, complaints: Complaints, base: str) -> None:
    """Nothing is asked for elsewhere, whatever the address of the page."""
    behind = serve("--base-path", "/bench")
    run(behind, "at home")
    page = await visit(of=behind, base=base)
    await is_live(page)
    await page.get_by_role("link", name="at home").click()
    await page.wait_for_url("**/#/run/*")
    assert {path for path in map(_path_of, complaints.requests) if not path.startswith(base)} == set()


def _path_of(url: str) -> str:
    return urlsplit(url).path


REFUSED_STORAGE = """for (const name of ["sessionStorage", "localStorage"]) Object.defineProperty(window, name, {
    get() { throw new DOMException("Access is denied for this document.", "SecurityError"); } });"""


async def test_without_storage(server: Server, context: Any, visit: Visit) -> None:
    """Where the browser's owner lets pages keep nothing, all but a token works."""
    run(server, "without storage")
    await context.add_init_script(REFUSED_STORAGE)
    page = await visit()
    await is_listed(page, "without storage")
