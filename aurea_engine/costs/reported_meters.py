"""Meters of what jobs report of themselves: any measure, and the tokens of language models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aurea_engine.costs.meters import JobMeter, Whole
from aurea_engine.errors import NotReported
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.measures import Measure


@dataclass(frozen=True)
class ReportedAmount(JobMeter):
    """What each job reported of the measure ``of``, as it is stored: value × ``scale``. 0 for a job that reported none."""

    of: str
    scale: int = 1

    @property
    def key(self) -> str:
        # The scale is part of the key: a sum of thousandths must never be read as one of units.
        return f"measure/{self.of}" if self.scale == 1 else f"measure/{self.of}/scale={self.scale}"

    def measure(self, jobs: JobBatch) -> Whole:
        declared = jobs.declared_measure(self.of)
        if declared.scale != self.scale:
            raise NotReported(
                f"the measure {self.of} has the scale {declared.scale}, and the price is for {self.scale}"
            )
        # NEVER is -1: a job that reported nothing counts 0.
        return np.maximum(jobs.measures[declared], 0)


TOKEN_WORDS: dict[str, tuple[str, str | None]] = {
    "input": ("input_tokens", "cached_tokens"),
    "cached": ("cached_tokens", None),
    "output": ("output_tokens", None),
}
"""Short names of token counts → (the measure that is counted, the measure that is taken off it)."""

_KINDS: dict[str, frozenset[str]] = {
    "input": frozenset({"uncached"}),
    "cached": frozenset({"cached"}),
    "cached_tokens": frozenset({"cached"}),
    "input_tokens": frozenset({"uncached", "cached"}),
    "output": frozenset({"answer", "reasoning"}),
    "output_tokens": frozenset({"answer", "reasoning"}),
    "reasoning_tokens": frozenset({"reasoning"}),
}
"""What of a chat's usage is counted → the kinds of tokens in it. Each kind is to have one price: neither none nor two."""


def do_share_tokens(measure: str | None, other: str | None) -> bool:
    """Whether some tokens of a chat are counted as both."""
    return bool(_KINDS.get(measure or "", frozenset()) & _KINDS.get(other or "", frozenset()))


def leave_out_cached(measures: Iterable[str | None]) -> bool:
    """Whether prices of these ``measures`` bill prompts, and bill nothing for what of them came from the cache."""
    kinds = {kind for each in measures for kind in _KINDS.get(each or "", ())}
    return "uncached" in kinds and "cached" not in kinds


CACHED_LEFT_OUT = (
    "must price cached tokens too, since input leaves them out: add the measure cached (at price 0 if they are free), or "
    "bill whole prompts by the measure input_tokens in place of input"
)


@dataclass(frozen=True)
class TokenCount(JobMeter):
    """Tokens that each job reported as ``of``: a measure, or one of `TOKEN_WORDS`.

    With ``over``, only of requests that are ``long``, or only of those that are not. Long is one whose tokens of all
    ``prompts`` together are above it (``from_over``: or equal to it). A request is one job: forty short ones are not long.
    """

    of: str
    prompts: tuple[str, ...] = ()
    over: int | None = None
    from_over: bool = False
    long: bool = False

    @property
    def key(self) -> str:
        if self.over is None:
            return f"tokens/{self.of}"
        rule = ">=" if self.from_over else ">"
        return f"tokens/{self.of}/{'+'.join(self.prompts)}{rule}{self.over}/{'long' if self.long else 'short'}"

    def measure(self, jobs: JobBatch) -> Whole:
        tokens = _count_tokens(jobs, self.of)
        if self.over is None:
            return tokens
        prompt = sum((_count_tokens(jobs, name) for name in self.prompts), np.zeros(len(jobs), np.int64))
        is_long = prompt >= self.over if self.from_over else prompt > self.over
        counted: Whole = np.where(is_long == self.long, tokens, 0)
        return counted


def list_token_meters(measures: Iterable[Measure]) -> list[TokenCount]:
    """The meters of all `TOKEN_WORDS` that jobs with these ``measures`` report. A run keeps them, so that any price list of
    tokens can price it again without its records.
    """
    names = {each.name for each in measures}
    return [TokenCount(word) for word, (counted, _) in TOKEN_WORDS.items() if counted in names]


def _count_tokens(jobs: JobBatch, of: str) -> Whole:
    """The tokens of one name of each job; what a job did not report counts 0."""
    schema = jobs.schema
    name, less = (of, None) if schema.measure(of) is not None else TOKEN_WORDS.get(of, (of, None))
    tokens = ReportedAmount(name).measure(jobs)
    if less is None or schema.measure(less) is None:
        return tokens
    # Servers count cached tokens among the input tokens, and bill them at a price of their own.
    uncached: Whole = np.maximum(tokens - ReportedAmount(less).measure(jobs), 0)
    return uncached
