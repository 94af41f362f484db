"""Parts of a run as bytes: to be sent between processes and machines, and to be stored.

Layout, all numbers little-endian::

    8 bytes   magic, which ends in the version of the format
    16 bytes  BLAKE2b digest of everything after it
    uint32    length of the head, compressed
    uint32    length of the head, as JSON
    uint32    length of the numbers of jobs, compressed (0: none)
    uint64    length of the records (0: none)
    …         the head (zlib), the numbers (zlib, differences), the records (`aurea_engine.records.column_file`)

Hazards. Bytes come from other machines and old disks, so nothing is believed. The digest is checked first: whatever a fault
of a disk or a network changes is refused as a whole. It is no signature: bytes that somebody *made* have a right digest. So
no length is taken for true before it was compared with what is there, nothing is unpacked beyond a bound, nothing is
executed (no pickle), and every value is checked for what it must be. Whatever is wrong is `DamagedParts`.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.metered_counts import MeteredCounts
from aurea_engine.errors import DamagedParts, SpecError
from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.records.column_file import Reader, StoredRecords, encode
from aurea_engine.records.histogram import BUCKETS, LatencyHistogram
from aurea_engine.records.series import BinRow, Series
from aurea_engine.run.meters import SPANS, CountingRules, Meters
from aurea_engine.run.shard import ShardReport
from aurea_engine.spec import KEPT_JOBS

MAGIC = b"AUREAP1\n"
_DIGEST = 16
_LENGTHS = struct.Struct("<IIIQ")
_MOST_HEAD = 64 * 1024 * 1024
"""Bytes of a head as JSON. The longest that a run can have, 2,048 bins of some hundred buckets each, is a tenth of it."""

_NOBODY = datetime.fromtimestamp(0, UTC)
"""Records in parts belong to no stored run: those of a file name one here."""

BigWhole = Annotated[str, Meta(pattern=r"^[0-9]{1,400}\Z")]
"""A whole number that may leave 64 bits."""
Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]


@dataclass(frozen=True)
class _StoredHistogram:
    """A histogram. ``squares`` are about 0: about which value they are kept depends on the order in which values came."""

    count: Whole
    total: BigWhole
    squares: BigWhole
    minimum: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    maximum: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    buckets: list[Whole]
    counts: list[Whole]


@dataclass(frozen=True)
class _StoredMeters:
    warmup_ns: Whole
    good_within: list[tuple[str, Whole]]
    counts: dict[str, Whole]
    counted: dict[str, Whole]
    first_counted_ns: Whole | None
    numbers: dict[str, BigWhole]
    times: dict[str, _StoredHistogram]
    reported: dict[str, _StoredHistogram]
    totals: dict[str, BigWhole]


@dataclass(frozen=True)
class _StoredRunMeters(_StoredMeters):
    """Of a whole run. Groups have none of their own, so nothing that is read can nest."""

    groups: dict[str, _StoredMeters]


@dataclass(frozen=True)
class _Head:
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None
    shards: tuple[ShardReport, ...]
    meters: _StoredRunMeters
    width: Whole
    bins: list[BinRow]
    metered: dict[str, dict[str, BigWhole]]
    additive: list[str]
    broken: dict[str, str]


_SUMS = (
    "good",
    "finished_in_window",
    "good_in_window",
    "busy_in_window_ns",
    "last_ns",
    "latest_intended_ns",
    "latest_released_ns",
)
"""The figures of `Meters` that are one number each."""


# What a value that is none makes the libraries and the types say, KeyError for a name that there is not, RecursionError for
# an environment that is nested a thousand deep.
_MISREAD = (
    SpecError,
    msgspec.MsgspecError,
    zlib.error,
    struct.error,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    RecursionError,
)


def encode_parts(
    seed: int | None,
    shards: tuple[ShardReport, ...],
    records: JobBatch | None,
    numbers: Instants | None,
    meters: Meters,
    series: Series,
    metered: MeteredCounts,
) -> bytes:
    """The bytes of `RunParts` with these members. Equal values have equal bytes."""
    head = _Head(
        seed,
        shards,
        _StoredRunMeters(
            **vars(_store_meters(meters)), groups={name: _store_meters(each) for name, each in meters.groups.items()}
        ),
        series.width,
        series.to_rows(),
        {key: {label: str(count) for label, count in labels.items()} for key, labels in metered.counts.items()},
        sorted(metered.additive),
        dict(metered.broken),
    )
    # In a fixed order, whatever order the counts were made in: equal parts are then equal byte for byte.
    plain = msgspec.json.encode(head, order="sorted")
    packed = zlib.compress(plain, 1)
    packed_numbers = b"" if numbers is None else zlib.compress(np.diff(numbers, prepend=np.int64(0)).tobytes(), 1)
    rows = b"" if records is None else encode(StoredRecords("", _NOBODY, records, np.full(len(records), np.nan)))
    lengths = _LENGTHS.pack(len(packed), len(plain), len(packed_numbers), len(rows))
    body = b"".join((lengths, packed, packed_numbers, rows))
    return MAGIC + blake2b(body, digest_size=_DIGEST).digest() + body


def decode_parts(content: bytes) -> tuple[Any, ...]:
    """The members of `RunParts` that `encode_parts` was given, in its order. Raises `DamagedParts`."""
    try:
        return _decode(content)
    except DamagedParts:
        raise
    except _MISREAD as error:
        raise DamagedParts(f"these parts of a run are damaged: {error}") from None


def _decode(content: bytes) -> tuple[Any, ...]:
    body = memoryview(content)[len(MAGIC) + _DIGEST :]
    if content[: len(MAGIC)] != MAGIC:
        known = content[:6] == MAGIC[:6]
        raise DamagedParts("these parts of a run are in a newer format" if known else "these are no parts of a run")
    if blake2b(body, digest_size=_DIGEST).digest() != content[len(MAGIC) : len(MAGIC) + _DIGEST]:
        raise DamagedParts("these parts of a run are damaged: they are not what was written")
    packed, plain, packed_numbers, rows = _LENGTHS.unpack(body[: _LENGTHS.size])
    if len(body) != _LENGTHS.size + packed + packed_numbers + rows or plain > _MOST_HEAD:
        raise DamagedParts("these parts of a run are damaged: their lengths do not add up")
    edges = np.cumsum([_LENGTHS.size, packed, packed_numbers, rows]).tolist()
    head = msgspec.json.decode(_unpack(body[edges[0] : edges[1]], plain), type=_Head)
    records = _read_records(body[edges[2] : edges[3]]) if rows else None
    numbers = None
    if packed_numbers:
        if records is None:
            raise DamagedParts("these parts of a run are damaged: there are numbers of jobs, and no jobs")
        numbers = _read_numbers(body[edges[1] : edges[2]], len(records))
    _check_shards(head.shards)
    meters = _load_meters(head.meters)
    meters.groups.update({name: _load_meters(each) for name, each in head.meters.groups.items()})
    if records is not None and meters.counts.total() != len(records):
        raise DamagedParts("these parts of a run are damaged: records and counts are not of the same jobs")
    series = Series.from_rows(head.width, head.bins)
    return head.seed, head.shards, records, numbers, meters, series, _load_metered(head)


def _unpack(packed: memoryview, size: int) -> bytes:
    """Exactly ``size`` bytes, unpacked. No more is ever unpacked than was promised, and checked, before."""
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(packed, size + 1) if size else b""
    if len(plain) != size or (size and not unpacking.eof) or unpacking.unused_data:
        raise DamagedParts("these parts of a run are damaged: something in them is longer or shorter than it says")
    return plain


def _read_records(stored: memoryview) -> JobBatch:
    reader = Reader(io.BytesIO(stored))
    if reader.rows > KEPT_JOBS:
        raise DamagedParts(f"these parts of a run are damaged: no run keeps more than {KEPT_JOBS:,} records")
    jobs = reader.read(reader.rows).jobs
    instants = (jobs.intended, jobs.released, jobs.started, jobs.finished)
    in_range = all(not len(each) or int(each.min()) >= -1 for each in instants)
    if not in_range or (len(jobs) and not 1 <= int(jobs.outcome.min()) <= int(jobs.outcome.max()) < len(Outcome)):
        raise DamagedParts("these parts of a run are damaged: a record is none of a job that ended")
    return jobs


def _read_numbers(packed: memoryview, rows: int) -> Instants:
    numbers: Instants = np.cumsum(np.frombuffer(_unpack(packed, 8 * rows), np.int64))
    if rows and (int(numbers[0]) < 0 or not (np.diff(numbers) > 0).all()):
        raise DamagedParts("these parts of a run are damaged: the numbers of their jobs do not rise")
    return numbers


def _check_shards(shards: tuple[ShardReport, ...]) -> None:
    indices = [report.shard.index for report in shards]
    if indices != sorted(set(indices)) or len({report.shard.of for report in shards}) > 1:
        raise DamagedParts("these parts of a run are damaged: their shards are not of one run, each once and in order")


def _store_meters(meters: Meters) -> _StoredMeters:
    return _StoredMeters(
        meters.rules.warmup_ns,
        list(meters.rules.good_within),
        {outcome.name.lower(): count for outcome, count in meters.counts.items()},
        {outcome.name.lower(): count for outcome, count in meters.counted.items()},
        meters.first_counted_ns,
        {name: str(getattr(meters, name)) for name in _SUMS},
        {metric: _store_histogram(histogram) for metric, histogram in meters.times.items()},
        {name: _store_histogram(histogram) for name, histogram in meters.reported.items()},
        {name: str(total) for name, total in meters.totals.items()},
    )


def _load_meters(stored: _StoredMeters) -> Meters:
    if set(stored.numbers) != set(_SUMS) or set(stored.times) != set(SPANS):
        raise DamagedParts("these parts of a run are damaged: their meters are not those of a run")
    numbers: dict[str, Any] = {name: int(text) for name, text in stored.numbers.items()}
    return Meters(
        CountingRules(stored.warmup_ns, tuple(stored.good_within)),
        Counter({Outcome[name.upper()]: count for name, count in stored.counts.items()}),
        counted=Counter({Outcome[name.upper()]: count for name, count in stored.counted.items()}),
        first_counted_ns=stored.first_counted_ns,
        times={metric: _load_histogram(stored.times[metric]) for metric in SPANS},
        reported={name: _load_histogram(histogram) for name, histogram in stored.reported.items()},
        totals=Counter({name: int(text) for name, text in stored.totals.items()}),
        **numbers,
    )


def _store_histogram(histogram: LatencyHistogram) -> _StoredHistogram:
    whole: dict[str, Any] = histogram.to_dict()
    shift, total = int(whole["shift_ns"]), int(whole["total_ns"])
    squares = int(whole["squares"]) + 2 * shift * total - whole["count"] * shift * shift
    bounds = (whole["min_ns"], whole["max_ns"])
    return _StoredHistogram(whole["count"], str(total), str(squares), *bounds, whole["buckets"], whole["counts"])


def _load_histogram(stored: _StoredHistogram) -> LatencyHistogram:
    rising = all(a < b for a, b in zip(stored.buckets, stored.buckets[1:], strict=False))
    in_range = not stored.buckets or stored.buckets[-1] < BUCKETS
    if not (rising and in_range and len(stored.buckets) == len(stored.counts) and sum(stored.counts) == stored.count):
        raise DamagedParts("these parts of a run are damaged: a histogram does not add up")
    return LatencyHistogram.from_dict(
        {
            "count": stored.count,
            "total_ns": stored.total,
            "squares": stored.squares,
            "shift_ns": 0,
            "min_ns": stored.minimum,
            "max_ns": stored.maximum,
            "buckets": stored.buckets,
            "counts": stored.counts,
        }
    )


def _load_metered(head: _Head) -> MeteredCounts:
    if not set(head.additive) <= set(head.metered):
        raise DamagedParts("these parts of a run are damaged: a meter is named that counted nothing")
    counts = {key: {label: int(text) for label, text in labels.items()} for key, labels in head.metered.items()}
    return MeteredCounts(counts, frozenset(head.additive), head.broken)
