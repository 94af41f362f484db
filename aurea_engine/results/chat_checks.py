"""Checks of runs that ask language models: are the tokens known that figures and bills are made of?"""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.measures import Measure
from aurea_engine.records.steps import find_groups_without_steps
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState
from aurea_engine.run.meters import Meters
from aurea_engine.targets.chat.columns import FRAMES, INPUT_TOKENS, OUTPUT_TOKENS
from aurea_engine.targets.chat.job import Chat


def check_chats(state: RunState) -> Iterator[Finding]:
    """The findings about answers of language models."""
    chats = [leaf for leaf in state.spec.workload.job.leaves() if isinstance(leaf, Chat)]
    if not chats:
        return
    # Every completed answer has frames, in one piece or in many; tokens it has if the server told of them.
    answers = _list_answers(state)
    answered = _count(answers, FRAMES)
    untold = {side: answered - _count(answers, side) for side in (INPUT_TOKENS, OUTPUT_TOKENS)}
    if max(untold.values()) <= 0:
        return
    asked = all(chat.usage or not chat.stream for chat in chats)
    advice = (
        "Their tokens, gaps and cost are unknown, and are not estimated. The server was asked for usage and sent none: "
        "switch it on there (stream_options.include_usage has to be supported), or use stream false."
        if asked
        else "Their tokens, gaps and cost are unknown, and are not estimated. Set usage to true: the server then sends them."
    )
    yield Finding("tokens_unknown", Severity.DEGRADED, _describe(untold, answered), advice)


def _list_answers(state: RunState) -> list[Meters]:
    """Meters that have each answer once. A conversation is a sum of those of its turns, of which some may be unknown."""
    steps = state.parts.steps
    if steps is None:
        return [state.meters]
    single = find_groups_without_steps(state.meters.groups, state.spec.workload.schema.steps)
    return [steps.meters.meters, *(state.meters.groups[name] for name in single)]


def _count(answers: list[Meters], measure: Measure) -> int:
    """How many answers reported ``measure``."""
    return sum(each.reported.get(measure.name, LatencyHistogram()).count for each in answers)


def _describe(untold: dict[Measure, int], answered: int) -> str:
    asked, given = untold[INPUT_TOKENS], untold[OUTPUT_TOKENS]
    if asked == given:
        return f"{given:,} of {answered:,} answers came without the server's count of tokens"
    sides = [f"{n:,} without its count of {side} tokens" for n, side in ((asked, "input"), (given, "output")) if n > 0]
    return f"of {answered:,} answers of the server, {' and '.join(sides)}"
