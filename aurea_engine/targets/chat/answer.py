"""The answer under way on a connection: what has come of it, when, and what the server says that it took."""

# One record for each connection, overwritten by the next answer: no object is made for a request or for a frame. Frames are
# told of with the instant of the segment that brought them, so two frames in one segment have one instant.

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aurea_engine.targets.chat.frame_shapes import FrameShape, learn_shape
from aurea_engine.targets.chat.frames import DONE, Frame, read_frame
from aurea_engine.targets.chat.sse import BOM, Event, EventReader
from aurea_engine.targets.chat.usage import NO_USAGE, Usage
from aurea_engine.targets.http.replies import MOST_KEPT_BYTES, NEVER

LESSONS = 4
"""How often the shape of frames is learned in one answer: reasoning, the answer, and what a server changes in between."""


TakeGap = Callable[[int], object]
"""Takes the nanoseconds between two frames."""


class Answer:
    """Marks are instants, `NEVER` for what has not come. ``frames``: those that carried content. ``is_done``: the stream has
    said that it is at its end. ``problem``: the class of failure. ``usage``: the last that came. ``gaps`` takes the ns
    between two frames. ``keeps_text``: the texts of choice 0 are kept, for `text`.
    """

    __slots__ = (
        "_has_choices", "_kept", "_lessons", "_reader", "_shape", "_texts", "first_answer", "first_frame", "first_token",
        "frames", "gaps", "is_done", "keeps_text", "last_frame", "last_token", "problem", "usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self._reader = EventReader()
        self.begin(ignore_gap, keeps_text=False)

    def begin(self, gaps: TakeGap, *, keeps_text: bool) -> None:
        """Another answer is to come."""
        self.first_frame = self.first_token = self.first_answer = self.last_token = self.last_frame = NEVER
        self.frames = 0
        self.is_done = False
        self.problem: str | None = None
        self.usage: Usage = NO_USAGE
        self.gaps, self.keeps_text = gaps, keeps_text
        self._texts: list[bytes | str] = []
        self._kept = 0
        self._has_choices = False
        self._shape: FrameShape | None = None
        self._lessons = LESSONS
        self._reader.begin()

    @property
    def text(self) -> str:
        """The text of choice 0, as far as it has come, without its reasoning."""
        text = "".join(
            each if isinstance(each, str) else msgspec.json.decode(b'"%b"' % each, type=str) for each in self._texts
        )
        # A character may have come in two halves. One that lacks the other could not be sent again.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def take(self, data: bytes, start: int, end: int, now: int) -> bool:
        """Whether ``data[start:end]`` was a frame of the known shape, and has been counted. If not, nothing has changed."""
        shape = self._shape
        # What follows a problem or the end of the stream is left to `feed`, too.
        if shape is None or not self._reader.is_between or not shape.fits(data, start, end):
            return False
        last = self.last_token
        if last != NEVER:
            self.gaps(now - last)
        self.last_token = self.last_frame = now
        self.frames += 1
        if shape.is_answer and self.first_answer == NEVER:
            self.first_answer = now
        if self.keeps_text and shape.has_text:
            self._keep(shape.text(data, start, end))
        return True

    def feed(self, piece: bytes, now: int) -> None:
        """The next bytes of the stream, which came at ``now``."""
        if self.take(piece, 0, len(piece), now):
            return
        reader = self._reader
        was_between = reader.is_between
        events = reader.feed(piece)
        for event in events:
            self._take_event(event, now)
        if reader.is_too_large and self.problem is None:
            self.problem, self._shape = "too_large", None
        # The piece was one frame, whole: perhaps more of its shape will come.
        if was_between and reader.is_between and len(events) == 1 and self._lessons and self.problem is None:
            self._learn(piece)

    def _learn(self, piece: bytes) -> None:
        if self.is_done or self.first_token == NEVER:
            return
        self._lessons -= 1
        self._shape = learn_shape(piece) or self._shape

    def _take_event(self, event: Event, now: int) -> None:
        if self.is_done or self.problem is not None:
            return
        data = event.data.strip()
        if data == DONE:
            self._end()
            return
        if not data and event.kind != b"error":
            return  # sent to keep the connection open
        frame = read_frame(event.data)
        if event.kind == b"error" or (frame is not None and frame.is_error):
            self.problem, self._shape = "stream_error", None
        elif frame is None:
            self.problem, self._shape = "protocol", None
        else:
            self._count(frame, now)

    def _end(self) -> None:
        self._shape = None
        # One that never had a choice is no answer, as one in one piece is none: a gateway ends its streams so all the same.
        if self._has_choices:
            self.is_done = True
        else:
            self.problem = "check"

    def _count(self, frame: Frame, now: int) -> None:
        self._has_choices = self._has_choices or frame.has_choices
        if self.first_frame == NEVER:
            self.first_frame = now
        self.last_frame = now
        if frame.usage is not None:
            self.usage = frame.usage
        if not (frame.answer or frame.reasoning):
            return
        self.frames += 1
        if self.first_token == NEVER:
            self.first_token = now
        else:
            self.gaps(now - self.last_token)
        self.last_token = now
        if frame.answer and self.first_answer == NEVER:
            self.first_answer = now
        if self.keeps_text and frame.text:
            self._keep(frame.text)

    def _keep(self, text: bytes | str) -> None:
        self._texts.append(text)
        self._kept += len(text)
        if self._kept > MOST_KEPT_BYTES:
            # Of no known shape from here on, so that the next frame is looked at, and the answer ends with it.
            self.problem, self._shape, self._texts = "too_large", None, []

    def finish_stream(self) -> None:
        """The stream has ended. An end that it did not say is one that came too early."""
        if self.problem is None and not self.is_done:
            # The last line that it is said with may have no end.
            if any(event.data.strip() == DONE for event in self._reader.finish()):
                self._end()
            else:
                self.problem = "closed_early"

    def take_whole(self, body: bytes) -> None:
        """The answer has come in one piece, and not as a stream."""
        frame = read_frame(body.removeprefix(BOM))
        if frame is None:
            self.problem = "protocol"
        elif frame.is_error or not frame.has_choices:
            self.problem = "check"
        else:
            self.usage = frame.usage or NO_USAGE
            self.frames = int(frame.answer or frame.reasoning)
            if self.keeps_text:
                self._texts.append(frame.text)


def ignore_gap(gap: int) -> None:
    """For gaps that are not to be counted."""
