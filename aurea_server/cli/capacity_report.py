"""The answer of a capacity search, for people."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from rich.console import Group, RenderableType
from rich.text import Text

from aurea_engine.results.capacity import CapacityAnswer, CapacityCost, FrontierPoint, Verification
from aurea_engine.studies.capacity_chart import describe_capacity
from aurea_server.cli.number_format import format_money, format_number, format_percent, format_seconds, make_printable
from aurea_server.cli.tables import LABEL_WIDTH, Column, Table

STYLE = {
    "found": "bold green",
    "at_least": "bold green",
    "at_most": "bold green",
    "infeasible": "bold red",
    "generator_limited": "bold yellow",
    "undecided": "bold yellow",
}
MOST_POINTS = 8
"""Points of the frontier that a table shows of each model; the picture and --json have all."""

MOST_RATES = 9
"""Rates in the table of other rates; the picture and --json have all."""


def render_capacity(answer: CapacityAnswer) -> RenderableType:
    """The answer, why it is to be believed, and what it costs."""
    parts: list[RenderableType] = [_tabulate_answer(answer)]
    if answer.costs:
        parts += [Text(), _tabulate_costs(answer)]
    if any(not point.dominated for point in answer.frontier) and answer.costs:
        parts += [Text(), _tabulate_frontier(answer)]
    if len(answer.curves) > 1:
        parts += [Text(), _tabulate_curves(answer)]
    return Group(*parts)


def _tabulate_answer(answer: CapacityAnswer) -> Table:
    table = Table(Column(least=LABEL_WIDTH), Column(prose=True))
    for label, fact in _list_facts(answer):
        table.add_row(Text(label, "dim"), fact)
    return table


def _list_facts(answer: CapacityAnswer) -> Iterator[tuple[str, Text]]:
    yield "capacity", Text(describe_capacity(answer), STYLE[answer.status])
    yield "status", Text(f"{answer.status.replace('_', ' ')}: {make_printable(answer.reason)}")
    yield "objectives", Text(make_printable(", ".join(answer.objectives)))
    yield "interval", Text(_describe_interval(answer))
    other = answer.slots if answer.variable == "rate" else answer.rate
    if other is not None:
        yield ("slots" if answer.variable == "rate" else "rate"), Text(format_number(other))
    for label, verification in (("verified", answer.verification), ("confirmed", answer.confirmation)):
        if verification is not None:
            yield label, Text(_describe_verification(verification))
    if answer.ceiling is not None:
        yield "ceiling", Text(f"{answer.ceiling:,.5g}/s in a closed loop")
    if answer.utilization is not None:
        yield "idle", Text(f"{format_percent(1 - answer.utilization)} of the slots' time")
    jobs = sum(trial.jobs for trial in answer.trials)
    yield "search", Text(f"{len(answer.trials)} trials, {jobs:,} jobs, {answer.clock} time; {_describe_spent(answer)}")


def _describe_interval(answer: CapacityAnswer) -> str:
    low, high = answer.interval.low, answer.interval.high
    good, bad = (low, high) if answer.variable == "rate" else (high, low)
    holds = "nothing is known to hold" if good is None else f"{good:,.5g} holds"
    return f"{holds}, " + ("nothing failed" if bad is None else f"{bad:,.5g} fails")


def _describe_verification(verification: Verification) -> str:
    word = "yes" if verification.passed else "no"
    figures = "; ".join(
        f"{make_printable(each.objective)}: median {each.median:.4g}"
        + ("" if each.bound is None else f", 95 % bound {each.bound:.4g}")
        for each in verification.objectives
        if each.median is not None
    )
    where = f"{len(verification.seeds)} fresh seeds at {verification.value:,.5g}, {verification.clock} time"
    return f"{word}, {where}" + (f" ({figures})" if figures else "")


def _describe_spent(answer: CapacityAnswer) -> str:
    if answer.cost_of_search is None:
        return "its cost is not known"
    amount = format_money(float(answer.cost_of_search), answer.currency)
    # Nothing was bought in virtual time, and that has to be said beside an amount of money.
    return f"for real it would have cost {amount}" if answer.clock == "virtual" else f"it cost {amount}"


def _tabulate_costs(answer: CapacityAnswer) -> Table:
    table = Table(
        Column("per million good", least=LABEL_WIDTH),
        Column("amount", right=True),
        Column("95 % interval"),
        Column("basis"),
        Column("instances", right=True),
        Column("idle", right=True),
        Column(prose=True),
        two_lines=True,
    )
    for cost in answer.costs:
        amount = None if cost.per_million_good is None else float(cost.per_million_good)
        table.add_row(
            Text(make_printable(cost.model), "bold"),
            format_money(amount, cost.currency),
            _describe_bounds(cost),
            cost.basis,
            format_number(cost.instances) if cost.instances is not None else "",
            "" if cost.idle_share is None else format_percent(cost.idle_share),
            make_printable(cost.problem or "") or Text("cheapest" if cost.cheapest else "", "green"),
        )
    return table


def _describe_bounds(cost: CapacityCost) -> str:
    low, high = cost.interval
    if low is None or high is None:
        return ""
    first, last = (format_money(float(each), cost.currency).removesuffix(f" {cost.currency}") for each in (low, high))
    return first if first == last else f"{first} to {last}"


def _tabulate_frontier(answer: CapacityAnswer) -> Table:
    unit = "jobs/s" if answer.variable == "rate" else "slots"
    table = Table(
        Column("frontier", least=LABEL_WIDTH),
        Column(unit, right=True),
        Column("p99", right=True),
        Column("per million good", right=True),
        Column(),
    )
    currencies = {cost.model: cost.currency for cost in answer.costs}
    for model in dict.fromkeys(point.model for point in answer.frontier):
        mine = [each for each in answer.frontier if each.model == model]
        # The answer itself is shown in any case, also where another value is better in both.
        for point in _choose_points([each for each in mine if not each.dominated or each.value == answer.value]):
            table.add_row(
                make_printable(model),
                f"{point.value:,.5g}",
                format_seconds(point.p99),
                format_money(float(point.per_million_good or 0), currencies.get(model, answer.currency)),
                Text("passed", "green") if point.passed else Text("failed", "red"),
            )
    return table


def _tabulate_curves(answer: CapacityAnswer) -> Table:
    """What other rates cost, each served by as many such systems as it takes; the cheapest of each currency stands out."""
    heads = (Column(make_printable(line.model), right=True) for line in answer.curves)
    table = Table(Column("at other rates", right=True), *heads)
    rows = list(zip(*(line.points for line in answer.curves), strict=True))
    for row in (rows[round(i * (len(rows) - 1) / (MOST_RATES - 1))] for i in range(MOST_RATES)):
        priced: dict[str, list[Fraction]] = {}
        for line, (_, money) in zip(answer.curves, row, strict=True):
            if money is not None:
                priced.setdefault(line.currency, []).append(money)
        cells = [
            Text(
                format_money(None if money is None else float(money), line.currency),
                "green" if money is not None and money == min(priced[line.currency]) else "",
            )
            for line, (_, money) in zip(answer.curves, row, strict=True)
        ]
        table.add_row(f"{row[0][0]:,.4g}/s", *cells)
    return table


def _choose_points(points: list[FrontierPoint]) -> list[FrontierPoint]:
    priced = [point for point in points if point.per_million_good is not None and point.p99 is not None]
    if len(priced) <= MOST_POINTS:
        return priced
    return [priced[round(i * (len(priced) - 1) / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]
