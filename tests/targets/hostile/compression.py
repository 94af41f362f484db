"""Kinds of exchanges with a compressed body, which the client undoes: whole ones, and damaged ones."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

from tests.targets.hostile.parts import Asked, Exchange, Truth, answered, chunked, exchange, some_bytes, with_length


def packed(rng: random.Random, coding: bytes, pack: Callable[[bytes], bytes]) -> Exchange:
    """The client undoes the compression; the bytes that it counts are those of the wire."""
    body = some_bytes(rng) + b"again and again " * rng.randint(0, 500)
    reply = rng.choice([with_length, chunked])(rng, pack(body))
    reply.body = body
    reply.headers.append((b"Content-Encoding", coding))
    return answered(rng, reply, question=Asked(inflates=True))


def compressed(rng: random.Random) -> Exchange:
    return packed(rng, *rng.choice([(b"gzip", gzip_once), (b"GZIP", gzip_once), (b"deflate", zlib.compress)]))


def compressed_by_old_name(rng: random.Random) -> Exchange:
    """x-gzip is gzip (RFC 9110, 8.4.1.3)."""
    return packed(rng, b"x-gzip", gzip_once)


def compressed_in_parts(rng: random.Random) -> Exchange:
    """Gzip may have several members, one after the other (RFC 1952, 2.2)."""
    return packed(rng, b"gzip", lambda body: gzip_once(body[:100]) + gzip_once(body[100:]))


def raw_deflate(rng: random.Random) -> Exchange:
    """What some servers send for deflate, which should have the header of zlib (RFC 9110, 8.4.1.2)."""
    return packed(rng, b"deflate", lambda body: zlib.compress(body, wbits=-15))


def not_compressed(rng: random.Random) -> Exchange:
    """A client that would undo compression meets none."""
    return packed(rng, b"identity", bytes)


def gzip_once(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def badly_packed(rng: random.Random, packed: bytes) -> Exchange:
    """A whole message whose body does not unpack."""
    reply = with_length(rng, packed)
    reply.headers.append((b"Content-Encoding", b"gzip"))
    truth = Truth(failures=frozenset({"protocol"}), keeps=None)
    return exchange(rng, reply.raw(), truth, question=Asked(inflates=True))


def bad_compression(rng: random.Random) -> Exchange:
    """Damaged in the middle, or of another format."""
    packed = gzip.compress(some_bytes(rng, 100), mtime=0)
    return badly_packed(rng, rng.choice([packed[:10] + b"\xff" * 20 + packed[30:], b"no gzip at all"]))


def cut_compression(rng: random.Random) -> Exchange:
    """Compressed bytes without their end, though the message is whole."""
    packed = gzip.compress(some_bytes(rng, 100), mtime=0)
    return badly_packed(rng, packed[: rng.randrange(12, len(packed) - 8)])


COMPRESSION: dict[str, tuple[float, Callable[[random.Random], Exchange]]] = {
    maker.__name__: (weight, maker)
    for weight, maker in [
        (2, compressed),
        (0.5, compressed_by_old_name),
        (0.5, compressed_in_parts),
        (0.5, raw_deflate),
        (0.5, not_compressed),
        (0.5, bad_compression),
        (0.5, cut_compression),
    ]
}
