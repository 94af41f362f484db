"""HTML and SVG from values. Text from outside becomes markup in one place only, and there everything is escaped.

What is markup already has a type of its own, so text cannot pass for it: whatever is no `Markup` is escaped.
No element has a style attribute or a script: the page's policy allows neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"br", "col", "hr", "link", "meta"})
"""Elements of HTML that have no content, and no end tag."""

Attribute = str | int | float | bool | None


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | None


def make_visible(text: str) -> str:
    """``text`` with the numbers of characters that nobody sees: one that turns the direction of reading around, or that a
    terminal obeys, could make a name look like another one.
    """
    return (
        text if text.isprintable() else "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
    )


def escape_text(text: str) -> Markup:
    """``text`` as characters to read, whatever it holds."""
    return Markup(escape(make_visible(text)))


def join(parts: Iterable[str]) -> Markup:
    """Markup and text, one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else escape_text(part) for part in parts))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """An element. Attributes are written with ``-`` for ``_``; ``class_`` is class. None and False leave one out."""
    # Children that are text are escaped by `join`, attributes by `_write_attribute`: there is no third way in.
    inside = join(child for child in children if child is not None)
    head = name + "".join(map(_write_attribute, attributes, attributes.values()))
    return Markup(f"<{head}>") if name in VOID else Markup(f"<{head}>{inside}</{name}>")


def _write_attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = name if name == "viewBox" else name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape_text(_write_value(value))}"'


def _write_value(value: Attribute) -> str:
    # A coordinate to a hundredth of a pixel: more digits show nothing and are half of the file.
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def foreign(text: str, most: int = 400) -> Markup:
    """Text from outside: set apart, so that its direction of writing moves nothing around it, and cut where it is long."""
    # Before it is escaped: a cut through an entity would make markup of text.
    cut = text if len(text) <= most else f"{text[:most]}…"
    return element("bdi", cut)


def datum(shown: str, value: object, of: str) -> Markup:
    """A figure as it is ``shown``, with its exact ``value`` and the place that it has in the result's JSON (RFC 6901)."""
    return element("data", shown, value="" if value is None else str(value), data_of=of)
