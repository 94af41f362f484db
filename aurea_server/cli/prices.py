"""``aurea prices``: the price sheets that come with Aurea, and a check of one's own."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import cyclopts
from rich.text import Text

from aurea_engine import AureaError, Problem, SpecError
from aurea_engine.closed_sets import ExitCode
from aurea_engine.costs import PriceSheet, check_sheet, exact_text, load_sheet, shipped_sheet, shipped_sheets
from aurea_engine.fields.text_files import read_text
from aurea_server.cli.number_format import format_number, make_printable
from aurea_server.cli.tables import Column, Table, show
from aurea_server.stdio import standard_streams

prices = cyclopts.App(name="prices", help="Price sheets: list and show those that come with Aurea, check your own.")


@prices.command(name="list")
def list_sheets() -> None:
    """List the price sheets that come with Aurea."""
    table = Table(*map(Column, ("sheet", "currency", "region", "checked")))
    for name in shipped_sheets():
        sheet = shipped_sheet(name)
        table.add_row(name, sheet.currency, sheet.region or "–", _describe_age(sheet))
    show(table, Text("Examples, dated as shown. Prices change: check the vendor before you decide anything.", "dim"))


# The day on which a sheet was last compared with its source, in yellow once prices may well have changed since.
def _describe_age(sheet: PriceSheet) -> Text:
    if sheet.is_stale(datetime.now(UTC).date()):
        return Text(f"{sheet.checked}, old", "yellow")
    return Text(str(sheet.checked))


@prices.command(name="show")
def show_sheet(name: str) -> None:
    """Show one price sheet.

    Parameters
    ----------
    name
        As ``aurea prices list`` shows it, with or without its version; or a TOML file of your own.
    """
    sheet = _load_own_sheet(name) if name.lower().endswith(".toml") else shipped_sheet(name)
    show(
        Text(make_printable(sheet.title), "bold"),
        Text.assemble(f"{sheet.id}@{sheet.version}   {sheet.currency}   checked ", _describe_age(sheet)),
    )
    price_head = Column(f"price ({sheet.currency})", right=True)
    table = Table(Column(), Column("unit"), price_head, Column(), Column("since"))
    for price in sheet.prices:
        unit = price.unit if price.per == 1 else f"{format_number(float(Fraction(price.per)))} {price.unit}"
        # A flat price is a single step without an end.
        steps: list[tuple[Any, Any]] = [(step.price, step.up_to) for step in price.steps] or [(price.price, None)]
        for i, (amount, up_to) in enumerate(steps):
            first = (price.sku, unit, str(price.effective_from)) if i == 0 else ("", "", "")
            last = "" if len(steps) == 1 else "beyond"
            bound = last if up_to is None else f"up to {format_number(float(Fraction(up_to)))}"
            shown = "–" if amount is None else exact_text(Fraction(amount))
            table.add_row(first[0], first[1], shown, bound, first[2])
    show(table, Text(f"{sheet.notice}\nsource: {sheet.source}", "dim"))


def _load_own_sheet(name: str) -> PriceSheet:
    try:
        return load_sheet(name)
    except (OSError, ValueError) as error:
        # A sheet with mistakes lists them itself; what is left is a file that is no TOML, or none at all.
        if isinstance(error, AureaError):
            raise
        raise SpecError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


@prices.command(name="check")
def check_sheets(*files: Path) -> int:
    """Check price sheets of your own; every mistake is listed with its line. Exit code 2 if there is any.

    Parameters
    ----------
    files
        TOML files.
    """
    wrong = 0
    for file in files:
        try:
            problems = check_sheet(read_text(file))
        except (OSError, SpecError) as error:
            problems = (Problem("", f"cannot be read: {error}"),)
        for problem in problems:
            sys.stderr.write(f"{file}: {problem}\n")
        wrong += bool(problems)
        if not problems:
            # The name is written as it was given, even where it is no text in this encoding.
            standard_streams.write_out(f"{file}: all right\n".encode("utf-8", "surrogateescape"))
    return ExitCode.BAD_INPUT if wrong or not files else ExitCode.MET
