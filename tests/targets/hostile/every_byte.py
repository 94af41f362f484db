"""A few replies of every form, split at every byte and cut off at every byte, as ``/split/N/AT`` and ``/cut/N/AT``."""

from __future__ import annotations

from collections.abc import Iterator

from tests.targets.hostile.parts import FINISH, KEEP, WHOLE, Asked, Exchange, Truth

HEADERS = b"Server: hostile\r\nX-Empty:\r\nX-Other: a, b\r\n"
REPLIES: list[tuple[Asked, bytes, bytes, bool]] = [
    (Asked(), b"HTTP/1.1 200 OK\r\n" + HEADERS + b"Content-Length: 11\r\n\r\nhello world", b"hello world", True),
    (
        Asked(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n",
        b"hello world",
        True,
    ),
    (Asked(), b"HTTP/1.1 200 OK\r\n" + HEADERS + b"\r\nhello world", b"hello world", False),
    (Asked(), b"HTTP/1.0 200\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", False),
    (Asked("HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n" + HEADERS + b"\r\n", b"", True),
    (Asked("HEAD"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"", True),
    (Asked(), b"HTTP/1.1 204 No Content\r\nContent-Length: 11\r\n\r\n", b"", True),
    (Asked(), b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"", True),
    (
        Asked(),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ok",
        True,
    ),
    (Asked("POST", b"a body"), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"", False),
]
"""The request, the reply, its body, and whether its connection may be kept."""


def every_byte() -> Iterator[str]:
    """The paths of all of them."""
    for number, (_, raw, _, _) in enumerate(REPLIES):
        for at in range(len(raw)):
            yield f"/split/{number}/{at}"
            yield f"/cut/{number}/{at}"


def exchange_at(path: str) -> Exchange:
    _, what, number, place = path.split("/")
    asked, raw, body, keeps = REPLIES[int(number)]
    at = int(place)
    if what == "cut":
        return Exchange("cut", asked, (WHOLE, *([("send", raw[:at])] if at else []), FINISH), cut_truth(raw, body, at))
    steps = (
        WHOLE,
        *([("send", raw[:at]), ("pause", 0.001)] if at else []),
        ("send", raw[at:]),
        KEEP if keeps else FINISH,
    )
    return Exchange("split", asked, steps, Truth(status_of(raw), body, received=len(raw), keeps=keeps))


def status_of(raw: bytes) -> int:
    return next(status for status in (204, 304, 200) if b" %d" % status in raw)


def cut_truth(raw: bytes, body: bytes, at: int) -> Truth:
    """Nothing but a body that the end of the connection delimits may end anywhere."""
    head = raw.find(b"\r\n\r\n") + 4
    delimited = b"Length" in raw or b"chunked" in raw
    if not delimited and at >= head:
        return Truth(200, body[: at - head], received=at, keeps=False)
    return Truth(failures=frozenset({"closed_early"}), keeps=False)
