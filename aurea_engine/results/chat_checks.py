"""Checks of runs that ask language models: are the tokens known that figures and bills are made of?"""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState
from aurea_engine.targets.chat.columns import FRAMES, OUTPUT_TOKENS
from aurea_engine.targets.chat.job import Chat


def check_chats(state: RunState) -> Iterator[Finding]:
    """The findings about answers of language models."""
    chats = [leaf for leaf in state.spec.workload.job.leaves() if isinstance(leaf, Chat)]
    if not chats:
        return
    # Every completed answer has frames, in one piece or in many; tokens it has if the server told of them.
    reported = state.meters.reported
    answered = reported.get(FRAMES.name, LatencyHistogram()).count
    unknown = answered - reported.get(OUTPUT_TOKENS.name, LatencyHistogram()).count
    if unknown <= 0:
        return
    detail = f"{unknown:,} of {answered:,} answers came without the server's count of tokens"
    asked = all(chat.usage or not chat.stream for chat in chats)
    advice = (
        "Their tokens, gaps and cost are unknown, and are not estimated. The server was asked for usage and sent none: "
        "switch it on there (stream_options.include_usage has to be supported), or use stream false."
        if asked
        else "Their tokens, gaps and cost are unknown, and are not estimated. Set usage to true: the server then sends them."
    )
    yield Finding("tokens_unknown", Severity.DEGRADED, detail, advice)
