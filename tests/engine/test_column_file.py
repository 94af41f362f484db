"""Files of records: the same bytes as ever for plain jobs, and columns of their own for what jobs declare."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine import DamagedParts, JobBatch, Mark, Measure, Schema
from aurea_engine.records.column_file import MAGIC, Reader, StoredRecords, decode, encode

AT = datetime(2026, 1, 1, tzinfo=UTC)
FULL = Schema((Mark("first"), Mark("last")), (Measure("rows", "rows"), Measure("score", "p", 10)), ("a", "b c"))


def stored(n: int, schema: Schema, seed: int = 0) -> StoredRecords:
    """``n`` random jobs with the columns of ``schema``."""
    rng = np.random.default_rng(seed)

    def column() -> np.ndarray:
        return rng.integers(-1, 2**60, n)

    jobs = JobBatch(
        column(),
        column(),
        column(),
        column(),
        rng.integers(1, 6, n).astype(np.uint8),
        {mark: column() for mark in schema.marks},
        {measure: column() for measure in schema.measures},
        rng.integers(-1, len(schema.groups), n).astype(np.int32) if schema.groups else None,
        schema.groups,
    )
    return StoredRecords("benchmark-1", AT, jobs, rng.random(n))


def header_of(content: bytes) -> dict[str, object]:
    """The header as JSON."""
    (length,) = struct.unpack("<I", content[8:12])
    header: dict[str, object] = msgspec.json.decode(content[12 : 12 + length])
    return header


def with_header(content: bytes, **changes: object) -> bytes:
    """The same file under another header."""
    (length,) = struct.unpack("<I", content[8:12])
    header = msgspec.json.encode({**header_of(content), **changes})
    return MAGIC + struct.pack("<I", len(header)) + header + content[12 + length :]


@given(seed=st.integers(0, 2**32), n=st.integers(0, 50), step=st.integers(1, 20))
def test_every_column_reads_back_in_blocks(seed: int, n: int, step: int) -> None:
    """Whatever the size of a block."""
    records = stored(n, FULL, seed)
    content = encode(records)
    reader, blocks = Reader(io.BytesIO(content)), []
    reader.check()
    while reader.row < reader.rows:
        blocks.append(reader.read(step).jobs)
    assert decode(content).jobs == records.jobs
    assert not blocks or JobBatch.concatenate(blocks) == records.jobs


def test_plain_files_have_the_header_they_had() -> None:
    """So that a version before marks and measures reads them, and stored ones are still equal byte for byte."""
    assert set(header_of(encode(stored(3, Schema())))) == {"benchmark_id", "started_at", "rows", "sizes"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"marks": []}, id="a column too many"),
        pytest.param({"marks": ["first", "last", "third"]}, id="a column too few"),
        pytest.param({"marks": ["first", "outcome"]}, id="a name that is taken"),
        pytest.param({"measures": [["rows", "rows", 0], ["score", "p", 10]]}, id="a scale of nothing"),
        pytest.param({"measures": [["rows", "rows"], ["score", "p", 10]]}, id="no scale"),
        pytest.param({"groups": ["a"]}, id="a group that there is not"),
        pytest.param({"groups": []}, id="no names of groups"),
        pytest.param({"marks": ["first", "rows"]}, id="one name twice"),
        pytest.param({"marks": [f"m{i}" for i in range(100)]}, id="more than any run has"),
    ],
)
def test_damaged_declarations_are_refused(changes: dict[str, object]) -> None:
    """By the error of damaged files, and nothing else."""
    content = with_header(encode(stored(20, FULL)), **changes)
    with pytest.raises(DamagedParts):
        decode(content)


def test_amounts_below_nothing_are_refused() -> None:
    """No writer stores them: -1 is all that is below 0."""
    records = stored(2, Schema((), (Measure("rows", "rows"),)))
    records.jobs.measure("rows")[0] = -5
    with pytest.raises(DamagedParts, match="less than nothing"):
        decode(encode(records))
