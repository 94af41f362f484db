"""Jobs as CSV and NDJSON, with the columns that their run declares and no others."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import numpy as np

from aurea_engine import JobBatch, Mark, Measure
from aurea_engine.records.column_file import StoredRecords, decode, encode
from aurea_server.runs.exports import CSV_COLUMNS, encode_jobs, encode_no_jobs, job_rows


def records_of(jobs: JobBatch) -> StoredRecords:
    """As a run is stored, through the bytes of its file."""
    costs = np.full(len(jobs), 0.5)
    return decode(encode(StoredRecords("benchmark-1", datetime(2026, 1, 1, tzinfo=UTC), jobs, costs)))


def reporting_jobs() -> JobBatch:
    """Three jobs in two groups; the last one reported nothing."""
    start = np.array([0, 10**9, 2 * 10**9])
    return JobBatch(
        start,
        start,
        start,
        start + 10**8,
        np.ones(3, np.uint8),
        {Mark("first_row"): np.array([5 * 10**7, 1_010_000_001, -1])},
        {Measure("rows", "rows"): np.array([7, 2**62, -1]), Measure("score", "points", 1000): np.array([1500, 0, -1])},
        np.array([0, 1, 0], np.int32),
        ("reads", "GET /, all"),
    )


def test_csv_has_a_column_for_each_declaration() -> None:
    """After the built-in ones: the group, marks in seconds, measures in their units; nothing where nothing was reported."""
    rows = list(csv.reader(io.StringIO(encode_jobs(records_of(reporting_jobs()), 0, "csv").decode())))
    assert rows[0] == [*CSV_COLUMNS, "group", "first_row", "rows", "score"]
    assert [row[len(CSV_COLUMNS) :] for row in rows[1:]] == [
        ["reads", "0.05", "7", "1.5"],
        ["GET /, all", "1.010000001", str(2**62), "0.0"],
        ["reads", "", "", ""],
    ]


def test_ndjson_and_pages_nest_marks_and_measures() -> None:
    """By name, null where a job reported nothing; a page and a line of NDJSON are the same."""
    records = records_of(reporting_jobs())
    lines = [json.loads(line) for line in encode_jobs(records, 0, "ndjson").splitlines()]
    assert lines == job_rows(records, 0, 3)
    assert lines[0]["marks"] == {"first_row": 0.05}
    assert lines[1]["measures"] == {"rows": 2**62, "score": 0.0}
    assert lines[2] | {"marks": {"first_row": None}, "measures": {"rows": None, "score": None}} == lines[2]


def test_plain_jobs_are_exported_as_ever() -> None:
    """No group, no marks, no measures: neither as columns nor as members."""
    start = np.zeros(1, np.int64)
    plain = records_of(JobBatch(start, start, start, start + 1, np.ones(1, np.uint8)))
    assert encode_jobs(plain, 0, "csv").decode().splitlines()[0] == ",".join(CSV_COLUMNS)
    assert not {"group", "marks", "measures"} & json.loads(encode_jobs(plain, 0, "ndjson")).keys()
    assert encode_no_jobs("csv").decode().strip() == ",".join(CSV_COLUMNS)
