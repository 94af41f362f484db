"""Prompts that are made to a length: a shape with shared prefixes, or the lengths and blocks of a trace."""

from __future__ import annotations

from collections import OrderedDict

from aurea_engine.targets.chat.prompt_source import Ask, Probe, PromptSource
from aurea_engine.targets.chat.prompts.calibration import Calibration, measure_words
from aurea_engine.targets.chat.prompts.lengths import LengthDraws, make_key
from aurea_engine.targets.chat.prompts.member import Prompts
from aurea_engine.targets.chat.prompts.words import make_text
from aurea_engine.targets.http.draws import Draws
from aurea_engine.workload.distributions import Constant
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.token_traces import BLOCK_TOKENS, TokenLengths

BLOCKS_KEPT = 4096
"""Texts of blocks that are kept: 12 MB. What comes again soon need not be made again."""


class MadePrompts(PromptSource):
    """What `ShapedPrompts` and `TracedPrompts` have in common: texts of words, whose number the server's own count gives."""

    def __init__(self, prompts: Prompts, key: bytes) -> None:
        self._key, self._is_exact = key, prompts.exact
        self.calibration = Calibration()
        self._kept = OrderedDict[tuple[str, int], str]()

    async def calibrate(self, probe: Probe) -> None:
        # In texts of their own, so that no cache knows the jobs' before they come.
        self.calibration = await measure_words(probe, lambda words: make_text(self._key, "probe", words, words))

    def _make_ask(self, text: str, answer: int) -> Ask:
        parameters = {"min_tokens": answer, "ignore_eos": True} if self._is_exact else None
        return Ask(prompt=text, max_tokens=answer, parameters=parameters)

    def _keep_text(self, purpose: str, number: int, words: int) -> str:
        """A text that other jobs have too."""
        text = self._kept.get((purpose, number))
        if text is None:
            text = self._kept[purpose, number] = make_text(self._key, purpose, number, words)
            if len(self._kept) > BLOCKS_KEPT:
                self._kept.popitem(last=False)
        return text


class ShapedPrompts(MadePrompts):
    """Prompts of a shape. ``turns``: so many consecutive numbers are one conversation."""

    def __init__(self, prompts: Prompts, setup: JobSetup, turns: int, max_tokens: int) -> None:
        # Texts are of this kind of job alone, so that no other kind of the run has the same prefixes.
        super().__init__(prompts, setup.streams.rng("words").bytes(32))
        self._prefix, self._draws, self._turns = prompts.prefix, Draws(setup.streams), turns
        self._input, self._output = draw_lengths(prompts, max_tokens, setup.streams)

    def ask(self, number: int, turn: int) -> Ask:
        (prompt, answer), calibration = self.wanted(number), self.calibration
        if self._prefix is None or number % self._turns:
            # Only the first turn of a conversation has the server's overhead before it; it is in the history of the others.
            words = calibration.words_of_block(prompt) if number % self._turns else calibration.words_for(prompt)
            return self._make_ask(make_text(self._key, "prompt", number, words), answer)
        # The overhead comes before the prefix, is the same for all, and so is a part of it.
        length = calibration.words_for(self._prefix.length)
        before = self._keep_text("prefix", self._draws.row(number // self._turns, self._prefix.groups), length)
        rest = max(1, calibration.words_for(prompt) - length)
        return self._make_ask(f"{before} {make_text(self._key, 'prompt', number, rest)}", answer)

    def wanted(self, number: int) -> tuple[int, int]:
        before = 0 if self._prefix is None or number % self._turns else self._prefix.length
        return before + self._input.of(number), self._output.of(number)


class TracedPrompts(MadePrompts):
    """Prompts as long as those of a trace, and with its blocks: equal ids are equal text. Job i is request i."""

    def __init__(self, prompts: Prompts, setup: JobSetup, lengths: TokenLengths) -> None:
        # Ids mean the same in all kinds of jobs of the run: they share the trace.
        super().__init__(prompts, setup.streams.whole().rng("words").bytes(32))
        self._lengths = lengths

    def ask(self, number: int, turn: int) -> Ask:
        prompt, answer = self.wanted(number)
        return self._make_ask(self._make_prompt(number, self.calibration.words_for(prompt)), answer)

    def wanted(self, number: int) -> tuple[int, int]:
        lengths = self._lengths
        return max(1, int(lengths.input[number])), max(1, int(lengths.output[number]))

    def _make_prompt(self, number: int, words: int) -> str:
        ids, of_block = self._lengths.blocks_of(number), self.calibration.words_of_block(BLOCK_TOKENS)
        whole = min(len(ids), words // of_block)
        parts = [self._keep_text("block", block, of_block) for block in ids[:whole]]
        if left := words - whole * of_block:
            # The last block is only begun: its beginning is that of the whole one, of whoever has it. Where the trace names
            # no block, the text is the job's own.
            begun = ("block", ids[whole]) if whole < len(ids) else ("prompt", number)
            parts.append(make_text(self._key, *begun, left))
        return " ".join(parts)


def draw_lengths(prompts: Prompts, max_tokens: int, streams: Streams) -> tuple[LengthDraws, LengthDraws]:
    """The lengths of the prompts, without their prefix, and of the answers of a shape: ``max_tokens`` if it says none."""
    assert prompts.input is not None
    output = Constant(max_tokens) if prompts.output is None else prompts.output
    key = make_key(streams)
    return LengthDraws(prompts.input, key, 0), LengthDraws(output, key, 1)


def list_draws(streams: Streams) -> Draws:
    """What picks prompts of a list at random: the same for a run and for its plan."""
    return Draws(streams.whole().child("prompts"))
