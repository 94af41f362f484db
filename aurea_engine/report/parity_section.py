"""What other tools would have reported of the same requests, beside our figures: a table, and each definition."""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.report.markup import Markup, element
from aurea_engine.report.number_format import format_number, format_percent
from aurea_engine.report.tables import Row, write_table
from aurea_engine.results.parity import DEFINITIONS, TOOLS, Definition, Parity, ParityRow

INTRODUCTION = (
    "The same requests, by the formulas of other tools. They time a request from when their client sent it; Aurea from when "
    "it was meant to be sent."
)
IN_SHORT = ("p99", "")
"""The statistics of a short table."""


def write_parity(table: Parity) -> Iterator[Markup]:
    """The contents of the section."""
    yield element("p", INTRODUCTION, class_="quiet")
    heads = ["figure", "", "unit", "Aurea", *TOOLS]
    # A figure that nobody could tell is said in a note, and a row of dashes would say no more.
    told = [row for row in table.rows if row.ours is not None or any(each is not None for each in row.theirs.values())]
    yield write_table("Parity with other tools", heads, map(_write_row, told), texts=3)
    for note in table.notes:
        yield element("p", note, class_="quiet")
    entries = [part for each in DEFINITIONS for part in _write_definition(each)]
    yield element("details", element("summary", "Definitions, and why they differ"), element("dl", *entries))


def _write_row(row: ParityRow) -> Row:
    return [row.definition.title, row.statistic, row.definition.unit, *list_cells(row)]


def list_cells(row: ParityRow) -> list[str]:
    """Our figure, then that of each tool; empty where a tool has no such figure."""
    theirs = [_format(row, row.theirs[tool]) if tool in row.theirs else "" for tool in TOOLS]
    # A figure that is theirs alone has no dash on our side: nothing is missing there.
    return ["" if row.definition.ours.name == "–" else _format(row, row.ours), *theirs]


def _format(row: ParityRow, value: float | None) -> str:
    if value is None:
        return "–"
    return format_percent(value) if not row.definition.unit else format_number(value)


def _write_definition(each: Definition) -> Iterator[Markup]:
    yield element("dt", element("strong", each.title))
    terms = [("Aurea", each.ours), *each.theirs.items()]
    lines = [element("small", f"{tool}: {term.name} = {term.formula}") for tool, term in terms]
    yield element("dd", *lines, element("p", each.why))


def list_short_rows(table: Parity) -> Iterator[tuple[str, list[str]]]:
    """The rows of a short table: what each is of, and its cells."""
    for row in table.rows:
        if row.statistic in IN_SHORT:
            unit = f", {row.definition.unit}" if row.definition.unit else ""
            yield f"{row.statistic} {row.definition.title}{unit}".strip(), list_cells(row)
