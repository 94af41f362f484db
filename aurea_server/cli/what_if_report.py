"""The answer of a what-if for people: what was, what would be, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from aurea_engine import Interval, WhatIf, WhatIfFigure
from aurea_server.cli.number_format import (
    OUTCOME_STYLE,
    format_money,
    format_number,
    format_percent,
    format_seconds,
    make_printable,
)
from aurea_server.cli.report import describe_observed
from aurea_server.cli.tables import LABEL_WIDTH, Column, Table

_TIMES = {
    "response_time.mean": "response mean",
    "response_time.p50": "  p50",
    "response_time.p90": "  p90",
    "response_time.p95": "  p95",
    "response_time.p99": "  p99",
    "waiting_time.mean": "waiting mean",
}


def render_answer(answer: WhatIf) -> RenderableType:
    """Figures first, then the objectives, then what the answer rests on."""
    return Group(_tabulate_figures(answer), Text(), _tabulate_facts(answer))


def _tabulate_figures(answer: WhatIf) -> Table:
    heads = ("recorded", "answer", "95 % interval")
    table = Table(Column("what if", least=LABEL_WIDTH), *(Column(head, right=True) for head in heads))
    for figure in answer.figures:
        show = _choose_format(figure, figure.currency or answer.result.cost.currency)
        if figure.value is None and figure.recorded is None:
            continue  # a row of dashes says nothing
        name, style = _name(figure), "bold" if figure.figure == "response_time.mean" else ""
        cells = (show(figure.recorded), show(figure.value), _format_interval(figure.interval, show))
        table.add_row(Text(name, style), *(Text(cell, style) for cell in cells))
    return table


def _name(figure: WhatIfFigure) -> str:
    name, _, model = figure.figure.partition("cost_per_million")[2].partition(".")
    if figure.figure.startswith("cost_per_million"):
        return f"per million{'' if not model else ', ' + make_printable(model)}{name}"
    return _TIMES.get(figure.figure, figure.figure.replace("_", " "))


def _choose_format(figure: WhatIfFigure, currency: str) -> Callable[[float | None], str]:
    if figure.figure in _TIMES:
        return format_seconds
    if figure.figure.startswith("cost"):
        return lambda value: "–" if value is None else format_money(value, currency)
    if figure.figure == "throughput":
        return lambda value: format_number(value, "/s")
    return lambda value: "–" if value is None else format_percent(value)


def _format_interval(interval: Interval | None, show: Callable[[float | None], str]) -> str:
    return "–" if interval is None else f"{show(interval.low)} to {show(interval.high)}"


def _tabulate_facts(answer: WhatIf) -> Table:
    table = Table(Column("", least=LABEL_WIDTH), Column(prose=True))
    for label, fact in _list_facts(answer):
        table.add_row(Text(label, "dim"), fact)
    return table


def _list_facts(answer: WhatIf) -> Iterator[tuple[str, Text]]:
    result = answer.result
    yield (
        "run",
        Text(
            f"{answer.sample:,} jobs of {make_printable(answer.recorded)}, "
            f"in {answer.replays} replays of {result.counts.arrived:,}, seed {result.spec.seed}"
        ),
    )
    for judged in result.objectives:
        outcome = Text.assemble(
            (judged.outcome, OUTCOME_STYLE[judged.outcome]), ", ", describe_observed(judged, result)
        )
        yield "objective", Text(make_printable(f"{judged.objective}: ")).append(outcome)
    for text in answer.assumptions:
        yield "assumption", Text(make_printable(text))
    for text in answer.warnings:
        yield "warning", Text(make_printable(text), "yellow")
