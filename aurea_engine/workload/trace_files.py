"""Recorded times in files: one column of a CSV, or one member of each line of a JSONL, as whole nanoseconds.

Nothing is guessed. A plain number has no unit of its own, and milliseconds taken for seconds would make a run a thousand
times too slow, so a column of numbers needs a ``unit``. Dates need none. Every error names file, line and column.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import show_value
from aurea_engine.fields.local_files import read_file
from aurea_engine.fields.text_files import decode_text
from aurea_engine.records.batch import Instants
from aurea_engine.workload.time_parsing import TimeUnit, is_plain_number, parse_time

# Bounds, so that a wrong name (a disk image, /dev/zero) is an error and does not fill the memory.
MOST_ROWS = 20_000_000
MOST_BYTES = 4 * 2**30
LIMIT = 2**62
"""ns, 146 years: an instant and a service time after it fit int64."""


class OrFile:
    """An annotation: the member may be left out only if there is a file instead."""

    or_file = True


OR_FILE = OrFile()
Form = Literal["csv", "jsonl"]
RowNumber = Annotated[int, Meta(ge=0, le=MOST_ROWS)]
Rows = tuple[RowNumber, RowNumber | None]
"""The first row, and the one after the last (None is the end). Rows count from 0, as in slices of Python lists."""
Speed = Annotated[float, Meta(gt=0, le=1e6)]
FILE_MEMBERS = ("format", "column", "unit", "slice", "sha256")
Digest = Annotated[str, Meta(max_length=64)]
Row = tuple[int, Any]
"""The number of a line, and what it holds."""


@dataclass(frozen=True)
class Source:
    """What to read: a slice of the rows of one column, in a ``unit``."""

    file: str
    column: str | None = None
    unit: TimeUnit | None = None
    slice: Rows | None = None

    def select(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows of the slice. Raises `Unreadable` for a file that is too long."""
        first, last = self.slice or (0, None)
        for number, row in enumerate(rows):
            if number >= MOST_ROWS:
                raise Unreadable("file", f"must have at most {MOST_ROWS:,} rows: {self.file} has more")
            if number >= first and (last is None or number < last):
                yield row


class Unreadable(Exception):
    """A file that cannot be used. ``problem`` says which member of the specification to change, and how."""

    def __init__(self, path: str, text: str, got: str = "") -> None:
        super().__init__(text)
        self.problem = Problem(path, text, got)


@dataclass(frozen=True)
class Times:
    """``ns``: one for each row, unchanged. ``dated``: they count from 1970. ``sha256``: of the whole file."""

    ns: Instants
    lines: Callable[[int], int]
    sha256: str
    dated: bool


def read_times(source: Source, form: Form | None, sha256: str | None) -> Times:
    """The times in a file, which must have the digest ``sha256`` if one is given. Raises `Unreadable`."""
    form = form or _infer_format(source.file)
    content, digest = load_content(source.file, sha256)
    cells = _read_csv(source, content) if form == "csv" else _read_jsonl(source, content)
    column = TimeColumn(source)
    for line, cell in source.select(cells):
        column.add(line, cell)
    return column.close(digest)


class TimeColumn:
    """Takes the cells of a column of times, row by row."""

    def __init__(self, source: Source) -> None:
        self._source = source
        # Eight bytes each: a list of Python's numbers would take four times as much.
        self._lines, self._times = array("q"), array("q")
        self._zones: set[bool | None] = set()

    def add(self, line: int, cell: object) -> None:
        """The cell of the next row. Raises `Unreadable`."""
        ns, zone = _read_time(cell, self._source, line)
        self._lines.append(line)
        self._times.append(ns)
        # A column is of one kind. Dates without a zone among dates with one could be hours apart, silently.
        self._zones.add(zone)
        if len(self._zones) > 1:
            text = "is of another kind than the rows before it: numbers, dates and dates with a time zone do not mix"
            raise Unreadable("column", f"{describe_place(self._source, line)} {text}", show_value(cell))

    def close(self, digest: str) -> Times:
        """All rows were added. Raises `Unreadable` if there was none."""
        if not self._times:
            raise Unreadable("slice" if self._source.slice else "file", f"leaves no row of {self._source.file}")
        return Times(np.array(self._times, np.int64), self._lines.__getitem__, digest, self._zones != {None})


def _read_time(cell: object, source: Source, line: int) -> tuple[int, bool | None]:
    found = parse_time(cell, source.unit)
    if found is None:
        if source.unit is None and is_plain_number(cell):
            raise Unreadable(
                "unit",
                f"is required: {describe_place(source, line)} is a plain number, of s, ms, us or ns?",
                show_value(cell),
            )
        text = "is empty" if cell in ("", None) else "must be a number, or a date such as 2023-11-16 18:17:03.9799600"
        raise Unreadable("column", f"{describe_place(source, line)} {text}", show_value(cell))
    ns, zone = found
    if not -LIMIT < ns < LIMIT:
        raise Unreadable(
            "column", f"{describe_place(source, line)} is more than 146 years: is the unit right?", show_value(cell)
        )
    return ns, zone


