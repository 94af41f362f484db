"""Rows of data: from files and written out, what is kept of them, and what is wrong with a line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aurea_engine import SpecError
from aurea_engine.targets.http import data as data_module
from aurea_engine.targets.http.data import Data, read_rows
from aurea_engine.targets.http.escaping import Written
from aurea_engine.targets.http.templates import RowFields


def read(data: Data, *uses: str | tuple[str, Written]) -> list[tuple[str, ...]]:
    fields = RowFields(None)
    for use in uses:
        fields.position_of(*(use if isinstance(use, tuple) else (use, "text")))
    return read_rows(data, fields)


def write(folder: Path, name: str, text: str) -> Data:
    (folder / name).write_text(text, encoding="utf-8")
    return Data(file=str(folder / name))


def problem_of(data: Data, *uses: str) -> str:
    with pytest.raises(SpecError) as refused:
        read(data, *uses)
    return str(refused.value)


def test_a_csv_has_named_fields(tmp_path: Path) -> None:
    """Quoted line breaks, blank lines, a byte order mark and spaces around names."""
    data = write(tmp_path, "a.csv", '\ufeffid, name\n1,"two\nlines"\n\n2,"say ""x"""\n')
    assert read(data, "name", "id") == [("two\nlines", "1"), ('say "x"', "2")]


def test_jsonl_has_types(tmp_path: Path) -> None:
    """A text has one form for each; as JSON they stay what they are."""
    data = write(tmp_path, "a.jsonl", '{"a": 1.5, "b": true}\n\n{"b": false, "a": "5"}\n')
    assert read(data, "a", "b", ("a", "value")) == [("1.5", "true", "1.5"), ("5", "false", '"5"')]


def test_cells_read_as_json_where_they_can(tmp_path: Path) -> None:
    """Cells have no types: a number is one, and anything else is a text."""
    data = write(tmp_path, "a.csv", 'a\n5\ntrue\n1e3\n007\nx"y\n"[1]"\n')
    found = [row[0] for row in read(data, ("a", "value"))]
    assert found == ["5", "true", "1e3", '"007"', '"x\\"y"', '"[1]"']


def test_only_used_fields_are_kept(tmp_path: Path) -> None:
    """Of ten thousand rows with a long field that no template names, less than a tenth of the file stays."""
    line = "7," + "x" * 1000 + "\n"
    data = write(tmp_path, "a.csv", "id,long\n" + line * 10_000)
    rows = read(data, "id")
    assert len(rows) == 10_000
    assert sum(map(sys.getsizeof, rows)) < 1_000_000


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "id,name\n1,x\n2\n", "line 3 has 1 fields, and the first line names 2"),
        ("a.csv", 'id\n"open\n', "is not CSV"),
        ("a.csv", "id,id\n1,2\n", "line 1 names the field 'id' more than once"),
        ("a.csv", "id\n", "has no row"),
        ("a.csv", "", "has no row"),
        ("a.csv", "name\nx\n", "line 2 has no field 'id', which a template names"),
        ("a.jsonl", '{"id": 1}\n{"id": \n', "line 2 is not JSON"),
        ("a.jsonl", '{"id": 1}\n[1]\n', "line 2 is no object"),
        (
            "a.jsonl",
            '{"id": 1}\n{"idd": 1}\n',
            "line 2 has no field 'id', which a template names (did you mean \"idd\"?)",
        ),
        ("a.jsonl", '{"id": null}\n', "line 1 has null in 'id'"),
        ("a.jsonl", '{"id": {"x": 1}}\n', "line 1 has an object in 'id'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, name: str, text: str, problem: str) -> None:
    """By its number in the file, before anything is sent."""
    assert problem in problem_of(write(tmp_path, name, text), "id")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8: each says so."""
    assert "file: cannot be read: No such file" in problem_of(Data(file=str(tmp_path / "none.csv")), "id")
    (tmp_path / "b.csv").write_bytes(b"id\n\xff\n")
    assert "UTF-8" in problem_of(Data(file=str(tmp_path / "b.csv")), "id")
    (tmp_path / "c.csv").mkdir()
    assert "cannot be read" in problem_of(Data(file=str(tmp_path / "c.csv")), "id")


def test_size_and_number_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name, such as that of a disk image, is an error and fills no memory."""
    data = write(tmp_path, "a.csv", "id\n1\n2\n3\n")
    monkeypatch.setattr(data_module, "MOST_ROWS", 2)
    assert "at most 2 rows" in problem_of(data, "id")
    monkeypatch.setattr(data_module, "MOST_BYTES", 4)
    assert "at most 4 bytes" in problem_of(data, "id")


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({}, "file: give either file or rows"),
        ({"file": "a.csv", "rows": [{"a": 1}]}, "file: give either file or rows"),
        ({"file": "a.txt"}, "file: must end in .csv, .jsonl or .ndjson"),
        ({"rows": []}, "rows: must be a list of 1 to 1,000,000 objects"),
        ({"rows": [{"a": 1}, 5]}, "rows[1]: must be an object"),
        ({"rows": [{"a": 1}, {}]}, "rows[1]: must be an object"),
        ({"rows": [{"a": 1}], "pick": "any"}, "pick: must be one of"),
    ],
)
def test_members_are_checked(members: dict[str, object], problem: str) -> None:
    with pytest.raises(SpecError) as refused:
        Data(**members)  # type: ignore[arg-type]
    assert problem in str(refused.value)


def test_rows_are_named_by_their_place() -> None:
    """Those that are written out have no lines."""
    data = Data(rows=({"a": 1}, {"b": 2}))
    assert problem_of(data, "a").startswith("rows[1]: has no field 'a'")
    assert data.known_fields() == ("a", "b")
