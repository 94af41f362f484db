"""Reads price sheets: TOML to `PriceSheet`, with the line of every mistake, and the sheets that come with Aurea."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from aurea_engine.costs.price_sheets import PriceSheet, SheetMeter, SheetPrice
from aurea_engine.costs.rates import Tier
from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, show_value
from aurea_engine.fields.text_files import MARK, read_text

SCHEMA = 1


def parse_sheet(text: str) -> PriceSheet:
    """Parse the sheet in ``text`` (TOML). Raises `SpecError` with every mistake, each with its line and path."""
    # Editors on Windows put a byte order mark before UTF-8, which TOML does not allow.
    text = text.removeprefix(MARK)
    try:
        data = tomllib.loads(text, parse_float=_parse_decimal)
    except (tomllib.TOMLDecodeError, ArithmeticError, RecursionError, ValueError) as error:
        raise SpecError([Problem("", f"is not TOML: {error}")]) from None
    problems: list[Problem] = []
    head = data.get("sheet")
    if not isinstance(head, dict):
        raise SpecError([Problem("sheet", "must be a table: [sheet] with id, version, currency, checked, source")])
    if head.get("schema") != SCHEMA:
        problems.append(Problem("sheet.schema", f"must be {SCHEMA}", show_value(head.get("schema"))))
    problems += [
        Problem(key, "is not known: a sheet has [sheet] and [[price]]") for key in data.keys() - {"sheet", "price"}
    ]
    fields: dict[str, Any] = {key: value for key, value in head.items() if key != "schema"}
    fields["prices"] = tuple(_parse_prices(data.get("price", []), problems))
    # The hash is of the data, not of the text: a comment or another order of keys does not make another sheet.
    canonical = json.dumps(data, sort_keys=True, default=str, separators=(",", ":"))
    fields["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
    sheet = _parse_record(PriceSheet, fields, "sheet", problems)
    if problems or not isinstance(sheet, PriceSheet):
        raise SpecError(_add_line_numbers(problems, text))
    return sheet


class _TooLarge:
    """A number that not even `Decimal` holds. It is valid for no member, so the error is reported at its own place."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _parse_decimal(text: str) -> Decimal | _TooLarge:
    try:
        return Decimal(text)
    except ArithmeticError:
        return _TooLarge(text)


def _parse_prices(tables: object, problems: list[Problem]) -> Iterator[SheetPrice]:
    if not isinstance(tables, list):
        problems.append(Problem("price", "must be [[price]], with two brackets"))
        tables = []
    for i, table in enumerate(tables):
        price = _parse_record(SheetPrice, table, f"price[{i}]", problems)
        # A price with mistakes is replaced by a valid one, so that the mistakes of the others are found, with right numbers.
        yield price or SheetPrice(
            sku=f"price[{i}]", unit="Jobs", meter=SheetMeter(kind="jobs"), price=0, effective_from=date.min
        )


def check_sheet(text: str) -> tuple[Problem, ...]:
    """Every mistake in a sheet; empty if it is valid."""
    try:
        parse_sheet(text)
    except SpecError as error:
        return error.problems
    return ()


_NESTED: Mapping[str, type[Checked]] = {"meter": SheetMeter, "steps": Tier}
_HARMLESS: Mapping[str, Any] = {
    "steps": (Tier(0),), "price": 0, "mode": None, "per": 1, "allowance": 0, "currency": None, "sku": "", "unit": "Jobs",
    "effective_from": date.min, "effective_to": None, "checked": date.min,
    "id": "", "version": "", "title": "", "source": "", "notice": "",
}  # fmt: skip
"""Valid values that replace wrong ones, so that the other members can still be checked together."""


def _parse_record(cls: type[Any], table: Any, path: str, problems: list[Problem]) -> Any:
    """``table`` as ``cls``. Problems are appended to ``problems``; if there are any, the result is None."""
    if not isinstance(table, dict):
        problems.append(Problem(path, "must be a table", show_value(table)))
        return None
    fields = {field.name: field for field in dataclasses.fields(cls)}
    values = {key: value for key, value in table.items() if key in fields}
    found = [Problem(key, f"is not known: {', '.join(fields)} are") for key in table if key not in fields]
    for name, field in fields.items():
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in table and not optional:
            found.append(Problem(name, "is missing"))
    for key in _NESTED.keys() & values.keys():
        values[key] = _parse_nested(key, values[key], found)
    made = _make_record(cls, values, found)
    problems += [problem if problem.path.startswith("price[") else problem.within(path) for problem in found]
    return None if found else made


