"""What all pages have in common: the head with its policy and style, sections, and a bound on their size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from aurea_engine.fields.version import engine_version
from aurea_engine.report.markup import Markup, element
from aurea_engine.report.stylesheet import POLICY, STYLESHEET
from aurea_engine.report.tables import Limits

MOST_BYTES = 300_000
LIMITS = (Limits(), Limits(24, 400, 24_000, time_table=False), Limits(8, 160, 8_000, time_table=False))
"""From generous to tight: a page is made within the first of these that keeps it below `MOST_BYTES`."""


def write_document(
    title: str, header: Sequence[Markup], write_sections: Callable[[Limits], Iterable[Markup]], source: str
) -> str:
    """An HTML document of at most `MOST_BYTES` bytes. ``source``: what it was made from, such as "from a result"."""
    # Made anew with tighter limits rather than cut: what is cut off is no document.
    page = ""
    for limits in LIMITS:
        body = element(
            "body",
            element("header", *header),
            element("main", *write_sections(limits)),
            element("footer", f"Made by Aurea {engine_version()} {source}."),
        )
        page = f"<!doctype html>\n{element('html', _write_head(title), body, lang='en')}\n"
        if len(page.encode()) <= MOST_BYTES:
            break
    return page


def _write_head(title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        # In the file itself, so that it holds wherever the file is opened.
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(STYLESHEET)),
    )


def write_section(ident: str, title: str, *content: Markup) -> Markup:
    """A part of a page, under a heading of its own."""
    return element(
        "section", element("h2", title, id=f"{ident}-head"), *content, id=ident, aria_labelledby=f"{ident}-head"
    )
