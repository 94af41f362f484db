"""``aurea reprice``: what a stored run costs under other cost models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.text import Text

from aurea_engine import (
    Catalog,
    Cost,
    CostModel,
    NeedsRecords,
    SpecError,
    Usage,
    cost_from_dict,
    default_catalog,
)
from aurea_engine.costs import (
    complete,
    reprice,
)
from aurea_server.cli.input_files import parse_option, read_file
from aurea_server.cli.number_format import format_money, format_number
from aurea_server.cli.stored_results import WHAT_RESULTS_ARE, StoredResult, read_stored, refuse_server_of_files
from aurea_server.cli.tables import Column, Table, show
from aurea_server.stdio import standard_streams


def read_model(text: str, catalog: Catalog) -> CostModel:
    """A cost model from JSON text, from a JSON or TOML file, or by the name of a kind that needs no members."""
    return cost_from_dict(read_model_document(text), catalog)


def read_model_document(text: str) -> Any:
    """The same as plain data, as a specification has it."""
    # No kind and no file name begins with a brace.
    if text.lstrip().startswith("{"):
        return parse_option(text, "--cost")
    path = Path(text)
    return read_file(path) if path.suffix.lower() in {".json", ".toml"} else {"kind": text}


def read_usage(stored: StoredResult, models: Iterable[CostModel]) -> Usage:
    """The usage of a stored result, with what ``models`` meter where all of its jobs are in it. Raises SpecError."""
    if not isinstance(stored.document.get("usage"), dict):
        raise SpecError(f"{stored.name}: {WHAT_RESULTS_ARE}")
    usage = Usage.from_dict(stored.document["usage"])
    # A part of the jobs would price a part of the run: then only what the run metered itself can be used.
    records = stored.read_records()
    if records is None:
        return usage
    try:
        return complete(usage, records, *models)
    except ValueError as error:
        raise SpecError(f"{stored.name}: {error}") from None


def reprice_command(
    result: Path,
    /,
    *,
    cost: Annotated[list[str], Parameter(negative=())],
    json: Annotated[bool, Parameter(negative=())] = False,
    server: str | None = None,
) -> int:
    """Price a stored result again, under one cost model or several side by side. Nothing is run.

    Parameters
    ----------
    result
        A result: JSON or a run file (.aurea), from ``aurea run``; the id of a stored run; ``-`` for stdin.
    cost
        A cost model: JSON such as '{"kind": "per_job", "price": "0.0001"}', or a .json or .toml file that holds one.
        Give it more than once to compare.
    json
        Print JSON, and nothing else, on stdout.
    server
        Look for the id on this server, such as http://localhost:5000; else in the history of this machine.
    """
    refuse_server_of_files([result], server)
    catalog = default_catalog().with_entry_points()
    # Numbered, since the same kind may be given twice with other prices.
    models = {name_model(text, i): read_model(text, catalog) for i, text in enumerate(cost)}
    found = read_stored(result, server)
    usage = read_usage(found, models.values())
    bills = {name: _reprice(usage, model) for name, model in models.items()}
    # For programs the bills alone, by the same names as in the table.
    if json:
        encoded = msgspec.json.encode({name: bill.to_dict() for name, bill in bills.items()})
        standard_streams.write_out(msgspec.json.format(encoded, indent=2) + b"\n")
        return 0
    stored = found.document.get("cost")
    if isinstance(stored, dict) and stored.get("total") is not None:
        show(Text(f"as it was run: {stored['total']} {stored.get('currency', '')}", "dim"))
    show(_tabulate_bills(bills))
    return 0


def name_model(text: str, i: int) -> str:
    """A short name of the ``i``-th model that was given as ``text``."""
    if text.lstrip().startswith("{"):
        kind = parse_option(text, "--cost").get("kind", "?")
        return f"{i + 1}: {kind}"
    return f"{i + 1}: {Path(text).stem}"


def _reprice(usage: Usage, model: CostModel) -> Cost:
    try:
        return reprice(usage, model)
    except NeedsRecords as error:
        # Interval meters (instances, levels of concurrency) need every job, and the document holds only the first of them.
        remedy = (
            "not all of its jobs are in it: run at most 10,000, or on a server, which keeps all and can price it again"
        )
        raise SpecError(f"cost: {error}; {remedy}") from None


def _tabulate_bills(bills: Mapping[str, Cost]) -> Table:
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
            Text(name, "bold"),
            format_amount(bill.total, bill.currency),
            format_money(million, bill.currency),
            "",
            bill.problem or "",
        )
        for line in bill.lines:
            what = f"{line.name}: {format_number(float(line.quantity))} {line.unit}"
            table.add_row("", "", "", what, format_amount(line.amount, bill.currency))
    return table


# A bill is exact; a table for people has the digits that they read, and --json has them all.
def format_amount(amount: Fraction | None, currency: str) -> str:
    return format_money(None if amount is None else float(amount), currency)
