"""Words for tokens: two probes before the window tell how many tokens the server counts for a text of so many words."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Callable
from dataclasses import dataclass

from aurea_engine.targets.chat.prompt_source import Ask, Probe

# A server counts tokens of its own tokenizer, and it adds its template: roles, markers, perhaps a system prompt. Both are a
# straight line, tokens = overhead + words · tokens per word, and two points make it. They are far enough apart that the
# rounding of a text's own tokens does not matter, and short enough for a model on a laptop's processor.

PROBES = (32, 288)
"""Words of the two prompts."""
LEAST, MOST = 0.25, 16.0
"""Tokens of a word. What is outside is no count of tokens: such a server counts something else, or always the same."""


@dataclass(frozen=True)
class Calibration:
    """``per_word`` tokens for each word of a prompt, and ``overhead`` for the whole. ``is_measured``: the server said so."""

    per_word: float = 1.0
    overhead: float = 0.0
    is_measured: bool = False

    def words_for(self, tokens: int) -> int:
        """The words of a prompt that is to have so many ``tokens`` in all; at least one."""
        return max(1, round((tokens - self.overhead) / self.per_word))

    def words_of_block(self, tokens: int) -> int:
        """The words of a part of a prompt, which has no overhead of its own."""
        return max(1, round(tokens / self.per_word))


async def measure_words(probe: Probe, make_text: Callable[[int], str]) -> Calibration:
    """Ask for two prompts of ``make_text(words)``. Without an answer that tells, a word is taken for a token."""
    usages = await gather(*(probe(Ask(prompt=make_text(words), max_tokens=1)) for words in PROBES))
    short, long = (-1 if usage is None else usage.input for usage in usages)
    return fit_line(short, long)


def fit_line(short: int, long: int) -> Calibration:
    """The line through the tokens of the two probes, -1 for one that is not known."""
    if short < 0 or long < 0:
        return Calibration()
    per_word = (long - short) / (PROBES[1] - PROBES[0])
    if not LEAST <= per_word <= MOST:
        return Calibration()
    return Calibration(per_word, max(0.0, short - per_word * PROBES[0]), is_measured=True)
