"""Prompts that are written out in a specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Invalid, is_unicode
from aurea_engine.targets.chat.prompt_source import Ask, PromptSource
from aurea_engine.targets.http.member_rules import copy_json

MOST_TEXT = 4 * 1024**2
MaxTokens = Annotated[int, Meta(ge=1, le=10_000_000)]


class MessagesRule:
    """A list of messages, each an object with a ``role``; what else is in it is the server's affair."""

    words = "list of messages, or null"
    schema: ClassVar[Mapping[str, Any]] = {
        "anyOf": [
            {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "properties": {"role": {"type": "string"}}, "required": ["role"]},
            },
            {"type": "null"},
        ]
    }

    def coerce(self, value: object) -> tuple[Mapping[str, Any], ...] | None:
        if value is None:
            return None
        if not isinstance(value, (list, tuple)) or not value:
            raise Invalid("must be a list of messages, and not an empty one")
        for i, message in enumerate(value):
            if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
                raise SpecError([Problem(f"[{i}]", 'must be a message, such as {"role": "user", "content": "Hello"}')])
        return tuple(copy_json(list(value)))


@dataclass(frozen=True)
class PromptLine(Checked):
    """One prompt: ``messages`` or a ``prompt``, and how many tokens of an answer it asks for at most (null: as the job)."""

    messages: Annotated[Any, MessagesRule()] = field(default=None, hash=False)
    prompt: Annotated[str, Meta(max_length=MOST_TEXT)] | None = None
    max_tokens: MaxTokens | None = None

    @classmethod
    def coerce(cls, value: object) -> PromptLine:
        """A text alone is a prompt."""
        if not isinstance(value, str) or not is_unicode(value):
            raise Invalid('must be a text, or an object with "messages" or a "prompt"')
        return cls(prompt=value)

    def check(self) -> list[Problem]:
        if (self.messages is None) == (self.prompt is None):
            return [Problem("", 'must have either "messages" or a "prompt"')]
        return []


class ListedPrompts(PromptSource):
    """Asks in a list: job i has the i-th, and behind the last they begin anew."""

    is_shared: ClassVar[bool] = True

    def __init__(self, asks: Sequence[Ask]) -> None:
        self._asks = asks

    @classmethod
    def of(cls, lines: Sequence[PromptLine]) -> ListedPrompts:
        """Those of ``lines``."""
        return cls([Ask(line.messages, line.prompt, line.max_tokens) for line in lines])

    def ask(self, number: int, turn: int) -> Ask:
        return self._asks[number % len(self._asks)]
