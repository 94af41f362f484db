"""The parity table of a run: a row for each figure and statistic, ours beside that of each tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.results.parity.aiperf import report_aiperf
from aurea_engine.results.parity.definitions import DEFINITIONS, TOOLS, Definition, Tool
from aurea_engine.results.parity.guidellm import report_guidellm
from aurea_engine.results.parity.requests import NO_BOUNDS, Bounds, Pooled, Requests, holds_chat
from aurea_engine.results.parity.summaries import STATISTICS, Report
from aurea_engine.results.parity.vllm import report_vllm
from aurea_engine.results.result import RunResult
from aurea_engine.results.statistics import Timing
from aurea_engine.spec import Objective

_REPORTS = {"vLLM": report_vllm, "aiperf": report_aiperf, "guidellm": report_guidellm}


@dataclass(frozen=True)
class ParityRow:
    """One figure by one ``statistic`` (mean, p50, p99, or empty): ours, and that of each tool that has it; None is unknown.

    In the unit of the definition.
    """

    definition: Definition
    statistic: str
    ours: float | None
    theirs: Mapping[Tool, float | None]


@dataclass(frozen=True)
class Parity:
    """All rows; ``notes`` say where a tool would have counted what the records do not hold."""

    rows: tuple[ParityRow, ...]
    notes: tuple[str, ...]

    def value(self, tool: Tool, figure: str, statistic: str = "") -> float | None:
        """One figure of one tool. Raises KeyError if there is no such figure."""
        for row in self.rows:
            if (row.definition.figure, row.statistic) == (figure, statistic):
                return row.theirs[tool]
        raise KeyError(figure)


def parity(result: RunResult, bounds: Bounds | None = None) -> Parity | None:
    """The parity table of a run of chat requests; None of any other run, or where no records of its requests were kept.

    ``bounds``: what goodput is judged by, in place of the objectives of the run.
    """
    records = _find_records(result)
    if records is None:
        return None
    gaps = result.histograms.get("frame_gap")
    pooled = None if gaps is None or not gaps.count else Pooled.of_histogram(gaps)
    requests = Requests.of(records, pooled, round(result.window[0] * NS))
    bounds = find_bounds(result.spec.objectives) if bounds is None else bounds
    return make_table(requests, bounds, _report_ours(result, requests))


def _find_records(result: RunResult) -> JobBatch | None:
    """The records of single requests: those of steps, where a job is a conversation of several."""
    rows = result.jobs if result.steps is None or not len(result.steps) else result.steps.rows
    # Of a run without streamed answers no tool would have reported a time.
    if rows is None or not holds_chat(rows.schema) or not (rows.mark("first_frame") >= 0).any():
        return None
    return rows


def make_table(requests: Requests, bounds: Bounds = NO_BOUNDS, ours: Report | None = None) -> Parity:
    """The table of recorded ``requests``, by ``bounds``. ``ours``: the figures of the first column, where there are any."""
    reports = {tool: _REPORTS[tool](requests, bounds) for tool in TOOLS}
    rows = [
        ParityRow(
            each,
            statistic,
            (ours or {}).get((each.figure, statistic)),
            {tool: reports[tool].get((each.figure, statistic)) for tool in each.theirs},
        )
        for each in DEFINITIONS
        for statistic in (STATISTICS if each.statistics else ("",))
    ]
    return Parity(tuple(rows), tuple(_list_notes(requests)))


def _list_notes(requests: Requests) -> list[str]:
    lacking = int((requests.answered & requests.lacks_usage).sum())
    notes = []
    if lacking:
        notes.append(
            f"{lacking:,} of {int(requests.answered.sum()):,} answers reported no tokens. guidellm then takes each frame "
            "for a token, and so does this table for vLLM and aiperf, which would count the text's tokens with a tokenizer."
        )
    if requests.gaps is None:
        notes.append("The gaps between frames were not kept, so the frame gap is left out.")
    return notes


def find_bounds(objectives: tuple[Objective, ...]) -> Bounds:
    """The bounds on single requests among ``objectives``, as the tools would be given them."""
    found = {
        each.figure: each.at_most
        for each in objectives
        if each.quantile is not None and each.at_most is not None and each.group is None
    }
    return Bounds(found.get("first_token"), found.get("token_gap"), found.get("response_time"))


def _report_ours(result: RunResult, requests: Requests) -> Report:
    """Our own figures, in the units of the table."""
    begin, end = result.window
    counts, marks, measures = result.counts, result.marks, result.measures
    answered = requests.answered
    spent = int(np.maximum(requests.output_tokens[answered], 0).sum())
    asked = int(np.maximum(requests.input_tokens[answered], 0).sum())
    length = end - begin
    timings = {
        "first_token_time": (marks["first_token"].from_intended, 1000.0),
        "first_answer_time": (marks["first_answer"].from_intended, 1000.0),
        "end_to_end": (result.response_time, 1000.0),
        **({"token_gap": (measures["token_gap"].amounts, 1000.0)} if "token_gap" in measures else {}),
        **({"output_rate": (measures["output_rate"].amounts, 1.0)} if "output_rate" in measures else {}),
    }
    spread = [_spread_ours(figure, timing, unit) for figure, (timing, unit) in timings.items()]
    gaps = result.histograms.get("frame_gap")
    if gaps is not None and gaps.count:
        at = {"mean": gaps.mean, "p50": gaps.quantile(0.5), "p99": gaps.quantile(0.99)}
        spread.append({("frame_gap", name): value * 1000 for name, value in at.items()})
    single = {
        "requests_answered": float(counts.completed),
        "requests_failed": float(counts.failed + counts.timed_out),
        "duration": length,
        "request_rate": result.throughput,
        "output_token_rate": spent / length if length else None,
        "token_rate": (asked + spent) / length if length else None,
        # Without an objective on single requests every answer is good, and the figure says nothing.
        "goodput": result.goodput if result.spec.binds_jobs else None,
        "good_share": result.good / counts.arrived if counts.arrived and result.spec.binds_jobs else None,
        "peak_concurrency": None if result.concurrency.peak is None else float(result.concurrency.peak),
    }
    return {key: value for each in spread for key, value in each.items()} | {
        (name, ""): each for name, each in single.items()
    }


def _spread_ours(figure: str, timing: Timing, unit: float) -> dict[tuple[str, str], float | None]:
    at = {name: timing.quantile(name) for name in STATISTICS}
    return {(figure, name): None if value is None else value * unit for name, value in at.items()}
