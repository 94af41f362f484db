"""The parity table of a run: a row for each figure and statistic, ours beside that of each tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aurea_engine.records.batch import NS, JobBatch
from aurea_engine.results.chat_groups import mask_chats
from aurea_engine.results.parity.aiperf import report_aiperf
from aurea_engine.results.parity.definitions import DEFINITIONS, TOOLS, Definition, Tool
from aurea_engine.results.parity.guidellm import report_guidellm
from aurea_engine.results.parity.ours import report_ours
from aurea_engine.results.parity.requests import NO_BOUNDS, Bounds, Pooled, Requests, holds_chat
from aurea_engine.results.parity.summaries import STATISTICS, Report
from aurea_engine.results.parity.vllm import report_vllm
from aurea_engine.results.result import RunResult
from aurea_engine.spec import Objective

OF_TURNS = "Jobs are conversations here. All columns are of their turns, since to the other tools each is a request."
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
    records, are_steps, are_all = _find_records(result)
    if records is None:
        return None
    gaps = result.histograms.get("frame_gap")
    pooled = None if gaps is None or not gaps.count else Pooled.of_histogram(gaps)
    requests = Requests.of(records, pooled, round(result.window[0] * NS))
    bounds = find_bounds(result.spec.objectives) if bounds is None else bounds
    ours = report_ours(result, records.only(records.intended >= requests.began), are_all=are_all)
    return make_table(requests, bounds, ours, [OF_TURNS] if are_steps else [])


def _find_records(result: RunResult) -> tuple[JobBatch | None, bool, bool]:
    """The records of single requests; whether they are of steps, where a job is a conversation of several; and whether they
    are all jobs of the run, which has no other kinds.
    """
    steps, jobs = (
        None if rows is None or not holds_chat(rows.schema) else rows.only(mask_chats(result.spec.workload.job, rows))
        for rows in (None if result.steps is None else result.steps.rows, result.jobs)
    )
    are_steps = steps is not None and len(steps) > 0
    rows = steps if are_steps else jobs
    are_all = not are_steps and jobs is not None and result.jobs is not None and len(jobs) == len(result.jobs)
    # Of a run without streamed answers no tool would have reported a time.
    if rows is None or not (rows.mark("first_frame") >= 0).any():
        return None, are_steps, are_all
    return rows, are_steps, are_all


def make_table(
    requests: Requests, bounds: Bounds = NO_BOUNDS, ours: Report | None = None, notes: Sequence[str] = ()
) -> Parity:
    """The table of recorded ``requests``, by ``bounds``. ``ours``: the figures of the first column, where there are any;
    ``notes``: what is to be said before what the requests tell.
    """
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
    return Parity(tuple(rows), (*notes, *_list_notes(requests)))


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
