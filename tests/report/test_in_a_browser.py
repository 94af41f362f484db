"""The report in a real browser: it is laid out, nothing is blocked, nothing is asked for, nothing is wider than the page."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aurea_engine.report.page import render_html
from tests.report.conftest import RESULTS
from tests.report.test_hostile_text import SCRIPT, with_text

BROWSER = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=2000",
]  # fmt: skip


@pytest.fixture
def browse(require: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """What the browser logs while it does something with a page."""
    browser = require("chromium")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1024:
        pytest.skip("a browser needs more descriptors than this process may have")

    def start(page: str, *arguments: str) -> str:
        file = tmp_path / "page.html"
        file.write_text(page)
        folder = tmp_path / "browser"
        done = subprocess.run(
            [browser, *BROWSER, f"--user-data-dir={folder}", *arguments, file.as_uri()],
            capture_output=True, timeout=300, check=True,
        )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
        return done.stderr.decode() + done.stdout.decode()

    return start


def test_it_is_drawn_without_a_complaint(browse: Callable[..., str], tmp_path: Path) -> None:
    """Its style is applied under its own policy, which blocks nothing of it; hostile text runs nothing."""
    picture = tmp_path / "page.png"
    log = browse(render_html(with_text(SCRIPT)), "--window-size=390,3000", f"--screenshot={picture}")
    assert not re.search(r"CONSOLE|Refused|violates|Content Security Policy", log), log
    assert picture.stat().st_size > 50_000


def test_it_prints(browse: Callable[..., str], tmp_path: Path) -> None:
    """On paper: a few pages, with everything on them but what can be folded away."""
    paper = tmp_path / "page.pdf"
    browse(render_html(RESULTS["late"]()), f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    pages = re.findall(rb"/Type\s*/Page\b", content)
    assert 2 <= len(pages) <= 9


def test_it_is_as_wide_as_a_phone(browse: Callable[..., str], tmp_path: Path) -> None:
    """Nothing but tables, which move by themselves, is wider: a script in a copy without the policy measures it."""
    page = render_html(RESULTS["mixed"]())
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', page)
    assert policy is not None
    measure = "document.title=document.documentElement.scrollWidth+' of '+innerWidth"
    page = page.replace(policy[0], "").replace("</body>", f"<script>{measure}</script></body>")
    found = re.search(r"<title>(\d+) of (\d+)</title>", browse(page, "--window-size=500,900", "--dump-dom"))
    assert found is not None
    assert int(found[1]) <= int(found[2])
