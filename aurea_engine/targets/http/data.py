"""Rows of data for templates: ``data`` of a specification, from a CSV or JSONL file or written out.

Rows are read once, before the run's window opens, and only the fields that templates name are kept. What is wrong with a row
is said with its line, before anything is sent.
"""

# A row becomes a tuple of texts, one for each use of a field, and each is escaped already for the place where it is used. So
# a job costs a look-up, and a million rows of two short fields 200 MB. What no template names is not kept: data are often
# an export with fifty columns. Every row is looked at before the first request: a wrong one would fail its job an hour
# later, as a failure without a cause in the target, and `pick: once` would have used up the rows before it.

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Invalid, show_value
from aurea_engine.fields.local_files import RUN_FILE, FileName, read_file
from aurea_engine.fields.text_files import decode_text
from aurea_engine.targets.http.escaping import WRITERS, Written, write_json, write_text
from aurea_engine.targets.http.member_rules import copy_json
from aurea_engine.targets.http.templates import RowFields

MOST_BYTES = 256 * 1024**2
MOST_ROWS = 1_000_000
"""Of a file. Beyond, the rows would take more memory than a runner has."""

FORMS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class RowsRule:
    """A list of objects that have the same members."""

    words = "list of objects or null"
    schema: Mapping[str, Any] = {
        "anyOf": [{"type": "array", "items": {"type": "object"}, "minItems": 1}, {"type": "null"}]
    }

    def coerce(self, value: object) -> tuple[dict[str, Any], ...] | None:
        if value is None:
            return None
        if not isinstance(value, (list, tuple)) or not value or len(value) > MOST_ROWS:
            raise Invalid(f"must be a list of 1 to {MOST_ROWS:,} objects")
        for i, row in enumerate(value):
            if not isinstance(row, Mapping) or not row:
                raise SpecError([Problem(f"[{i}]", "must be an object with at least one field", show_value(row))])
        return tuple(copy_json(row) for row in value)


Pick = Literal["in_order", "random", "once"]


@dataclass(frozen=True)
class Data(Checked):
    """Rows whose fields templates name, from a ``file`` (CSV with a first line of names, or JSONL) or as ``rows``.

    ``pick``: which row a job gets. ``in_order`` begins again after the last row; ``random`` draws from all; with ``once``
    each row has one job, and arrivals end with the rows.
    """

    file: Annotated[FileName | None, RUN_FILE] = None
    rows: Annotated[tuple[dict[str, Any], ...] | None, RowsRule()] = None
    pick: Pick = "in_order"

    def __hash__(self) -> int:
        # Rows are dicts, which have no hash, so they take no part; equal values still have equal hashes.
        return hash((self.file, self.pick))

    def check(self) -> list[Problem]:
        if (self.file is None) == (self.rows is None):
            return [Problem("file", "give either file or rows")]
        if self.file is not None and Path(self.file).suffix.lower() not in FORMS:
            return [Problem("file", "must end in .csv, .jsonl or .ndjson, which says its form", show_value(self.file))]
        return []

    def known_fields(self) -> tuple[str, ...] | None:
        """The fields of the rows, in order; None if only the file knows them."""
        return None if self.rows is None else tuple(dict.fromkeys(name for row in self.rows for name in row))

    def count(self) -> int:
        """How many rows there are. Raises `SpecError`, as `read_rows` does."""
        return len(self.rows) if self.rows is not None else sum(1 for _ in _read_file(self))


Row = tuple[str, ...]


def read_rows(data: Data, fields: RowFields) -> list[Row]:
    """The texts of the used ``fields`` of each row. Raises `SpecError` for a row that lacks one, or is no row."""
    rows = list[Row]()
    # Many rows have the same text in a field, such as a country: one object for all of them.
    kept: dict[str, str] = {}
    for line, row in enumerate(data.rows, 0) if data.rows is not None else _read_file(data):
        texts = [_read_field(data, line, row, name, written) for name, written in fields.used]
        rows.append(tuple(kept.setdefault(text, text) if len(text) < 40 else text for text in texts))
    return rows


