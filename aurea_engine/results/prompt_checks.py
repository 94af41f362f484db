"""Checks of what language models were asked: were prompts and answers as long as they were meant to be, or simulated?"""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine.closed_sets import Severity
from aurea_engine.records.batch import NS
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState
from aurea_engine.targets.chat.job import Chat

MOST_OFF = 0.1
"""By how much the mean length may differ from the one that was asked for, as a share of it."""

ADVICE = {
    "input": "The server counts these prompts otherwise than the probes before the run: read the reported figures.",
    "output": "Answers end where the model ends them. prompts.exact asks servers that know it to write no less.",
}


def check_prompts(state: RunState) -> Iterator[Finding]:
    """The findings about the lengths of prompts and answers."""
    if not any(isinstance(leaf, Chat) for leaf in state.spec.workload.job.leaves()):
        return
    if state.spec.clock == "virtual":
        detail = (
            "first-token times and token gaps were drawn from the specification: they do not depend on how many requests "
            "were in service at once, no prompt was cached, and every answer was as long as it was asked to be"
        )
        yield Finding("tokens_simulated", Severity.NOTE, detail, "Compare with a measured run before you rely on it.")
        return
    for what in ("input", "output"):
        yield from _check_length(state, what)


def _check_length(state: RunState, what: str) -> Iterator[Finding]:
    asked, told = (state.meters.reported.get(name) for name in (f"asked_{what}", f"{what}_tokens"))
    if asked is None or told is None or not asked.count or not told.count:
        return
    if abs(told.mean - asked.mean) > MOST_OFF * asked.mean:
        wanted, found = (f"{each.mean * NS:,.0f}" for each in (asked, told))
        detail = f"{wanted} {what} tokens were asked for on average, and the server counted {found}"
        yield Finding("lengths_missed", Severity.NOTE, detail, ADVICE[what])
