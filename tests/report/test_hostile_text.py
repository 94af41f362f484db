"""Text from outside is text in a report, whatever it holds; and the page can do nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from typing import Any

import pytest

from aurea_engine import RunResult, result_from_dict
from aurea_engine.closed_sets import Reason, Severity
from aurea_engine.report.document import LIMITS, MOST_BYTES
from aurea_engine.report.markdown import render_markdown
from aurea_engine.report.markup import element, escape_text
from aurea_engine.report.page import render_html
from aurea_engine.report.stylesheet import POLICY
from aurea_engine.results.findings import Finding
from tests.report.conftest import RESULTS, open_queue, to_json
from tests.report.read_page import read_page

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    SCRIPT,
    "</title></style></pre></code><img src=x onerror=alert(1)>",
    "\"' onload='alert(1)' x=\"",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "a --> b ]]> c",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200b\u200d\ufeff",
    "\x00\x07\x1b[31mred\x1b[0m\x7f\x9b",
    "line\nbreak\ttab\u2028\u2029",
    "javascript:alert(1) {{7*7}} ${7*7}",
    "שלום עולم مرحبا",
]


def with_text(text: str) -> RunResult:
    """A result in which ``text`` stands wherever text from outside may."""
    result = open_queue()
    group = replace(RESULTS["mixed"]().groups[0], name=text)
    objective = replace(result.objectives[4], detail=text)
    return replace(
        result,
        benchmark_id=f"benchmark-{text}",
        spec=replace(result.spec, label=text[:100]) if text.isprintable() else result.spec,  # others are no label
        status="failed",
        reason=Reason("strategy", text),
        failures={text: 5},
        statuses={text: 7},
        groups=(group,),
        objectives=(*result.objectives[:4], objective),
        findings=(Finding("cost_unpriced", Severity.NOTE, text, text, 5.0),),
        environment={text: text, "list": [text]},
        cost=replace(result.cost, problem=text, lines=(replace(result.cost.lines[0], name=text, unit=text),)),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text(text: str) -> None:
    """The page has the elements that it has with harmless text, and says the text where it stood."""
    harmless, page = read_page(render_html(with_text("harmless"))), read_page(render_html(with_text(text)))
    assert page.list_names() == harmless.list_names()
    shown = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
    cells = [each.text for each in page.find_all("bdi")]
    assert cells.count(shown) >= 9
    assert page.text.count("\u202e") == 0


@pytest.mark.parametrize("text", HOSTILE)
def test_no_character_that_nobody_sees(text: str) -> None:
    page = render_html(with_text(text))
    assert all(each.isprintable() or each == "\n" for each in page)


def test_attributes_are_escaped() -> None:
    written = element("p", "x", title='"><script>', data_of="a'b")
    assert written == '<p title="&quot;&gt;&lt;script&gt;" data-of="a&#x27;b">x</p>'
    assert escape_text("<") == "&lt;"


def test_policy_allows_the_style_and_nothing_else(result: RunResult) -> None:
    """Its hash is that of the style as it stands in the page. The page asks for nothing and links to nowhere."""
    page = render_html(result)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert POLICY == f"default-src 'none'; style-src 'sha256-{digest}'"
    metas = [each.attributes for each in read_page(page).find_all("meta")]
    assert {"http-equiv": "Content-Security-Policy", "content": POLICY} in metas
    assert "url(" not in style[0]
    assert "@import" not in style[0]
    assert not re.search(r"""(?:src|xlink|action|srcset)\s*=|https?://""", page.replace(style[0], ""))


# --- Size ------------------------------------------------------------------------------------------------------------


def _bloat(result: RunResult, text: str, rows: int) -> RunResult:
    group = RESULTS["mixed"]().groups[1]
    names = [f"{at}{text}"[:128] for at in range(rows)]
    return replace(
        with_text(text[:200]),
        groups=tuple(replace(group, name=name) for name in names),
        failures=dict.fromkeys(names, 3),
        statuses=dict.fromkeys(names, 3),
        findings=tuple(Finding("late_releases", Severity.DEGRADED, text, text, float(at)) for at in range(rows)),
        environment=dict.fromkeys(names, text),
        theory=result.theory * rows,
        objectives=result.objectives * rows,
    )


@pytest.mark.parametrize("character", ["a", '"', "\u202e", "漢"])
def test_a_page_is_never_large(character: str) -> None:
    """Whatever has no bound in a result has one in the report, which says how much more there is."""
    page = render_html(_bloat(RESULTS["late"](), character * 9000, 400))
    assert len(page.encode()) <= MOST_BYTES
    read_page(page)
    assert "more in the result" in page


def test_tightest_limits_always_fit() -> None:
    """The last resort is far below the bound, so no run is above it."""
    page = render_html(_bloat(RESULTS["late"](), '"' * 9000, 3000))
    assert len(page.encode()) <= MOST_BYTES
    assert LIMITS[-1].rows <= 8


# --- Markdown ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [*HOSTILE, "| a | b |", "[x](javascript:alert(1))", "`code` **bold** ~~no~~", "@everyone #12"]
)
def test_markdown_stays_text(text: str) -> None:
    """No markup, no cell of a table, no link, no mention: every special character is written as its number."""
    plain, written = render_markdown(with_text("harmless")), render_markdown(with_text(text))
    assert written.count("\n") == plain.count("\n")
    assert [line.count("|") for line in written.split("\n")] == [line.count("|") for line in plain.split("\n")]
    assert "<" not in written.replace("<!-- -->", "").replace("<=", "")
    assert not re.search(r"[@#]\w", re.sub(r"&#\d+;", "", written))
    assert written.count("`") == plain.count("`")
    assert all(each.isprintable() or each == "\n" for each in written)


def test_stored_results_of_other_machines(result: RunResult) -> None:
    """What is read back from JSON has the same report, but for what needs all of its jobs."""
    document: Any = to_json(result)
    again = result_from_dict(document, keep_unknown=True, local=False)
    mine, stored = (read_page(render_html(each)) for each in (result, again))
    assert [each.text for each in stored.find_all("h2")] == [each.text for each in mine.find_all("h2")]
    figures = [{(each.attributes["data-of"], each.text) for each in page.find_all("data")} for page in (mine, stored)]
    assert figures[0] == figures[1]
