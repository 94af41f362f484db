"""Messages between the server and its runner: length-prefixed msgpack of plain data, over one socket, with a size cap.

Nothing is ever pickled: what a runner sends is judged like what a client sends, since jobs run where it comes from.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

LENGTH = struct.Struct("<I")
MOST = 64 * 1024 * 1024
"""Bytes in one frame; larger values are sent in `parts`."""

PART = 1024 * 1024


class BadFrame(Exception):
    """The other side sent what no peer of ours sends."""


def pack(message: dict[str, Any]) -> bytes:
    """``message`` as one frame. Raises BadFrame where it is too large."""
    body = msgspec.msgpack.encode(message)
    if len(body) > MOST:
        raise BadFrame(f"a message of {len(body):,} bytes is more than {MOST:,}")
    return LENGTH.pack(len(body)) + body


def parts(value: bytes) -> Iterator[bytes]:
    """``value`` cut so that each piece fits into a frame."""
    for first in range(0, len(value), PART):
        yield value[first : first + PART]


def _length(head: bytes) -> int:
    (length,) = LENGTH.unpack(head)
    if length > MOST:
        raise BadFrame(f"a frame of {length:,} bytes is more than {MOST:,}")
    return int(length)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.msgpack.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadFrame(f"not a message: {error}") from None


async def read(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next message. Raises `asyncio.IncompleteReadError` at the end, `BadFrame` for anything else than a message."""
    return _decode(await reader.readexactly(_length(await reader.readexactly(LENGTH.size))))


def read_blocking(peer: socket.socket) -> dict[str, Any] | None:
    """The next message, for a thread; None when the other side is gone."""
    head = _exactly(peer, LENGTH.size)
    body = None if head is None else _exactly(peer, _length(head))
    return None if body is None else _decode(body)


def _exactly(peer: socket.socket, length: int) -> bytes | None:
    whole = bytearray()
    while len(whole) < length:
        try:
            piece = peer.recv(length - len(whole))
        except OSError:
            return None
        if not piece:
            return None
        whole += piece
    return bytes(whole)
