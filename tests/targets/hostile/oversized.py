"""Kinds of exchanges in which parts of the reply are larger than a client should take: nothing may go on for ever."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.targets.hostile.parts import CRLF, Exchange, Reply, failed

OK = b"HTTP/1.1 200 OK\r\n"
THREE = b"Content-Length: 3\r\n\r\nabc"
three = Reply(body=b"abc")


def long_extension(rng: random.Random) -> Exchange:
    """An extension of a chunk that goes on and on: nothing of it is the body, and it must not be read for ever."""
    raw = (
        OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=" + b"y" * rng.choice([10_000, 100_000]) + b"\r\nabc\r\n0\r\n\r\n"
    )
    return failed(rng, raw, "protocol", "too_large", aside=three)


def large_head(rng: random.Random) -> Exchange:
    """More than 64 KiB of headers: in one line, in many, in a name, in the reason."""
    size = rng.choice([70_000, 200_000, 1_000_000])
    raw = rng.choice(
        [
            lambda: OK + b"X-Long: " + b"v" * size + CRLF + THREE,
            lambda: OK + b"X-Short: value\r\n" * (size // 16) + THREE,
            lambda: OK + b"N" * size + b": v" + CRLF + THREE,
            lambda: b"HTTP/1.1 200 " + b"r" * size + CRLF + THREE,
        ]
    )()
    return failed(rng, raw, "too_large", aside=three)


def endless_head(rng: random.Random) -> Exchange:
    """A header that does not end, until the connection does: more than 64 KiB of it have come."""
    return failed(rng, OK + b"X-Endless: " + b"v" * rng.choice([70_000, 1_000_000]), "too_large")


def endless_interim(rng: random.Random) -> Exchange:
    """1xx without end: a client gives up at some bound, or at the time limit."""
    raw = Reply(102, b"Processing").raw() * rng.choice([5_000, 20_000])
    return failed(rng, raw + OK + THREE, "too_large", "protocol", aside=three)


def large_trailers(rng: random.Random) -> Exchange:
    framed = b"3\r\nabc\r\n0\r\n" + b"X-Trailer: value\r\n" * rng.choice([6_000, 30_000]) + CRLF
    return failed(rng, OK + b"Transfer-Encoding: chunked\r\n\r\n" + framed, "too_large", "protocol", aside=three)


OVERSIZED: dict[str, tuple[float, Callable[[random.Random], Exchange]]] = {
    maker.__name__: (weight, maker)
    for weight, maker in [
        (1, long_extension),
        (1, large_head),
        (0.5, endless_head),
        (1, endless_interim),
        (1, large_trailers),
    ]
}
