"""The member ``conversation`` of a chat: a job is a whole conversation, and each turn asks with all that was said before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from aurea_engine.fields.checked import Checked
from aurea_engine.workload.distributions import Distribution

MOST_TURNS = 100


@dataclass(frozen=True)
class Conversation(Checked):
    """A user asks ``turns`` times, and thinks before each but the first, after the answer has ended.

    A turn asks with all prompts and answers of the turns before it. Each turn is a group of the result: ``turn_1``, ….
    """

    turns: Annotated[int, Meta(ge=2, le=MOST_TURNS)]
    think: Distribution | None = None

    def step_names(self) -> tuple[str, ...]:
        """The names of the turns."""
        return tuple(f"turn_{i}" for i in range(1, self.turns + 1))

    def thinks(self) -> list[Distribution | None]:
        """What is thought before each turn."""
        return [None, *[self.think] * (self.turns - 1)]
