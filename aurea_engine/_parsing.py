"""Text → plain values, strictly: what is odd about a document is said before anything is made of it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from aurea_engine._fields import NOT_UNICODE, is_unicode, shown
from aurea_engine.errors import Problem, SpecError
from aurea_engine.text_files import MARK, decode_text

MAX_DEPTH = 16
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]", re.ASCII)


def parse_json(text: bytes | str) -> Any:
    """Strict JSON: no NaN or Infinity, no member twice, at most `MAX_DEPTH` deep; fractions come as `Decimal`.

    Bytes are UTF-8, or what their byte order mark says. Raises `SpecError`.
    """
    decoded = _decoded(text)
    _check_depth(decoded)
    try:
        value = json.loads(
            decoded,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except json.JSONDecodeError as error:
        raise SpecError(f"must be JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    if _SURROGATE.search(decoded) and (problems := list(_torn(value, ""))):
        raise SpecError(problems)
    return value


def _decoded(text: bytes | str) -> str:
    return decode_text(text) if isinstance(text, bytes) else text.removeprefix(MARK)


def _torn(value: Any, path: str) -> Iterator[Problem]:
    """Texts with half a surrogate pair: JSON can name it, and nothing can write it down."""
    if isinstance(value, dict):
        for name, member in value.items():
            where = f"{path}.{shown(name)[1:-1]}".lstrip(".")
            yield from _torn(name, where)
            yield from _torn(member, where)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _torn(item, f"{path}[{i}]")
    elif isinstance(value, str) and not is_unicode(value):
        yield Problem(path, NOT_UNICODE, shown(value))


def _check_depth(text: str) -> None:
    """Before the parser, which would run out of stack. Brackets within strings do not count."""
    depth, inside, escaped = 0, False, False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise SpecError(f"must be nested at most {MAX_DEPTH} deep")
        elif character in "]}":
            depth -= 1


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise SpecError([Problem(shown(name).strip("'"), "must be given once")])
        seen[name] = value
    return seen


def _no_constant(name: str) -> NoReturn:
    raise SpecError(f"must be JSON, which has no {name}")


def _parse_int(digits: str) -> int:
    if len(digits) > 40:
        raise SpecError(f"a number of {len(digits)} digits is beyond every limit")
    return int(digits)


def _parse_float(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:  # an exponent that not even Decimal can hold
        raise SpecError(f"a number is beyond every limit: {shown(digits)}") from None


def parse_toml(text: bytes | str) -> Any:
    """TOML 1.0, fractions as `Decimal`; bytes as `parse_json` takes them. Raises `SpecError`."""
    try:
        return tomllib.loads(_decoded(text), parse_float=_parse_float)
    except SpecError:
        raise
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise SpecError(f"must be TOML: {error}") from None
