"""What a bill by tokens cannot know: requests that ended before their server said what they had used.

A stream that is cut off (cancelled at the end of a run or by its budget, timed out, broken) has produced tokens that nobody
counted for the client, and most providers bill them. The bill has only what was reported, exactly; the finding says how
many requests are missing from it, and what they can have cost at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from aurea_engine.records.measures import Measure, Schema, find_declared
from aurea_engine.records.steps import find_groups_without_steps
from aurea_engine.results.chat_groups import mask_chats
from aurea_engine.results.findings import Finding
from aurea_engine.results.result import MeasureAmounts, RunResult
from aurea_engine.targets.chat.columns import FRAMES
from aurea_engine.targets.chat.job import Chat
from aurea_engine.workload.jobs import Job, JobSource

Counts = Mapping[str, int | Fraction]
INPUT, CACHED, OUTPUT = "input_tokens", "cached_tokens", "output_tokens"
ASKED_INPUT, ASKED_OUTPUT = "asked_input", "asked_output"
REFUSED = "status"
"""The class of failures in which the server refused the request by its status: nothing is produced, and nothing billed."""


def check_spend(result: RunResult) -> Iterator[Finding]:
    """Whether started requests are missing from a bill that is made of reported tokens."""
    meters = _list_token_meters(result.spec.cost)
    if result.spec.workload.schema.measure(OUTPUT) is None or not meters:
        return
    needed, rows = _list_needed(meters, result.spec.workload.schema), _find_rows(result, meters)
    counts = _count_billed(result, meters)
    unknown = _stand_in(result, needed, counts) if rows is None else rows.only(_mask_rows(result, rows, meters, needed))
    if not len(unknown):
        return
    bound = _find_bound(result, unknown if rows is None else rows, unknown, meters)
    started = sum(map(int, counts.values())) if rows is None else int(rows.was_started.sum())
    few = "up to " if rows is None else ""
    outcomes = zip(*(each.tolist() for each in np.unique(unknown.outcome, return_counts=True)), strict=True)
    names = sorted((Outcome(code).name.lower().replace("_", " "), count) for code, count in outcomes)
    each = ", ".join(f"{count:,} {name}" for name, count in names)
    part = "" if all(bool((unknown.measure(name) < 0).all()) for name in needed) else "full "
    detail = (
        f"{few}{len(unknown):,} of {started:,} requests ended without a {part}report of their tokens ({each}), so the bill "
        f"lacks what they used: {_describe(bound, result)}"
    )
    advice = "The bill is exact for all others. Let requests end (a longer drain or timeout) if it has to be complete."
    yield Finding("spend_unknown", Severity.NOTE, detail, advice)


@dataclass(frozen=True)
class Bound:
    """The most that requests without a report can have added to the bill. None where there is no limit to it.

    ``input_tokens``: None where the length of no prompt is known. Both are 0 where the bill lacks none of them.
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
    answers = f"{bound.output_tokens:,} output tokens each" if bound.output_tokens else ""
    prompts = (
        f"prompts of at most {bound.input_tokens:,} tokens, the longest that was reported" if bound.input_tokens else ""
    )
    assumed = " and ".join(filter(None, (answers, prompts)))
    return f"at most {decimal_text(bound.amount)} {result.cost.currency} more, for {assumed}"


def _list_needed(meters: list[Meter], schema: Schema) -> tuple[str, ...]:
    """What the bill has to know of a request: the length of its prompt, that of its answer, or both."""
    read = {name for meter in map(_inside, meters) for name in (meter.of, *getattr(meter, "prompts", ()))}  # type: ignore[attr-defined]
    prompts = {"input", "cached", INPUT, CACHED}
    wanted = ((INPUT, bool(read & prompts)), (OUTPUT, bool(read - prompts)))
    return tuple(name for name, is_read in wanted if is_read and schema.measure(name) is not None)


def _mask_rows(result: RunResult, rows: JobBatch, meters: list[Meter], needed: tuple[str, ...]) -> NDArray[np.bool_]:
    """Mask of the ``rows`` that the bill lacks something of."""
    job, steps = result.spec.workload.job, result.steps
    unknown = mask_unknown(job, rows, needed)
    if steps is not None and not _bills_steps(meters):
        # What a conversation reports is the sum of what its turns did: one that did not is missing from it.
        lacking = steps.jobs[mask_unknown(job, steps.rows, needed)]
        numbers = None if result.parts is None else result.parts.numbers
        unknown |= np.isin(np.arange(len(rows)) if numbers is None else numbers, lacking)
    return unknown


def mask_unknown(job: JobSource, rows: JobBatch, needed: tuple[str, ...]) -> NDArray[np.bool_]:
    """Mask of the chat requests of ``job`` that may have used tokens, and did not report all that is ``needed``."""
    unknown = np.zeros(len(rows), bool)
    for name in needed:
        unknown |= (rows.measure(name) < 0) & mask_chats(job, rows, name)
    unknown &= rows.was_started
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


def _bills_steps(meters: list[Meter]) -> bool:
    return any(isinstance(meter, OfSteps) for meter in meters)


