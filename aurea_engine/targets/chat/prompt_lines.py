"""Prompts that are written out in a specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Invalid, is_unicode, show_value
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
        if isinstance(value, Mapping):
            unknown = [name for name in value if name not in ("messages", "prompt", "max_tokens")]
            if unknown:
                known = "known are messages, prompt, max_tokens"
                raise SpecError([Problem(show_value(unknown[0])[1:-1], f"is not a member: {known}")])
            return cls(**value)
        if not isinstance(value, str) or not is_unicode(value):
            raise Invalid('must be a text, or an object with "messages" or a "prompt"')
        return cls(prompt=value)

    def check(self) -> list[Problem]:
        if (self.messages is None) == (self.prompt is None):
            return [Problem("", 'must have either "messages" or a "prompt"')]
        return []
