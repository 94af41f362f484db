"""The report in a real browser: laid out under its own policy, as wide as a phone, on paper, and readable for everybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import RunResult
from aurea_engine.report.page import render_html
from tests.browser.accessibility import check_accessibility
from tests.browser.conftest import Complaints
from tests.report.conftest import RESULTS
from tests.report.test_hostile_text import SCRIPT, with_text

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def show(context: Any, complaints: Complaints, tmp_path: Path) -> Any:
    """Opens the report of a result in a new tab, from a file and without any network."""
    complaints.origins.add(tmp_path.as_uri())

    async def open_file(result: RunResult, width: int = 1280) -> Any:
        file = tmp_path / "report.html"
        file.write_text(render_html(result))
        await context.set_offline(True)
        page = await context.new_page()
        await page.set_viewport_size({"width": width, "height": 900})
        await page.goto(file.as_uri())
        return page

    return open_file


async def test_its_style_is_applied_and_hostile_text_runs_nothing(show: Any) -> None:
    page = await show(with_text(SCRIPT))
    assert await page.evaluate("document.scripts.length") == 0
    assert await page.evaluate("document.querySelectorAll('svg').length") >= 5
    assert await page.evaluate("getComputedStyle(document.body).maxWidth") != "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_read_it(show: Any, scheme: str) -> None:
    page = await show(RESULTS["everything"]())
    await page.emulate_media(color_scheme=scheme)
    await check_accessibility(page)


async def test_it_is_as_wide_as_a_phone(show: Any) -> None:
    """Nothing but tables, which move by themselves, is wider."""
    page = await show(RESULTS["mixed"](), width=390)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_it_prints(show: Any) -> None:
    """On paper: a few pages, with everything on them but what can be folded away."""
    page = await show(RESULTS["late"]())
    paper = await page.pdf()
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 9
