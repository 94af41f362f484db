"""Text → plain values, strictly: what is wrong with a document is reported before anything is made of it.

A document may come from anywhere, so its size alone may decide how long reading takes: depth, digits and bare lists are
bounded, and what Python's parsers accept beyond the standards (NaN, a member twice) is refused.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, NoReturn

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import MOST_PROBLEMS, NOT_UNICODE, is_unicode, show_value
from aurea_engine.fields.text_files import MARK, decode_text

MAX_DEPTH = 16
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string, or what would be one if it were closed."""

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
MAX_BARE_LISTS = 20_000
"""Lists beyond one an object. The parser makes lists, unlike objects and numbers, without coming back to Python in between,
so hundreds of thousands of them would stop every other thread for a large part of a second. No specification has them.
"""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]", re.ASCII)


RESULT_DEPTH = MAX_DEPTH + 4
"""How deep a result may nest: it holds a specification, with every number that stands for a distribution written out."""


def parse_json(text: bytes | str, *, max_depth: int = MAX_DEPTH) -> Any:
    """Strict JSON: no NaN or Infinity, no member twice, at most ``max_depth`` deep; fractions come as `Decimal`.

    Bytes are UTF-8, or what their byte order mark says. Raises `SpecError`.
    """
    decoded = _decode(text)
    # First, because the parser recurses at each bracket and would run out of stack.
    _check_brackets(decoded, max_depth)
    try:
        value = json.loads(
            decoded,
            object_pairs_hook=_refuse_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except json.JSONDecodeError as error:
        raise SpecError(f"must be JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    if _SURROGATE.search(decoded) and (problems := list(islice(_find_torn_texts(value, ""), MOST_PROBLEMS + 1))):
        if len(problems) > MOST_PROBLEMS:
            problems[-1] = Problem("", f"there is more that is wrong: these are the first {MOST_PROBLEMS} problems")
        raise SpecError(problems)
    return value


def _decode(text: bytes | str) -> str:
    return decode_text(text) if isinstance(text, bytes) else text.removeprefix(MARK)


def _find_torn_texts(value: Any, path: str) -> Iterator[Problem]:
    """Texts with half a surrogate pair: JSON can name it, and nothing can write it down."""
    if isinstance(value, dict):
        for name, member in value.items():
            where = f"{path}.{show_value(name)[1:-1]}".lstrip(".")
            yield from _find_torn_texts(name, where)
            yield from _find_torn_texts(member, where)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _find_torn_texts(item, f"{path}[{i}]")
    elif isinstance(value, str) and not is_unicode(value):
        yield Problem(path, NOT_UNICODE, show_value(value))


def _check_brackets(text: str, max_depth: int) -> None:
    """Raises `SpecError` for a text that nests too deep, or holds too many lists. Brackets within strings do not count."""
    depth = 0
    brackets = _STRING.sub("", text).encode("utf-8", "surrogatepass").translate(None, _NO_BRACKETS)
    # All other bytes are gone, so this loop is short whatever the text's length; closed or not does not matter here.
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > max_depth:
            raise SpecError(f"must be nested at most {max_depth} deep")
    if brackets.count(b"[") - brackets.count(b"{") > MAX_BARE_LISTS:
        raise SpecError(f"must have at most {MAX_BARE_LISTS:,} lists that are in no object of their own")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # JSON leaves the meaning of a repeated name open (RFC 8259, section 4), and every reader takes another one of them.
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise SpecError([Problem(show_value(name).strip("'"), "must be given once")])
        seen[name] = value
    return seen


def _refuse_constant(name: str) -> NoReturn:
    raise SpecError(f"must be JSON, which has no {name}")


def _parse_int(digits: str) -> int:
    # Python takes quadratic time to read a long number, and refuses one of more than 4,300 digits with a ValueError.
    if len(digits) > 40:
        raise SpecError(f"a number of {len(digits)} digits is beyond every limit")
    return int(digits)


def _parse_float(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:  # an exponent that not even Decimal can hold
        raise SpecError(f"a number is beyond every limit: {show_value(digits)}") from None


def parse_toml(text: bytes | str) -> Any:
    """TOML 1.0, fractions as `Decimal`; bytes as `parse_json` takes them. Raises `SpecError`."""
    try:
        return tomllib.loads(_decode(text), parse_float=_parse_float)
    except SpecError:
        raise
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise SpecError(f"must be TOML: {error}") from None