def _find_rows(result: RunResult, meters: list[Meter]) -> JobBatch | None:
    """The records that the bill was made of: steps where it bills them, else jobs; None where they were not kept."""
    jobs, steps = result.jobs, result.steps
    if not _bills_steps(meters) or jobs is None or steps is None or not len(steps):
        return jobs
    # A job without steps is billed as one step.
    single = find_groups_without_steps(jobs.groups, result.spec.workload.schema.steps)
    return JobBatch.concatenate([steps.rows, *(jobs.of_group(name) for name in single)])


def _count_billed(result: RunResult, meters: list[Meter]) -> Counts:
    """How many started, by outcome: jobs, or steps where the bill is by the step."""
    usage = result.usage.of_steps() if _bills_steps(meters) else result.usage
    return usage.quanta.get(JobCount().key, {})


def _stand_in(result: RunResult, needed: tuple[str, ...], started: Counts) -> JobBatch:
    """Rows in place of records that were not kept: as many as started and did not complete, whatever each reported, and as
    answers that did not report all that is ``needed``.
    """
    counts = {**started, "completed": min(_count_untold(result, needed), started.get("completed", 0))}
    names = ("completed", "failed", "timed_out", "cancelled")
    outcomes = np.repeat([Outcome[name.upper()] for name in names], [int(counts.get(name, 0)) for name in names])
    zeros, schema = np.zeros(len(outcomes), np.int64), result.spec.workload.schema
    nothing = dict.fromkeys(schema.measures, np.full(len(outcomes), NEVER))
    return JobBatch(zeros, zeros, zeros, zeros, outcomes.astype(np.uint8), measures=nothing)


def _summarize_answers(result: RunResult) -> list[Mapping[str, MeasureAmounts]]:
    """What requests reported: turns, and not their sums, where jobs are conversations."""
    schema = result.spec.workload.schema
    single = find_groups_without_steps(schema.groups, schema.steps)
    of_groups = [each.measures for each in result.groups if each.name in (*schema.steps, *single)]
    return of_groups if schema.steps else [result.measures]


def _count_untold(result: RunResult, needed: tuple[str, ...]) -> int:
    """The most answers that can lack some of what is ``needed``: by how many reported each, and all of the warm-up, of which
    that is not known, if any others do.
    """
    answers = _summarize_answers(result)
    answered, *told = (
        sum(each[name].amounts.count for each in answers if name in each) for name in (FRAMES.name, *needed)
    )
    untold = min(answered, sum(max(answered - count, 0) for count in told))
    return untold + result.counts.completed - result.response_time.count if untold else 0


def _find_bound(result: RunResult, rows: JobBatch, unknown: JobBatch, meters: list[Meter]) -> Bound:
    needed = _list_needed(meters, result.spec.workload.schema)
    # A request that did not complete may have gone on after its last report.
    lacks = {name: bool((_mask_open(unknown, unknown.measure(name))).any()) for name in needed}
    longest = _find_longest_input(result, rows) if lacks.get(INPUT) else 0
    most = _find_most_output(result.spec.workload.job.leaves(), rows) if lacks.get(OUTPUT) else 0
    if most is None or longest is None:
        return Bound(None, longest, most)
    # A conversation that was cut off has turns that were answered, and no report of its own.
    if result.spec.workload.schema.steps and not _bills_steps(meters):
        return Bound(None, longest, most)
    usage = _add_usage(result.usage, unknown, _fill(unknown, longest, most), meters)
    whole = price(usage, result.spec.cost).total
    total = result.cost.total
    return Bound(None if whole is None or total is None else whole - total, longest, most)


def _find_longest_input(result: RunResult, rows: JobBatch) -> int | None:
    """The tokens of the longest prompt that is known; None where none is."""
    # The greatest of completed requests stands beside that of the records, which a large run does not have.
    answers = _summarize_answers(result)
    summed = [each[name].amounts.max or 0 for each in answers for name in (INPUT, ASKED_INPUT) if name in each]
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


def _mask_open(rows: JobBatch, column: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of the ``rows`` of which the reported amount of ``column`` is not the last word."""
    return np.asarray((column < 0) | ~rows.was_served)


def _fill(unknown: JobBatch, longest: int, most: int) -> JobBatch:
    """The same requests as if each had used the most that it can have used."""
    limits = {INPUT: longest, OUTPUT: most}

    def fill(each: Measure, column: NDArray[np.int64]) -> NDArray[np.int64]:
        limit = np.where(_mask_open(unknown, column), limits.get(each.name, 0), 0)
        return np.asarray(np.maximum(column, limit))

    return replace(unknown, measures={each: fill(each, column) for each, column in unknown.measures.items()})


def _add_usage(usage: Usage, rows: JobBatch, filled: JobBatch, meters: list[Meter]) -> Usage:
    """``usage`` as if its ``rows`` had been the ``filled`` ones; times and counts of these requests are in it already."""
    # By the difference of the two, since a request that is longer than it reported may be of another price.
    added: dict[str, dict[str, int | Fraction]] = {}
    for meter in meters:
        counts, inner = dict(usage.quanta.get(meter.key, {})), _inside(meter)
        assert isinstance(inner, JobMeter)
        for part, sign in ((filled, 1), (rows, -1)):
            for outcome, batch in StartedJobs(part).by_outcome.items():
                counts[outcome] = counts.get(outcome, 0) + sign * sum_exactly(inner.measure_checked(batch))
        added[meter.key] = counts
    return replace(usage, quanta={**usage.quanta, **added})
