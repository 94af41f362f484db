"""Tables of a page. A cell with a figure also has its exact value and its place in the result's JSON (`markup.datum`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from aurea_engine.report.markup import Markup, element

Row = Sequence[Markup | str]


@dataclass(frozen=True)
class Limits:
    """How much of what has no bound a page shows: rows of a table, characters of a text and of the specification, and
    whether it has the figures over time as a table.
    """

    rows: int = 40
    text: int = 1500
    spec: int = 60_000
    time_table: bool = True


def write_table(label: str, heads: Sequence[str], rows: Iterable[Row], texts: int = 1) -> Markup:
    """A table whose first ``texts`` columns are text and whose others are figures. ``label`` says what it is of."""
    head = element("tr", *(_cell("th", each, at >= texts, scope="col") for at, each in enumerate(heads)))
    body = [
        element("tr", *(_cell("th" if at == 0 else "td", each, at >= texts, scope=None if at else "row")
                        for at, each in enumerate(row)))
        for row in rows
    ]  # fmt: skip
    table = element(
        "table", element("caption", label, class_="hidden"), element("thead", head), element("tbody", *body)
    )
    # Wider than a phone: it is moved by itself, and not the page; by the keyboard, too.
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=f"{label}, as a table")


def _cell(name: str, content: Markup | str, is_figure: bool, scope: str | None) -> Markup:
    return element(name, content, class_="figure" if is_figure else None, scope=scope)


def cut_rows(rows: Iterable[Row], total: int, limits: Limits) -> list[Row]:
    """At most so many of ``total`` rows, the last of which says how many more there are. The others are not even made."""
    # A run may have thousands of groups, and making a row takes longer than dropping it.
    shown = list(islice(rows, limits.rows))
    if total > len(shown):
        shown.append([f"… and {total - len(shown):,} more in the result", *([""] * (len(shown[0]) - 1))])
    return shown


def escape_pointer(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
