"""``aurea prices``, ``aurea reprice`` and ``aurea cost-curve``: what runs cost, after the fact and ahead of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
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
)
from aurea_engine.costs import (
    CurvePoint,
    PriceSheet,
    break_even,
    check_sheet,
    cost_curve,
    curve_svg,
    exact_text,
    load_sheet,
    one_job,
    rates_between,
    reprice,
    shipped_sheet,
    shipped_sheets,
)
from aurea_server.cli.files import check_output, read_file, write_file
from aurea_server.cli.terminal import money, number

BAD_INPUT = 2
MOST_POINTS = 10_000

prices = cyclopts.App(name="prices", help="Price sheets: list and show those that come with Aurea, check your own.")


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


@prices.command(name="list")
def list_sheets() -> None:
    """List the price sheets that come with Aurea."""
    table = _table("sheet", "currency", "region", "checked")
    for name in shipped_sheets():
        sheet = shipped_sheet(name)
        table.add_row(name, sheet.currency, sheet.region or "–", _checked(sheet))
    console = Console()
    console.print(table)
    console.print("Examples, dated as shown. Prices change: check the vendor before you decide anything.", style="dim")


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
    sheet = _own_sheet(name) if name.endswith(".toml") else shipped_sheet(name)
    console = Console()
    console.print(Text(sheet.title, "bold"))
    console.print(Text.assemble(f"{sheet.id}@{sheet.version}   {sheet.currency}   checked ", _checked(sheet)))
    table = _table("", "unit", f"price ({sheet.currency})", "", "since", right=(f"price ({sheet.currency})",))
    for price in sheet.prices:
        unit = price.unit if price.per == 1 else f"{number(float(Fraction(price.per)))} {price.unit}"
        steps: list[tuple[Any, Any]] = [(step.price, step.up_to) for step in price.steps] or [(price.price, None)]
        for i, (amount, up_to) in enumerate(steps):
            first = (price.sku, unit, str(price.effective_from)) if i == 0 else ("", "", "")
            bound = "" if len(steps) == 1 else "beyond" if up_to is None else f"up to {number(float(Fraction(up_to)))}"
            shown = "–" if amount is None else exact_text(Fraction(amount))
            table.add_row(first[0], first[1], shown, bound, first[2])
    console.print(table)
    console.print(Text(f"{sheet.notice}\nsource: {sheet.source}", "dim"))


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
            problems = check_sheet(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            problems = (Problem("", f"cannot be read: {error}"),)
        for problem in problems:
            sys.stderr.write(f"{file}: {problem}\n")
        wrong += bool(problems)
        if not problems:
            sys.stdout.write(f"{file}: all right\n")
    return BAD_INPUT if wrong or not files else 0


def _model(text: str, catalog: Catalog) -> CostModel:
    """A cost model from JSON text, from a JSON or TOML file, or by the name of a kind that needs no members."""
    if text.lstrip().startswith("{"):
        return cost_from_dict(parse_json(text), catalog)
    path = Path(text)
    if path.suffix in {".json", ".toml"}:
        return cost_from_dict(read_file(path), catalog)
    return cost_from_dict({"kind": text}, catalog)


def _usage(path: Path) -> tuple[Usage, Mapping[str, Any]]:
    data = read_file(path)
    if not isinstance(data, dict) or not isinstance(data.get("usage"), dict):
        raise SpecError(f"{path}: must be a result, as `aurea run --json` or POST /benchmark/run gives it")
    return Usage.from_dict(data["usage"]), data


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
    usage, data = _usage(result)
    bills = {_name(text, i): _repriced(usage, _model(text, catalog)) for i, text in enumerate(cost)}
    if json:
        encoded = msgspec.json.encode({name: bill.to_dict() for name, bill in bills.items()})
        sys.stdout.buffer.write(msgspec.json.format(encoded, indent=2) + b"\n")
        return 0
    stored = data.get("cost")
    console = Console()
    if isinstance(stored, dict) and stored.get("total") is not None:
        console.print(f"as it was run: {stored['total']} {stored.get('currency', '')}", style="dim", highlight=False)
    console.print(_bills(bills))
    return 0


def _name(text: str, i: int) -> str:
    if text.lstrip().startswith("{"):
        kind = parse_json(text).get("kind", "?")
        return f"{i + 1}: {kind}"
    return f"{i + 1}: {Path(text).stem}"


def _repriced(usage: Usage, model: CostModel) -> Cost:
    try:
        return reprice(usage, model)
    except NeedsRecords as error:
        raise SpecError(f"cost: {error}") from None


def _bills(bills: Mapping[str, Cost]) -> Table:
    table = _table("model", "total", "per million completed", "component", "amount", right=("total", "amount"))
    for name, bill in bills.items():
        million = None if bill.per_success is None else float(bill.per_success * 1_000_000)
        table.add_row(
            Text(name, "bold"), _money(bill.total, bill.currency), money(million, bill.currency), "", bill.problem or ""
        )
        for line in bill.lines:
            what = f"{line.name}: {number(float(line.quantity))} {line.unit}"
            table.add_row("", "", "", what, _money(line.amount, bill.currency))
    return table


def _money(amount: Fraction | None, currency: str) -> str:
    return money(None if amount is None else float(amount), currency)


def cost_curve_command(  # noqa: PLR0913 - a command has as many options as it has
    result: Path | None = None,
    /,
    *,
    cost: Annotated[list[str], Parameter(negative=())],
    low: Annotated[float, Parameter(name="--from")] = 1.0,
    high: Annotated[float, Parameter(name="--to")] = 1000.0,
    points: int = 101,
    hours: float = 730.0,
    service_time: float | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """What cost models come to at a range of rates kept up for a month, and where the cheapest of two changes.

    Parameters
    ----------
    result
        A result whose jobs are taken as typical; or give --service-time.
    cost
        A cost model, as for ``aurea reprice``. Give it more than once to compare.
    low
        Lowest rate, jobs per second.
    high
        Highest rate.
    points
        How many rates, in equal ratios.
    hours
        Hours in the billing period.
    service_time
        Seconds of service of a typical job, where there is no result.
    output
        Write the picture to an SVG file.
    """
    check_output(output)
    if not 2 <= points <= MOST_POINTS:
        raise SpecError([Problem("--points", f"must be 2 to {MOST_POINTS}", str(points))])
    catalog = default_catalog().with_entry_points()
    models = {_name(text, i): _model(text, catalog) for i, text in enumerate(cost)}
    if (result is None) == (service_time is None):
        raise SpecError("give either a result or --service-time")
    with _named_as_flags():
        usage = _usage(result)[0] if result is not None else one_job(str(service_time), *models.values())
        rates = rates_between(str(low), str(high), points)
        curves = {name: cost_curve(usage, model, rates, str(hours)) for name, model in models.items()}
        crossings = [
            crossing
            for a, b in combinations(models.values(), 2)
            for crossing in break_even(usage, a, b, rates, str(hours))
        ]
    currency = next(iter(models.values())).currency
    console = Console()
    console.print(_curve_table(curves, currency))
    called = {id(model): name for name, model in models.items()}
    for crossing in crossings:
        below, above = called[id(crossing.below)], called[id(crossing.above)]
        console.print(
            f"break-even at {number(float(crossing.rate))} jobs/s: below it {below}, above it {above} is cheaper"
        )
    if output is not None:
        write_file(output, [curve_svg(curves, crossings, currency).encode()])
    return 0


@contextmanager
def _named_as_flags() -> Iterator[None]:
    """What is wrong is told in the words of the command line."""
    flags = {"low": "--from", "high": "--to", "hours": "--hours", "service_time": "--service-time"}
    try:
        yield
    except NeedsRecords as error:
        raise SpecError(f"cost: {error}") from None
    except SpecError as error:
        problems = [each._replace(path=flags.get(each.path, each.path)) for each in error.problems]
        raise SpecError(
            [each._replace(problem=each.problem.replace("above low", "above --from")) for each in problems]
        ) from None


def _curve_table(curves: Mapping[str, Sequence[CurvePoint]], currency: str) -> Table:
    columns = [f"{name}, {unit}" for name in curves for unit in ("per hour", "per million")]
    table = _table("jobs/s", *columns, right=("jobs/s", *columns))
    rows = list(zip(*curves.values(), strict=True))
    shown = rows if len(rows) <= 12 else [rows[round(i * (len(rows) - 1) / 11)] for i in range(12)]
    for row in shown:
        figures = [figure for point in row for figure in (point.per_hour, point.per_million)]
        table.add_row(number(float(row[0].rate)), *(_money(figure, currency) for figure in figures))
    return table
