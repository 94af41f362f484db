"""What the page weighs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import Complaints, Visit
from tests.browser.test_every_view import READY

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="session")]

MOST_BYTES = 100_000


async def test_it_weighs_less_than_100_kb(
    routes: dict[str, str], context: Any, visit: Visit, complaints: Complaints
) -> None:
    """All views together, as they come over the wire, without HTTP's own headers; nothing of the pages about the interface.

    The headers of some fifty files are a third as much again: what security asks for stands on every answer.
    """
    answers: list[Any] = []
    context.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  playwright looks into a handler
    page = await visit(routes["runs"])
    for name, route in routes.items():
        await page.evaluate("route => { location.hash = route }", route)
        await page.locator(READY[name]).first.wait_for()
    sizes: dict[str, int] = {}
    for path, answer in [(urlsplit(answer.url).path, answer) for answer in answers]:
        if not path.startswith("/benchmark/") and path not in sizes:
            size = await answer.request.sizes()
            sizes[path] = size["responseBodySize"]
    views = {f"/ui/{name}/view.js" for name in ("runs", "new", "run", "compare", "capacity")}
    assert {"/", "/ui/vendor/uplot.js", *views} <= {*sizes}
    assert sum(sizes.values()) <= MOST_BYTES, sizes
    assert not [url for url in complaints.requests if "/docs" in url or "openapi" in url]
