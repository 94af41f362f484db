"""Metrics in OpenTelemetry's protocol (OTLP): the families that Prometheus scrapes, as an ``ExportMetricsServiceRequest``.

Pure functions from families to plain data, which is the document's JSON form; `metrics.otlp_protobuf` writes the same in
binary. Names, labels and meaning are those of ``/metrics``, so a collector that hands them on to Prometheus gives it the
series that it would have scraped: a counter's ``_total`` is put back there, and units are those that the names say already.

- A counter is a sum, cumulative and monotonic, and counts from ``started_ns``. A receiver knows by that that it began at 0.
- A histogram comes twice, as on ``/metrics``: by its bounds, and under its native name by exponential buckets. Those are
  Prometheus' native ones, counted from another end: number i holds what is above 2^(i/2ˢ), and not what is at most that.
- All numbers are doubles, as in Prometheus; 64-bit integers are decimal text in JSON.

Source: opentelemetry-proto, ``metrics.proto``, and "Metrics Data Model" of OpenTelemetry's specification.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from aurea_server.metrics.native_histograms import SCHEMA, ZERO_THRESHOLD
from aurea_server.metrics.protobuf import NativeFamily

Json = dict[str, Any]

CUMULATIVE = 2
"""``AGGREGATION_TEMPORALITY_CUMULATIVE``."""

UNITS = {"seconds": "s", "bytes": "By", "ratio": "1"}
"""Last word of a metric's name → its unit (UCUM). Others have none: Prometheus would add it to the name."""

ONLY_MOVED = ("_cost_usd", "_cost_by_currency", "_billed_quantity")
"""Endings of counters of which only series above 0 are sent. A server shows some hundred kinds of money from its start; a
run is billed by a few.
"""


class Span(NamedTuple):
    """Since when counters count, and the instant that all figures are of: ns since 1970."""

    started_ns: int
    now_ns: int


def list_metrics(families: Iterable[Metric], native: Iterable[NativeFamily], span: Span) -> Iterator[Json]:
    """One ``Metric`` for each family that has a figure."""
    for family in families:
        if (data := _describe(family, span)) is not None:
            yield {**_head(family), **data}
    for each in native:
        head = {"name": each.name, "description": each.about, "unit": "s"}
        yield {**head, "exponentialHistogram": _cumulative([_exponential_point(each, span)])}


def make_request(metrics: Iterable[object], resource: Mapping[str, str], version: str) -> Json:
    """The document. ``resource``: attributes of what is measured; ``version``: of the program that measures."""
    scope = {"scope": {"name": "aurea", "version": version}, "metrics": list(metrics)}
    return {"resourceMetrics": [{"resource": {"attributes": _attributes(resource)}, "scopeMetrics": [scope]}]}


def _head(family: Metric) -> Json:
    # An info's series has the ending, as in the text format.
    name = f"{family.name}_info" if family.type == "info" else family.name
    head = {"name": name, "description": family.documentation}
    unit = UNITS.get(family.name.rpartition("_")[2])
    return head if unit is None else {**head, "unit": unit}


def _describe(family: Metric, span: Span) -> Json | None:
    """The kind of the family with its points, None without one."""
    if family.type == "histogram":
        return {"histogram": _cumulative([_histogram_point(family.samples, span)])}
    since = {"startTimeUnixNano": str(span.started_ns)} if family.type == "counter" else {}
    only_moved = family.name.endswith(ONLY_MOVED)
    points = [
        {**since, **_point(sample, span)}
        for sample in family.samples
        # JSON has no infinity, and a sum of money that is one is no figure.
        if math.isfinite(sample.value) and (sample.value or not only_moved)
    ]
    if not points:
        return None
    if family.type == "counter":
        return {"sum": {**_cumulative(points), "isMonotonic": True}}
    return {"gauge": {"dataPoints": points}}


def _point(sample: Sample, span: Span) -> Json:
    point = {"timeUnixNano": str(span.now_ns), "asDouble": float(sample.value)}
    return {**point, "attributes": _attributes(sample.labels)} if sample.labels else point


def _histogram_point(samples: Iterable[Sample], span: Span) -> Json:
    """The one series of a histogram without labels. Prometheus counts what is at most a bound; here each count is of its own
    bucket, and the last bucket has no bound.
    """
    buckets = {float(each.labels["le"]): int(each.value) for each in samples if each.name.endswith("_bucket")}
    counts = [count - before for before, count in pairwise((0, *buckets.values()))]
    total = sum(each.value for each in samples if each.name.endswith("_sum"))
    return {
        **_instants(span),
        "count": str(sum(counts)),
        "sum": float(total),
        "bucketCounts": [str(count) for count in counts],
        "explicitBounds": [bound for bound in buckets if math.isfinite(bound)],
    }


def _exponential_point(family: NativeFamily, span: Span) -> Json:
    of = family.histogram
    point = {
        **_instants(span),
        "count": str(of.count),
        "sum": of.total,
        "scale": SCHEMA,
        "zeroCount": str(of.zeros),
        "zeroThreshold": ZERO_THRESHOLD,
    }
    if not of.numbers:
        return point
    # Without gaps: sixteen buckets an octave are a few hundred from a microsecond to a minute.
    first, last = of.numbers[0], of.numbers[-1]
    filled = dict(zip(of.numbers, of.counts, strict=True))
    counts = [str(filled.get(number, 0)) for number in range(first, last + 1)]
    # Prometheus numbers a bucket by its upper bound, OpenTelemetry by its lower one.
    return {**point, "positive": {"offset": first - 1, "bucketCounts": counts}}


def _instants(span: Span) -> Json:
    return {"startTimeUnixNano": str(span.started_ns), "timeUnixNano": str(span.now_ns)}


def _cumulative(points: list[Json]) -> Json:
    return {"dataPoints": points, "aggregationTemporality": CUMULATIVE}


def _attributes(labels: Mapping[str, str]) -> list[Json]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in labels.items()]
