"""What a run cost: the lines of its bill, and what they come to for a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from aurea_engine.costs import Cost, Line
from aurea_engine.report.markup import Markup, datum, element, foreign, join
from aurea_engine.report.number_format import format_money, format_number, format_percent
from aurea_engine.report.tables import Limits, Row, cut_rows, write_table

MILLION = 1_000_000
RATIOS = {"per_attempt": "started jobs", "per_success": "completed jobs", "per_good": "jobs within the objectives"}


def write_money(amount: Fraction | None, currency: str) -> str:
    """An amount as people read it."""
    return format_money(None if amount is None else float(amount), currency)


def write_bill(cost: Cost, limits: Limits) -> Markup:
    """The lines, the total, and what follows from it."""
    # Exact values as the API writes them: a float of an amount would be another number.
    written = cost.to_dict()
    lines = zip(cost.lines, written["lines"], strict=True)
    rows = (_write_line(line, found, cost.currency, f"/cost/lines/{at}") for at, (line, found) in enumerate(lines))
    total = datum(write_money(cost.total, cost.currency), written["total"], "/cost/total")
    last: Row = [element("strong", "total"), "", "", "", element("strong", total)]
    shown = [*cut_rows(rows, len(cost.lines), limits), last]
    heads = ["component", "pays for", "quantity", f"price, {cost.currency}", "amount"]
    return join((write_table("Bill", heads, shown, texts=2), *_write_rest(cost, limits)))


def _write_line(line: Line, written: Mapping[str, Any], currency: str, place: str) -> Row:
    return [
        foreign(line.name),
        line.basis,
        join(
            (
                datum(format_number(float(line.quantity)), written["quantity"], f"{place}/quantity"),
                " ",
                foreign(line.unit),
            )
        ),
        datum(_write_price(line.unit_price), written["unit_price"], f"{place}/unit_price"),
        datum(write_money(line.amount, currency), written["amount"], f"{place}/amount"),
    ]


def _write_price(price: Fraction | None) -> str:
    if price is None:
        return "not known"
    # Prices of a job are far below a cent, and powers of ten are for programs.
    text = f"{float(price):.12g}"
    return text if "e" not in text else f"{float(price):.20f}".rstrip("0")


def _write_rest(cost: Cost, limits: Limits) -> Iterator[Markup]:
    written = cost.to_dict()
    facts: list[Markup | str] = []
    for name, jobs in RATIOS.items():
        per = getattr(cost, name)
        if per is not None:
            shown = write_money(per * MILLION, cost.currency)
            facts.append(join((datum(shown, written[name], f"/cost/{name}"), f" per million {jobs}")))
    # Money for what nobody used is worth a line of its own, and nothing where there is none.
    if cost.idle:
        facts.append(
            join((datum(write_money(cost.idle, cost.currency), written["idle"], "/cost/idle"), " kept ready and idle"))
        )
    if cost.wasted:
        facts.append(
            join((datum(write_money(cost.wasted, cost.currency), written["wasted"], "/cost/wasted"), " by rounding up"))
        )
    if cost.idle and cost.utilization is not None:
        shown = format_percent(float(cost.utilization))
        facts.append(
            join((datum(shown, written["utilization"], "/cost/utilization"), " of what was paid for was used"))
        )
    if facts:
        yield element("ul", *(element("li", each) for each in facts), class_="facts")
    if cost.problem is not None:
        yield element("p", "There is no total: ", foreign(cost.problem, limits.text), ".")
    # With its version and day, so that the bill can be made again when prices have changed.
    for sheet in cost.sheets[: limits.rows]:
        yield element("p", "Prices: ", foreign(f"{sheet.id} {sheet.version}, checked {sheet.checked}"), class_="quiet")
