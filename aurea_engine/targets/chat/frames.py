"""One frame of a stream, or one whole answer, as JSON → what it carries. The plain way: `frame_shapes` only shortens it."""

# What counts as content. A first frame with the role alone, an empty text, the reason for the end, and usage are none: a
# clock that stops at them flatters the server by the time that its first token takes. Reasoning is content, but no answer.
# A call of a tool is an answer, from the first part of its name or its arguments on.

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from aurea_engine.targets.chat.usage import NO_USAGE, Usage, read_usage


class Frame(NamedTuple):
    """``answer``: it carries a part of the answer; ``reasoning``: of the reasoning before it. ``text``: the part of
    choice 0 of the answer, as text. ``usage``: what it tells of tokens, None if nothing. ``is_error``: it reports an error.
    ``has_choices``: there is at least one.
    """

    answer: bool = False
    reasoning: bool = False
    text: str = ""
    usage: Usage | None = None
    is_error: bool = False
    has_choices: bool = False


REASONING = ("reasoning_content", "reasoning")
"""Members of a delta or a message in which servers send it."""

DONE = b"[DONE]"

BROKEN_ENDS = ("error", "insufficient_system_resource")
"""What `finish_reason` says of an answer that the server gave up: the first of gateways and vLLM, the other of DeepSeek."""

_ERROR = Frame(is_error=True)


def read_frame(data: bytes) -> Frame | None:
    """What a frame carries; None if it is no JSON object."""
    frame = _decode(data)
    if not isinstance(frame, dict):
        return None
    groq = frame.get("x_groq")
    own: Mapping[str, Any] = groq if isinstance(groq, dict) else {}
    # Servers report it as a member (OpenAI, newer vLLM, llama.cpp), or as an object of that name (older vLLM).
    if frame.get("error") is not None or own.get("error") is not None or frame.get("object") == "error":
        return _ERROR
    usage = _read_usage(own.get("usage") if frame.get("usage") is None else frame["usage"])
    choices = frame.get("choices")
    if not isinstance(choices, list):
        return Frame(usage=usage)
    answer = reasoning = False
    text = ""
    for i, choice in enumerate(choices):
        if not isinstance(choice, dict):
            continue
        if _reports_error(choice):
            return _ERROR
        said, thought = _read_choice(choice)
        answer, reasoning = answer or bool(said), reasoning or thought
        if isinstance(said, str) and choice.get("index", i) == 0:
            text += said
    return Frame(answer, reasoning, text, usage, has_choices=bool(choices))


def _decode(data: bytes) -> Any:
    """The value that ``data`` is as JSON; None if it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, ValueError):
        if b"\\ud" not in data.lower():
            return None
    # Servers that count in UTF-16 cut a character in two, and send half of a pair in each frame. It is JSON by the grammar.
    try:
        return json.loads(data.decode())
    except (RecursionError, ValueError):
        return None


def _read_usage(told: Any) -> Usage | None:
    usage = read_usage(told)
    # What says nothing leaves what an earlier frame said.
    return None if usage == NO_USAGE else usage


def _reports_error(choice: Mapping[str, Any]) -> bool:
    """Whether the choice ended by an error: gateways say so of the provider behind them, in a frame that has none itself."""
    return choice.get("error") is not None or choice.get("finish_reason") in BROKEN_ENDS


def _read_choice(choice: Mapping[str, Any]) -> tuple[str | bool, bool]:
    """(the part of the answer, True for one that is no text; whether there is reasoning)."""
    part = choice.get("delta")
    if not isinstance(part, dict):
        part = choice.get("message")
    if not isinstance(part, dict):
        text = choice.get("text")  # of a completion
        return (text if isinstance(text, str) else ""), False
    thought = any(_is_text(part.get(name)) for name in REASONING)
    content = part.get("content")
    if isinstance(content, list):
        said, more = _read_parts(content)
        thought = thought or more
    else:
        said = content if isinstance(content, str) else ""
    if not said:
        return _is_text(part.get("refusal")) or _calls_tool(part), thought
    return said, thought


def _read_parts(parts: Sequence[Any]) -> tuple[str, bool]:
    """Content in parts, as some servers send it: (their text, whether one is of the reasoning)."""
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "".join(texts), any(isinstance(part, dict) and bool(part.get("thinking")) for part in parts)


def _calls_tool(part: Mapping[str, Any]) -> bool:
    calls = part.get("tool_calls")
    called = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    called.append(part.get("function_call"))
    return any(
        isinstance(each, dict) and (_is_text(each.get("name")) or _is_text(each.get("arguments"))) for each in called
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
