"""What a result means for a test: its objectives are met, missed, can never be decided, or could not be judged this time.

The last two are not the same. Where too few jobs were asked for, the test can never pass, and whoever wrote it must know.
Where the measurement is invalid, or an interval lies across the bound, the code under test may be as good as ever: a test
that failed then would fail for the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aurea_engine.records.quantiles import CONFIDENCE
from aurea_engine.results.objectives import count_jobs_needed
from aurea_engine.results.result import GroupResult, ObjectiveResult, RunResult
from aurea_engine.spec import TIMES, Objective

Word = Literal["met", "missed", "never", "not_judged"]


@dataclass(frozen=True)
class Judgement:
    """``reason``: one sentence. ``not_judged``: how many objectives were neither met nor missed."""

    word: Word
    reason: str
    not_judged: int = 0


def judge(result: RunResult, confidence: float = CONFIDENCE) -> Judgement:
    """What ``result`` means for a test that requires its objectives. ``confidence``: at which they were judged."""
    if not result.objectives:
        return Judgement("never", "the specification has no objectives, so there is nothing to require")
    if result.status not in ("completed", "aborted"):
        why = "" if result.reason is None else f": {result.reason.detail}"
        return Judgement("missed", f"the run {result.status.replace('_', ' ')}{why}")
    needed = {each.objective: count_jobs_needed(each.objective, confidence) for each in result.objectives}
    short = [each for each in needed if _count_arrived(result, each.group) < needed[each]]
    if short and result.status == "completed":
        return Judgement("never", _describe_shortage(result, short, confidence))
    if result.verdict == "invalid":
        codes = "; ".join(f"{each.code}: {each.detail}" for each in result.findings if each.severity.name == "INVALID")
        return Judgement("not_judged", f"the measurement is invalid ({codes})", len(result.objectives))
    missed = [each for each in result.objectives if each.outcome == "missed"]
    if missed:
        return Judgement("missed", f"{len(missed)} of {_count(len(result.objectives))} missed")
    open_ones = [each for each in result.objectives if each.outcome == "inconclusive"]
    if not open_ones:
        return Judgement("met", "")
    short = [each.objective for each in open_ones if _count_judged(result, each) < needed[each.objective]]
    if short:
        return Judgement("never", "; ".join(each.detail for each in open_ones if each.objective in short))
    details = "; ".join(f"{each.objective}: {each.detail}" for each in open_ones)
    return Judgement("not_judged", f"the measurement decides neither way ({details})", len(open_ones))


def _count(n: int) -> str:
    return f"{n} objective{'' if n == 1 else 's'}"


def _describe_shortage(result: RunResult, short: Iterable[Objective], confidence: float) -> str:
    asked = ", ".join(
        f"{each} needs {count_jobs_needed(each, confidence):,} jobs, and {_count_arrived(result, each.group):,} arrived"
        for each in short
    )
    return f"this can never be decided: {asked}"


def _find_group(result: RunResult, name: str | None) -> RunResult | GroupResult:
    return result if name is None else next((each for each in result.groups if each.name == name), result)


def _count_arrived(result: RunResult, group: str | None) -> int:
    return _find_group(result, group).counts.arrived


def _count_judged(result: RunResult, judged: ObjectiveResult) -> int:
    """How many jobs stand behind the figure of an objective."""
    of, figure = _find_group(result, judged.objective.group), judged.objective.figure
    if figure in TIMES:
        return int(getattr(of, figure).count)
    if figure in of.marks:
        return of.marks[figure].from_intended.count
    return of.measures[figure].amounts.count if figure in of.measures else of.counts.arrived


def tabulate(result: RunResult) -> str:
    """The objectives with what was observed, and the findings, as plain lines."""
    rows = [["objective", "outcome", "observed", ""]]
    rows += [
        [str(each.objective), each.outcome, "–" if each.observed is None else f"{each.observed:.4g}", each.detail]
        for each in result.objectives
    ]
    return "\n".join([align(rows), *_list_findings(result)])


def align(rows: Sequence[Sequence[str]]) -> str:
    """``rows`` as lines whose columns begin beneath one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)


def _list_findings(result: RunResult) -> Iterator[str]:
    counts = result.counts
    yield f"verdict {result.verdict}, {counts.completed:,} of {counts.arrived:,} jobs completed, seed {result.spec.seed}"
    for finding in result.findings:
        yield f"{finding.severity.name.lower()}: {finding.code}: {finding.detail}"
