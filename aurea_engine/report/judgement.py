"""What a run is judged by: the verdict on the measurement, the objectives, the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aurea_engine.closed_sets import ObjectiveOutcome, Verdict
from aurea_engine.report.markup import Markup, datum, element, foreign, join
from aurea_engine.report.number_format import (
    format_amount,
    format_money,
    format_number,
    format_percent,
    format_seconds,
    name_unit,
)
from aurea_engine.report.tables import Limits, Row, cut_rows, write_table
from aurea_engine.results.result import ObjectiveResult, RunResult
from aurea_engine.spec import Objective

MEANING: Mapping[Verdict, str] = {
    "valid": "The figures can be used.",
    "degraded": "Use the figures with care: the measurement was disturbed.",
    "invalid": "Do not use the figures: the run was not the one that was specified.",
}
SIGNS: Mapping[str, str] = {
    "valid": "✓", "degraded": "!", "invalid": "✕", "met": "✓", "missed": "✕", "inconclusive": "?",
    "same": "✓", "better": "✓", "worse": "✕",
}  # fmt: skip
"""So that no judgement is told by its colour alone."""

OUTCOMES: tuple[ObjectiveOutcome, ...] = ("missed", "inconclusive", "met")


def badge(word: str, text: str = "") -> Markup:
    """A judgement, with its sign. ``text``: what is said in place of its own word."""
    sign = element("span", SIGNS[word], aria_hidden="true") if word in SIGNS else None
    return element("span", sign, f" {text or word}" if sign else text or word, class_=f"badge {word}")


def write_verdict(result: RunResult) -> Markup:
    """The verdict, what it means, which findings led to it, and what became of the objectives."""
    # Notes leave the verdict alone; each code once, since a finding may come for several processes.
    grave = list(dict.fromkeys(each.code for each in result.findings if each.severity.name != "NOTE"))
    because: list[Markup | str] = []
    if grave:
        links = [element("a", code, href="#findings") for code in grave]
        because = [" ", *(part for link in links for part in (link, ", "))][:-1]
    lines = [element("p", badge(result.verdict), " ", MEANING[result.verdict], *because, class_="verdict")]
    if result.status != "completed":
        why = foreign(result.reason.detail if result.reason is not None else "")
        lines.append(
            element(
                "p",
                element("strong", f"The run ended as {result.status.replace('_', ' ')}"),
                ": ",
                why,
                class_="verdict",
            )
        )
    if result.objectives:
        lines.append(element("p", *count_objectives(result.objectives), class_="verdict"))
    return join(lines)


def count_objectives(judged: Sequence[ObjectiveResult]) -> list[Markup | str]:
    """How many objectives were met, missed or left open."""
    found = [(word, sum(each.outcome == word for each in judged)) for word in OUTCOMES]
    parts: list[Markup | str] = []
    for word, count in found:
        if count:
            parts += [badge(word), f" {count} of {len(judged)} objective{'s' if len(judged) > 1 else ''} ", ""]
    return parts


# --- Objectives ------------------------------------------------------------------------------------------------------


def tabulate_objectives(result: RunResult, limits: Limits) -> Markup:
    """A row for each: bound, observed, interval, and what they come to."""
    rows = (_write_objective(each, at, result) for at, each in enumerate(result.objectives))
    heads = ["objective", "outcome", "bound", "observed", "95 % bounds", element("span", "drawn", class_="hidden")]
    return write_table("Objectives", heads, cut_rows(rows, len(result.objectives), limits), texts=2)


def _write_objective(judged: ObjectiveResult, at: int, result: RunResult) -> Row:
    objective, place = judged.objective, f"/objectives/{at}"
    name = "at_most" if objective.at_most is not None else "at_least"
    bound = objective.at_most if objective.at_most is not None else objective.at_least
    sign = "≤ " if name == "at_most" else "≥ "
    what = join(
        (foreign(name_objective(objective)), element("small", foreign(judged.detail)) if _needs_detail(judged) else "")
    )
    return [
        what,
        badge(judged.outcome),
        join((sign, datum(write_amount(objective, bound, result), bound, f"/spec{place}/{name}"))),
        datum(write_amount(objective, judged.observed, result), judged.observed, f"{place}/observed"),
        _write_interval(judged, place, result),
        draw_interval(judged),
    ]


def _needs_detail(judged: ObjectiveResult) -> bool:
    """Whether it says more than the bounds beside it."""
    return bool(judged.detail) and (judged.outcome == "inconclusive" or not judged.detail[0].isdigit())


def name_objective(objective: Objective) -> str:
    """As `Objective` says itself, without its bound."""
    return str(objective).rpartition(" <= " if objective.at_most is not None else " >= ")[0]


def write_amount(objective: Objective, value: float | None, result: RunResult) -> str:
    """An amount of the objective's metric, with its unit."""
    metric, schema = objective.figure, result.spec.workload.schema
    if value is None:
        return "–"
    if metric.endswith("_time") or schema.mark(metric) is not None:
        return format_seconds(value)
    if (measure := schema.amount(metric)) is not None:
        return f"{format_amount(value, measure.unit)} {name_unit(measure.unit)}".rstrip()
    if metric.startswith("cost"):
        return format_money(value, result.cost.currency)
    return format_percent(value) if metric.endswith("_ratio") else format_number(value, "/s")


