"""Reading price sheets: TOML to `PriceSheet`, with every mistake in its line, and the sheets that come with Aurea."""

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
    """The sheet that ``text`` (TOML) holds. Raises `SpecError` with every mistake, each with its line and path."""
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
    canonical = json.dumps(data, sort_keys=True, default=str, separators=(",", ":"))
    fields["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
    sheet = _parse_record(PriceSheet, fields, "sheet", problems)
    if problems or not isinstance(sheet, PriceSheet):
        raise SpecError(_add_line_numbers(problems, text))
    return sheet


class _TooLarge:
    """A number that not even a `Decimal` holds. It is no value of any member, so its own place is what is complained of."""

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
        # A price with mistakes leaves a stand-in behind, so that the mistakes of the others are still found and numbered.
        yield price or SheetPrice(
            sku=f"price[{i}]", unit="Jobs", meter=SheetMeter(kind="jobs"), price=0, effective_from=date.min
        )


def check_sheet(text: str) -> tuple[Problem, ...]:
    """Every mistake in a sheet; none where it is right."""
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
"""What stands in for a value that is wrong, so that the others can still be looked at together."""


def _parse_record(cls: type[Any], table: Any, path: str, problems: list[Problem]) -> Any:
    """``table`` as ``cls``; what does not fit is appended to ``problems``, and then there is none."""
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
    """Field by field first; then, with the wrong ones replaced, all together."""
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
    """Path → line, for tables and the keys in them. Good enough to point a person at the place."""
    found: dict[str, int] = {}
    table, count = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.]+)\s*\]", line):
            table = header[2]
            if header[1] == "[[":
                table, count = f"{table}[{count}]", count + 1
            found[table] = number
        elif key := re.match(r"\s*([\w-]+)\s*=", line):
            found[f"{table}.{key[1]}" if table else key[1]] = number
    return found


def load_sheet(path: str | Path) -> PriceSheet:
    """A sheet of your own, from a file. Raises `SpecError` naming the file: where it cannot be read, too."""
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
    """The shipped sheet ``<id>@<version>``, or the newest version of ``<id>``. Raises `SpecError` where there is none."""
    names = shipped_sheets()
    versions = [each for each in names if name in (each, each.partition("@")[0])]
    if not versions:
        raise SpecError([Problem("name", f"must be one of {', '.join(names)}", show_value(name))])
    return parse_sheet(_read_shipped_sheets()[max(versions)])
