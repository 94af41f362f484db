"""From the member ``prompts`` to a source of asks, when a run is set up."""

from __future__ import annotations

import asyncio

from aurea_engine.targets.chat.prompt_source import PromptSource
from aurea_engine.targets.chat.prompts.listed import open_listed
from aurea_engine.targets.chat.prompts.member import DEFAULT_OUTPUT, Prompts
from aurea_engine.targets.chat.prompts.shaped import ShapedPrompts, TracedPrompts, list_draws
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.token_traces import TokenLengths


async def open_prompts(
    prompts: Prompts,
    setup: JobSetup,
    lengths: TokenLengths | None = None,
    turns: int = 1,
    max_tokens: int = DEFAULT_OUTPUT,
) -> PromptSource:
    """What jobs of ``prompts`` ask; ``lengths`` are those of the trace that they arrive by. ``turns``: so many consecutive
    numbers are one conversation. ``max_tokens``: of the answers of a shape that does not say it.

    Raises `SpecError` for a file that cannot be read, and for a line that is no prompt.
    """
    if prompts.is_listed:
        # In a thread: a long file takes seconds, and whoever watches this process expects the event loop to answer.
        return await asyncio.to_thread(open_listed, prompts, list_draws(setup.streams))
    if prompts.trace:
        assert lengths is not None  # `Chat.bound_to` refuses a workload without
        return TracedPrompts(prompts, setup, lengths)
    return ShapedPrompts(prompts, setup, turns, max_tokens)
