"""A result in a few lines of Markdown, for a pull request: verdict, objectives, key figures, findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aurea_engine.report.bill import MILLION, write_money
from aurea_engine.report.judgement import OUTCOMES, SIGNS, name_objective, write_amount
from aurea_engine.report.key_figures import describe_run
from aurea_engine.report.markup import make_visible
from aurea_engine.report.number_format import format_number, format_seconds
from aurea_engine.report.parity_section import list_short_rows
from aurea_engine.results.parity import TOOLS, Parity, parity
from aurea_engine.results.result import ObjectiveResult, RunResult

MOST_ROWS = 20
MOST_TEXT = 600

_SPECIAL = frozenset("\\`*_{}[]<>!|~&$")


def render_markdown(result: RunResult) -> str:
    """The report of ``result`` for a pull request or a summary of a job: Markdown as GitHub and GitLab read it."""
    return "\n".join(_list_lines(result)) + "\n"


def _list_lines(result: RunResult) -> Iterator[str]:
    name = escape_markdown(result.spec.label or result.benchmark_id)
    yield f"### {SIGNS[result.verdict]} {name}: {result.verdict}{_tell_objectives(result.objectives)}"
    yield ""
    yield describe_run(result)
    if result.status != "completed":
        why = "" if result.reason is None else f": {escape_markdown(result.reason.detail)}"
        yield f"The run ended as {result.status.replace('_', ' ')}{why}."
    yield ""
    # The answer first: a reader of a pull request looks for what was missed.
    if result.objectives:
        heads = ["objective", "", "bound", "observed", "95 % bounds"]
        yield from _write_table(heads, [_list_cells(each, result) for each in result.objectives], texts=2)
    yield from _write_table(*_list_key_figures(result), texts=0)
    if (table := parity(result)) is not None:
        yield from _list_parity(table)
    # A list and no table: details are sentences, which a narrow column would break into shreds.
    for finding in result.findings[:MOST_ROWS]:
        detail, advice = escape_markdown(finding.detail), escape_markdown(finding.advice)
        yield f"- **{finding.severity.name.lower()}** `{finding.code}`: {detail}. {advice}"


def _tell_objectives(judged: Sequence[ObjectiveResult]) -> str:
    counts = [(word, sum(each.outcome == word for each in judged)) for word in OUTCOMES]
    return "".join(f", {count} of {len(judged)} {word}" for word, count in counts if count)


def _list_cells(judged: ObjectiveResult, result: RunResult) -> list[str]:
    objective = judged.objective
    sign, bound = ("≤", objective.at_most) if objective.at_most is not None else ("≥", objective.at_least)
    interval = judged.interval

    def write(value: float | None) -> str:
        return escape_markdown(write_amount(objective, value, result))

    return [
        escape_markdown(name_objective(objective)),
        f"{SIGNS[judged.outcome]} {judged.outcome}",
        f"{sign} {write(bound)}",
        write(judged.observed),
        "–" if interval is None else f"{write(interval.low)} – {write(interval.high)}",
    ]


def _list_key_figures(result: RunResult) -> tuple[list[str], list[list[str]]]:
    times, cost, counts = result.response_time, result.cost, result.counts
    per_million = None if cost.per_success is None else cost.per_success * MILLION
    figures = {
        "throughput": format_number(result.throughput, "/s"),
        "completed": f"{counts.completed:,} of {counts.arrived:,}",
        "p50": format_seconds(times.p50),
        "p99": format_seconds(times.p99),
        "cost": write_money(cost.total, cost.currency),
        "per million": "–" if per_million is None else write_money(per_million, cost.currency),
    }
    return list(figures), [list(figures.values())]


def _list_parity(table: Parity) -> Iterator[str]:
    """What other tools would have reported, folded in: it answers who compares, and not who looks for what was missed."""
    yield "<details><summary>What other tools would report of the same requests</summary>"
    yield ""
    rows = [[escape_markdown(name), *cells] for name, cells in list_short_rows(table)]
    yield from _write_table(["figure", "Aurea", *TOOLS], rows, texts=1)
    yield "</details>"
    yield ""


def _write_table(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' if at < texts else '---:' for at in range(len(heads)))}|"
    for row in rows[:MOST_ROWS]:
        yield f"| {' | '.join(row)} |"
    if len(rows) > MOST_ROWS:
        yield f"| … and {len(rows) - MOST_ROWS:,} more |{' |' * (len(heads) - 1)}"
    yield ""


def escape_markdown(text: str) -> str:
    """``text`` as characters to read: no markup, no link, no table cell, and nobody is mentioned by it."""
    shown = make_visible(text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…")
    return "".join(map(_escape_character, shown))


def _escape_character(character: str) -> str:
    # What looks for mentions and issues reads text after numbers of characters were read: a comment behind the sign parts it
    # from the name.
    if character in "@#":
        return f"{character}<!-- -->"
    return f"&#{ord(character)};" if character in _SPECIAL else character
