"""The page about the interface works in a real browser, under its own content security policy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Complaints, Visit

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]


async def test_chromium_draws_the_description(visit: Visit, complaints: Complaints) -> None:
    from playwright.async_api import expect

    complaints.expected = "^Loading the image 'data:image/svg"  # arrows of Swagger UI, which our policy does without
    page: Any = await visit("docs")
    await expect(page.locator("body")).to_contain_text("Run a benchmark")
    await expect(page.locator("[data-path='/benchmark/runs/{run_id}']").first).to_be_visible()
