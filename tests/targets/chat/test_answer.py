"""Answers by instants that are given: which frame makes which mark, and the shape of frames against the plain reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.targets.chat.answer import Answer
from aurea_engine.targets.chat.frame_shapes import SENTINEL, learn_shape
from tests.targets.chat.planted_server import DONE, ROLE, event, frame, tell, usage, word

STATE = (
    "first_frame",
    "first_token",
    "first_answer",
    "last_token",
    "last_frame",
    "frames",
    "usage",
    "is_done",
    "problem",
)


def read(*pieces: bytes, learns: bool = True, ends: bool = True) -> tuple[dict[str, Any], list[int], str]:
    """The answer of which piece i came at 10·i, the gaps between its frames, and its text."""
    gaps: list[int] = []
    answer = Answer()
    answer.begin(gaps.append, keeps_text=True)
    if not learns:
        answer._lessons = 0
    for i, piece in enumerate(pieces):
        answer.feed(piece, 10 * i)
    if ends:
        answer.finish_stream()
    return {name: getattr(answer, name) for name in STATE}, gaps, answer.text


def thought(text: str) -> bytes:
    return frame({"reasoning_content": text})


def test_each_mark_has_its_frame() -> None:
    state, gaps, text = read(ROLE, thought("a"), thought("b"), word(1), word(2), tell(4), DONE)
    assert {name: state[name] for name in STATE[:6]} == {
        "first_frame": 0, "first_token": 10, "first_answer": 30, "last_token": 40, "last_frame": 50, "frames": 4,
    }  # fmt: skip
    assert gaps == [10, 10, 10]
    assert (text, state["is_done"], state["problem"]) == (" word1 word2", True, None)


def test_frames_in_one_piece_have_one_instant() -> None:
    state, gaps, _ = read(ROLE, word(0) + word(1), word(2), DONE)
    assert (state["frames"], gaps) == (3, [0, 10])


def test_the_last_usage_wins() -> None:
    """And is never added up: some servers send what there is so far in every frame."""
    pieces = [word(i, usage=usage(i + 1)) for i in range(3)]
    assert read(*pieces, DONE)[0]["usage"].output == 3
    assert read(*pieces, word(3), DONE)[0]["usage"].output == 3


@pytest.mark.parametrize(
    "told",
    [{}, {"prompt_tokens": None, "completion_tokens": None}, {"completion_tokens": -1}, {"total_tokens": 9}, None, []],
)
def test_usage_that_says_nothing_leaves_what_was_said(told: Any) -> None:
    """Else the tokens of an answer would not be billed."""
    state, *_ = read(word(0), word(1), tell(2), frame({}, usage=told), DONE)
    assert (state["usage"].output, state["problem"]) == (2, None)


def test_an_end_that_was_not_said_is_too_early() -> None:
    assert read(ROLE, word(0))[0]["problem"] == "closed_early"
    assert read(ROLE, word(0), b"data: [DONE]\n")[0]["problem"] is None
    assert read(ROLE, word(0), b"data: [DO")[0]["problem"] == "closed_early"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n", b" ", b" \r\n", b"\n\n"])
@pytest.mark.parametrize("place", [0, 3, 12, 13])
def test_the_end_may_be_said_without_the_end_of_its_line(end: bytes, place: int) -> None:
    last = b"data: [DONE]" + end
    state, *_ = read(ROLE, word(0), tell(1), last[:place], last[place:])
    assert (state["is_done"], state["problem"], state["usage"].output) == (True, None, 1)


@pytest.mark.parametrize("last", [b"data: [DONE", b"data: a\ndata: [DONE]", b"[DONE]", b": [DONE]", b"data: [DONE]."])
def test_what_only_looks_like_the_end_is_none(last: bytes) -> None:
    assert read(ROLE, word(0), last)[0]["problem"] == "closed_early"


@pytest.mark.parametrize(
    "empty", [b"data:\n\n", b"data\n\n", b"data: \r\n\r\n", b"data:\ndata:\n\n", b"event: ping\ndata:\n\n"]
)
def test_an_empty_event_only_keeps_the_connection_open(empty: bytes) -> None:
    """As a comment does: it is no frame, wherever it comes, and with whatever."""
    pieces = [ROLE, *(word(i) for i in range(8)), tell(8), DONE]
    plain = read(*pieces)
    with_empty = [piece if i % 2 else empty + piece + empty for i, piece in enumerate(pieces)]
    assert read(*with_empty) == plain
    assert read(empty, *pieces[:-1], empty, ends=False)[0]["problem"] is None
    assert read(b"event: error\ndata:\n\n", *pieces)[0]["problem"] == "stream_error"


@pytest.mark.parametrize(
    "frames", [[], [tell(3)], [b": x\n\n"], [event({"detail": "none"})], [event({"choices": None})]]
)
@pytest.mark.parametrize("end", [DONE, b"data: [DONE]"])
def test_a_stream_without_choices_is_no_answer(frames: list[bytes], end: bytes) -> None:
    """As an answer in one piece is none without them: that it says its end does not make it a right one."""
    state, *_ = read(*frames, end)
    assert (state["problem"], state["is_done"], state["frames"]) == ("check", False, 0)
    assert read(*frames)[0]["problem"] == "closed_early"
    # An answer may be empty all the same: the model had nothing to say.
    assert read(*frames, ROLE, end)[0]["problem"] is None


@pytest.mark.parametrize("last", [{"finish_reason": "error"}, {"finish_reason": None, "error": {"code": 502}}])
def test_an_error_of_a_choice_ends_the_answer(last: dict[str, Any]) -> None:
    """Gateways tell so of the provider behind them, and say the end of the stream after it."""
    choice = {"index": 0, "delta": {"content": ""}, **last}
    state, *_ = read(ROLE, word(0), word(1), word(2), event({"choices": [choice]}), tell(3), DONE)
    assert (state["problem"], state["frames"], state["is_done"]) == ("stream_error", 3, False)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_an_answer_in_one_piece_may_have_a_mark(mark: bytes) -> None:
    answer = Answer()
    answer.take_whole(mark + b'{"choices": [{"message": {"content": "a"}}]}')
    assert (answer.problem, answer.frames) == (None, 1)


def test_what_follows_the_end_or_an_error_is_not_counted() -> None:
    assert read(word(0), DONE, word(1))[0]["frames"] == 1
    state, *_ = read(word(0), word(1), event({"error": {"message": "x"}}), word(2), DONE)
    assert (state["frames"], state["problem"], state["is_done"]) == (2, "stream_error", False)


@pytest.mark.parametrize("write", [str.lower, str.upper])
def test_a_character_may_come_in_two_halves(write: Callable[[str], str]) -> None:
    """Servers that count in UTF-16 cut it. A half that stays alone is no text, and harms neither the rest nor the usage."""
    first, last = (b"\\u" + write(half).encode() for half in ("d83d", "de42"))
    halves = [word(0).replace(b" word0", half) for half in (b"a" + first, last + b"b", first, b"c", last + first)]
    state, _, text = read(word(0), *halves, tell(6), DONE)
    assert text == " word0a🙂b\N{REPLACEMENT CHARACTER}c" + "\N{REPLACEMENT CHARACTER}" * 2
    assert (state["frames"], state["usage"].output, state["problem"]) == (6, 6, None)


@given(st.lists(st.text(st.characters(exclude_categories=()), min_size=1, max_size=3), max_size=6))
def test_every_text_can_be_sent_again(texts: list[str]) -> None:
    _, _, text = read(*(frame({"content": each}) for each in texts), DONE)
    assert text == "".join(texts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert json.loads(msgspec.json.encode(text)) == text


@pytest.mark.parametrize("before", [(), (ROLE,), (word(0), word(1), word(2))])
@pytest.mark.parametrize("after", [(), (DONE,), (word(3), DONE)])
@pytest.mark.parametrize(
    "told",
    [
        b'error: {"code":500}\n\n',
        b"error:x\r\n\r\n",
        b'event: error\ndata: {"a":1}\n\n',
        event({"error": {"code": 500}}),
    ],
)
def test_an_error_of_the_stream_is_told_however_it_is_written(
    before: tuple[bytes, ...], told: bytes, after: tuple[bytes, ...]
) -> None:
    """As a field of its own, as the kind of an event, or as a member of its data; and whatever follows it."""
    state, *_ = read(*before, told, *after)
    assert (state["problem"], state["is_done"]) == ("stream_error", False)
    assert read(*before, told, *after, learns=False)[0] == state


def as_utf8(value: object) -> bytes:
    """Half of a surrogate pair makes it none."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "",
            '"',
            "\\",
            "\n",
            "\\n",
            '\\"',
            "\x7f",
            "é",
            "🙂",
            SENTINEL,
            '","role":"x',
            "]}",
            "\ud83d\ude42",
            "\ud83d",
            "a\ude42",
        ]
    ),
)
BODIES = st.sampled_from(
    [
        lambda text: frame({"content": text}),
        lambda text: frame({"reasoning_content": text}),
        lambda text: frame({"reasoning": text, "content": None}),
        lambda text: frame({"content": text}, usage=usage(3)),
        lambda text: frame({"content": text}, usage={}),
        lambda text: frame({"role": "assistant", "content": text}),
        lambda text: frame({"content": "fixed", "reasoning": text}),
        lambda text: event({"choices": [{"index": 0, "text": text}]}),
        lambda text: event({"choices": [{"index": 1, "delta": {"content": text}}]}),
        lambda text: event({"choices": [{"delta": {"content": "a"}}, {"delta": {"content": text}}]}),
        lambda text: event({"error": {"content": text}, "choices": []}),
        lambda text: event({"choices": [{"delta": {"tool_calls": [{"function": {"name": "", "content": text}}]}}]}),
        lambda _: b'data: {"choices": [{"delta": {"content":"a", "content":"b"}}]}\n\n',
        lambda text: b"data: " + as_utf8({"choices": [{"delta": {"content": text}}]}) + b"\n\n",
        lambda text: b'data: {"choices": [{"delta": {"content":"' + text.encode("utf-8", "replace") + b'"}}]}\n\n',
        lambda text: b'data: {"choices":[{"delta":{"content":"' + text.encode("utf-16-le", "replace") + b'"}}]}\n\n',
        lambda text: b'data: {"a":"' + text.encode("utf-8", "replace") + b'"}\n\n',
        lambda text: b"error: " + as_utf8({"choices": [{"delta": {"content": text}}]}) + b"\n\n",
    ]
)


