"""OTLP in binary: the JSON form of a request as protocol buffers, and what a collector answers in either form.

`MESSAGES` is an excerpt of opentelemetry-proto 1: which members of a document stand in which field, and how. The field
numbers are part of a wire format and never change. Binary is the default, since some receivers know nothing else, and
others lose numbers of the JSON form.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from aurea_server.metrics.protobuf_fields import (
    BYTES,
    FIXED64,
    VARINT,
    message_field,
    read_fields,
    tag,
    write_varint,
    zigzag,
)

# --- How a value is written: its wire type, and what makes bytes of it ---------------------------------------------------


class Scalar(NamedTuple):
    """``wire``: `BYTES` is written after its length."""

    wire: int
    write: Callable[[Any], bytes]


TEXT = Scalar(BYTES, str.encode)
DOUBLE = Scalar(FIXED64, struct.Struct("<d").pack)
FIXED = Scalar(FIXED64, lambda value: struct.pack("<Q", int(value)))
NUMBER = Scalar(VARINT, lambda value: write_varint(int(value)))
SIGNED = Scalar(VARINT, lambda value: write_varint(zigzag(value)))
# Lists of numbers are packed: one field with all of them.
DOUBLES = Scalar(BYTES, lambda values: struct.pack(f"<{len(values)}d", *values))
FIXEDS = Scalar(BYTES, lambda values: struct.pack(f"<{len(values)}Q", *map(int, values)))
NUMBERS = Scalar(BYTES, lambda values: b"".join(write_varint(int(value)) for value in values))

_SERIES: dict[str, tuple[int, Scalar | str]] = {
    "dataPoints": (1, "NumberDataPoint"),
    "aggregationTemporality": (2, NUMBER),
    "isMonotonic": (3, NUMBER),
}

MESSAGES: dict[str, dict[str, tuple[int, Scalar | str]]] = {
    "ExportMetricsServiceRequest": {"resourceMetrics": (1, "ResourceMetrics")},
    "ResourceMetrics": {"resource": (1, "Resource"), "scopeMetrics": (2, "ScopeMetrics")},
    "Resource": {"attributes": (1, "KeyValue")},
    "KeyValue": {"key": (1, TEXT), "value": (2, "AnyValue")},
    "AnyValue": {"stringValue": (1, TEXT)},
    "ScopeMetrics": {"scope": (1, "InstrumentationScope"), "metrics": (2, "Metric")},
    "InstrumentationScope": {"name": (1, TEXT), "version": (2, TEXT)},
    "Metric": {
        "name": (1, TEXT),
        "description": (2, TEXT),
        "unit": (3, TEXT),
        "gauge": (5, "Gauge"),
        "sum": (7, "Sum"),
        "histogram": (9, "Histogram"),
        "exponentialHistogram": (10, "ExponentialHistogram"),
    },
    "Gauge": _SERIES,
    "Sum": _SERIES,
    "Histogram": _SERIES | {"dataPoints": (1, "HistogramDataPoint")},
    "ExponentialHistogram": _SERIES | {"dataPoints": (1, "ExponentialHistogramDataPoint")},
    "NumberDataPoint": {
        "startTimeUnixNano": (2, FIXED),
        "timeUnixNano": (3, FIXED),
        "asDouble": (4, DOUBLE),
        "attributes": (7, "KeyValue"),
    },
    "HistogramDataPoint": {
        "startTimeUnixNano": (2, FIXED),
        "timeUnixNano": (3, FIXED),
        "count": (4, FIXED),
        "sum": (5, DOUBLE),
        "bucketCounts": (6, FIXEDS),
        "explicitBounds": (7, DOUBLES),
    },
    "ExponentialHistogramDataPoint": {
        "startTimeUnixNano": (2, FIXED),
        "timeUnixNano": (3, FIXED),
        "count": (4, FIXED),
        "sum": (5, DOUBLE),
        "scale": (6, SIGNED),
        "zeroCount": (7, FIXED),
        "positive": (8, "Buckets"),
        "zeroThreshold": (14, DOUBLE),
    },
    "Buckets": {"offset": (1, SIGNED), "bucketCounts": (2, NUMBERS)},
}
"""Message → member of its JSON form → number of the field, and how it is written: by a scalar, or as a message."""


def encode_message(message: str, document: dict[str, Any]) -> bytes:
    """``document``, the JSON form of ``message``, in binary."""
    fields = MESSAGES[message]
    return b"".join(_encode_field(*fields[member], value) for member, value in document.items())


def encode_request(request: dict[str, Any], metrics: Iterable[bytes]) -> bytes:
    """``request``, which has no metrics, with ``metrics``, each of which is a `Metric` in binary."""
    (of_resource,) = request["resourceMetrics"]
    (of_scope,) = of_resource["scopeMetrics"]
    # A repeated field may stand anywhere in its message, so the metrics simply follow.
    number, _ = MESSAGES["ScopeMetrics"]["metrics"]
    scope = encode_message("ScopeMetrics", of_scope) + b"".join(message_field(number, each) for each in metrics)
    content = encode_message("ResourceMetrics", {"resource": of_resource["resource"]}) + message_field(2, scope)
    return message_field(1, content)


def _encode_field(field: int, kind: Scalar | str, value: Any) -> bytes:
    if isinstance(kind, str):
        documents = value if isinstance(value, list) else [value]
        return b"".join(message_field(field, encode_message(kind, each)) for each in documents)
    content = kind.write(value)
    return message_field(field, content) if kind.wire == BYTES else tag(field, kind.wire) + content


# --- What a collector answers --------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """``rejected``: points that the collector did not take; ``text``: what it says of them, or why it refused all."""

    rejected: int = 0
    text: str = ""


NOTHING_SAID = Answer()


def read_answer(content: bytes, *, accepted: bool, is_json: bool) -> Answer:
    """What stands in the body of an answer: ``ExportMetricsServiceResponse`` where it was ``accepted``, else
    ``google.rpc.Status``. Anything else says nothing: a proxy may have answered.
    """
    try:
        return _read_json(content, accepted) if is_json else _read_binary(content, accepted)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return NOTHING_SAID


def _read_json(content: bytes, accepted: bool) -> Answer:
    document = json.loads(content or b"{}")
    if not accepted:
        return Answer(0, str(document.get("message") or ""))
    partial = document.get("partialSuccess") or {}
    return Answer(int(partial.get("rejectedDataPoints") or 0), str(partial.get("errorMessage") or ""))


def _read_binary(content: bytes, accepted: bool) -> Answer:
    fields = read_fields(content)
    if not accepted:
        return Answer(0, _as_bytes(fields.get(2)).decode())
    partial = read_fields(_as_bytes(fields.get(1)))
    rejected = partial.get(1, 0)
    return Answer(rejected if isinstance(rejected, int) and rejected < 2**63 else 0, _as_bytes(partial.get(2)).decode())


def _as_bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""
