"""What is asked: one `Ask` for each job, from a `PromptSource`, which the member ``prompts`` of a specification opens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from aurea_engine.targets.chat.usage import Usage


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """One request: ``messages`` or a ``prompt``, never both. ``max_tokens``: None is the job's. ``parameters`` go over those
    of the job.
    """

    messages: Sequence[Mapping[str, Any]] | None = None
    prompt: str | None = None
    max_tokens: int | None = None
    parameters: Mapping[str, Any] | None = None


Probe = Callable[[Ask], Awaitable[Usage | None]]
"""Sends one request before the window, and gives the server's usage; None where it failed, or told of none."""


class PromptSource(ABC):
    """Prompts of one run. ``is_shared``: its asks are few, and the same objects again and again: each is encoded once."""

    is_shared: ClassVar[bool] = False

    @abstractmethod
    def ask(self, number: int, turn: int) -> Ask:
        """What job ``number`` of the run asks, which is ``turn`` of its kind. Of these two alone: the same job asks the same
        in whichever process, and however the jobs before it ended. ``turn`` is -1 unless `Chat.counts_turns`.
        """

    def wanted(self, number: int) -> tuple[int, int] | None:
        """Tokens of the prompt and of the answer that the job's ask is made for; None where nobody asked for a length."""
        return None

    async def calibrate(self, probe: Probe) -> None:
        """Ask the server, before the window opens, for what has to be known of it."""
        return
