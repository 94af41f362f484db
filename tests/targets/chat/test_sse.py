"""The reader of server-sent events, against a reader that follows the standard letter by letter, however bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.targets.chat.sse import MOST_EVENT, Event, EventReader


def read_by_the_book(stream: bytes) -> list[Event]:
    """The standard's algorithm (WHATWG HTML, 9.2.6), on the whole stream at once and character by character, and the field
    ``error`` beside it.
    """
    text = stream.removeprefix(b"\xef\xbb\xbf")
    lines, line, i = [], b"", 0
    while i < len(text):
        byte = text[i : i + 1]
        if byte in b"\r\n":
            i += 2 if text[i : i + 2] == b"\r\n" else 1
            lines.append(line)
            line = b""
        else:
            line += byte
            i += 1
    events, data, kind = [], list[bytes](), b""
    for line in lines:
        if not line:
            if data:
                events.append(Event(b"\n".join(data), kind))
            data, kind = [], b""
        elif not line.startswith(b":"):
            name, colon, value = line.partition(b":")
            value = value[1:] if colon and value.startswith(b" ") else value
            if name == b"data":
                data.append(value)
            elif name == b"event":
                kind = value
            elif name == b"error":
                data.append(value)
                kind = name
    return events


PARTS = st.sampled_from(
    [b"data: a", b"data:b", b"data", b"data:  c", b"event: error", b"event:x", b"error: {}", b"error", b": note", b"id: 7",
     b"retry: 1", b"x", b"\xef", b"\xef\xbb\xbf", b"\n", b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b"\r\r",
     b"data: {}\n\n", b" ", b":"]
)  # fmt: skip
STREAMS = st.lists(PARTS, max_size=30).map(b"".join)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in pairwise(ends)]


@given(STREAMS, st.lists(st.integers(0, 10**6), max_size=12))
def test_any_cut_reads_as_the_standard_says(stream: bytes, places: list[int]) -> None:
    reader, events = EventReader(), []
    for piece in cut(stream, places):
        events += reader.feed(piece)
    # A mark of two bytes that nothing follows is held back, as is a line without an end: neither can be an event.
    assert events == read_by_the_book(stream)


@given(STREAMS)
def test_single_bytes_read_as_the_standard_says(stream: bytes) -> None:
    reader, events = EventReader(), []
    for i in range(len(stream)):
        events += reader.feed(stream[i : i + 1])
    assert events == read_by_the_book(stream)


@given(STREAMS, st.lists(st.integers(0, 10**6), max_size=5))
def test_between_events_nothing_is_left(stream: bytes, places: list[int]) -> None:
    """Where it says so, what follows reads as it would at the beginning, but for a byte order mark."""
    reader = EventReader()
    for piece in cut(stream, places):
        reader.feed(piece)
        if reader.is_between:
            assert reader.finish() == []
            assert reader.feed(b"data: next\n\n") == [Event(b"next")]


def test_a_carriage_return_ends_an_event_at_once() -> None:
    """To wait for a line feed that may follow would date the event by the next one."""
    reader = EventReader()
    assert reader.feed(b"data: a\r\r") == [Event(b"a")]
    assert reader.feed(b"\ndata: b\r\n\r") == [Event(b"b")]
    assert not reader.is_between
    assert reader.feed(b"\n") == []
    assert reader.is_between


def test_an_unfinished_event_is_told_apart() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\ndata: b") == []
    assert reader.finish() == [Event(b"a\nb")]


@pytest.mark.parametrize("piece", [b"x", b"data: x\n", b"data: ", b"error: x\n"])
def test_an_event_is_bounded(piece: bytes) -> None:
    """A server that never ends a line, or an event, uses up no memory."""
    reader = EventReader()
    for _ in range(MOST_EVENT // 4096 + 4000):
        reader.feed(piece * 1024)
        if reader.is_too_large:
            break
    assert reader.is_too_large
    assert reader.feed(b"\n\ndata: a\n\n") == []
