"""The heads of replies that were parsed before: a reply that begins with one of them need not be parsed again."""

# Theory of operation
# -------------------
# A load test asks for the same few things over and over, and most replies differ from the one before in nothing but, once a
# second, their date. To parse one costs several times as much as to compare its head with one that is known.
#
# *What is known.* By the bytes of a whole reply in one segment: its head, with the empty line that ends it, and its status.
# The head of each entry says `Content-Length`, and the number of bytes is that of the head and of this length. So whatever
# has as many bytes and begins with the same head is a whole reply, too, with the same status, nothing is missing and nothing
# stands behind it. What its body is, is of no interest to those who look at status and sizes only; nobody else uses this.
#
# *Why the parser may be passed over.* It keeps nothing from one reply to the next: it stands before the first byte of a
# message when the reply begins and would stand there again when it is complete. Only a connection whose last reply was
# complete, and had nothing behind it, is used again. So a known reply may follow a parsed one, and the other way round.
#
# *What is learned.* Never what this module thinks of a reply, but what the parser has made of it: it was complete with the
# segment that it began with, its connection is kept, nothing stood behind it. This leaves out what ends with the connection,
# and whatever is wrong. Of the rest a head must say that as many bytes follow it as there are. This leaves out chunks, whose
# sizes are in the body, and empty lines behind a body, which a parser skips. A reply that has no body whatever its head says
# is its head, to the byte. The first empty line of the bytes is the end of the final head, or nothing is learned: an
# interim reply and an empty line at the beginning end before it, and a head whose lines end with LF alone behind it.
#
# *Bounds.* One head for each number of bytes, the last one; `MOST` of them. To learn costs as much as ten replies, which is
# lost where each has a head of its own: so it is done once in `PAUSE_NS`, and takes one per cent of the time at most.

from __future__ import annotations

from aurea_engine.targets.http.reply_heads import parse_head

MOST = 256
"""Heads that are kept. With the last one all are forgotten: those in use are learned again at once."""

MOST_BYTES = 4096
"""Of a head that is kept."""

PAUSE_NS = 500_000
"""Nanoseconds from one head that is learned to the next."""

Known = dict[int, tuple[bytes, int]]
"""By the number of bytes of the whole reply: its head, its status."""

NOTHING: Known = {}
"""For replies that are looked at more closely. Nothing is ever put into it."""


class ReplyMemo:
    """What one pool knows: its connections all lead to the same server.

    ``known`` is looked at by the connections themselves. ``learns_at``: the instant from which on `learn` is worth a call.
    """

    __slots__ = ("known", "learns_at")

    def __init__(self) -> None:
        self.known: Known = {}
        self.learns_at = 0

    def learn(self, data: bytes, status: int, now: int) -> None:
        """``data`` was a whole reply, and nothing else, as the parser says, and its connection is kept."""
        self.learns_at = now + PAUSE_NS
        head = data[: data.find(b"\r\n\r\n", 0, MOST_BYTES) + 4]
        if len(head) > 3 and has_length(head, status, len(data) - len(head)):
            if len(self.known) >= MOST:
                self.known.clear()
            self.known[len(data)] = head, status


def has_length(head: bytes, status: int, length: int) -> bool:
    """Whether ``head`` is one head, which says this status, and by which exactly so many bytes follow."""
    if head.count(b"\n") != head.count(b"\r\n"):
        return False
    parsed = parse_head(head)
    if parsed is None or parsed.status != status:
        return False
    if status in (204, 304):
        return length == 0  # whatever the head says
    said = [(name, value) for name, value in parsed.headers if name in ("content-length", "transfer-encoding")]
    return said == [("content-length", str(length))]
