"""Reads a view back: its figures, with their texts, and what its charts were drawn from."""

from __future__ import annotations

import re
from typing import Any

UNITS = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9, "%": 1e-2, "points": 1e-2, "USD per million": 1e-6}
"""What a unit is worth; any other is worth 1, such as jobs, jobs a second, or a currency."""

FIGURES = """root => [...document.querySelectorAll(`${root} data[data-figure]`)].map(node => [
    node.dataset.figure, node.getAttribute("value"), node.textContent, node.checkVisibility()])"""

CHARTS = """() => Object.fromEntries([...document.querySelectorAll("[data-chart]:not([hidden])")].map(node => {
    const host = [node, ...node.querySelectorAll("*")].find(each => each.chart || each.plot || each.heat);
    return [node.dataset.chart, JSON.parse(JSON.stringify((host?.chart ?? host?.plot ?? host?.heat)?.data ?? null))];
}))"""


async def check_figures(page: Any, document: Any, root: str = "#main") -> set[str]:
    """Every figure of a view is that of the API's document at the path that is its name. Answers the names."""
    figures = await page.evaluate(FIGURES, root)
    wrong = [
        f"{name} {text!r}: {why}" for name, value, text, _ in figures if (why := _check(document, name, value, text))
    ]
    assert not wrong, wrong
    return {name for name, *_ in figures}


def _check(document: Any, name: str, value: str, text: str) -> str | None:
    if name.startswith("own:"):
        return None
    known = at(document, name)
    if known is None or value == "":
        return None if known is None and value == "" and text in ("–", "") else f"shown as {value!r}, and is {known!r}"
    if float(value) != float(known):
        return f"shown as {value!r}, and is {known!r}"
    return None if is_said(float(known), text) else f"does not say {known!r}"


def at(document: Any, path: str) -> Any:
    """The value at a path such as ``groups.1.response_time.p50``, None where there is none."""
    for part in path.split("."):
        if isinstance(document, list):
            document = document[int(part)] if int(part) < len(document) else None
        else:
            document = document.get(part) if isinstance(document, dict) else None
    return document


def is_said(value: float, text: str) -> bool:
    """Whether a text such as ``114 ms`` says the value, to three digits or to its own last one; also by the million."""
    found = re.fullmatch(r"([−+-]?)([\d,]+(?:\.(\d+))?)(.*)", text.strip())
    if found is None:
        return False
    unit = UNITS.get(found[4].strip(), 1)
    said = float(found[2].replace(",", "")) * unit * (-1 if found[1] in ("−", "-") else 1)
    last = 10.0 ** -len(found[3] or "") * unit
    return any(abs(said - each) <= max(0.0051 * abs(each), 0.501 * last) for each in (value, 1e6 * value))


async def read_charts(page: Any) -> dict[str, Any]:
    """Name of each chart → the data that it was drawn from."""
    found: dict[str, Any] = await page.evaluate(CHARTS)
    return found
