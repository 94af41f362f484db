"""The lengths of prompts and answers as they are known before a run: what a simulated chat is made of, and billed by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aurea_engine.records.batch import Instants
from aurea_engine.targets.chat.prompt_lines import PromptLine
from aurea_engine.targets.chat.prompts.lengths import Wanted
from aurea_engine.targets.chat.prompts.listed import choose_prompt
from aurea_engine.targets.chat.prompts.member import Prompts
from aurea_engine.targets.chat.prompts.shaped import draw_lengths, list_draws
from aurea_engine.targets.chat.prompts.words import estimate_tokens
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.token_traces import TokenLengths

LengthPlan = Callable[[int, int], Wanted]
"""(first, n) → the lengths of n jobs from number ``first`` on."""


def plan_lengths(
    prompts: Prompts, lines: Sequence[PromptLine], max_tokens: int, streams: Streams, trace: TokenLengths | None
) -> LengthPlan:
    """The lengths that jobs of ``prompts`` ask for, whose ``lines`` are those that are given. Every answer is as long as it
    may be.
    """
    if prompts.trace:
        assert trace is not None
        return _plan_trace(trace)
    if prompts.is_listed:
        return _plan_listed(prompts, lines, max_tokens, streams)
    return _plan_shape(prompts, max_tokens, streams)


def _plan_shape(prompts: Prompts, max_tokens: int, streams: Streams) -> LengthPlan:
    prompt, answer = draw_lengths(prompts, max_tokens, streams)
    before = 0 if prompts.prefix is None else prompts.prefix.length
    return lambda first, n: Wanted(before + prompt.span(first, n), answer.span(first, n))


def _plan_trace(trace: TokenLengths) -> LengthPlan:
    # A plan is drawn in whole blocks of jobs, also where the trace ends within one: what is behind its end is not used.
    def plan(first: int, n: int) -> Wanted:
        rows = np.arange(first, first + n) % len(trace)
        return Wanted(np.maximum(trace.input[rows], 1), np.maximum(trace.output[rows], 1))

    return plan


def _plan_listed(prompts: Prompts, lines: Sequence[PromptLine], max_tokens: int, streams: Streams) -> LengthPlan:
    inputs = np.array([estimate_prompt(line) for line in lines], np.int64)
    outputs = np.array([line.max_tokens or max_tokens for line in lines], np.int64)
    choose = choose_prompt(prompts, list_draws(streams), len(lines))

    def plan(first: int, n: int) -> Wanted:
        # The turn of a job is only known later; where all jobs are of one kind, it is the job's number.
        rows: Instants = np.array([choose(number, number) for number in range(first, first + n)], np.int64)
        return Wanted(inputs[rows], outputs[rows])

    return plan


def estimate_prompt(line: PromptLine) -> int:
    """Tokens of a prompt that is given; a message that is no text counts as none."""
    texts = [line.prompt] if line.prompt is not None else [message.get("content") for message in line.messages]
    return estimate_tokens(" ".join(text for text in texts if isinstance(text, str)))
