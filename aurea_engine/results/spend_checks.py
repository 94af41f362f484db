"""What a bill by tokens cannot know: requests that ended before their server said what they had used.

A stream that is cut off (cancelled at the end of a run or by its budget, timed out, broken) has produced tokens that nobody
counted for the client, and most providers bill them. The bill has only what was reported, exactly; the finding says how
many requests are missing from it, and what they can have cost at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import Outcome, Severity
from aurea_engine.costs import CostModel, Usage, decimal_text, price
from aurea_engine.costs.meters import JobCount, JobMeter, Meter, sum_exactly
from aurea_engine.costs.reported_meters import ReportedAmount, TokenCount
from aurea_engine.costs.safe_call import call_safely
from aurea_engine.costs.started_jobs import StartedJobs
from aurea_engine.costs.step_billing import OfSteps
from aurea_engine.records.batch import NEVER, JobBatch
from aurea_engine.records.measures import Measure, find_declared
from aurea_engine.results.chat_groups import mask_chats
from aurea_engine.results.findings import Finding
from aurea_engine.results.result import RunResult
from aurea_engine.targets.chat.job import Chat
from aurea_engine.workload.jobs import Job, JobSource

INPUT, CACHED, OUTPUT = "input_tokens", "cached_tokens", "output_tokens"
ASKED_INPUT, ASKED_OUTPUT = "asked_input", "asked_output"
REFUSED = "status"
"""The class of failures in which the server refused the request by its status: nothing is produced, and nothing billed."""


def check_spend(result: RunResult) -> Iterator[Finding]:
    """Whether started requests are missing from a bill that is made of reported tokens."""
    meters = _list_token_meters(result.spec.cost)
    if result.spec.workload.schema.measure(OUTPUT) is None or not meters:
        return
    rows = _find_rows(result, meters)
    unknown = _stand_in(result) if rows is None else rows.only(mask_unknown(result.spec.workload.job, rows))
    if not len(unknown):
        return
    bound = _find_bound(result, unknown if rows is None else rows, unknown, meters)
    started = int(result.cost.attempts) if rows is None else int(rows.was_started.sum())
    few = "up to " if rows is None else ""
    names = Counter(Outcome(int(each)).name.lower().replace("_", " ") for each in unknown.outcome)
    each = ", ".join(f"{count:,} {name}" for name, count in sorted(names.items()))
    detail = (
        f"{few}{len(unknown):,} of {started:,} requests ended without a report of their tokens ({each}), so the bill lacks "
        f"what they used: {_describe(bound, result)}"
    )
    advice = "The bill is exact for all others. Let requests end (a longer drain or timeout) if it has to be complete."
    yield Finding("spend_unknown", Severity.NOTE, detail, advice)


@dataclass(frozen=True)
class Bound:
    """The most that requests without a report can have added to the bill. None where there is no limit to it.

    ``input_tokens``: None where the length of no prompt is known.
    """

    amount: Fraction | None
    input_tokens: int | None
    output_tokens: int | None


def _describe(bound: Bound, result: RunResult) -> str:
    if bound.output_tokens is None:
        return "without a max_tokens, or a greatest length of answers, there is no limit to that"
    if bound.input_tokens is None:
        return "what that can have cost cannot be told, since no request reported the length of its prompt"
    if bound.amount is None:
        return 'what that can have cost cannot be told: bill by the turn ("per": "step") where jobs are conversations'
    assumed = f"for {bound.output_tokens:,} output tokens each and prompts of at most {bound.input_tokens:,} tokens"
    return f"at most {decimal_text(bound.amount)} {result.cost.currency} more, {assumed}, the longest that was reported"


def mask_unknown(job: JobSource, rows: JobBatch) -> NDArray[np.bool_]:
    """Mask of the chat requests of ``job`` that may have used tokens, and of which no output tokens were reported."""
    unknown = rows.was_started & (rows.measure(OUTPUT) < 0) & mask_chats(job, rows)
    # What failed before it was sent used nothing. A cancelled request has no marks at all, so of it nobody knows.
    sent = rows.mark("sent") >= 0 if any(mark.name == "sent" for mark in rows.marks) else rows.was_started
    unknown &= (rows.outcome == Outcome.CANCELLED) | sent
    if rows.failure is not None and REFUSED in rows.failures:
        unknown &= rows.failure != rows.failures.index(REFUSED)
    return np.asarray(unknown)


def _list_token_meters(model: CostModel) -> list[Meter]:
    """The meters of ``model`` that count tokens: of a model without any, unknown tokens change no bill."""
    meters, _ = call_safely(lambda: list(model.meters()))
    return [meter for meter in meters or () if _counts_tokens(_inside(meter))]


def _inside(meter: Meter) -> Meter:
    """The meter of single rows, be they jobs or steps."""
    return meter.of if isinstance(meter, OfSteps) else meter


def _counts_tokens(meter: Meter) -> bool:
    return isinstance(meter, TokenCount) or (isinstance(meter, ReportedAmount) and meter.of in (INPUT, CACHED, OUTPUT))


def _find_rows(result: RunResult, meters: list[Meter]) -> JobBatch | None:
    """The records that the bill was made of: steps where it bills them, else jobs; None where they were not kept."""
    if any(isinstance(meter, OfSteps) for meter in meters) and result.steps is not None and len(result.steps):
        return result.steps.rows
    return result.jobs


def _stand_in(result: RunResult) -> JobBatch:
    """Rows in place of records that were not kept: as many as started and did not complete, whatever each reported."""
    counts = result.usage.quanta.get(JobCount().key, {})
    outcomes = [
        Outcome[name.upper()] for name in ("failed", "timed_out", "cancelled") for _ in range(int(counts.get(name, 0)))
    ]
    zeros, schema = np.zeros(len(outcomes), np.int64), result.spec.workload.schema
    nothing = dict.fromkeys(schema.measures, np.full(len(outcomes), NEVER))
    return JobBatch(zeros, zeros, zeros, zeros, np.array(outcomes, np.uint8), measures=nothing)


def _find_bound(result: RunResult, rows: JobBatch, unknown: JobBatch, meters: list[Meter]) -> Bound:
    longest = _find_longest_input(result, rows)
    most = _find_most_output(result.spec.workload.job.leaves(), rows)
    if most is None or longest is None:
        return Bound(None, longest, most)
    # A conversation that was cut off has turns that were answered, and no report of its own.
    if result.spec.workload.schema.steps and not any(isinstance(meter, OfSteps) for meter in meters):
        return Bound(None, longest, most)
    usage = _add_usage(result.usage, _fill(unknown, longest, most), meters)
    whole = price(usage, result.spec.cost).total
    total = result.cost.total
    return Bound(None if whole is None or total is None else whole - total, longest, most)


def _find_longest_input(result: RunResult, rows: JobBatch) -> int | None:
    """The tokens of the longest prompt that is known; None where none is."""
    # The greatest of completed requests stands beside that of the records, which a large run does not have.
    summed = [result.measures[name].amounts.max or 0 for name in (INPUT, ASKED_INPUT) if name in result.measures]
    seen = [int(rows.measure(name).max(initial=0)) for name in (INPUT, ASKED_INPUT) if _has(rows, name)]
    return int(max(0, *summed, *seen)) or None


def _find_most_output(leaves: tuple[Job, ...], rows: JobBatch) -> int | None:
    """The most output tokens that a request may ask for; None where one has no limit."""
    limits = [_limit_output(leaf) for leaf in leaves if find_declared(leaf.measures, OUTPUT)]
    known = [limit for limit in limits if limit is not None]
    if not known or len(known) < len(limits):
        return None
    # Whatever was asked, a server may have given more: then at least what was seen.
    seen = [int(rows.measure(name).max(initial=0)) for name in (OUTPUT, ASKED_OUTPUT) if _has(rows, name)]
    return max(*known, *seen)


def _limit_output(leaf: Job) -> int | None:
    if isinstance(leaf, Chat):
        return leaf.most_output()
    limit: int | None = getattr(leaf, "max_tokens", None)
    return limit


def _has(rows: JobBatch, name: str) -> bool:
    return any(each.name == name for each in rows.measures)


def _fill(unknown: JobBatch, longest: int, most: int) -> JobBatch:
    """The same requests as if each had used the most that it can have used beyond what it reported."""

    def fill(each: Measure, column: NDArray[np.int64]) -> NDArray[np.int64]:
        # What it did report of its prompt is in the bill already.
        if each.name == INPUT:
            beyond: NDArray[np.int64] = np.maximum(longest - np.maximum(column, 0), 0)
            return beyond
        return np.full(len(column), most if each.name == OUTPUT else 0)

    return replace(unknown, measures={each: fill(each, column) for each, column in unknown.measures.items()})


def _add_usage(usage: Usage, rows: JobBatch, meters: list[Meter]) -> Usage:
    """``usage`` with the tokens of ``rows`` added; times and counts of these requests are in it already."""
    added: dict[str, dict[str, int | Fraction]] = {}
    for meter in meters:
        counts, inner = dict(usage.quanta.get(meter.key, {})), _inside(meter)
        assert isinstance(inner, JobMeter)
        for outcome, part in StartedJobs(rows).by_outcome.items():
            counts[outcome] = counts.get(outcome, 0) + sum_exactly(inner.measure_checked(part))
        added[meter.key] = counts
    return replace(usage, quanta={**usage.quanta, **added})
