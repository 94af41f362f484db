"""What the tests of a pull request measured, as Markdown: a table of objectives, and one of what changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Judged = Sequence[tuple[str, Mapping[str, Any]]]
"""(test, what one of its runs came to), as `aurea_engine.testing.pytest_plugin` notes it."""

_MARKS = {"met": "met", "missed": "**missed**", "inconclusive": "not judged"}


def write_summary(file: str, judged: Judged, *, append: bool) -> None:
    """Write to ``file``, or ``append``, as GitHub's own file asks for: other steps write to it too. Raises OSError."""
    with Path(file).open("a" if append else "w", encoding="utf-8") as to:
        to.write("\n".join(render_summary(judged)) + "\n")


def render_summary(judged: Judged) -> Iterator[str]:
    """The lines of the summary."""
    yield "### Aurea"
    yield ""
    yield "| test | objective | outcome | observed | verdict |"
    yield "|---|---|---|---:|---|"
    for test, run in judged:
        for each in run["objectives"]:
            outcome = _MARKS[each["outcome"]] if run["verdict"] != "invalid" else _MARKS["inconclusive"]
            cells = (test, each["objective"], outcome, each["observed"], run["verdict"])
            yield "| " + " | ".join(_escape(cell) if cell is not outcome else cell for cell in cells) + " |"
    compared = [(test, run) for test, run in judged if run["figures"]]
    if compared:
        yield ""
        yield "| test | against | figure | before | now | change | |"
        yield "|---|---|---|---:|---:|---:|---|"
    for test, run in compared:
        for figure in run["figures"]:
            yield "| " + " | ".join(map(_escape, (test, run["baseline"], *figure))) + " |"
    if open_ones := sum(run["not_judged"] for _, run in judged):
        yield ""
        yield f"{open_ones} objective{'' if open_ones == 1 else 's'} not judged:"
        for test, run in judged:
            if run["not_judged"]:
                yield f"- {_escape(test)}: {_escape(run['reason'])}"


def _escape(text: object) -> str:
    """Names of tests and of errors may hold anything: as text, on one line, and no markup."""
    plain = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|~&@])", r"\\\1", plain)
