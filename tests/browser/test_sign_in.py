"""With a token: asked for, kept in one place, forgotten when it is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.browser.conftest import SECONDS, Complaints, Serve, Visit, wait_for
from tests.browser.test_connections import is_listed, is_live
from tests.faults.conftest import Server

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

TOKEN, OTHER = "correct-horse-battery", "another-staple-for-it"
KEPT = "() => [{...sessionStorage}, {...localStorage}, document.cookie, location.href]"


def run(server: Server, label: str, token: str = TOKEN) -> str:
    body = {"num_jobs": 1, "job_duration_ms": 1, "label": label}
    return str(server.run(body, headers={"Authorization": f"Bearer {token}"})["benchmark_id"])


async def sign_in(page: Any, token: str) -> None:
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def guarded(serve: Serve, complaints: Complaints) -> Server:
    complaints.expected = r"status of 401"
    return serve(AUREA_TOKEN=TOKEN)


async def test_a_token_is_asked_for_and_kept_in_one_place(guarded: Server, visit: Visit, context: Any) -> None:
    from playwright.async_api import expect

    run(guarded, "behind a token")
    page = await visit(of=guarded)
    await sign_in(page, "a wrong token, or an old one")
    await expect(page.get_by_label("Token")).to_have_value("")
    await sign_in(page, TOKEN)
    await is_listed(page, "behind a token")
    await is_live(page)
    session, local, cookies, address = await page.evaluate(KEPT)
    assert list(session.values()) == [TOKEN]
    assert (local, cookies, await context.cookies()) == ({}, "", [])
    assert TOKEN not in address
    run(guarded, "told by the stream")
    await is_listed(page, "told by the stream")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_visible()
    await expect(page.get_by_text("behind a token")).to_have_count(0)
    assert (await page.evaluate(KEPT))[0] == {}


async def test_a_token_that_changed_is_asked_for_again(guarded: Server, visit: Visit, complaints: Complaints) -> None:
    complaints.expected = "status of 401|ERR_"
    page = await visit(of=guarded)
    await sign_in(page, TOKEN)
    await is_live(page)
    guarded.stop()
    guarded.environment["AUREA_TOKEN"] = OTHER
    guarded.start()
    run(guarded, "under the new token", OTHER)
    await sign_in(page, OTHER)
    await is_listed(page, "under the new token")
    await is_live(page)


@pytest.mark.parametrize("token", ["\u201ccorrect-horse-battery\u201d", "correct\u2011horse-battery", "   "])
async def test_what_is_no_token_is_not_kept(guarded: Server, visit: Visit, token: str) -> None:
    """It could not be sent. The field says so, and takes another."""
    page = await visit(of=guarded)
    field = page.get_by_label("Token")
    await sign_in(page, token)
    await wait_for(page, "document.querySelector('#token').validationMessage.includes('typographic')")
    assert (await page.evaluate(KEPT))[0] == {}
    await field.fill("")
    await sign_in(page, TOKEN)
    await is_live(page)


LATE = """() => {
    window.got = import(new URL("ui/app/api.js", document.baseURI))
        .then(({ get }) => get("benchmark/runs", { query: { label: "late" } }));
}"""


async def test_a_late_refusal_of_an_old_token_is_none_of_the_new(guarded: Server, visit: Visit, context: Any) -> None:
    """The request is made again with the token that is kept by then, and nothing is asked."""
    asked, released = asyncio.Event(), asyncio.Event()
    sent: list[str] = []

    async def hold(route: Any) -> None:
        sent.append(route.request.headers["authorization"])
        if len(sent) > 1:
            await route.continue_()
            return
        asked.set()
        await released.wait()
        await route.fulfill(status=401, content_type="application/json", body="{}")

    await context.route("**/benchmark/runs?*label=late*", hold)
    page = await visit(of=guarded)
    await sign_in(page, TOKEN)
    await is_live(page)
    await page.evaluate("old => { for (const key of Object.keys(sessionStorage)) sessionStorage[key] = old; }", OTHER)
    await page.evaluate(LATE)
    await asked.wait()
    await page.evaluate("now => { for (const key of Object.keys(sessionStorage)) sessionStorage[key] = now; }", TOKEN)
    released.set()
    async with asyncio.timeout(SECONDS):
        assert await page.evaluate("got") == {"runs": [], "next": None}
    assert sent == [f"Bearer {OTHER}", f"Bearer {TOKEN}"]
    assert list((await page.evaluate(KEPT))[0].values()) == [TOKEN]


async def test_the_log_has_no_token(guarded: Server, visit: Visit) -> None:
    page = await visit(of=guarded)
    await sign_in(page, TOKEN)
    await is_live(page)
    assert TOKEN not in guarded.log.read_text()
