"""An `Ask` as the bytes of a request: the head is the same for all, the body is encoded for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aurea_engine.targets.chat.prompt_source import Ask

if TYPE_CHECKING:
    from aurea_engine.targets.chat.job import Chat

PLACEHOLDER_BODY: Mapping[str, Any] = {}
"""The JSON that stands in place of the body while the head is made."""

_HEAD_END = b"Content-Length: 2\r\n\r\n{}"

BUILT = ("messages", "prompt", "model", "stream", "stream_options")
"""Members of a body that are no parameters: each has a member of its own in a specification."""


class RequestBodies:
    """Encodes the requests of one chat. ``fixed``: a whole request with `PLACEHOLDER_BODY`. ``is_shared``: as of the source
    of the asks.
    """

    def __init__(self, chat: Chat, fixed: bytes, *, is_shared: bool) -> None:
        assert fixed.endswith(_HEAD_END)
        self._head = fixed.removesuffix(_HEAD_END)
        self._is_completion = chat.endpoint == "completions"
        self._max_tokens = chat.max_tokens
        self._before: dict[str, Any] = {} if chat.model is None else {"model": chat.model}
        self._parameters = dict(chat.parameters)
        self._stream: dict[str, Any] = {"stream": chat.stream}
        if chat.stream and chat.usage:
            self._stream["stream_options"] = {"include_usage": True}
        # By the identity of an ask, which is kept beside its bytes and so stays its own.
        self._encoded: dict[int, tuple[Ask, bytes]] | None = {} if is_shared else None

    def encode(self, ask: Ask) -> bytes:
        """The whole request."""
        if self._encoded is None:
            return self._encode(ask)
        known = self._encoded.get(id(ask))
        if known is None:
            known = self._encoded[id(ask)] = ask, self._encode(ask)
        return known[1]

    def _encode(self, ask: Ask) -> bytes:
        body = msgspec.json.encode(self.describe(ask))
        return b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)

    def describe(self, ask: Ask) -> dict[str, Any]:
        """The body as a value."""
        parameters = {**self._parameters, **(ask.parameters or {})}
        # The newer name of the same limit: a server that knows both refuses both at once.
        if "max_completion_tokens" not in parameters:
            most = self._max_tokens if ask.max_tokens is None else ask.max_tokens
            parameters = {"max_tokens": most, **parameters}
        return {**self._before, **self._content(ask), **parameters, **self._stream}

    def _content(self, ask: Ask) -> dict[str, Any]:
        if self._is_completion:
            return {"prompt": join_texts(ask.messages) if ask.prompt is None else ask.prompt}
        return {"messages": [{"role": "user", "content": ask.prompt}] if ask.messages is None else ask.messages}


def join_texts(messages: Any) -> str:
    """Messages as one prompt: their texts, each in a line of its own."""
    return "\n".join(str(message["content"]) for message in messages or () if isinstance(message.get("content"), str))