def describe_place(source: Source, line: int) -> str:
    """File, line and column, for a message."""
    # The line, not the row: blank lines, headers and a slice make the two differ, and editors show lines.
    column = "" if source.column is None else f", column {source.column!r}"
    return f"{source.file}, line {line}{column}"


def _infer_format(name: str) -> Form:
    ending = Path(name).suffix.lower()
    forms: dict[str, Form] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    if ending not in forms:
        raise Unreadable("format", "is required, csv or jsonl: the name of the file does not tell", show_value(name))
    return forms[ending]


def load_content(name: str, sha256: str | None) -> tuple[bytes, str]:
    """What a file holds, and its digest, which must be ``sha256`` if one is given. Raises `Unreadable`."""
    # Read once, as bytes: the digest and the rows must be of the same content, even if the file changes meanwhile.
    try:
        content = read_file(name, MOST_BYTES)
    except ValueError as error:
        raise Unreadable("file", str(error), show_value(name)) from None
    except OSError as error:
        raise Unreadable("file", f"cannot be read: {error.strerror or error}", show_value(name)) from None
    digest = hashlib.sha256(content).hexdigest()
    if sha256 not in (None, digest):
        text = f"is not that of {name} any more: leave sha256 out to run the file as it is now, which is another run"
        raise Unreadable("sha256", text, show_value(sha256))
    return content, digest


def decode_lines(source: Source, content: bytes) -> Iterator[str]:
    """The lines, unchanged, decoded by the byte order mark."""
    try:
        text = decode_text(content)
    except SpecError as error:
        # The decoder knows the byte, and people look for the line.
        wrong = error.__context__
        lines = content.count(b"\n", 0, wrong.start) + 1 if isinstance(wrong, UnicodeDecodeError) else 1
        raise Unreadable("file", f"{error} ({source.file}, line {lines})") from None
    return io.StringIO(text, newline="")


def _read_csv(source: Source, content: bytes) -> Iterator[tuple[int, str]]:
    """(line, cell) of each row that is not blank. The first row names the columns, unless the file has only one."""
    rows = csv.reader(decode_lines(source, content), strict=True)
    try:
        head = next((row for row in rows if row), [])
        index = _find_csv_column(source, head)
        # A file of one column may have no header. Then its first line is a time, which no name of a column is.
        if source.column is None and parse_time(head[0], source.unit or "s") is not None:
            yield rows.line_num, head[0]
        for row in rows:
            if not row:
                continue
            if len(row) <= index:
                raise Unreadable(
                    "column", f"{describe_place(source, rows.line_num)}: the row has {len(row)} columns only"
                )
            yield rows.line_num, row[index]
    except csv.Error as error:
        raise Unreadable("file", f"{source.file}, line {rows.line_num} is not CSV: {error}") from None


def _find_csv_column(source: Source, head: list[str]) -> int:
    names = [name.strip() for name in head]
    if not names:
        raise Unreadable("file", f"{source.file} is empty: its first line must name the columns")
    if source.column is None:
        if len(names) > 1:
            raise Unreadable("column", f"is required: one of {list_names(names)}")
        return 0
    if names.count(source.column) != 1:
        many = "stands more than once in the first line" if source.column in names else "is no column"
        # One column that contains semicolons or tabs: nearly always a CSV of another dialect. Say so.
        other = next((mark for mark in (";", "\t") if len(names) == 1 and mark in names[0]), None)
        hint = f"; its columns are separated by {other!r}, and must be by ','" if other else ""
        raise Unreadable(
            "column", f"{many} of {source.file}: there is {list_names(names)}{hint}", show_value(source.column)
        )
    return names.index(source.column)


def list_names(names: list[str]) -> str:
    """The names of columns for a message."""
    # A file without a header may have a thousand "names". The message stays readable.
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(show_value(name) for name in names[:20]) + more


def _read_jsonl(source: Source, content: bytes) -> Iterator[tuple[int, Any]]:
    """(line, value) of each line that is not blank: the member ``column`` of an object, or the value itself."""
    for line, found in read_json_lines(source, content):
        value = found
        if isinstance(value, dict):
            if source.column is None:
                raise Unreadable("column", f"is required: one of {list_names(list(value))}")
            if source.column not in value:
                raise Unreadable(
                    "column", f"{describe_place(source, line)} is not there: there is {list_names(list(value))}"
                )
            value = value[source.column]
        elif source.column is not None:
            raise Unreadable(
                "column", f"{source.file}, line {line} is not an object, so it has no columns", show_value(value)
            )
        yield line, value


def read_json_lines(source: Source, content: bytes) -> Iterator[Row]:
    """(line, value) of each line that is not blank."""
    for line, text in enumerate(decode_lines(source, content), 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text, parse_float=Decimal, parse_constant=lambda name: name)
        except (ValueError, RecursionError, ArithmeticError):
            raise Unreadable("file", f"{source.file}, line {line} is not JSON", show_value(text.strip())) from None
        yield line, value
