"""What holds of every view: everybody can use it, and it is no wider than the screen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.accessibility import check_accessibility
from tests.browser.conftest import SIZES, Visit, wait_for
from tests.browser.test_connections import is_live

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

READY = {
    "runs": "[data-run]",
    "new": "form",
    "run": "[data-chart] canvas",
    "empty": "[data-verdict]",
    "compare": "[data-figure]",
    "capacity": "table",
    "search": "table",
}
"""What is there once a view has been drawn."""


@pytest.mark.parametrize("name", READY)
async def test_everybody_can_use_it(routes: dict[str, str], visit: Visit, name: str) -> None:
    """Axe-core finds nothing serious, light or dark; on a phone nothing but tables is wider than the screen."""
    page = await visit(routes[name])
    await page.locator(READY[name]).first.wait_for()
    await is_live(page)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await check_accessibility(page)
    await page.set_viewport_size(dict(zip(("width", "height"), SIZES["phone"], strict=True)))
    await wait_for(page, f"document.documentElement.scrollWidth <= {SIZES['phone'][0]}")  # charts follow a moment later
    await check_accessibility(page)


async def test_a_keyboard_is_enough(routes: dict[str, str], visit: Visit) -> None:
    """From the list to a run by Tab and Enter alone; what has the focus can be seen."""
    page = await visit(routes["runs"])
    await page.locator(READY["runs"]).first.wait_for()
    await page.keyboard.press("Tab")
    assert await _focused(page) == "Skip to the content"
    await _tab_to(page, "after")
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/#/run/*")
    await page.locator(READY["run"]).first.wait_for()
    assert await page.evaluate("document.activeElement.tagName") == "H1", "the focus is on the name of the new view"
    await page.go_back()
    await page.locator(READY["runs"]).first.wait_for()


async def _focused(page: Any) -> str:
    text: str = await page.evaluate("document.activeElement.textContent.trim()")
    return text


async def _tab_to(page: Any, text: str) -> None:
    for _ in range(100):
        if await _focused(page) == text:
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"100 times Tab, and never at {text!r}")