def _read_field(data: Data, line: int, row: Mapping[str, Any], name: str, written: Written) -> str:
    if name not in row:
        near = get_close_matches(name, row, n=1)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        _refuse(
            data, line, f"has no field {show_value(name)}, which a template names{hint}: there is {_list_names(row)}"
        )
    value = row[name]
    if written == "value":
        return _write_cell(value) if data.file is not None and not _is_jsonl(data) else write_json(value)
    if value is None or isinstance(value, (dict, list)):
        kind = "null" if value is None else "an object" if isinstance(value, dict) else "a list"
        _refuse(data, line, f"has {kind} in {show_value(name)}, and a text needs a text, a number, true or false")
    # One that cannot stand in a header is found out by the job that would send it: it alone fails.
    return write_text(value) if written == "header" else WRITERS[written](value)


def _write_cell(cell: str) -> str:
    """A cell of a CSV as JSON: cells have no types, so one that reads as a number, true, false or null is that."""
    try:
        value = msgspec.json.decode(cell)
    except (msgspec.DecodeError, UnicodeError):
        return write_json(cell)
    return cell.strip() if value is None or isinstance(value, (bool, int, float)) else write_json(cell)


def _list_names(row: Mapping[str, Any]) -> str:
    more = f" and {len(row) - 20} more" if len(row) > 20 else ""
    return ", ".join(show_value(name) for name in list(row)[:20]) + more


def _refuse(data: Data, line: int, problem: str) -> None:
    """Raises: something is wrong with one row."""
    where = f"rows[{line}]" if data.rows is not None else "file"
    text = problem if data.rows is not None else f"{data.file}, line {line} {problem}"
    raise SpecError([Problem(where, text)])


def _is_jsonl(data: Data) -> bool:
    return FORMS[Path(data.file or "").suffix.lower()] == "jsonl"


def _read_file(data: Data) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(line, row) of each row of the file."""
    assert data.file is not None
    try:
        text = decode_text(read_file(data.file, MOST_BYTES))
    except SpecError as error:
        raise SpecError([Problem("file", str(error), show_value(data.file))]) from None
    except ValueError as error:
        raise SpecError([Problem("file", str(error), show_value(data.file))]) from None
    except OSError as error:
        raise SpecError(
            [Problem("file", f"cannot be read: {error.strerror or error}", show_value(data.file))]
        ) from None
    # Lazily, line by line: what the rows need in memory is what is kept of them.
    rows = _read_jsonl(data, text) if _is_jsonl(data) else _read_csv(data, text)
    number = 0
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise SpecError([Problem("file", f"must have at most {MOST_ROWS:,} rows", show_value(data.file))])
        yield row
    if not number:
        raise SpecError([Problem("file", "has no row", show_value(data.file))])


def split_lines(text: str) -> Iterator[str]:
    """The lines, ends included. One at a time: `io.StringIO` would hold four bytes for each character."""
    start = 0
    while end := text.find("\n", start) + 1:
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _read_csv(data: Data, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The first row that is not blank names the fields."""
    reader = csv.reader(split_lines(text), strict=True)
    names: Sequence[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if names is None:
                names = _check_names(data, reader.line_num, cells)
                continue
            if len(cells) != len(names):
                _refuse(data, reader.line_num, f"has {len(cells)} fields, and the first line names {len(names)}")
            yield reader.line_num, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        _refuse(data, reader.line_num, f"is not CSV: {error}")


def _check_names(data: Data, line: int, cells: Sequence[str]) -> list[str]:
    # "id, name" is written so by hand. In the cells below spaces may mean something, and stay.
    names = [name.strip() for name in cells]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        _refuse(data, line, f"names the field {show_value(repeated)} more than once")
    return names


def _read_jsonl(data: Data, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, each in enumerate(split_lines(text), 1):
        if not each.strip():
            continue
        try:
            row = msgspec.json.decode(each)
        except (msgspec.DecodeError, RecursionError):
            _refuse(data, line, "is not JSON")
        if not isinstance(row, dict):
            _refuse(data, line, "is no object, and so has no fields")
        yield line, row