@given(st.lists(st.tuples(BODIES, TEXTS), min_size=1, max_size=4), st.lists(TEXTS, max_size=8), st.booleans())
def test_the_shape_of_frames_changes_nothing(bodies: list[Any], texts: list[str], ends: bool) -> None:
    """With it and without, every answer reads the same: marks, counts, gaps, usage, text and failure."""
    pieces = [body(text) for body, first in bodies for text in (first, *texts)]
    pieces += [DONE] if ends else []
    assert read(*pieces) == read(*pieces, learns=False)


@given(st.lists(st.binary(max_size=12), max_size=6), st.integers(0, 200), st.integers(0, 200))
def test_damaged_frames_read_the_same(damages: list[bytes], first: int, last: int) -> None:
    """Whatever bytes stand in the place of others."""
    whole = word(1)
    pieces = [whole, *(whole[:first] + damage + whole[last:] for damage in damages), word(2), DONE]
    assert read(*pieces) == read(*pieces, learns=False)


@pytest.mark.parametrize(
    ("piece", "is_learned"),
    [
        (word(1), True),
        (frame({"content": "é"}), False),  # its text is written as an escape of its own, which is read in the plain way
        (thought("a"), True),
        (frame({"role": "assistant", "content": "a"}), True),
        (ROLE, False),
        (word(1, usage=usage(1)), False),
        (frame({"content": "a", "reasoning": "b"}), False),
        (frame({"content": SENTINEL}), False),
        (word(1) + word(2), False),
        (word(1).replace(b"\n", b"\r\n"), False),
        (event({"error": {"content": "a"}}), False),
        (event({"a": {"content": "a"}}), False),
    ],
)
def test_a_shape_is_learned_of_what_is_content_and_nothing_else(piece: bytes, is_learned: bool) -> None:
    assert (learn_shape(piece) is not None) == is_learned


def test_frames_of_a_shape_are_taken_as_they_are() -> None:
    """That is what the shape is for: once one was read, the others are known."""
    answer = Answer()
    assert not answer.take(word(1), 0, len(word(1)), 10)
    answer.feed(word(1), 10)
    chunk = b"2a\r\n" + word(2) + b"\r\n"
    assert answer.take(chunk, 4, len(chunk) - 2, 20)
    assert (answer.frames, answer.last_token) == (2, 20)
    assert not answer.take(DONE, 0, len(DONE), 30)
    answer.feed(DONE, 30)
    assert not answer.take(word(3), 0, len(word(3)), 40)
