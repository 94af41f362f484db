"""The verdict over replications: objectives by intervals over them, findings once each, theory beside the means.

An objective is judged as in a single run, with another interval. Its figure (the ``observed`` of each replication) is a
sample of independent values, so it is met where the one-sided 95 % bound of their mean is on the right side, missed where
the opposite bound is on the wrong one, and inconclusive between. That also holds for ratios, rates and money: of a single
run these are facts, of a repeated one they are what the next replication can be expected to show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from aurea_engine.closed_sets import ObjectiveOutcome, Severity
from aurea_engine.fields.checked import format_number
from aurea_engine.results.findings import Finding, sort_by_severity
from aurea_engine.results.replications import Replications
from aurea_engine.results.result import ObjectiveResult, RunResult, TheoryRow
from aurea_engine.results.student_t import ONE_SIDED
from aurea_engine.spec import Objective, RunSpec
from aurea_engine.studies.figure_spread import find_deviation, find_interval, find_mean

HEADLINES = ("response_time.mean", "throughput")
"""The figures by which a replication is named as outlying in a finding. Each one more would be one more false alarm."""


# --- Objectives ------------------------------------------------------------------------------------------------------


def judge_objectives(spec: RunSpec, numbered: Mapping[int, RunResult], asked: int) -> tuple[ObjectiveResult, ...]:
    """Each objective of ``spec``, over the replications that completed."""
    return tuple(_judge(objective, k, numbered, asked) for k, objective in enumerate(spec.objectives))


def _judge(objective: Objective, k: int, numbered: Mapping[int, RunResult], asked: int) -> ObjectiveResult:
    judged = {number: result.objectives[k] for number, result in numbered.items()}
    counted = [one for number, one in judged.items() if numbered[number].status == "completed"]
    # Of an objective that ends a run, one that was lost for certain settles it: it was to hold in every run.
    for number, one in judged.items():
        if objective.abort and one.outcome == "missed" and numbered[number].status == "aborted":
            return replace(one, detail=f"in replication {number}: {one.detail}")
    if not counted:
        return ObjectiveResult(objective, "inconclusive", None, "no replication completed")
    if len(counted) == 1:
        # One replication is a run, and judged as one. Of several that were asked for it may be the odd one.
        one = counted[0]
        return one if asked == 1 else replace(one, detail=f"only one replication completed: {one.detail}")
    observed = [one.observed for one in counted if one.observed is not None]
    if len(observed) < len(counted):
        why = next(one.detail for one in counted if one.observed is None)
        return ObjectiveResult(objective, "inconclusive", None, f"not every replication has it: {why}")
    return _judge_mean(objective, observed)


def _judge_mean(objective: Objective, observed: Sequence[float]) -> ObjectiveResult:
    bounds = find_interval(observed, ONE_SIDED)
    assert bounds is not None
    outcome: ObjectiveOutcome = "inconclusive"
    if objective.at_most is not None:
        outcome = "met" if bounds.high <= objective.at_most else "missed" if bounds.low > objective.at_most else outcome
    elif objective.at_least is not None:
        outcome = (
            "met" if bounds.low >= objective.at_least else "missed" if bounds.high < objective.at_least else outcome
        )
    detail = f"95 % bounds {bounds.low:.6g} and {bounds.high:.6g} over {len(observed)} replications"
    return ObjectiveResult(objective, outcome, find_mean(observed), detail, bounds)


# --- Findings --------------------------------------------------------------------------------------------------------


def merge_findings(numbered: Mapping[int, RunResult], ended: int, more: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each finding once, as the replication has it that it is gravest in, with the replications that have it."""
    found: dict[str, dict[int, Finding]] = {}
    for number, result in numbered.items():
        for finding in result.findings:
            # A code that one run has twice is shown as it has it first: findings are gravest first.
            found.setdefault(finding.code, {}).setdefault(number, finding)
    return sort_by_severity([*(_merge_finding(of, ended) for of in found.values()), *more])


def _merge_finding(of: Mapping[int, Finding], ended: int) -> Finding:
    number, worst = max(of.items(), key=lambda each: (each[1].severity, -each[0]))
    if ended == 1:
        return worst
    where = f"in replication {number}"
    if len(of) > 1:
        everywhere = "both" if ended == 2 else f"all {ended}"
        where = f"in {everywhere if len(of) == ended else f'{len(of)} of {ended}'} replications, such as {number}"
    # An instant of one replication is none of the whole.
    return replace(worst, detail=f"{where}: {worst.detail}", at=None)


def find_outlying(replications: Replications) -> list[Finding]:
    """The finding that some replications are far from the others, by their headline figures."""
    seen = []
    for figure in HEADLINES:
        spread = replications.spread(figure)
        for number in () if spread is None else spread.outlying:
            one = next(each for each in replications.each if each.number == number)
            value = one.figures[figure]
            assert spread is not None
            assert value is not None
            name, unit = figure.replace("response_time.mean", "mean response time"), " s" if "time" in figure else "/s"
            seen.append(
                f"{name} {format_number(value)}{unit} in replication {number} (seed {one.seed}), "
                f"{format_number(spread.mean)}{unit} over all"
            )
    if not seen:
        return []
    advice = "Look at it by itself, by its seed. In real time something else may have been busy meanwhile."
    return [Finding("replication_outlying", Severity.NOTE, "; ".join(seen), advice)]


# --- Theory ----------------------------------------------------------------------------------------------------------


FEWEST_FOR_Z = 10
"""Replications from which on a distance in standard errors means about what readers take it for. By three of them alone the
standard error is often a tenth of what it should be.
"""


def merge_theory(counted: Sequence[RunResult]) -> tuple[TheoryRow, ...]:
    """Each row of theory beside the mean over replications, and how many standard errors lie between the two."""
    rows = [result.theory for result in counted if result.theory]
    if len(rows) < 2 or len({len(each) for each in rows}) > 1:
        return rows[0] if rows else ()
    return tuple(_merge_row(each) for each in zip(*rows, strict=True))


def _merge_row(rows: Sequence[TheoryRow]) -> TheoryRow:
    measured = [row.measured for row in rows if row.measured is not None]
    if len(measured) < len(rows):
        return replace(rows[0], measured=None, z=None)
    middle, deviation = find_mean(measured), find_deviation(measured)
    known = deviation is not None and len(measured) >= FEWEST_FOR_Z
    error = (deviation or 0.0) / math.sqrt(len(measured)) if known else 0.0
    return replace(rows[0], measured=middle, z=(middle - rows[0].expected) / error if error else None)
