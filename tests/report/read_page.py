"""Reads a page back: strictly, so that what a browser would repair is an error here."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br", "hr", "col", "link"}
PROSE = "a bdi code data dd div dl dt footer h1 h2 h3 h4 header li main ol p pre section small span strong ul"
TABLES = "caption details summary table tbody td th thead tr"
PICTURES = "figcaption figure svg g path line rect circle text title desc"
ELEMENTS = {*["html", "head", "meta", "style", "body"], *PROSE.split(), *TABLES.split(), *PICTURES.split()}
"""All that a page may be made of. There is no script, no image, no form, no frame and no link to anywhere among them."""


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    children: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(each if isinstance(each, str) else each.text for each in self.children)

    def find_all(self, name: str, **attributes: str) -> list[Element]:
        """All within it, in order. ``class_`` is one of the classes."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if child.name == name and all(_has(child, each, value) for each, value in attributes.items()):
                    found.append(child)
                found += child.find_all(name, **attributes)
        return found

    def find(self, name: str, **attributes: str) -> Element:
        """The only one."""
        (found,) = self.find_all(name, **attributes)
        return found

    def list_names(self) -> set[str]:
        return {self.name}.union(*(each.list_names() for each in self.children if isinstance(each, Element)))


def _has(element: Element, name: str, value: str) -> bool:
    written = element.attributes.get(name.rstrip("_").replace("_", "-"), "")
    return value in written.split() if name == "class_" else written == value


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]
        self.declared: list[str] = []

    def handle_decl(self, decl: str) -> None:
        self.declared.append(decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len({*names}) == len(names), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> ends <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data!r}")


def read_page(page: str) -> Element:
    """The ``html`` element. Fails where elements are not nested, not known, or have an attribute or an id twice."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    assert reader.declared == ["doctype html"]
    html = reader.root.find("html")
    assert html.list_names() <= ELEMENTS
    ids: list[str] = []
    _check(html, ids)
    assert len({*ids}) == len(ids)
    return html


def _check(element: Element, ids: list[str]) -> None:
    for name, value in element.attributes.items():
        assert name != "style", "the policy of the page allows no style attribute"
        assert not name.startswith("on"), name
        assert name != "href" or value.startswith("#"), value
        if name == "id":
            ids.append(value)
    for child in element.children:
        if isinstance(child, Element):
            _check(child, ids)


def look_up(document: Any, pointer: str) -> Any:
    """What a JSON pointer names (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def read_series(chart: Element, name: str) -> list[float | None]:
    """The figures of a chart, from the attribute in which they stand."""
    return [None if each == "-" else float(each) for each in chart.attributes[f"data-{name}"].split()]
