"""Messages between a process and the one that supervises it: length-prefixed msgpack of plain data, with a size cap."""

# Nothing is ever pickled. What a process sends is judged like what a client sends over the network, since jobs run where
# it comes from: a job may write into the socket whatever it likes, and unpickling that would run its code in the
# supervisor. So every message is plain data, every length is checked before memory is taken for it, and the reader of
# a message decodes it into a type of its own before anything in it is believed.

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

Message = dict[str, Any]

# The order of bytes is fixed, not the machine's: frames may come to cross machines.
LENGTH = struct.Struct("<I")
MAX_FRAME = 64 * 1024 * 1024
"""Bytes in one frame; values that may be larger are sent by `split`."""

PIECE = 1024 * 1024


class BadFrame(Exception):
    """The other side sent what no process of ours sends."""


def pack(message: Message) -> bytes:
    """``message`` as one frame. Raises BadFrame where it is too large."""
    body = msgspec.msgpack.encode(message)
    if len(body) > MAX_FRAME:
        raise BadFrame(f"a message of {len(body):,} bytes is more than {MAX_FRAME:,}")
    return LENGTH.pack(len(body)) + body


def split(name: str, value: bytes) -> Iterator[Message]:
    """``value`` as messages that each fit into a frame; `Pieces` puts it together again.

    Pieces of a megabyte also bound what one message holds up: between two of them the receiver's event loop turns.
    """
    view = memoryview(value)
    for first in range(0, len(value), PIECE):
        yield {"piece": name, "content": view[first : first + PIECE]}


class Pieces:
    """Values that arrive in pieces, by name; at most ``most`` bytes of all of them together."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._values: dict[str, bytearray] = {}
        self._sizes: dict[str, int] = {}

    def add(self, message: Message) -> None:
        """One more piece. Raises BadFrame where there are too many bytes, and TypeError or KeyError where it is none."""
        content = message["content"]
        if not isinstance(content, bytes) or not isinstance(message["piece"], str):
            raise BadFrame("a piece is no bytes")
        # Names cost memory too: a stream of empty pieces, each with a name of its own, must reach the limit as well.
        name, size = message["piece"], len(content) + len(message["piece"])
        self._size += size
        if self._size > self._most:
            raise BadFrame(f"more than {self._most:,} bytes were sent in pieces")
        self._values.setdefault(name, bytearray()).extend(content)
        self._sizes[name] = self._sizes.get(name, 0) + size

    def take(self, name: str) -> bytes:
        """The whole value, once, which makes room for others; empty if no piece of it came."""
        self._size -= self._sizes.pop(name, 0)
        return bytes(self._values.pop(name, b""))


def _checked_length(head: bytes) -> int:
    (length,) = LENGTH.unpack(head)
    if length > MAX_FRAME:  # before anything is read: a forged length must not make us wait for gigabytes
        raise BadFrame(f"a frame of {length:,} bytes is more than {MAX_FRAME:,}")
    return int(length)


def _decode(body: bytes) -> Message:
    try:
        return msgspec.msgpack.decode(body, type=Message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # msgspec lets the second through where it is a key
        raise BadFrame(f"not a message: {error}") from None


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message. Raises `asyncio.IncompleteReadError` at the end, `BadFrame` for anything else than a message."""
    return _decode(await reader.readexactly(_checked_length(await reader.readexactly(LENGTH.size))))


def read_blocking(peer: socket.socket) -> Message | None:
    """The next message, for a thread; None when the other side is gone."""
    head = _read_exactly(peer, LENGTH.size)
    body = None if head is None else _read_exactly(peer, _checked_length(head))
    return None if body is None else _decode(body)


def _read_exactly(peer: socket.socket, length: int) -> bytes | None:
    # `recv` returns what is there, which may be any part of it; a buffer of `length` is not made before it is filled, so
    # a forged length costs nothing but the wait.
    whole = bytearray()
    while len(whole) < length:
        try:
            piece = peer.recv(length - len(whole))
        except OSError:  # a job may have closed the descriptor under us: the same as a supervisor that is gone
            return None
        if not piece:
            return None
        whole += piece
    return bytes(whole)
