"""Parts of a run as bytes: to be sent between processes and machines, and to be stored.

Layout, all numbers little-endian::

    8 bytes   magic, which ends in the version of the format
    16 bytes  BLAKE2b digest of everything after it
    uint32    length of the head, compressed
    uint32    length of the head, as JSON
    uint32    length of the numbers of jobs, compressed (0: none)
    uint64    length of the records (0: none)
    …         the head (zlib), the numbers (zlib, differences), the records (`aurea_engine.records.column_file`)

Parts of a run whose jobs have steps are of version 2. It has two more lengths, and after the records the same two things of
the steps::

    uint32    length of the numbers of the jobs of the steps, compressed
    uint64    length of the records of the steps
    …         those numbers (differences, some of which are 0), those records

Hazards. Bytes come from other machines and old disks, so nothing is believed. The digest is checked first: whatever a fault
of a disk or a network changes is refused as a whole. It is no signature: *forged* bytes can have a right digest. So
no length is taken for true before it was compared with what is there, nothing is unpacked beyond a bound, nothing is
executed (no pickle), and every value is checked for what it must be. Whatever is wrong is `DamagedParts`.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from aurea_engine.closed_sets import Outcome
from aurea_engine.costs.metered_counts import MeteredCounts
from aurea_engine.errors import DamagedParts, SpecError
from aurea_engine.records.batch import Instants, JobBatch
from aurea_engine.records.column_file import Reader, StoredRecords, encode
from aurea_engine.records.failure_classes import name_unclassed
from aurea_engine.records.series import BinRow, Series
from aurea_engine.run.meters import Meters
from aurea_engine.run.shard import ShardReport
from aurea_engine.run.step_meters import StepParts
from aurea_engine.run.stored_meters import BigWhole, StoredRunMeters, Whole, load_run_meters, store_run_meters
from aurea_engine.run.stored_steps import StoredSteps, load_steps, store_steps
from aurea_engine.spec import KEPT_JOBS

# A run without steps is written as version 1, so that earlier versions can read it.
MAGIC, MAGIC_WITH_STEPS = b"AUREAP1\n", b"AUREAP2\n"
_DIGEST = 16
_LENGTHS = {MAGIC: struct.Struct("<IIIQ"), MAGIC_WITH_STEPS: struct.Struct("<IIIQIQ")}

# Bytes of a head as JSON. A run of 2,048 bins with some hundred buckets each takes a tenth of it.
_MOST_HEAD = 64 * 1024 * 1024

# A file of records says of which stored run they are. Records in parts are of none yet.
_NOBODY = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class _Head:
    # JSON for all that is small or has a shape of its own: it can be read by people, and by versions that come later. The
    # columns, which are neither, follow it as arrays.
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None
    shards: tuple[ShardReport, ...]
    meters: StoredRunMeters
    width: Whole
    bins: list[BinRow]
    metered: dict[str, dict[str, BigWhole]]
    additive: list[str]
    broken: dict[str, str]


@dataclass(frozen=True)
class _HeadWithSteps(_Head):
    steps: StoredSteps


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
    columns: tuple[JobBatch | None, Instants | None],
    meters: Meters,
    series: Series,
    metered: MeteredCounts,
    steps: StepParts | None,
) -> bytes:
    """The bytes of `RunParts` with these members, ``columns`` being the records and the numbers of their jobs. Equal values
    have equal bytes.
    """
    records, numbers = columns
    head = _Head(
        seed,
        shards,
        store_run_meters(meters),
        series.width,
        series.to_rows(),
        {key: {label: str(count) for label, count in labels.items()} for key, labels in metered.counts.items()},
        sorted(metered.additive),
        dict(metered.broken),
    )
    stored = store_steps(steps)
    if stored is None:
        return _pack(MAGIC, head, _pack_numbers(numbers), _pack_records(records))
    of_steps = None if steps is None else steps.records
    return _pack(
        MAGIC_WITH_STEPS,
        _HeadWithSteps(**vars(head), steps=stored),
        _pack_numbers(numbers),
        _pack_records(records),
        _pack_numbers(None if of_steps is None else of_steps.jobs),
        _pack_records(None if of_steps is None else of_steps.rows),
    )


def _pack(magic: bytes, head: _Head, *columns: bytes) -> bytes:
    # In a fixed order, whatever order the counts were made in: equal parts are then equal byte for byte.
    plain = msgspec.json.encode(head, order="sorted")
    # Level 1, as for records: a runner process should be free for the next run soon.
    packed = zlib.compress(plain, 1)
    lengths = _LENGTHS[magic].pack(len(packed), len(plain), *map(len, columns))
    body = b"".join((lengths, packed, *columns))
    return magic + blake2b(body, digest_size=_DIGEST).digest() + body


def _pack_numbers(numbers: Instants | None) -> bytes:
    return b"" if numbers is None else zlib.compress(np.diff(numbers, prepend=np.int64(0)).tobytes(), 1)


def _pack_records(records: JobBatch | None) -> bytes:
    # The cost of a job is computed from its record when it is asked for: the column for it is empty, and packs to nothing.
    return b"" if records is None else encode(StoredRecords("", _NOBODY, records, np.full(len(records), np.nan)))


def decode_parts(content: bytes) -> tuple[Any, ...]:
    """The members of `RunParts` that `encode_parts` was given, in its order. Raises `DamagedParts`."""
    try:
        return _decode(content)
    except DamagedParts:
        raise
    except _MISREAD as error:
        raise DamagedParts(f"these parts of a run are damaged: {error}") from None


def _decode(content: bytes) -> tuple[Any, ...]:
    # From the outside in: what it is, whether it is whole, whether its lengths add up, and only then what it says. Views
    # instead of slices, since parts of a million jobs are 20 MB.
    magic, body = content[: len(MAGIC)], memoryview(content)[len(MAGIC) + _DIGEST :]
    if magic not in _LENGTHS:
        # The version stands in the magic's last characters, so that a later format is told apart from something else.
        known = content[:6] == MAGIC[:6]
        raise DamagedParts("these parts of a run are in a newer format" if known else "these are no parts of a run")
    if blake2b(body, digest_size=_DIGEST).digest() != content[len(MAGIC) : len(MAGIC) + _DIGEST]:
        raise DamagedParts("these parts of a run are damaged: they are not what was written")
    layout = _LENGTHS[magic]
    packed, plain, *columns = layout.unpack(body[: layout.size])
    if len(body) != layout.size + packed + sum(columns) or plain > _MOST_HEAD:
        raise DamagedParts("these parts of a run are damaged: their lengths do not add up")
    # Nothing was allocated so far, and everything that is from here on is bounded: the head by `_MOST_HEAD`, records by
    # `KEPT_JOBS`, numbers by the records.
    edges = np.cumsum([layout.size, packed, *columns]).tolist()
    pieces = [body[begin:end] for begin, end in pairwise(edges)]
    kind = _Head if magic == MAGIC else _HeadWithSteps
    head = msgspec.json.decode(_unpack(pieces[0], plain), type=kind)
    numbers, records = _read_columns(*pieces[1:3])
    # The difference of two jobs in order is at least 1; steps of one job differ by 0.
    if numbers is not None and len(numbers) and not (np.diff(numbers) > 0).all():
        raise DamagedParts("these parts of a run are damaged: the numbers of their jobs do not rise")
    _check_shards(head.shards)
    meters = load_run_meters(head.meters)
    if head.meters.failures is None:
        _recover_failures(meters, head.shards)
    # The figures come from the meters and quantiles from the records: they must be of the same jobs.
    if records is not None and meters.counts.total() != len(records):
        raise DamagedParts("these parts of a run are damaged: records and counts are not of the same jobs")
    series, steps = Series.from_rows(head.width, head.bins), None
    if isinstance(head, _HeadWithSteps):
        jobs, rows = _read_columns(*pieces[3:])
        steps = load_steps(head.steps, rows, jobs)
    return head.seed, head.shards, records, numbers, meters, series, _load_metered(head), steps


def _read_columns(packed: memoryview, rows: memoryview) -> tuple[Instants | None, JobBatch | None]:
    """The numbers of the jobs of some records, and those records."""
    records = _read_records(rows) if rows else None
    if not packed:
        return None, records
    if records is None:
        raise DamagedParts("these parts of a run are damaged: there are numbers of jobs, and no jobs")
    return _read_numbers(packed, len(records)), records


def _unpack(packed: memoryview, size: int) -> bytes:
    """Exactly ``size`` bytes, unpacked. No more is ever unpacked than was promised, and checked, before."""
    unpacking = zlib.decompressobj()
    # One more than promised, to notice what is longer; a limit of 0 would mean that there is none.
    plain = unpacking.decompress(packed, size + 1) if size else b""
    if len(plain) != size or (size and not unpacking.eof) or unpacking.unused_data:
        raise DamagedParts("these parts of a run are damaged: something in them is longer or shorter than it says")
    return plain


def _read_records(stored: memoryview) -> JobBatch:
    reader = Reader(io.BytesIO(stored))
    if reader.rows > KEPT_JOBS:
        raise DamagedParts(f"these parts of a run are damaged: no run keeps more than {KEPT_JOBS:,} records")
    # The reader unpacks column by column as many bytes as so many rows take, whatever the columns claim to hold.
    jobs = reader.read(reader.rows).jobs
    instants = (jobs.intended, jobs.released, jobs.started, jobs.finished)
    in_range = all(not len(each) or int(each.min()) >= -1 for each in instants)
    if not in_range or (len(jobs) and not 1 <= int(jobs.outcome.min()) <= int(jobs.outcome.max()) < len(Outcome)):
        raise DamagedParts("these parts of a run are damaged: a record is none of a job that ended")
    return jobs


def _read_numbers(packed: memoryview, rows: int) -> Instants:
    # Differences may be forged so that their sum leaves int64. Then it wraps around, and the numbers do not rise.
    numbers: Instants = np.cumsum(np.frombuffer(_unpack(packed, 8 * rows), np.int64))
    if rows and (int(numbers[0]) < 0 or not (np.diff(numbers) >= 0).all()):
        raise DamagedParts("these parts of a run are damaged: the numbers of their jobs do not rise")
    return numbers


def _check_shards(shards: tuple[ShardReport, ...]) -> None:
    # `RunParts.merge` relies on it: an index that is there twice would be a shard that counts twice.
    indices = [report.shard.index for report in shards]
    if indices != sorted(set(indices)) or len({report.shard.of for report in shards}) > 1:
        raise DamagedParts("these parts of a run are damaged: their shards are not of one run, each once and in order")


def _recover_failures(meters: Meters, shards: tuple[ShardReport, ...]) -> None:
    """Put in ``meters`` the classes of failures that an earlier version counted by shard, and only where a job named one."""
    for report in shards:
        meters.failures.update(report.totals.errors)
        for name, errors in report.totals.group_errors.items():
            meters.groups[name].failures.update(errors)
    for each in (meters, *meters.groups.values()):
        counts = each.counts
        each.failures = name_unclassed(each.failures, counts[Outcome.FAILED], counts[Outcome.TIMED_OUT])


def _load_metered(head: _Head) -> MeteredCounts:
    # A meter that is called additive and is not would be added up when parts are merged. Which meters are is for the cost
    # models to say, which are not known here; what can be checked is that there is something to add.
    if not set(head.additive) <= set(head.metered):
        raise DamagedParts("these parts of a run are damaged: a meter is named that counted nothing")
    counts = {key: {label: int(text) for label, text in labels.items()} for key, labels in head.metered.items()}
    return MeteredCounts(counts, frozenset(head.additive), head.broken)