def _write_interval(judged: ObjectiveResult, place: str, result: RunResult) -> Markup | str:
    if judged.interval is None:
        return "–"
    ends = ((name, getattr(judged.interval, name)) for name in ("low", "high"))
    low, high = (
        datum(write_amount(judged.objective, value, result), value, f"{place}/interval/{name}") for name, value in ends
    )
    return join((low, " – ", high))


def draw_interval(judged: ObjectiveResult) -> Markup:
    """What was observed, with its bounds as a bar, beside what was allowed. Nothing of what has no interval."""
    interval, objective = judged.interval, judged.objective
    bound = objective.at_most if objective.at_most is not None else objective.at_least
    if interval is None or bound is None or judged.observed is None:
        return Markup()
    # From 0, so that the lengths can be compared from row to row.
    most = max(bound, interval.high, judged.observed) * 1.15 or 1.0

    def at(value: float) -> float:
        return 160 * max(value, 0.0) / most

    bar = max(at(interval.high) - at(interval.low), 2.0)
    return element(
        "svg",
        element("line", x1=0, x2=160, y1=10, y2=10, class_="grid"),
        element("rect", x=at(interval.low), y=6, width=bar, height=8, rx=2, class_=f"interval {judged.outcome}"),
        element("circle", cx=at(judged.observed), cy=10, r=4, class_=f"dot {judged.outcome}"),
        element("line", x1=at(bound), x2=at(bound), y1=1, y2=19, class_="rule bound"),
        class_="interval-chart", viewBox="0 0 160 20", width=160, height=20, aria_hidden="true",
    )  # fmt: skip


# --- Findings --------------------------------------------------------------------------------------------------------


def list_findings(result: RunResult, limits: Limits) -> Markup:
    """Every finding with its advice, numbered as the marks on the charts are."""
    # In their order, which the numbers of the marks on the charts follow.
    shown = result.findings[: limits.rows]
    items = []
    for position, each in enumerate(shown):
        severity, place = each.severity.name.lower(), f"/findings/{position}/at"
        when = (
            None
            if each.at is None
            else element(
                "span", " at ", datum(format_seconds(each.at), each.at, place), " into the run", class_="quiet"
            )
        )
        head = element("p", badge(severity), " ", element("code", each.code), when)
        detail = element("p", foreign(each.detail, limits.text), ".")
        items.append(element("li", head, detail, element("p", foreign(each.advice, limits.text), class_="advice")))
    if len(result.findings) > len(shown):
        items.append(element("li", f"… and {len(result.findings) - len(shown):,} more in the result"))
    return element("ol", *items, class_="findings")
