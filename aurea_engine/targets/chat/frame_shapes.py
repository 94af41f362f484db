"""The shape of the frames of one answer: all of them are alike but for the text that they carry, and need no parsing."""

# Theory of operation
# -------------------
# The frames of an answer differ from each other in the text of one token, and in nothing else:
#
#     data: {"id":"chatcmpl-7","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" word"},…}]}⏎⏎
#     └──────────────────────── before ─────────────────────────────────────────────────┘└ text┘└── after ──┘
#
# *Lemma.* JSON is read from left to right. If ``before`` ends within a text that some frame of the shape had there, and
# ``after`` begins with the quote that ended it, then whatever stands in its place and neither ends a text nor is refused
# in one (no quote, no control character, valid UTF-8, whole escapes) leaves the reader in the same state at ``after``. So
# the frame is valid, and all of it but that one text means what it meant before.
#
# *What that text is* says the plain reader, when the shape is learned. It reads the frame with a text that stands nowhere
# else in it, and has to find content; and it reads the frame with an empty text, and has to find nothing at all: no content,
# no usage, no error. So the text is all the content that there is, and more than its being there the plain reader does not
# look at.
#
# *Everything else is read in the plain way*: another shape, an empty text, ``\u``, two frames in one piece. A shape that
# does not fit is learned anew, a few times in each answer: a server may have a time or a number in each frame.

from __future__ import annotations

import re

from aurea_engine.targets.chat.frames import Frame, read_frame

_ASCII = re.compile(rb'[^"\\\x00-\x1f\x7f-\xff]+').fullmatch
_WIDE = re.compile(rb'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])+').fullmatch

SENTINEL = "aurea-7f3a91c2"
"""Stands in place of the text while a shape is learned. A frame that has it already teaches nothing."""

_FIELD = b"data:"
_PLACES = tuple(
    b'"%b":%b"' % (name, space)
    for name in (b"content", b"text", b"reasoning_content", b"reasoning")
    for space in (b"", b" ")
)
"""What stands before the text of a token."""


class FrameShape:
    """``before`` and ``after`` the text, bytes of one whole event. ``is_answer``: the text is a part of an answer, and not
    of its reasoning; ``has_text``: of the choice whose text is kept.
    """

    __slots__ = ("_n_after", "_n_before", "after", "before", "has_text", "is_answer")

    def __init__(self, before: bytes, after: bytes, *, is_answer: bool, has_text: bool) -> None:
        self.before, self.after, self.is_answer, self.has_text = before, after, is_answer, has_text
        self._n_before, self._n_after = len(before), len(after)

    def fits(self, data: bytes, start: int, end: int) -> bool:
        """Whether ``data[start:end]`` is an event of this shape, with a text that is not empty."""
        if not (data.startswith(self.before, start) and data.endswith(self.after, start, end)):
            return False
        first, last = start + self._n_before, end - self._n_after
        # Ahead and behind may overlap in an event that is too short for both: then `first` is beyond `last`.
        if first < last and _ASCII(data, first, last):
            return True
        return first < last and is_text(data[first:last])

    def text(self, data: bytes, start: int, end: int) -> bytes:
        """Its text as it stands there, escapes and all."""
        return data[start + self._n_before : end - self._n_after]


def is_text(text: bytes) -> bool:
    """Whether it can stand in a text of JSON, and in one line of an event."""
    if not _WIDE(text):
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def learn_shape(event: bytes) -> FrameShape | None:
    """The shape of ``event``, bytes of one whole event with its empty line; None if it has none to be relied upon."""
    is_one_line = (
        event.startswith(_FIELD) and event.endswith(b"\n\n") and event.count(b"\n") == 2 and b"\r" not in event
    )
    if not is_one_line or SENTINEL.encode() in event:
        return None
    for place in _PLACES:
        first = event.find(place) + len(place)
        last = event.find(b'"', first)
        if first < len(place) or not is_text(event[first:last]):
            continue
        before, after = event[:first], event[last:]
        filled = _read(before + SENTINEL.encode() + after)
        if filled in _CONTENT and _read(before + after) == _NOTHING:
            return FrameShape(before, after, is_answer=filled.answer, has_text=bool(filled.text))
    return None


_NOTHING = Frame(has_choices=True)
_CONTENT = (
    Frame(answer=True, text=SENTINEL, has_choices=True),
    Frame(answer=True, has_choices=True),
    Frame(reasoning=True, has_choices=True),
)


def _read(event: bytes) -> Frame:
    return read_frame(event[len(_FIELD) :]) or Frame(is_error=True)
