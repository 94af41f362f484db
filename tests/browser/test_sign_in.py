"""With a token: asked for, kept in one place, forgotten when it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Complaints, Serve, Visit
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


async def test_the_log_has_no_token(guarded: Server, visit: Visit) -> None:
    page = await visit(of=guarded)
    await sign_in(page, TOKEN)
    await is_live(page)
    assert TOKEN not in guarded.log.read_text()
