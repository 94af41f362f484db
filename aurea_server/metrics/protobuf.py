"""Prometheus' protobuf exposition, the only one that can carry native histograms.

Each family is one message ``io.prometheus.client.MetricFamily``, after its length. The encoding is small enough to write by
hand: a field is its number and wire type as a varint, then its value. Field numbers are those of ``metrics.proto`` in
prometheus/client_model; they are part of a wire format and never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

from aurea_server.metrics.native_histograms import SCHEMA, ZERO_THRESHOLD, NativeHistogram
from aurea_server.metrics.protobuf_fields import (
    double_field,
    message_field,
    number_field,
    signed_field,
    text_field,
    write_varint,
    zigzag,
)

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

_COUNTER, _GAUGE, _UNTYPED, _HISTOGRAM = 0, 1, 3, 4
_TYPES = {"counter": _COUNTER, "gauge": _GAUGE, "info": _GAUGE, "histogram": _HISTOGRAM}


class NativeFamily(NamedTuple):
    """One native histogram without labels."""

    name: str
    about: str
    histogram: NativeHistogram


def encode_families(families: Iterable[Metric], native: Iterable[NativeFamily]) -> bytes:
    """All of them, each after its length."""
    written = [_encode_family(family) for family in families]
    written += [_encode_native_family(family) for family in native]
    return b"".join(write_varint(len(each)) + each for each in written)


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
    head = text_field(1, name) + text_field(2, family.documentation) + number_field(3, kind)
    return head + b"".join(message_field(4, metric) for metric in metrics)


def _encode_native_family(family: NativeFamily) -> bytes:
    of = family.histogram
    spans = b"".join(message_field(12, signed_field(1, gap) + number_field(2, length)) for gap, length in of.spans)
    deltas = b"".join(write_varint(zigzag(delta)) for delta in of.deltas)
    content = number_field(1, of.count) + double_field(2, of.total) + signed_field(5, SCHEMA)
    content += double_field(6, ZERO_THRESHOLD) + number_field(7, of.zeros) + spans + message_field(13, deltas)
    head = text_field(1, family.name) + text_field(2, family.about) + number_field(3, _HISTOGRAM)
    return head + message_field(4, message_field(7, content))


def _encode_value(kind: int, sample: Sample) -> bytes:
    exemplar = (
        b"" if sample.exemplar is None or kind != _COUNTER else message_field(2, _encode_exemplar(sample.exemplar))
    )
    field = {_COUNTER: 3, _GAUGE: 2, _UNTYPED: 5}[kind]
    return message_field(field, double_field(1, float(sample.value)) + exemplar)


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
            content += number_field(1, int(sample.value))
        elif ending == "sum":
            content += double_field(2, float(sample.value))
        elif ending == "bucket":
            exemplar = b"" if sample.exemplar is None else message_field(3, _encode_exemplar(sample.exemplar))
            bucket = number_field(1, int(sample.value)) + double_field(2, float(sample.labels["le"])) + exemplar
            content += message_field(3, bucket)
    return _encode_labels(labels) + message_field(7, content)


def _encode_labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(message_field(1, text_field(1, name) + text_field(2, value)) for name, value in labels.items())


def _encode_exemplar(exemplar: Exemplar) -> bytes:
    content = _encode_labels(exemplar.labels) + double_field(2, float(exemplar.value))
    if exemplar.timestamp is None:
        return content
    seconds, rest = divmod(float(exemplar.timestamp), 1.0)
    return content + message_field(3, number_field(1, int(seconds)) + number_field(2, int(rest * 1e9)))
