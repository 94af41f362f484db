"""The records of one run as a file: compressed columns, written when a run ends, read when its jobs are requested.

Layout: 8 bytes of magic, the length of a header (uint32, little-endian), the header as JSON, then the columns one after the
other, each compressed by itself: int64 nanoseconds since the window opened (intended, released, started, finished), uint8
outcome, float64 cost. The instants are stored as differences to the row before, which compress about twice as well.

Where jobs declare marks, measures or groups, the header names them, and their columns follow: int64 for a mark (as
differences too) or a measure, int32 for the group. Where jobs failed by a class, the header names the classes, and a last
column of int32 counts in them. A file of jobs without any of that is the same, byte for byte, as before there were such
columns.

`Reader` goes through a file block by block: what it holds depends on the block, not on the file, so that an export of any
length to a client of any speed takes some hundred kilobytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurea_engine.closed_sets import MOST_FAILURE_NAME
from aurea_engine.errors import DamagedParts
from aurea_engine.records.batch import NEVER, Groups, Instants, JobBatch
from aurea_engine.records.column_names import INSTANTS
from aurea_engine.records.measures import MOST_COLUMNS, Mark, Measure, Schema

MAGIC = b"AUREAC1\n"
_LENGTH = struct.Struct("<I")
WIDTHS = (8, 8, 8, 8, 1, 8)
"""Bytes a row of each built-in column."""

MOST_GROUPS = 100_000
"""Names of groups in one file: it bounds what a damaged one may ask for."""

CHECKED = 8192
"""Rows at a time while a file is checked."""

FailureClass = Annotated[str, msgspec.Meta(max_length=MOST_FAILURE_NAME)]

_READ = 32 * 1024


@dataclass(frozen=True)
class StoredRecords:
    """All records of a run, and what each job cost (NaN if it has no cost of its own)."""

    benchmark_id: str
    started_at: datetime
    jobs: JobBatch
    costs: NDArray[np.float64]


class _Header(msgspec.Struct, frozen=True, omit_defaults=True):
    benchmark_id: str
    started_at: datetime
    rows: Annotated[int, msgspec.Meta(ge=0, le=10**9)]
    sizes: list[int]
    # Left out where there are none, so that a plain file has the header that it always had.
    marks: Annotated[list[str], msgspec.Meta(max_length=MOST_COLUMNS)] = []
    measures: Annotated[list[tuple[str, str, int]], msgspec.Meta(max_length=MOST_COLUMNS)] = []
    groups: Annotated[list[str], msgspec.Meta(max_length=MOST_GROUPS)] = []
    failures: Annotated[list[FailureClass], msgspec.Meta(max_length=MOST_GROUPS)] = []

    @property
    def schema(self) -> Schema:
        """Which optional columns follow. Raises `SpecError` if a name is none."""
        schema = Schema(
            tuple(map(Mark, self.marks)), tuple(Measure(*each) for each in self.measures), tuple(self.groups)
        )
        for names in ([each.name for each in schema.declared], self.groups):
            if len({*names}) < len(names):
                raise DamagedParts("the file of records is damaged: two of its columns or groups have one name")
        # In the order of the alphabet, so that records that are equal are equal whatever they were made of.
        if self.failures != sorted(set(self.failures)):
            raise DamagedParts("the file of records is damaged: its classes of failures are not in order")
        return schema


def encode(records: StoredRecords) -> bytes:
    """The file's content."""
    jobs, schema = records.jobs, records.jobs.schema
    built_in: list[NDArray[Any]] = [_differ(getattr(jobs, name)) for name in INSTANTS] + [jobs.outcome, records.costs]
    named = [column for column in (jobs.group, jobs.failure) if column is not None]
    plain: list[NDArray[Any]] = [
        *built_in,
        *(_differ(column) for column in jobs.marks.values()),
        *jobs.measures.values(),
        *named,
    ]
    # Level 1: a higher one takes several times as long, and the differences are small numbers already.
    columns = [zlib.compress(column.tobytes(), 1) for column in plain]
    header = msgspec.json.encode(
        _Header(
            records.benchmark_id,
            records.started_at,
            len(jobs),
            [len(column) for column in columns],
            [mark.name for mark in schema.marks],
            [(measure.name, measure.unit, measure.scale) for measure in schema.measures],
            list(schema.groups),
            list(jobs.failures),
        )
    )
    return b"".join((MAGIC, _LENGTH.pack(len(header)), header, *columns))


