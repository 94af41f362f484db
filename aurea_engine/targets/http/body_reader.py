"""The body of a reply: its size against a limit, its bytes if they are kept, its compression undone if that is asked for.

What nobody looks at is not kept: a body of any size passes through in pieces. What is kept is bounded, and so is what is
decompressed, piece by piece, so that a small reply which unpacks to a large one (a "zip bomb") costs no more than the limit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from aurea_engine.targets.http.replies import MOST_KEPT_BYTES, ReplyRules

# The limit is checked after each step and not at the end: by then a bomb would have gone off.

STEP = 64 * 1024
"""Bytes that are decompressed at once."""

MOST_UNPACKED = 64 * 1024**2
"""Of one body where nothing else bounds it: half a second of work. 64 KiB that came could be as much."""

GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
"""What `zlib.decompressobj` calls the three formats."""

CODINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}


class BodyReader:
    """Bodies of replies, one after the other. ``size``: bytes so far, decompressed. ``problem``: the class of failure that
    they are.
    """

    __slots__ = ("_bound", "_inflater", "_keep", "_most", "_pieces", "problem", "size")

    def __init__(self, rules: ReplyRules) -> None:
        bounds = [rules.most_body, MOST_KEPT_BYTES if rules.keep_body else None]
        self._most = min((bound for bound in bounds if bound is not None), default=None)
        self._keep = rules.keep_body
        self._pieces: list[bytes] = []
        self.begin()

    def begin(self, coding: str = "") -> None:
        """Another body is to come. ``coding``: the header Content-Encoding, if it is to be undone. One that is not known
        leaves the body as it is.
        """
        wbits = CODINGS.get(coding.strip().lower()) if coding else None
        self._inflater = None if wbits is None else Inflater(wbits)
        self._bound = MOST_UNPACKED if self._inflater is not None and self._most is None else self._most
        self._pieces.clear()
        self.size = 0
        self.problem: str | None = None

    def feed(self, piece: bytes) -> None:
        """The next bytes, without chunks and headers."""
        if self.problem is not None:
            return
        if self._inflater is None:
            self._take(piece)
            return
        try:
            for unpacked in self._inflater.feed(piece):
                if not self._take(unpacked):
                    return
        except zlib.error:
            self.problem = "protocol"

    def _take(self, piece: bytes) -> bool:
        """Whether more may come."""
        self.size += len(piece)
        if self._bound is not None and self.size > self._bound:
            self.problem = "too_large"
            self._pieces.clear()
            return False
        # Not those of nothing: a million empty members of gzip would be a long list.
        if self._keep and piece:
            self._pieces.append(piece)
        return True

    def finish(self) -> bytes:
        """The body, if it is kept, when its last byte has come. A compressed one must be whole."""
        if self._inflater is not None and not self._inflater.is_whole and self.problem is None:
            self.problem = "protocol"
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Inflater:
    """Decompression in bounded steps. Raises `zlib.error` for damaged data."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._object: zlib._Decompress | None = None
        self._first = b""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing at the end. Of no bytes at all nothing is."""
        return self._object.eof if self._object is not None else not self._first

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` unpacks to, in pieces of at most `STEP` bytes."""
        if self._object is None:
            # "deflate" means the zlib format (RFC 9110, 8.4.1.2), and some servers send it without its two bytes of header.
            data = self._first = self._first + data
            if len(data) < 2:
                return
            is_raw = self._wbits == ZLIB and (data[0] & 15 != 8 or (data[0] << 8 | data[1]) % 31)
            self._object = zlib.decompressobj(RAW if is_raw else self._wbits)
        while data:
            if self._object.eof:  # a file of gzip may have several members, one after the other (RFC 1952, 2.2)
                self._object = zlib.decompressobj(self._wbits)
            yield self._object.decompress(data, STEP)
            data = self._object.unconsumed_tail or self._object.unused_data
