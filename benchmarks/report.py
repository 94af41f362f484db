"""From outcomes to a table on the terminal, JSON files, and the figures in the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.contest import Asked, Contender, Figure, Unit
from benchmarks.side_by_side import Judged, Outcome, Spread

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results"
PAGE = ROOT.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

_SCALE: Mapping[Unit, float] = {"ms": 1e3, "µs": 1e6}


def number(value: float, unit: Unit) -> str:
    """Three significant digits, without an exponent."""
    value *= _SCALE.get(unit, 1.0)
    if value == 0:
        return "0"
    digits = max(2 - int(f"{abs(value):e}".partition("e")[2]), 0)
    return f"{value:,.{digits}f}" if digits else f"{float(f'{value:.3g}'):,.0f}"


def exact(value: float, unit: Unit) -> str:
    """As `number`, but for a bound that must not look crossed when it is not: six significant digits."""
    return f"{value * _SCALE.get(unit, 1.0):.6g}"


def write_results(outcomes: Sequence[Outcome], machine: Mapping[str, str], busy: float | None, folder: Path) -> None:
    """One file a row, every round in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        row = outcome.row
        document = {
            "row": row.key,
            "title": row.title,
            "machine": dict(machine),
            "busy_before": busy,
            "rounds": outcome.rounds,
            "absent": outcome.absent,
            "asked": [
                {**asdict(judged.asked), "value": judged.value, "met": judged.met} for judged in outcome.judged()
            ],
        }
        text = json.dumps(document, indent=1, ensure_ascii=False, default=dict) + "\n"
        (folder / f"{row.key}.json").write_text(text, encoding="utf-8")


def write_page(text: str) -> None:
    """Put ``text`` between the marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise SystemExit(f"{PAGE.name} has lost the marks {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def page(outcomes: Sequence[Outcome], machine: Mapping[str, str], rounds: int) -> str:
    """All figures, as Markdown."""
    where = ", ".join(f"{name} {value}" for name, value in machine.items())
    parts = [
        f"Measured on: {where}. Medians of {rounds} rounds; in brackets the least and the most.",
        summary(outcomes),
    ]
    for outcome in outcomes:
        parts += [f"### {outcome.row.title}", details(outcome)]
        parts += [outcome.row.note] if outcome.row.note else []
        parts += ["\n".join(f"- **{each.name}**: {_does(each, outcome)}" for each in outcome.row.contenders)]
    return "\n\n".join(parts)


def _does(contender: Contender, outcome: Outcome) -> str:
    missing = outcome.absent.get(contender.name)
    return contender.does + (f" *Not measured: {missing}.*" if missing else "")


def summary(outcomes: Sequence[Outcome]) -> str:
    """What is asked, and what was measured: a line a bound."""
    lines = ["| work | figure | asked | measured | |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        for judged in outcome.judged():
            figure = next(each for each in outcome.row.figures if each.key == judged.asked.figure)
            cells = (
                outcome.row.title,
                figure.label,
                _bound(judged.asked, figure),
                _value(judged, figure),
                _met(judged),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _bound(asked: Asked, figure: Figure) -> str:
    if asked.against is not None:
        return f"≥ {asked.bound:g} × {asked.against}"
    sign = "≥" if asked.better == "more" else "≤"
    scaled = asked.bound * _SCALE.get(figure.unit, 1.0)
    return f"{sign} {scaled:,.10g} {figure.unit}".rstrip()


def _value(judged: Judged, figure: Figure) -> str:
    if judged.value is None:
        return "not measured"
    if judged.asked.against is not None:
        return f"{number(judged.value, '×')} ×"
    close = abs(judged.value / judged.asked.bound - 1) < 0.01 if judged.asked.bound else False
    return f"{(exact if close else number)(judged.value, figure.unit)} {figure.unit}".rstrip()


def _met(judged: Judged) -> str:
    return {True: "met", False: "**missed**", None: "–"}[judged.met]


def details(outcome: Outcome) -> str:
    """A line a contender, a column a figure."""
    figures = outcome.row.figures
    head = " | ".join(f"{figure.label}{_in(figure)}" for figure in figures)
    lines = [f"| | {head} |", "|---" * (len(figures) + 1) + "|"]
    for contender in outcome.row.contenders:
        if contender.name in outcome.rounds:
            cells = (_cell(outcome.spread(contender.name, figure.key), figure) for figure in figures)
            lines.append(f"| {contender.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _in(figure: Figure) -> str:
    return f", {figure.unit}" if figure.unit not in ("", "/s", "cores") else ""


def _cell(spread: Spread | None, figure: Figure) -> str:
    if spread is None:
        return "–"
    middle, low, high = (number(value, figure.unit) for value in (spread.median, spread.low, spread.high))
    return middle if low == high else f"{middle} ({low}–{high})"
