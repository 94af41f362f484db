"""Where one conversation is, and what was said and counted in it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aurea_engine.targets.chat.columns import MARKS, MEASURES
from aurea_engine.targets.chat.prompt_source import Ask
from aurea_engine.targets.chat.stream_connection import ChatReply
from aurea_engine.targets.chat.usage import NO_USAGE, UNKNOWN, Usage
from aurea_engine.targets.http.replies import NEVER

_SUMMED = frozenset(each.name for each in MEASURES) - {"status", "token_gap", "output_rate"}


class ConversationState:
    """One conversation under way. ``at``: the number of its turn; ``due``: the instant at which it is to be woken, `NEVER`
    if a request is under way; ``held``: only the run's ceiling of requests holds its turn back; ``end``: the instant at
    which it is over; ``messages``: what was said so far.
    """

    __slots__ = (
        "_said", "at", "due", "end", "held", "intended", "limit", "marks", "measures", "messages", "number", "released",
        "started", "turn", "usage",
    )  # fmt: skip

    def __init__(self, number: int, turn: int, limit: int | None, end: int | None) -> None:
        self.number, self.turn, self.limit, self.end = number, turn, limit, end
        self.at, self.due, self.held = 0, NEVER, False
        self.started = self.intended = self.released = NEVER
        self.messages: list[Mapping[str, Any]] = []
        self._said: Sequence[Mapping[str, Any]] = ()
        self.usage = NO_USAGE
        self.marks: tuple[int, ...] = (NEVER,) * len(MARKS)
        self.measures: list[int] = [NEVER] * len(MEASURES)

    def continue_with(self, ask: Ask) -> Ask:
        """``ask``, with what was said before it."""
        # Kept apart until there is an answer: a request that is encoded again asks the same again.
        self._said = ask.messages if ask.messages is not None else ({"role": "user", "content": ask.prompt},)
        return replace(ask, messages=(*self.messages, *self._said), prompt=None)

    def add(self, reply: ChatReply, marks: tuple[int, ...], measures: tuple[float, ...]) -> None:
        """A turn has ended with ``reply``, and reports this."""
        # The conversation's marks are those of its first turn, and its amounts are sums. A gap between tokens and a rate
        # are of one answer: those of turns are in the groups of turns, and there is none of the whole.
        if not self.at:
            self.started, self.marks = reply.started, marks
            if self.limit is not None:
                over = reply.started + self.limit
                self.end = over if self.end is None else min(self.end, over)
        for place, (measure, value) in enumerate(zip(MEASURES, measures, strict=True)):
            if value != NEVER and measure.name in _SUMMED:
                self.measures[place] = max(self.measures[place], 0) + int(value)
            elif value != NEVER and measure.name == "status":
                self.measures[place] = int(value)

    def answer(self, text: str, usage: Usage) -> None:
        """What the server said to what was asked last."""
        self.messages += [*self._said, {"role": "assistant", "content": text}]
        self.usage = usage

    def find_wanted(self, wanted: tuple[int, int] | None) -> tuple[int, int] | None:
        """The tokens that this turn was meant to have, of which the user's own words and the answer are ``wanted``."""
        if wanted is None or not self.at:
            return wanted
        # The prompt begins with the turn before it, prompt and answer, if the server told how long they were.
        before, answer = self.usage.input, self.usage.output
        return None if UNKNOWN in (before, answer) else (before + answer + wanted[0], wanted[1])
