"""What exchanges are made of: the request, the steps of the server byte by byte, and what a client must make of it.

The truth is constructed beside the bytes, from RFC 9110 and 9112. It never comes from parsing them, so that no parser is
its own judge.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

CRLF = b"\r\n"
WHOLE = ("whole",)  # read the request to its end
HEAD = ("head",)  # read no more of it than its head
KEEP = ("keep",)  # wait for the next request on this connection
FINISH = ("finish",)  # send FIN, then read until the client closes
RESET = ("reset",)  # send RST
HANG = ("hang",)  # send nothing more until the client gives up
Step = tuple[str] | tuple[str, bytes] | tuple[str, float]


@dataclass(frozen=True)
class Asked:
    """The request of an exchange. A body that expects is sent after a 100, and its head says so.

    ``inflates``: the client undoes compression.
    """

    method: str = "GET"
    body: bytes = b""
    expects: bool = False
    inflates: bool = False


@dataclass(frozen=True)
class Truth:
    """What a client must say of an exchange: a reply with all of its body, or one of these failure classes.

    ``received`` counts the bytes of the reply from its first status line (of a 1xx) to its end, None where a failed exchange
    may have lost some. ``keeps`` says whether the connection must be used again; None where either is right. ``aside`` is a
    reply that a client may accept in place of the failure: what the RFCs leave to it.
    """

    status: int = 0
    body: bytes = b""
    failures: frozenset[str] = frozenset()
    received: int | None = None
    keeps: bool | None = True
    aside: tuple[int, bytes] | None = None


@dataclass(frozen=True)
class Exchange:
    kind: str
    asked: Asked
    steps: tuple[Step, ...]
    truth: Truth


@dataclass
class Reply:
    """A reply under construction: the wire's bytes, and what they mean."""

    status: int = 200
    reason: bytes = b"OK"
    version: bytes = b"HTTP/1.1"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    framed: bytes = b""

    def head(self) -> bytes:
        line = self.version + b" " + str(self.status).encode() + (b" " + self.reason if self.reason else b"") + CRLF
        return line + b"".join(name + b": " + value + CRLF for name, value in self.headers) + CRLF

    def raw(self) -> bytes:
        return self.head() + self.framed


def some_bytes(rng: random.Random, low: int = 0, high: int = 3000) -> bytes:
    return rng.randbytes(rng.randint(low, high))


def body_of(rng: random.Random) -> bytes:
    """Mostly small, now and then larger than any one read of a socket."""
    size = rng.choice([0, 1, 2, 10, 100, 1000, rng.randint(0, 5000), rng.randint(0, 5000), rng.randint(0, 200_000)])
    return rng.randbytes(size)


def some_headers(rng: random.Random) -> list[tuple[bytes, bytes]]:
    pool = [
        (b"Server", b"hostile"),
        (b"server-timing", b"db;dur=53, app;dur=47.2"),
        (b"X-Empty", b""),
        (b"Set-Cookie", b"a=b; Path=/"),
        (b"Set-Cookie", b"c=d"),
        (b"X-Latin", b"na\xefve"),
        (b"X-Spaces", b"  a  b \t "),
        (b"X-Long", b"v" * rng.randint(1, 2000)),
        (b"Vary", b"*"),
        (b"!#$%&'*+-.^_`|~", b"every token character"),
    ]
    return rng.sample(pool, rng.randint(0, 5))


def with_length(rng: random.Random, body: bytes, **more: object) -> Reply:
    name = rng.choice([b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
    length = str(len(body)).encode()
    headers = [
        *some_headers(rng),
        (name, rng.choice([length, length, b"0" * rng.randint(1, 4) + length, length + b" "])),
    ]
    rng.shuffle(headers)
    return Reply(headers=headers, body=body, framed=body, **more)  # type: ignore[arg-type]


def in_chunks(rng: random.Random, body: bytes, *, extensions: bool = True, trailers: bool = True) -> bytes:
    out, at = b"", 0
    while at < len(body):
        size = min(len(body) - at, rng.choice([1, 2, 7, 100, 1000, 100_000]))
        extension = rng.choice([b"", b"", b";a", b";a=b", b';a="q;\\"r"', b";x=" + b"y" * 200]) if extensions else b""
        digits = rng.choice(["{:x}", "{:X}", "{:04x}"]).format(size).encode()
        out += digits + extension + CRLF + body[at : at + size] + CRLF
        at += size
    out += rng.choice([b"0", b"000"]) + CRLF
    for _ in range(rng.choice([0, 0, 1, 3]) if trailers else 0):
        out += b"X-Trailer: " + rng.choice([b"", b"value", b"v" * 500]) + CRLF
    return out + CRLF


def chunked(rng: random.Random, body: bytes, **more: object) -> Reply:
    headers = [*some_headers(rng), (rng.choice([b"Transfer-Encoding", b"transfer-encoding"]), b"chunked")]
    rng.shuffle(headers)
    return Reply(headers=headers, body=body, framed=in_chunks(rng, body), **more)  # type: ignore[arg-type]


def kept(rng: random.Random) -> Reply:
    """A complete reply after which the connection may be used again."""
    return rng.choice([with_length, chunked])(rng, body_of(rng))


def pieces(rng: random.Random, raw: bytes) -> list[Step]:
    """The bytes in one send or several, with pauses between them that let the client read each for itself."""
    way = rng.choice(["whole", "whole", "whole", "two", "few", "bytes", "end"])
    if way == "whole" or len(raw) < 2:
        return [("send", raw)] if raw else []
    if way == "bytes" and len(raw) < 600:
        return [("send", raw[at : at + 1]) for at in range(len(raw))]
    cuts = {"two": 1, "few": rng.randint(2, 6)}.get(way, 1)
    at = sorted({rng.randrange(1, min(len(raw), 4000)) for _ in range(cuts)}) if way != "end" else [len(raw) - 1]
    steps: list[Step] = []
    for start, stop in zip([0, *at], [*at, len(raw)], strict=True):
        steps += [("send", raw[start:stop]), ("pause", 0.001)]
    return steps[:-1]


def asked(rng: random.Random) -> Asked:
    return rng.choice(
        [Asked(), Asked(), Asked(), Asked("POST", some_bytes(rng)), Asked("PUT", some_bytes(rng, 0, 100_000))]
    )


def exchange(rng: random.Random, raw: bytes, truth: Truth, end: Step = KEEP, question: Asked | None = None) -> Exchange:
    return Exchange("", question or asked(rng), (WHOLE, *pieces(rng, raw), end), truth)


def answered(
    rng: random.Random, reply: Reply, end: Step = KEEP, *, keeps: bool | None = True, **more: object
) -> Exchange:
    """An exchange whose reply is right, and ends where its bytes end."""
    raw = reply.raw()
    return exchange(rng, raw, Truth(reply.status, reply.body, received=len(raw), keeps=keeps), end, **more)  # type: ignore[arg-type]


def failed(
    rng: random.Random, raw: bytes, *classes: str, aside: Reply | None = None, end: Step | None = None
) -> Exchange:
    """An exchange that a client must fail with one of the classes, or may take for the reply ``aside`` and go on."""
    accepted = None if aside is None else (aside.status, aside.body)
    truth = Truth(failures=frozenset(classes), keeps=False if aside is None else None, aside=accepted)
    return exchange(rng, raw, truth, end or (FINISH if aside is None else KEEP))
