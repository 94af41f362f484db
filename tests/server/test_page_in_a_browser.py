"""The page about the interface works in a real browser, under its own content security policy."""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


async def test_chromium_draws_the_page(client: Any, require: Callable[..., str], tmp_path: Path) -> None:
    browser = require("chromium")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1024:
        pytest.skip("a browser needs more descriptors than this process may have")
    address = client.make_url("/docs")
    process = await asyncio.create_subprocess_exec(
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}",
        "--enable-logging=stderr",
        "--virtual-time-budget=8000", "--dump-dom", str(address),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 50)
    page, log = out.decode(), err.decode()
    assert "/benchmark/runs/{run_id}" in re.sub(r"<wbr>|\u200b", "", page)
    assert "Run a benchmark" in page
    assert "unsafe-eval" not in log
    assert not re.search(r"Refused to (load|connect to|execute|apply).*https?://(?!127)", log), log
