"""A comparison of two runs, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from aurea_engine import ComparedFigure, Comparison, Remark
from aurea_engine.closed_sets import ComparisonWord
from aurea_server.cli.number_format import (
    format_digits,
    format_money,
    format_number,
    format_percent,
    format_seconds,
    make_printable,
)
from aurea_server.cli.tables import LABEL_WIDTH, Column, Table

WORD_STYLE: Mapping[ComparisonWord, str] = {
    "same": "green",
    "better": "bold green",
    "worse": "bold red",
    "inconclusive": "yellow",
}

LABELS = {"response_time.mean": "response mean", "failure_ratio": "failure ratio", "cost_per_million": "cost/million"}

MOST_JOBS = 100
"""Times as many jobs: advice to run more than that is no advice."""


def render_comparison(comparison: Comparison) -> RenderableType:
    """The answer first, then the figures that it rests on, then what to know about them."""
    parts: list[RenderableType] = [_tabulate_facts(comparison)]
    if comparison.figures:
        parts += [Text(), _tabulate_figures(comparison)]
    remarks = list(_list_remarks(comparison))
    if remarks:
        table = Table(Column(least=LABEL_WIDTH), Column(prose=True))
        for label, text in remarks:
            table.add_row(Text(label, "dim"), make_printable(text))
        parts += [Text(), table]
    return Group(*parts)


def _tabulate_facts(comparison: Comparison) -> Table:
    table = Table(Column(least=LABEL_WIDTH), Column(prose=True))
    table.add_row(Text("A", "dim"), make_printable(comparison.names[0]))
    table.add_row(Text("B", "dim"), make_printable(comparison.names[1]))
    whole = Text(comparison.word, WORD_STYLE[comparison.word]).append(
        f": {_explain_word(comparison)}", "not bold default"
    )
    table.add_row(Text("B is", "dim"), whole)
    if comparison.effect is not None:
        share, size = format_percent(comparison.effect.b_slower), comparison.effect.size
        table.add_row(Text("effect", "dim"), f"{size}: a job of B takes longer than one of A in {share} of pairs")
    return table


def _explain_word(comparison: Comparison) -> str:
    """One sentence: why it is this word."""
    tolerance = format_share(comparison.tolerance)
    if not comparison.comparable and comparison.word == "inconclusive":
        return "the two cannot be compared (--anyway does)"
    if comparison.word == "same":
        return f"every figure is within {tolerance} of A"
    named = ", ".join(_name(each) for each in comparison.figures if each.word == comparison.word)
    if comparison.word == "inconclusive":
        if not named:
            return "nothing is known of the times of either run" if comparison.figures else "no figure is in both runs"
        return f"{named} could be within {tolerance} of A or beyond{_advise(comparison)}"
    return f"{named}, by more than {tolerance}"


def _advise(comparison: Comparison) -> str:
    """How many times as many jobs would decide, roughly: an interval narrows with the root of the jobs."""
    if any(each.code == "too_few_jobs" for each in comparison.reasons):
        return ""
    times = [_count_times(each, comparison.tolerance) for each in comparison.figures if each.word == "inconclusive"]
    most = max((each for each in times if each is not None), default=None)
    if most is None or None in times:
        return ""
    if most > MOST_JOBS:
        return "; many more jobs would decide, or a larger tolerance"
    return f"; about {format_number(float(max(round(most), 2)))} times as many jobs would decide"


def _count_times(figure: ComparedFigure, tolerance: float) -> float | None:
    # To whichever bound is nearer: there the interval must end.
    room = abs(abs(figure.shift) - tolerance)
    if figure.interval is None or not room:
        return None
    return ((figure.interval.high - figure.interval.low) / 2 / room) ** 2


def _tabulate_figures(comparison: Comparison) -> Table:
    heads = (Column(head, right=True) for head in ("A", "B", "shift %", "interval %"))
    table = Table(Column(least=LABEL_WIDTH), *heads, Column("B is"))
    for each in comparison.figures:
        table.add_row(
            _name(each),
            *(_format_value(each.figure, value, comparison.currency) for value in (each.a, each.b)),
            _format_signed(each.shift),
            _format_interval(each),
            Text(each.word, WORD_STYLE[each.word]),
        )
    return table


def _name(figure: ComparedFigure) -> str:
    quantile = figure.figure.rpartition(".")[2]
    return LABELS.get(figure.figure, f"response {quantile}" if "." in figure.figure else figure.figure)


def _format_value(figure: str, value: float, currency: str | None) -> str:
    if figure.startswith("response_time"):
        return format_seconds(value)
    if figure == "cost_per_million":
        return format_money(value, currency or "")
    return format_percent(value) if figure == "failure_ratio" else format_number(value, "/s")


# Without a unit, which is in the head: eight of them would not fit on a terminal of 80 columns.
def _format_interval(figure: ComparedFigure) -> str:
    if figure.interval is None:
        return "–"
    return f"{_format_signed(figure.interval.low)} … {_format_signed(figure.interval.high)}"


def _format_signed(share: float) -> str:
    """``+2.3``, of a hundred; a true minus, which lines up with the plus."""
    text = f"{abs(share) * 100:,.2f}" if abs(share) < 0.1 else f"{abs(share) * 100:,.1f}"
    sign = "−" if share < 0 else "+"
    return f"{sign if float(text.replace(',', '')) else '±'}{text}"


def format_share(share: float) -> str:
    """``3 %``, ``0.5 %``."""
    return f"{format_digits(share * 100).rstrip('0').rstrip('.') if share else '0'} %"


def _list_remarks(comparison: Comparison) -> Iterator[tuple[str, str]]:
    yield from _label("reason", comparison.reasons)
    for each in comparison.left_out:
        yield "left out", f"{LABELS.get(each.figure, each.figure)}: {each.why}"
    yield from _label("note", comparison.notes)


def _label(label: str, remarks: Iterable[Remark]) -> Iterator[tuple[str, str]]:
    for remark in remarks:
        yield label, f"{remark.code}: {remark.detail}"
