"""A real Chromium that shows the pages of real server processes.

One browser and one server serve all tests of this folder, on one event loop (each file says so in its ``pytestmark``), and
end with them: other tests count what is left of their processes. Each test has a context of its own, as if it were another
person's browser, and fails when a page of it complains: an error or a warning on the console, what its policy blocked, an
exception that nobody caught, a request to anywhere else.
"""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.browser import runs
from tests.faults.conftest import BAD_WORDS, Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page, Request

SECONDS = 60
"""What a page may take for anything: a machine may be a hundred times as busy as this one."""

ARGUMENTS = ["--disable-gpu", "--disable-quic", "--disable-sync", "--disable-component-update", "--no-first-run"]
SIZES = {"phone": (390, 844), "desk": (1280, 800), "wide": (1920, 1080)}

Serve = Callable[..., Server]
Visit = Callable[..., Awaitable["Page"]]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser(require: Callable[..., str]) -> AsyncIterator[Browser]:
    program = require("chromium")
    require("playwright")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1024:
        pytest.skip("a browser needs more descriptors than this process may have")
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=SECONDS * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS, timeout=SECONDS * 1000)
        yield browser
        await browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that all tests share, so each gives its runs labels of their own."""
    with_log = Server(tmp_path_factory.mktemp("server")).start()
    yield with_log
    _end(with_log)


@pytest.fixture(scope="package")
def routes(server: Server) -> dict[str, str]:
    """Name → the address of every view, and of a run that has nothing to show."""
    before = runs.start(server, label="a label that goes on: " + "W" * 200)
    after = runs.start(server, label="after", seed=8)
    return {
        "runs": "#/runs",
        "new": "#/new",
        "run": f"#/run/{before}",
        "empty": f"#/run/{runs.start_empty(server)}",
        "compare": f"#/compare/{before}/{after}",
        "capacity": "#/capacity",
        "search": f"#/capacity/{runs.search(server)}",
    }


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """``serve("--base-path", "/bench")`` is another server, for this test alone."""
    servers: list[Server] = []

    def start(*arguments: str, **environment: str) -> Server:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        servers.append(Server(folder, *arguments, environment=environment))
        return servers[-1].start()

    yield start
    for each in servers:
        _end(each)


def _end(server: Server) -> None:
    server.stop()
    log = server.log.read_text("utf-8", "replace")
    assert BAD_WORDS.search(log) is None, log[-3000:]


async def wait_for(page: Page, expression: str, arg: Any = None) -> None:
    """Wait until ``expression`` holds. Playwright's own way evaluates text within the page, which its policy forbids."""
    async with asyncio.timeout(SECONDS):
        while not await page.evaluate(expression, arg):
            await asyncio.sleep(0.05)


BUSY = r"status of (429|503) .*/series\b"
"""A server that has other series to compute says so, and the page asks again: the browser tells of it all the same."""


@dataclass
class Complaints:
    """What the pages of a context complained of. ``expected``: what a test means to cause."""

    origins: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    expected: str | None = None

    def watch(self, context: BrowserContext) -> None:
        context.on("console", lambda message: self._add(message.type, f"{message.text} {message.location}"))
        context.on("weberror", lambda error: self._add("error", f"not caught: {error.error}"))
        context.on("request", self._check_request)

    def _add(self, kind: str, text: str) -> None:
        if kind in ("error", "warning", "assert"):
            self.found.append(text)

    def _check_request(self, request: Request) -> None:
        self.requests.append(request.url)
        if not any(request.url.startswith(origin) for origin in (*self.origins, "data:", "blob:")):
            self.found.append(f"asked for {request.url}")

    def check(self) -> None:
        expected = "|".join(filter(None, (BUSY, self.expected)))
        unexpected = [text for text in self.found if not re.search(expected, text)]
        assert unexpected == []


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, complaints: Complaints) -> AsyncIterator[BrowserContext]:
    """A person's browser: pages of it share what one browser shares."""
    made = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="UTC")
    made.set_default_timeout(SECONDS * 1000)
    complaints.watch(made)
    yield made
    await made.close()
    complaints.check()


@pytest.fixture
def visit(context: BrowserContext, complaints: Complaints, server: Server) -> Visit:
    """Opens the view of a route, such as ``#/run/ID``, in a new tab. ``of``: another server than the shared one."""

    async def open_tab(route: str = "", of: Server = server, base: str = "/", page: Page | None = None) -> Page:
        origin = f"http://127.0.0.1:{of.port}"
        complaints.origins.add(origin)
        page = page or await context.new_page()
        await page.goto(f"{origin}{base}{route}")
        return page

    return open_tab
