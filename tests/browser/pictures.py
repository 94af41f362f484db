"""Makes the pictures of ``docs/`` again: the page that shows a run, and the report of that run. See ``scripts/pictures``."""

from __future__ import annotations

import asyncio
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright

from tests.browser.conftest import ARGUMENTS
from tests.faults.conftest import Server

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "examples" / "specs" / "day.toml"
SIZE = {"width": 1240, "height": 890}


async def take_pictures(server: Server, browser: Browser) -> None:
    spec = tomllib.loads(SPEC.read_text())
    run_id = server.run({**spec, "clock": "virtual"})["benchmark_id"]
    origin = f"http://127.0.0.1:{server.port}"
    page = await browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce", timezone_id="UTC")
    await page.goto(f"{origin}/#/run/{run_id}")
    await page.locator("[data-chart] canvas").first.wait_for()
    await page.evaluate("() => new Promise(requestAnimationFrame)")
    await _shoot(page, "page.png")
    await page.goto(f"{origin}/benchmark/runs/{run_id}/report")
    await _shoot(page, "report.png")


async def _shoot(page: Any, name: str) -> None:
    await page.screenshot(path=ROOT / "docs" / name)
    print(f"docs/{name}: {(ROOT / 'docs' / name).stat().st_size:,} bytes")


async def main() -> None:
    program = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
                await take_pictures(server, browser)
                await browser.close()
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main())
