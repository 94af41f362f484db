"""Answers of a language-model server, whole and at once, for tests of what is asked and billed, and not of times."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.targets.recording_server import Received, reply


def answer_as_model(
    models: Sequence[str] = ("tiny",), usage: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> Callable[[Received], bytes]:
    """For a `RecordingServer`: lists ``models``, and streams two words. ``usage`` makes the usage of a request's body."""

    def answer(request: Received) -> bytes:
        if request.target == "/v1/models":
            return reply(json.dumps({"object": "list", "data": [{"id": name} for name in models]}))
        if request.target not in ("/v1/chat/completions", "/v1/completions"):
            return reply("no such place", 404)
        asked = json.loads(request.body)
        used = (usage or use_ten)(asked)
        if not asked.get("stream"):
            message = {"index": 0, "message": {"role": "assistant", "content": "a b"}, "finish_reason": "stop"}
            return reply(json.dumps({"choices": [message], "usage": used}))
        frames = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {"content": "a"}, "text": "a", "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {"content": " b"}, "text": " b", "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": "stop"}]},
            {"choices": [], "usage": used},
        ]
        text = "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames)
        return reply(f"{text}data: [DONE]\n\n", 200, "Content-Type: text/event-stream")

    return answer


def use_ten(asked: dict[str, Any]) -> dict[str, Any]:
    """Ten tokens in, of which four came from a cache, and two out."""
    return {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
