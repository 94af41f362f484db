"""``aurea prices`` and ``aurea reprice``: what there are prices for, and what a run costs after the fact."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.text import Text

from aurea_engine import (
    AureaError,
    Catalog,
    Cost,
    CostModel,
    NeedsRecords,
    Problem,
    SpecError,
    Usage,
    cost_from_dict,
    default_catalog,
    parse_json,
    records_from_rows,
)
from aurea_engine.closed_sets import ExitCode
from aurea_engine.costs import (
    PriceSheet,
    check_sheet,
    complete,
    exact_text,
    load_sheet,
    reprice,
    shipped_sheet,
    shipped_sheets,
)
from aurea_engine.fields.text_files import read_text
from aurea_server.cli.files import read_file
from aurea_server.cli.tables import Column, Table, show
from aurea_server.cli.terminal import money, number, printable
from aurea_server.stdio import standard_streams

prices = cyclopts.App(name="prices", help="Price sheets: list and show those that come with Aurea, check your own.")


@prices.command(name="list")
def list_sheets() -> None:
    """List the price sheets that come with Aurea."""
    table = Table(*map(Column, ("sheet", "currency", "region", "checked")))
    for name in shipped_sheets():
        sheet = shipped_sheet(name)
        table.add_row(name, sheet.currency, sheet.region or "–", _checked(sheet))
    show(table, Text("Examples, dated as shown. Prices change: check the vendor before you decide anything.", "dim"))


def _checked(sheet: PriceSheet) -> Text:
    if sheet.is_stale(datetime.now(UTC).date()):
        return Text(f"{sheet.checked}, long ago", "yellow")
    return Text(str(sheet.checked))


@prices.command(name="show")
def show_sheet(name: str) -> None:
    """Show one price sheet.

    Parameters
    ----------
    name
        As ``aurea prices list`` shows it, with or without its version; or a TOML file of your own.
    """
    sheet = _own_sheet(name) if name.lower().endswith(".toml") else shipped_sheet(name)
    show(
        Text(printable(sheet.title), "bold"),
        Text.assemble(f"{sheet.id}@{sheet.version}   {sheet.currency}   checked ", _checked(sheet)),
    )
    price_head = Column(f"price ({sheet.currency})", right=True)
    table = Table(Column(), Column("unit"), price_head, Column(), Column("since"))
    for price in sheet.prices:
        unit = price.unit if price.per == 1 else f"{number(float(Fraction(price.per)))} {price.unit}"
        steps: list[tuple[Any, Any]] = [(step.price, step.up_to) for step in price.steps] or [(price.price, None)]
        for i, (amount, up_to) in enumerate(steps):
            first = (price.sku, unit, str(price.effective_from)) if i == 0 else ("", "", "")
            bound = "" if len(steps) == 1 else "beyond" if up_to is None else f"up to {number(float(Fraction(up_to)))}"
            shown = "–" if amount is None else exact_text(Fraction(amount))
            table.add_row(first[0], first[1], shown, bound, first[2])
    show(table, Text(f"{sheet.notice}\nsource: {sheet.source}", "dim"))


def _own_sheet(name: str) -> PriceSheet:
    try:
        return load_sheet(name)
    except (OSError, ValueError) as error:
        if isinstance(error, AureaError):
            raise
        raise SpecError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


@prices.command(name="check")
def check_sheets(*files: Path) -> int:
    """Check price sheets of your own; every mistake is listed with its line. Exit code 2 if there is one.

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
            standard_streams.write_out(f"{file}: all right\n".encode("utf-8", "surrogateescape"))
    return ExitCode.BAD_INPUT if wrong or not files else ExitCode.MET


def model_in(text: str, catalog: Catalog) -> CostModel:
    """A cost model from JSON text, from a JSON or TOML file, or by the name of a kind that needs no members."""
    if text.lstrip().startswith("{"):
        return cost_from_dict(parse_json(text), catalog)
    path = Path(text)
    if path.suffix.lower() in {".json", ".toml"}:
        return cost_from_dict(read_file(path), catalog)
    return cost_from_dict({"kind": text}, catalog)


def usage_in(path: Path, models: Iterable[CostModel]) -> tuple[Usage, Mapping[str, Any]]:
    """The usage of a stored result, with what ``models`` meter where all of its jobs are in it; and the result itself."""
    data = read_file(path)
    if not isinstance(data, dict) or not isinstance(data.get("usage"), dict):
        raise SpecError(f"{path}: must be a result, as `aurea run --json` or POST /benchmark/run gives it")
    usage = Usage.from_dict(data["usage"])
    if data.get("jobs_truncated") is not False or not data.get("jobs"):
        return usage, data
    records = records_from_rows(data["jobs"])
    if records is None:
        return usage, data
    try:
        return complete(usage, records, *models), data
    except ValueError as error:
        raise SpecError(f"{path}: {error}") from None


def reprice_command(
    result: Path,
    /,
    *,
    cost: Annotated[list[str], Parameter(negative=())],
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Price a stored result again, under one cost model or several side by side. Nothing is run.

    Parameters
    ----------
    result
        A result as JSON, from ``aurea run --json`` or the server; ``-`` for stdin.
    cost
        A cost model: JSON such as '{"kind": "per_job", "price": "0.0001"}', or a .json or .toml file that holds one.
        Give it more than once to compare.
    json
        Print JSON, and nothing else, on stdout.
    """
    catalog = default_catalog().with_entry_points()
    models = {name_of(text, i): model_in(text, catalog) for i, text in enumerate(cost)}
    usage, data = usage_in(result, models.values())
    bills = {name: _repriced(usage, model) for name, model in models.items()}
    if json:
        encoded = msgspec.json.encode({name: bill.to_dict() for name, bill in bills.items()})
        standard_streams.write_out(msgspec.json.format(encoded, indent=2) + b"\n")
        return 0
    stored = data.get("cost")
    if isinstance(stored, dict) and stored.get("total") is not None:
        show(Text(f"as it was run: {stored['total']} {stored.get('currency', '')}", "dim"))
    show(_bills(bills))
    return 0


def name_of(text: str, i: int) -> str:
    if text.lstrip().startswith("{"):
        kind = parse_json(text).get("kind", "?")
        return f"{i + 1}: {kind}"
    return f"{i + 1}: {Path(text).stem}"


def _repriced(usage: Usage, model: CostModel) -> Cost:
    try:
        return reprice(usage, model)
    except NeedsRecords as error:
        remedy = (
            "not all of its jobs are in it: run at most 10,000, or on a server, which keeps all and can price it again"
        )
        raise SpecError(f"cost: {error}; {remedy}") from None


def _bills(bills: Mapping[str, Cost]) -> Table:
    table = Table(
        Column("model"),
        Column("total", right=True),
        Column("per million completed"),
        Column("component", prose=True),
        Column("amount", right=True),
    )
    for name, bill in bills.items():
        million = None if bill.per_success is None else float(bill.per_success * 1_000_000)
        table.add_row(
            Text(name, "bold"), amount(bill.total, bill.currency), money(million, bill.currency), "", bill.problem or ""
        )
        for line in bill.lines:
            what = f"{line.name}: {number(float(line.quantity))} {line.unit}"
            table.add_row("", "", "", what, amount(line.amount, bill.currency))
    return table


def amount(amount: Fraction | None, currency: str) -> str:
    return money(None if amount is None else float(amount), currency)
