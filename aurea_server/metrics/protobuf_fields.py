"""The encoding of protocol buffers: a field is its number and wire type as a varint, then its value.

Small enough to write by hand. Two formats of metrics are made of it: Prometheus' own (`metrics.protobuf`) and
OpenTelemetry's (`metrics.otlp_protobuf`). Source: "Encoding" in the documentation of protocol buffers.
"""

from __future__ import annotations

import struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_LONGEST_VARINT = 10
"""Bytes of a number of 64 bits, seven to a byte."""


def write_varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def zigzag(value: int) -> int:
    """Signed numbers by their distance from 0, so that small ones are short."""
    return 2 * value if value >= 0 else -2 * value - 1


def tag(field: int, wire: int) -> bytes:
    return write_varint(field << 3 | wire)


def number_field(field: int, value: int) -> bytes:
    return tag(field, VARINT) + write_varint(value)


def signed_field(field: int, value: int) -> bytes:
    return tag(field, VARINT) + write_varint(zigzag(value))


def double_field(field: int, value: float) -> bytes:
    return tag(field, FIXED64) + struct.pack("<d", value)


def message_field(field: int, content: bytes) -> bytes:
    return tag(field, BYTES) + write_varint(len(content)) + content


def text_field(field: int, text: str) -> bytes:
    return message_field(field, text.encode())


def read_fields(content: bytes) -> dict[int, int | bytes]:
    """Field number → its last value: a number, or bytes. Raises ValueError for what is no message."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(content):
        key, at = _read_varint(content, at)
        wire = key & 7
        if wire == VARINT:
            found[key >> 3], at = _read_varint(content, at)
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(wire)
        if wire == BYTES:
            length, at = _read_varint(content, at)
        if length is None or at + length > len(content):
            raise ValueError("this is no protocol buffer")
        found[key >> 3], at = content[at : at + length], at + length
    return found


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position, byte in enumerate(content[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return value, at + position + 1
    raise ValueError("this is no protocol buffer")