def _differ(instants: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.diff(instants, prepend=np.int64(0))


class _Column:
    """One compressed column of a file, read from its start to its end. ``left``: bytes of it that were not read yet."""

    def __init__(self, file: BinaryIO, at: int, size: int) -> None:
        self._file, self._at, self._left = file, at, size
        self._unpacking = zlib.decompressobj()

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes. Raises `DamagedParts` if there are fewer."""
        pieces, missing = [], size
        # A compressed column may be a thousandth of what it holds: never more is unpacked than was asked for.
        while missing:
            piece = self._unpacking.decompress(self._more(), missing)
            if not piece and not self._left and not self._unpacking.unconsumed_tail:
                raise DamagedParts("the file of records is damaged: its columns differ in length")
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def check_end(self) -> None:
        """Raises `DamagedParts` if anything is left, or the column does not end where it should."""
        # The end of the stream also checks its sum (Adler-32): only then is the column what was written.
        while not self._unpacking.eof:
            more = self._more()
            if self._unpacking.decompress(more, 1) or not (more or self._unpacking.eof):
                raise DamagedParts("the file of records is damaged: a column has no end")

    def _more(self) -> bytes:
        # Every column keeps its own place in the file, and all of them are read in turn: so each seeks.
        if self._unpacking.unconsumed_tail or not self._left:
            return self._unpacking.unconsumed_tail
        self._file.seek(self._at)
        piece = self._file.read(min(self._left, _READ))
        self._at += len(piece)
        self._left = self._left - len(piece) if piece else 0
        return piece


class Reader:
    """Goes through a file of records, which it reads as far as it must. Not for two threads at once.

    Raises `DamagedParts` wherever the file is not what was written.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        with _understood():
            if file.read(len(MAGIC)) != MAGIC:
                raise DamagedParts("this is no file of records")
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            header = msgspec.json.decode(file.read(length), type=_Header)
            self._schema = schema = header.schema
        # A file with more or fewer columns than its header names is damaged, or of a newer version: neither is guessed at.
        named = (4 for names in (schema.groups, header.failures) if names)
        self._widths = (*WIDTHS, *(8 for _ in schema.declared), *named)
        if len(header.sizes) != len(self._widths) or min(header.sizes) < 0:
            raise DamagedParts("the file of records is damaged: it has not the columns that it should")
        self._header, self._first = header, len(MAGIC) + _LENGTH.size + length
        self.rewind()

    @property
    def rows(self) -> int:
        """Jobs in the file."""
        return self._header.rows

    def rewind(self) -> None:
        """Begin again with the first job."""
        self.row = 0
        self._carried = [np.int64(0)] * (len(INSTANTS) + len(self._schema.marks))
        self._columns, at = [], self._first
        for size in self._header.sizes:
            self._columns.append(_Column(self._file, at, size))
            at += size

    def read(self, count: int) -> StoredRecords:
        """The next ``count`` jobs, or as many as are left."""
        count = min(count, self.rows - self.row)
        with _understood():
            taken = [column.take(width * count) for column, width in zip(self._columns, self._widths, strict=True)]
            # Only with the last row can a column be known to end where it should.
            if self.row + count == self.rows:
                for column in self._columns:
                    column.check_end()
            intended, released, started, finished = (self._instants(i, taken[i]) for i in range(len(INSTANTS)))
            outcome, reports = np.frombuffer(taken[4], np.uint8), taken[len(WIDTHS) :]
            jobs = JobBatch(intended, released, started, finished, outcome, *self._read_reports(reports))
        self.row += count
        return StoredRecords(
            self._header.benchmark_id, self._header.started_at, jobs, np.frombuffer(taken[5], np.float64)
        )

    def _read_reports(
        self, taken: list[bytes]
    ) -> tuple[
        dict[Mark, Instants], dict[Measure, Instants], Groups | None, tuple[str, ...], Groups | None, tuple[str, ...]
    ]:
        """The optional columns of a block, as `JobBatch` takes them."""
        schema, first = self._schema, len(self._schema.marks)
        marks = {mark: self._instants(len(INSTANTS) + i, taken[i]) for i, mark in enumerate(schema.marks)}
        measures = {each: np.frombuffer(taken[first + i], np.int64) for i, each in enumerate(schema.measures)}
        failures = tuple(self._header.failures)
        failure = _read_named(taken.pop(), failures, "has a class of failure") if failures else None
        group = _read_named(taken.pop(), schema.groups, "is in a group") if schema.groups else None
        if any((column < NEVER).any() for column in (*marks.values(), *measures.values())):
            raise DamagedParts("the file of records is damaged: what a job reported is less than nothing")
        return marks, measures, group, schema.groups, failure, failures

    def _instants(self, i: int, differences: bytes) -> NDArray[np.int64]:
        """Instants from differences; the first of a block is one to the last of the block before."""
        # A sum that leaves int64 wraps around, as the differences did when they were taken: the instant comes out right.
        instants = np.cumsum(np.frombuffer(differences, np.int64))
        instants += self._carried[i]
        if len(instants):
            self._carried[i] = instants[-1]
        return instants

    def check(self) -> None:
        """Read all of it once, and begin again: afterwards only a file that changes can be `DamagedParts`."""
        self.rewind()
        while self.row < self.rows:
            self.read(CHECKED)
        self.rewind()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _read_named(taken: bytes, names: Sequence[str], what: str) -> Groups:
    """A column of positions in ``names``."""
    column = np.frombuffer(taken, np.int32)
    if len(column) and not NEVER <= column.min() <= column.max() < len(names):
        raise DamagedParts(f"the file of records is damaged: a job {what} that there is not")
    return column


@contextmanager
def _understood() -> Iterator[None]:
    """What a damaged file makes the libraries say is `DamagedParts`."""
    try:
        yield
    except DamagedParts:
        raise
    # Everything that bytes can make these libraries raise; a fault of our own is not among them, and is not hidden.
    except (struct.error, msgspec.DecodeError, zlib.error, ValueError, IndexError, TypeError, OSError) as error:
        raise DamagedParts(f"the file of records is damaged: {error}") from None


def decode(content: bytes) -> StoredRecords:
    """The inverse of `encode`. Raises `DamagedParts`."""
    reader = Reader(io.BytesIO(content))
    return reader.read(reader.rows)
