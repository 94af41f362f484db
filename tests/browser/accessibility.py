"""What axe-core says about a page: rules of WCAG that a program can check."""

from __future__ import annotations

from typing import Any


async def check_accessibility(page: Any) -> None:
    """Fails where axe-core finds anything serious or critical, with the elements and what is wrong with them."""
    from axe_playwright_python.async_playwright import Axe

    found = (await Axe().run(page)).response
    assert len(found["passes"]) > 5, "axe-core checked next to nothing"
    assert [_describe(each) for each in found["violations"] if each["impact"] in ("serious", "critical")] == []


def _describe(violation: dict[str, Any]) -> str:
    nodes = [f"{node['html'][:200]}: {node['failureSummary']}" for node in violation["nodes"][:5]]
    return "\n".join([f"{violation['id']} ({violation['impact']}): {violation['help']}", *nodes])
