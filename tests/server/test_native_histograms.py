"""Native histograms and the protobuf that carries them, read back by a decoder that knows wire types and nothing else."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aurea_engine import LatencyHistogram
from aurea_engine.records.batch import NS
from aurea_server.http.app import create_app
from aurea_server.metrics.native_histograms import SCHEMA, make_native
from aurea_server.settings.settings import Settings

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.9"
ACCEPT = f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
"""As Prometheus 2.42 asks with native histograms on."""


def read_varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (content[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if content[at - 1] < 0x80:
            return value, at


def read_fields(content: bytes) -> dict[int, list[Any]]:
    """Field number → its values: numbers, doubles, bytes."""
    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(content):
        tag, at = read_varint(content, at)
        value: Any
        if tag & 7 == 0:
            value, at = read_varint(content, at)
        elif tag & 7 == 1:
            value, at = struct.unpack_from("<d", content, at)[0], at + 8
        else:
            length, at = read_varint(content, at)
            value, at = content[at : at + length], at + length
        found.setdefault(tag >> 3, []).append(value)
    return found


def read_families(content: bytes) -> Iterator[dict[int, list[Any]]]:
    at = 0
    while at < len(content):
        length, at = read_varint(content, at)
        yield read_fields(content[at : at + length])
        at += length


def unzigzag(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -(value + 1 >> 1)


def read_buckets(histogram: dict[int, list[Any]]) -> dict[int, int]:
    """Number of a bucket → its count, as a reader puts spans and deltas together."""
    spans = [read_fields(span) for span in histogram.get(12, [])]
    content, deltas, at = histogram[13][0], [], 0
    while at < len(content):
        value, at = read_varint(content, at)
        deltas.append(unzigzag(value))
    found, number, count, left = {}, 0, 0, iter(deltas)
    for span in spans:
        number += unzigzag(span[1][0])
        for _ in range(span[2][0]):
            count += next(left)
            found[number] = count
            number += 1
    assert next(left, None) is None
    return found


def find_quantile(buckets: dict[int, int], zeros: int, q: float) -> int:
    """The number of the bucket that the quantile falls into."""
    rank, running = q * (zeros + sum(buckets.values())), zeros
    for number, count in sorted(buckets.items()):
        running += count
        if running >= rank:
            return number
    raise AssertionError("no bucket is left")


@pytest.mark.parametrize("seed", range(6))
def test_quantiles_are_within_one_bucket(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seconds = rng.lognormal(rng.uniform(-9, 3), rng.uniform(0.1, 3), 20_000)
    histogram = LatencyHistogram()
    histogram.record(np.concatenate([np.zeros(50, np.int64), (seconds * NS).astype(np.int64) + 1]))
    native = make_native(histogram)
    assert native.count == 20_050 == native.zeros + sum(np.cumsum(native.deltas))
    assert native.total == histogram.total_seconds
    numbers, at = [], 0
    for gap, length in native.spans:
        assert gap >= 1 or at == 0, "spans that touch are one"
        numbers += range(at + gap, at + gap + length)
        at += gap + length
    buckets = dict(zip(numbers, np.cumsum(native.deltas).tolist(), strict=True))
    assert min(buckets.values()) > 0
    for q in (0.5, 0.9, 0.99, 0.999):
        exact = float(np.quantile(np.concatenate([np.zeros(50), seconds]), q, method="inverted_cdf"))
        assert abs(find_quantile(buckets, native.zeros, q) - math.ceil(math.log2(exact) * 2**SCHEMA)) <= 1


def test_an_empty_histogram_has_no_buckets() -> None:
    native = make_native(LatencyHistogram())
    assert (native.count, native.zeros, native.spans, native.deltas) == (0, 0, (), ())


async def test_protobuf_says_what_the_text_says(tmp_path: Path) -> None:
    """Every family, value, label and bucket; and each histogram once more, with the same count and sum."""
    app = await create_app(settings=Settings(data=f"{tmp_path}", native_histograms=True))
    async with TestClient(TestServer(app)) as client:
        spec = {
            "workload": {"job": {"kind": "sleep", "duration": 0.01}, "jobs": 30},
            "scheduler": {"kind": "fifo", "slots": 9},
        }
        assert (await client.post("/benchmark/run", json=spec)).status == 200
        names = {
            "name[]": ["benchmark_jobs_total", "benchmark_job_outcomes_total", "benchmark_response_time_seconds_bucket"]
        }
        answer = await client.get("/metrics", headers={"Accept": ACCEPT})
        assert answer.content_type == "application/vnd.google.protobuf"
        assert "io.prometheus.client.MetricFamily" in answer.headers["Content-Type"]
        families = {family[1][0].decode(): family for family in read_families(await answer.read())}
        text = {family.name: family for family in parse_text(await (await client.get("/metrics")).text())}
        some = await client.get("/metrics", params=names, headers={"Accept": ACCEPT})
        assert len(list(read_families(await some.read()))) == 3
    for family in text.values():
        if not family.name.startswith("benchmark_"):
            continue
        (found,) = [families[name] for name in (family.name, f"{family.name}_total") if name in families]
        if family.type != "histogram":
            told = sorted(
                (
                    sorted((each[1][0].decode(), each[2][0].decode()) for each in map(read_fields, metric.get(1, []))),
                    read_fields(value)[1][0],
                )
                for metric in map(read_fields, found.get(4, []))
                for value in (metric.get(2) or metric.get(3) or metric[5])
            )
            assert told == sorted((sorted(sample.labels.items()), sample.value) for sample in family.samples), (
                family.name
            )
            continue
        classic = read_fields(read_fields(found[4][0])[7][0])
        shown = [(read_fields(bucket)[2][0], read_fields(bucket)[1][0]) for bucket in classic[3]]
        assert shown == [(float(s.labels["le"]), s.value) for s in family.samples if s.name.endswith("_bucket")]
        native = read_fields(read_fields(families[family.name.replace("_seconds", "_native_seconds")][4][0])[7][0])
        assert (native[1], native[2]) == (classic[1], classic[2])
        assert sum(read_buckets(native).values()) + native[7][0] == classic[1][0]
        assert 3 not in native


async def test_without_the_option_nothing_changes(tmp_path: Path) -> None:
    """A Prometheus that would take protobuf gets OpenMetrics, as before, and no family is new."""
    async with TestClient(TestServer(await create_app(settings=Settings(data=f"{tmp_path}")))) as client:
        answer = await client.get("/metrics", headers={"Accept": ACCEPT})
        assert answer.content_type == "application/openmetrics-text"
        assert "native" not in await answer.text()
