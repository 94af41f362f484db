"""Bytes → server-sent events, as the WHATWG's standard has them, however the bytes are cut. No I/O, and no clock."""

# What the standard asks for, and servers make use of:
#
# - A line ends with LF, CR or CRLF, and a CR is one at once: the LF that may follow is skipped when it comes. To wait for it
#   would date the event by the next one.
# - A byte order mark at the beginning is skipped, lines that begin with a colon are comments, ``data`` may have several
#   lines, one space after the colon is no part of a value, and an empty line ends the event. An event without data is none.
# - What is unfinished at the end of the stream is no event: `EventReader.finish` tells of it apart.
#
# One field is none of the standard's: llama.cpp's server tells of an error in a field ``error``, and has no ``data`` beside
# it. It is read as ``event: error`` with this data.
#
# Bytes that have no line's end yet are kept in pieces, and joined when it comes: a line that comes in single bytes costs
# no more than one that comes at once. They are bounded, since a hostile server sends for ever.

from __future__ import annotations

from typing import NamedTuple

BOM = b"\xef\xbb\xbf"

MOST_EVENT = 1024**2
"""Bytes of one event; a longer one is `too_large`."""


class Event(NamedTuple):
    """``kind``: of the field ``event``, empty where it has none. ``data``: its lines, joined by LF."""

    data: bytes
    kind: bytes = b""


class EventReader:
    """Reads the events of one stream. ``is_between``: nothing is left of what was fed, so the next byte begins an event.
    ``is_too_large``: an event was larger than `MOST_EVENT`, and nothing is read any more.
    """

    __slots__ = ("_data", "_held", "_kind", "_pieces", "_skips_lf", "_started", "is_between", "is_too_large")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self.begin()

    def begin(self) -> None:
        """Another stream is to come."""
        self._pieces.clear()
        self._data.clear()
        self._held = 0
        self._kind = b""
        self._skips_lf = self._started = self.is_too_large = False
        self.is_between = True

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are complete with ``piece``."""
        if self.is_too_large or not (piece := self._unify_line_ends(piece)):
            return []
        self._pieces.append(piece)
        self._held += len(piece)
        if b"\n" not in piece:
            self.is_between = False
            self._check_size()
            return []
        text = b"".join(self._pieces)
        # Counted as it comes: to add up what an event has so far, each time, would cost the square of it.
        self._held -= len(text)
        if not self._started:
            text = text.removeprefix(BOM)
            self._started = True
        *lines, rest = text.split(b"\n")
        self._pieces = [rest] if rest else []
        self._held += len(rest)
        events: list[Event] = []
        for line in lines:
            self._read_line(line, events)
        self._check_size()
        self.is_between = not (rest or self._data or self._kind or self._skips_lf)
        return events

    def _unify_line_ends(self, piece: bytes) -> bytes:
        if self._skips_lf and piece:
            self._skips_lf = False
            if piece.startswith(b"\n"):
                piece = piece[1:]
                self.is_between = not (self._pieces or self._data or self._kind)
        if b"\r" in piece:
            self._skips_lf = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return piece

    def _check_size(self) -> None:
        if self._held > MOST_EVENT:
            self.is_too_large = True
            self._pieces.clear()
            self._data.clear()

    def _read_line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                data = b"\n".join(self._data)
                events.append(Event(data, self._kind))
                self._held -= len(data) + 1
                self._data.clear()
            self._kind = b""
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._held += len(value) + 1
        elif name == b"event":
            self._kind = value
        elif name == b"error":
            self._kind = name
            self._data.append(value)
            self._held += len(value) + 1

    def finish(self) -> list[Event]:
        """The end of the stream: the event that no empty line has ended. Its last line may have been cut."""
        # By the standard such an event is none. Servers forget the last ends of lines all the same: the caller decides what
        # it is worth.
        return self.feed(b"\n\n")
