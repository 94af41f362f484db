"""From outcomes to a table on the terminal, JSON files, and the figures in the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.contest import AUREA, BEFORE, Bound, Contender, Figure, Unit
from benchmarks.side_by_side import Judgement, Outcome, Spread

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results"
PAGE = ROOT.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

_SCALE: Mapping[Unit, float] = {"ms": 1e3, "µs": 1e6}


def format_number(value: float, unit: Unit) -> str:
    """Three significant digits, without an exponent."""
    # Not ``g``: it writes 1e+06, and tables are read by people.
    value *= _SCALE.get(unit, 1.0)
    if value == 0:
        return "0"
    digits = max(2 - int(f"{abs(value):e}".partition("e")[2]), 0)
    return f"{value:,.{digits}f}" if digits else f"{float(f'{value:.3g}'):,.0f}"


def format_exactly(value: float, unit: Unit) -> str:
    """As `format_number`, but for a bound that must not look crossed when it is not: six significant digits."""
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
                {**asdict(judgement.bound), "value": judgement.value, "met": judgement.met}
                for judgement in outcome.judge()
            ],
        }
        # Every round, so that another summary than ours can be made of them.
        text = json.dumps(document, indent=1, ensure_ascii=False, default=dict) + "\n"
        (folder / f"{row.key}.json").write_text(text, encoding="utf-8")


def write_page(text: str) -> None:
    """Put ``text`` between the marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    # Only between the marks: the prose around them is written by hand.
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise SystemExit(f"{PAGE.name} has lost the marks {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def render_page(outcomes: Sequence[Outcome], machine: Mapping[str, str], rounds: int) -> str:
    """All figures, as Markdown."""
    where = ", ".join(f"{name} {value}" for name, value in machine.items())
    parts = [
        f"Measured on: {where}. Medians of {rounds} rounds; in brackets the least and the most.",
        render_summary(outcomes),
    ]
    for outcome in outcomes:
        parts += [f"### {outcome.row.title}", render_details(outcome)]
        parts += [outcome.row.note] if outcome.row.note else []
        parts += ["\n".join(f"- **{each.name}**: {_describe(each, outcome)}" for each in outcome.row.contenders)]
    return "\n\n".join(parts)


def _describe(contender: Contender, outcome: Outcome) -> str:
    missing = outcome.absent.get(contender.name)
    return contender.does + (f" *Not measured: {missing}.*" if missing else "")


def render_summary(outcomes: Sequence[Outcome]) -> str:
    """What is asked, and what was measured: a line a bound."""
    lines = ["| work | figure | asked | measured | |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        for judgement in outcome.judge():
            figure = next(each for each in outcome.row.figures if each.key == judgement.bound.figure)
            cells = (
                outcome.row.title,
                figure.label,
                _format_bound(judgement.bound, figure),
                _format_value(judgement, figure),
                _format_met(judgement),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def render_ratios(outcomes: Sequence[Outcome]) -> str:
    """Every figure of Aurea against that of the version before: a line a figure."""
    lines = ["| work | figure | now | before | now ÷ before |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        for figure in outcome.row.figures:
            now, before = (outcome.spread(name, figure.key) for name in (AUREA, BEFORE))
            if now is not None and before is not None:
                ratio = f"{now.median / before.median:.3g}" if before.median else "–"
                cells = outcome.row.title, figure.label, _format_cell(now, figure), _format_cell(before, figure), ratio
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _format_bound(bound: Bound, figure: Figure) -> str:
    if bound.against is not None:
        return f"≥ {bound.limit:g} × {bound.against}"
    sign = "≥" if bound.better == "more" else "≤"
    scaled = bound.limit * _SCALE.get(figure.unit, 1.0)
    return f"{sign} {scaled:,.10g} {figure.unit}".rstrip()


def _format_value(judgement: Judgement, figure: Figure) -> str:
    if judgement.value is None:
        return "not measured"
    if judgement.bound.against is not None:
        return f"{format_number(judgement.value, '×')} ×"
    # A value of 1.004 beside a bound of 1 would be printed as 1.00, and look as if it had just been reached.
    close = abs(judgement.value / judgement.bound.limit - 1) < 0.01 if judgement.bound.limit else False
    return f"{(format_exactly if close else format_number)(judgement.value, figure.unit)} {figure.unit}".rstrip()


def _format_met(judgement: Judgement) -> str:
    return {True: "met", False: "**missed**", None: "–"}[judgement.met]


def render_details(outcome: Outcome) -> str:
    """A line a contender, a column a figure."""
    figures = outcome.row.figures
    head = " | ".join(f"{figure.label}{_format_unit(figure)}" for figure in figures)
    lines = [f"| | {head} |", "|---" * (len(figures) + 1) + "|"]
    for contender in outcome.row.contenders:
        if contender.name in outcome.rounds:
            cells = (_format_cell(outcome.spread(contender.name, figure.key), figure) for figure in figures)
            lines.append(f"| {contender.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _format_unit(figure: Figure) -> str:
    return f", {figure.unit}" if figure.unit not in ("", "/s", "cores") else ""


def _format_cell(spread: Spread | None, figure: Figure) -> str:
    if spread is None:
        return "–"
    middle, low, high = (format_number(value, figure.unit) for value in (spread.median, spread.low, spread.high))
    return middle if low == high else f"{middle} ({low}–{high})"
