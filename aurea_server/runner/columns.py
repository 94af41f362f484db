"""The records of one run as a file: compressed columns, written by the runner, read when somebody asks for jobs.

Layout: 8 bytes of magic, the length of a header (uint32, little-endian), the header as JSON, then the columns one after the
other, each compressed by itself: int64 nanoseconds since the window opened (intended, released, started, finished), uint8
outcome, float64 cost. The instants are stored as differences to the row before, which compress about twice as well.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurea_engine import JobBatch

MAGIC = b"AUREAC1\n"
_LENGTH = struct.Struct("<I")
INSTANTS = ("intended", "released", "started", "finished")


@dataclass(frozen=True)
class Records:
    """All records of a run, and what each job cost (NaN where it has no cost of its own)."""

    benchmark_id: str
    started_at: datetime
    jobs: JobBatch
    costs: NDArray[np.float64]


class _Header(msgspec.Struct, frozen=True):
    benchmark_id: str
    started_at: datetime
    rows: Annotated[int, msgspec.Meta(ge=0, le=10**9)]
    sizes: list[int]


class Unreadable(Exception):
    """The file is not what was written."""


def encode(records: Records) -> bytes:
    """The file's content."""
    jobs = records.jobs
    differences = [np.diff(getattr(jobs, name), prepend=np.int64(0)).tobytes() for name in INSTANTS]
    columns = [zlib.compress(column, 1) for column in (*differences, jobs.outcome.tobytes(), records.costs.tobytes())]
    header = msgspec.json.encode(
        _Header(records.benchmark_id, records.started_at, len(jobs), [len(column) for column in columns])
    )
    return b"".join((MAGIC, _LENGTH.pack(len(header)), header, *columns))


def _unpacked(column: bytes, most: int) -> bytes:
    """A column that takes no more than ``most`` bytes, whatever the file says."""
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(column, most + 1)
    if not unpacking.eof:
        raise Unreadable("the file of records is damaged: a column has no end")
    return content


def decode(content: bytes) -> Records:
    """The inverse of `encode`. Raises `Unreadable`."""
    try:
        if not content.startswith(MAGIC):
            raise Unreadable("no such file of records")
        at = len(MAGIC) + _LENGTH.size
        (length,) = _LENGTH.unpack(content[len(MAGIC) : at])
        header = msgspec.json.decode(content[at : at + length], type=_Header)
        at += length
        columns = []
        for size in header.sizes:
            columns.append(_unpacked(content[at : at + size], header.rows * 8))
            at += size
        intended, released, started, finished = (np.cumsum(np.frombuffer(column, np.int64)) for column in columns[:4])
        batch = JobBatch(intended, released, started, finished, np.frombuffer(columns[4], np.uint8))
        costs = np.frombuffer(columns[5], np.float64)
    except (struct.error, msgspec.DecodeError, zlib.error, ValueError, IndexError, TypeError) as error:
        raise Unreadable(f"the file of records is damaged: {error}") from None
    lengths = {len(intended), len(released), len(started), len(finished), len(batch.outcome), len(costs)}
    if lengths != {header.rows}:
        raise Unreadable("the file of records is damaged: its columns differ in length")
    return Records(header.benchmark_id, header.started_at, batch, costs)
