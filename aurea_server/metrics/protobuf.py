"""Prometheus' protobuf exposition, the only one that can carry native histograms.

Each family is one message ``io.prometheus.client.MetricFamily``, after its length. The encoding is small enough to write by
hand: a field is its number and wire type as a varint, then its value. Field numbers are those of ``metrics.proto`` in
prometheus/client_model; they are part of a wire format and never change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

from aurea_server.metrics.native_histograms import SCHEMA, ZERO_THRESHOLD, NativeHistogram

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

_COUNTER, _GAUGE, _UNTYPED, _HISTOGRAM = 0, 1, 3, 4
_TYPES = {"counter": _COUNTER, "gauge": _GAUGE, "info": _GAUGE, "histogram": _HISTOGRAM}
_VARINT, _DOUBLE, _BYTES = 0, 1, 2


class NativeFamily(NamedTuple):
    """One native histogram without labels."""

    name: str
    about: str
    histogram: NativeHistogram


def encode_families(families: Iterable[Metric], native: Iterable[NativeFamily]) -> bytes:
    """All of them, each after its length."""
    written = [_encode_family(family) for family in families]
    written += [_encode_native_family(family) for family in native]
    return b"".join(_write_varint(len(each)) + each for each in written)


# --- Families ------------------------------------------------------------------------------------------------------------


def _encode_family(family: Metric) -> bytes:
    kind = _TYPES.get(family.type, _UNTYPED)
    # In this format, as in the text format, a counter's name has its ending, and the one of an info, too.
    name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
    if kind == _HISTOGRAM:
        metrics = [_encode_histogram(labels, samples) for labels, samples in _group_by_labels(family.samples)]
    else:
        metrics = [
            _encode_labels(sample.labels) + _encode_value(kind, sample)
            for sample in family.samples
            if sample.name == name or kind == _UNTYPED
        ]
    head = _text(1, name) + _text(2, family.documentation) + _number(3, kind)
    return head + b"".join(_message(4, metric) for metric in metrics)


def _encode_native_family(family: NativeFamily) -> bytes:
    of = family.histogram
    spans = b"".join(_message(12, _signed(1, gap) + _number(2, length)) for gap, length in of.spans)
    deltas = b"".join(_write_varint(_zigzag(delta)) for delta in of.deltas)
    content = _number(1, of.count) + _double(2, of.total) + _signed(5, SCHEMA)
    content += _double(6, ZERO_THRESHOLD) + _number(7, of.zeros) + spans + _message(13, deltas)
    head = _text(1, family.name) + _text(2, family.about) + _number(3, _HISTOGRAM)
    return head + _message(4, _message(7, content))


def _encode_value(kind: int, sample: Sample) -> bytes:
    exemplar = b"" if sample.exemplar is None or kind != _COUNTER else _message(2, _encode_exemplar(sample.exemplar))
    field = {_COUNTER: 3, _GAUGE: 2, _UNTYPED: 5}[kind]
    return _message(field, _double(1, float(sample.value)) + exemplar)


def _group_by_labels(samples: Iterable[Sample]) -> list[tuple[dict[str, str], list[Sample]]]:
    """The samples of each histogram of a family: those whose labels differ in ``le`` only."""
    groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        labels = tuple((name, value) for name, value in sample.labels.items() if name != "le")
        groups.setdefault(labels, []).append(sample)
    return [(dict(labels), found) for labels, found in groups.items()]


def _encode_histogram(labels: Mapping[str, str], samples: list[Sample]) -> bytes:
    content = b""
    for sample in samples:
        ending = sample.name.rpartition("_")[2]
        if ending == "count":
            content += _number(1, int(sample.value))
        elif ending == "sum":
            content += _double(2, float(sample.value))
        elif ending == "bucket":
            exemplar = b"" if sample.exemplar is None else _message(3, _encode_exemplar(sample.exemplar))
            bucket = _number(1, int(sample.value)) + _double(2, float(sample.labels["le"])) + exemplar
            content += _message(3, bucket)
    return _encode_labels(labels) + _message(7, content)


def _encode_labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(_message(1, _text(1, name) + _text(2, value)) for name, value in labels.items())


def _encode_exemplar(exemplar: Exemplar) -> bytes:
    content = _encode_labels(exemplar.labels) + _double(2, float(exemplar.value))
    if exemplar.timestamp is None:
        return content
    seconds, rest = divmod(float(exemplar.timestamp), 1.0)
    return content + _message(3, _number(1, int(seconds)) + _number(2, int(rest * 1e9)))


# --- Fields --------------------------------------------------------------------------------------------------------------


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _tag(field: int, wire: int) -> bytes:
    return _write_varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _tag(field, _VARINT) + _write_varint(value)


def _signed(field: int, value: int) -> bytes:
    return _tag(field, _VARINT) + _write_varint(_zigzag(value))


def _double(field: int, value: float) -> bytes:
    return _tag(field, _DOUBLE) + struct.pack("<d", value)


def _message(field: int, content: bytes) -> bytes:
    return _tag(field, _BYTES) + _write_varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())
