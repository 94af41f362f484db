"""What one frame carries, in the dialects of the servers that speak this interface."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aurea_engine.targets.chat.frames import Frame, read_frame
from aurea_engine.targets.chat.usage import NO_USAGE, Usage, read_usage


def delta(*deltas: dict[str, Any], **more: Any) -> Frame | None:
    choices = [{"index": i, "delta": each} for i, each in enumerate(deltas)]
    return read_frame(json.dumps({"choices": choices, **more}).encode())


SAID = Frame(answer=True, text="a", has_choices=True)
NOTHING = Frame(has_choices=True)
THOUGHT = Frame(reasoning=True, has_choices=True)
CALLED = Frame(answer=True, has_choices=True)


@pytest.mark.parametrize(
    ("part", "frame"),
    [
        ({"content": "a"}, SAID),
        ({"role": "assistant", "content": ""}, NOTHING),
        ({"role": "assistant", "content": None}, NOTHING),
        ({"role": "assistant"}, NOTHING),
        ({}, NOTHING),
        ({"content": " "}, SAID._replace(text=" ")),
        ({"reasoning_content": "a"}, THOUGHT),
        ({"reasoning": "a"}, THOUGHT),
        ({"reasoning_content": None, "content": "a"}, SAID),
        ({"reasoning_content": "b", "content": "a"}, SAID._replace(reasoning=True)),
        ({"content": [{"type": "text", "text": "a"}]}, SAID),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "b"}]}]}, THOUGHT),
        ({"refusal": "no"}, CALLED),
        ({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}, CALLED),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, CALLED),
        ({"tool_calls": [{"index": 0, "id": "x", "function": {"arguments": ""}}]}, NOTHING),
        ({"tool_calls": []}, NOTHING),
        ({"function_call": {"name": "f"}}, CALLED),
        ({"content": 5}, NOTHING),
        ({"tool_calls": {"a": 1}}, NOTHING),
    ],
)
def test_content_is_told_from_what_is_none(part: dict[str, Any], frame: Frame) -> None:
    assert delta(part) == frame


def test_any_choice_counts_and_the_first_has_the_text() -> None:
    assert delta({"content": "a"}, {"content": "b"}) == SAID
    other = {"choices": [{"index": 1, "delta": {"content": "b"}}]}
    assert read_frame(json.dumps(other).encode()) == CALLED


def test_completions_have_texts() -> None:
    assert read_frame(b'{"choices": [{"text": "a"}]}') == SAID
    assert read_frame(b'{"choices": [{"text": ""}]}') == NOTHING


def test_whole_answers_have_messages() -> None:
    assert read_frame(b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}]}') == SAID


@pytest.mark.parametrize(
    "text",
    [b'{"error": {"message": "x"}}', b'{"error": "x"}', b'{"object": "error", "message": "x"}',
     b'{"error": {"code": 1}, "choices": [{"delta": {"content": "a"}}]}',
     b'{"choices": [{"delta": {"content": ""}, "error": {"code": 502}}]}', b'{"choices": [{"text": "a", "error": "x"}]}',
     b'{"choices": [], "x_groq": {"id": "a", "error": "over capacity"}}',
     b'{"choices": [{"message": {"content": "a"}, "finish_reason": "insufficient_system_resource"}]}',
     b'{"choices": [{"delta": {}, "finish_reason": "error"}]}', b'{"choices": [{"finish_reason": "error", "text": ""}]}',
     b'{"choices": [{"delta": {"content": "a"}}, {"index": 1, "message": {}, "finish_reason": "error"}]}'],
)  # fmt: skip
def test_errors_are_told(text: bytes) -> None:
    frame = read_frame(text)
    assert frame is not None
    assert frame.is_error


def test_no_error_is_none() -> None:
    assert delta({"content": "a"}, error=None) == SAID
    for end in ("stop", "length", "content_filter", "tool_calls", None):
        frame = read_frame(json.dumps({"choices": [{"text": "", "error": None, "finish_reason": end}]}).encode())
        assert frame == Frame(has_choices=True)


@pytest.mark.parametrize(("text", "has"), [(b'{"choices": []}', False), (b"{}", False), (b'{"choices": [{}]}', True)])
def test_an_empty_list_of_choices_has_none(text: bytes, has: bool) -> None:
    frame = read_frame(text)
    assert frame is not None
    assert frame.has_choices is has


@pytest.mark.parametrize("text", [b"", b"[1]", b"5", b"null", b"{", b'{"a": \xff}', b"[" * 100_000,
                                  b'["\\ud83d"]', b'{"a": "\\ud83d}', b'{"a": "\\ud83d\xff"}', b'"\\ud83d"' + b"[" * 100_000,
                                  b"[" * 100_000 + b'"\\ud83d"'])  # fmt: skip
def test_what_is_no_object_is_no_frame(text: bytes) -> None:
    assert read_frame(text) is None


@pytest.mark.parametrize("text", [b'{"choices": null}', b'{"choices": {}}', b"{}", b'{"choices": [5, null]}'])
def test_strange_frames_carry_nothing(text: bytes) -> None:
    frame = read_frame(text)
    assert frame is not None
    assert (frame.answer, frame.reasoning, frame.is_error) == (False, False, False)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}, Usage(9, -1, 4, -1)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3},
          "completion_tokens_details": {"reasoning_tokens": 2}}, Usage(9, 3, 4, 2)),
        ({"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 0}}, Usage(9, 0, 4, -1)),
        ({"prompt_tokens": 9, "completion_tokens": 0, "prompt_cache_hit_tokens": 6}, Usage(9, 6, 0, -1)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(9, -1, -1, -1)),
        ({"prompt_tokens": -1, "completion_tokens": 2**60}, NO_USAGE),
        ({"prompt_tokens": True, "completion_tokens": 4.0}, NO_USAGE),
        (None, NO_USAGE),
        ([], NO_USAGE),
    ],
)  # fmt: skip
def test_usage_in_its_dialects(told: Any, usage: Usage) -> None:
    assert read_usage(told) == usage


def test_usage_that_is_null_says_nothing() -> None:
    """It stands so in every frame but the last."""
    assert delta({"content": "a"}, usage=None) == SAID
    told = delta({"content": "a"}, usage={"completion_tokens": 1})
    assert told == SAID._replace(usage=Usage(output=1))
    assert delta({}, x_groq={"usage": {"completion_tokens": 2}}) == NOTHING._replace(usage=Usage(output=2))