def _make_record(cls: type[Any], values: dict[str, Any], found: list[Problem]) -> Any:
    """Check each field alone; then, with the wrong ones replaced by valid ones, all together."""
    # A dataclass reports the problems of its fields, or, if it has none, those of `check`. To report both at once, wrong
    # fields are replaced until what remains is only what `check` finds.
    wrong = {re.split(r"[.\[]", problem.path)[0] for problem in found if problem.problem[:12] != "is not known"}
    replaceable = _HARMLESS.keys() & {field.name for field in dataclasses.fields(cls)}
    while wrong <= replaceable:
        try:
            return cls(**{**values, **{name: _HARMLESS[name] for name in wrong}})
        except SpecError as error:
            new = [problem for problem in error.problems if re.split(r"[.\[]", problem.path)[0] not in wrong]
            if not new:
                return None
            found += new
            wrong |= {re.split(r"[.\[]", problem.path)[0] for problem in new}
    return None


def _parse_nested(key: str, value: Any, problems: list[Problem]) -> Any:
    if key == "steps" and isinstance(value, list):
        return tuple(_parse_record(_NESTED[key], each, f"{key}[{i}]", problems) for i, each in enumerate(value))
    return _parse_record(_NESTED[key], value, key, problems)


def _add_line_numbers(problems: list[Problem], text: str) -> list[Problem]:
    # tomllib keeps no positions. A path that is not in the text (a missing member) gets the line of its parent.
    lines = _locate_lines(text)
    located = []
    for problem in problems:
        path = problem.path
        while path and path not in lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        where = f"line {lines[path]}, " if path in lines else ""
        located.append(problem._replace(path=f"{where}{problem.path}"))
    return sorted(located, key=lambda each: int((re.match(r"line (\d+)", each.path) or ["", "0"])[1]))


def _locate_lines(text: str) -> dict[str, int]:
    """Path → line, for tables and their keys. Good enough to show a person the place."""
    found: dict[str, int] = {}
    table, count = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        # Only what price sheets use: tables, arrays of tables and bare keys. Keys inside inline tables share their line.
        if header := re.match(r"\s*(\[\[?)\s*([\w.]+)\s*\]", line):
            table = header[2]
            if header[1] == "[[":
                table, count = f"{table}[{count}]", count + 1
            found[table] = number
        elif key := re.match(r"\s*([\w-]+)\s*=", line):
            found[f"{table}.{key[1]}" if table else key[1]] = number
    return found


def load_sheet(path: str | Path) -> PriceSheet:
    """Read a sheet of your own from a file. Raises `SpecError` that names the file, also if it cannot be read."""
    try:
        return parse_sheet(read_text(path))
    except SpecError as error:
        raise SpecError(
            problem._replace(path=f"{path}, {problem.path}".rstrip(", ")) for problem in error.problems
        ) from None
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None


@functools.cache
def _read_shipped_sheets() -> dict[str, str]:
    files = resources.files(__package__) / "prices"
    return {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in sorted(files.iterdir(), key=lambda each: each.name)
        if file.name.endswith(".toml")
    }


def shipped_sheets() -> tuple[str, ...]:
    """The names of the sheets that come with Aurea, ``<id>@<version>``."""
    return tuple(_read_shipped_sheets())


@functools.cache
def shipped_sheet(name: str) -> PriceSheet:
    """The shipped sheet ``<id>@<version>``, or the newest version of ``<id>``. Raises `SpecError` if there is none."""
    # Versions begin with the year and month, so the greatest text is the newest.
    names = shipped_sheets()
    versions = [each for each in names if name in (each, each.partition("@")[0])]
    if not versions:
        raise SpecError([Problem("name", f"must be one of {', '.join(names)}", show_value(name))])
    return parse_sheet(_read_shipped_sheets()[max(versions)])
