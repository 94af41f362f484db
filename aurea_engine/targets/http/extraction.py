"""Values taken out of replies, for the templates of later steps: by JSON pointer, from a header, or by a regex.

What is extracted comes from a target and stays in memory as long as its flow, of which thousands may be in flight. So it is
bounded: a body that is kept has at most 1 MiB; a regex sees the first 64 KiB of it, and takes bounded time (`LinearRegex`);
a value has at most `MOST_VALUE` characters. A value that is not there, or is not right, fails the step as ``extract``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Invalid, show_value
from aurea_engine.targets.http.escaping import write_text
from aurea_engine.targets.http.headers import TOKEN
from aurea_engine.targets.http.linear_regex import MOST_STEPS, LinearRegex
from aurea_engine.targets.http.pointers import ABSENT, compile_pointer

MOST_TEXT = 64 * 1024
"""Bytes of a body that a regex sees."""

MOST_VALUE = 16 * 1024
"""Characters of a text."""

MOST_NESTED = 4 * 1024
"""Characters of an object or a list as JSON: in memory it takes up to thirty times as much."""

MOST_VARIABLES = 100
MOST_EXPRESSION = 1024

Headers = Sequence[tuple[str, str]]


class _PointerRule:
    """A JSON pointer."""

    words = "JSON pointer or null"
    schema: ClassVar[Mapping[str, Any]] = {"type": ["string", "null"]}

    def coerce(self, value: object) -> str | None:
        if value is not None:
            compile_pointer(value)
        return value  # type: ignore[return-value]


class _HeaderRule:
    """The name of a header."""

    words = "header name or null"
    schema: ClassVar[Mapping[str, Any]] = {"type": ["string", "null"]}

    def coerce(self, value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not TOKEN.fullmatch(value):
            raise Invalid("must be the name of a header, such as Location")
        return value


class _RegexRule:
    """A regular expression that can be matched in linear time."""

    words = "regex or null"
    schema: ClassVar[Mapping[str, Any]] = {"type": ["string", "null"], "maxLength": MOST_EXPRESSION}

    def coerce(self, value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not value or len(value) > MOST_EXPRESSION:
            raise Invalid(f"must be a regular expression of 1 to {MOST_EXPRESSION:,} characters")
        LinearRegex(value)
        return value


@dataclass(frozen=True)
class Extract(Checked):
    """Where a variable comes from: ``json``, a pointer into the body; ``header``, whose name may be in any case; or
    ``regex``, of which the group is taken, or the whole match if it has none.
    """

    json: Annotated[str | None, _PointerRule()] = None
    header: Annotated[str | None, _HeaderRule()] = None
    regex: Annotated[str | None, _RegexRule()] = None

    def check(self) -> list[Problem]:
        given = [name for name in ("json", "header", "regex") if getattr(self, name) is not None]
        if len(given) == 1:
            return []
        return [Problem("", 'must be {"json": POINTER}, {"header": NAME} or {"regex": EXPRESSION}')]


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


class ExtractRule:
    """Variable → where it comes from."""

    words = "object of extractions"
    schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "maxProperties": MOST_VARIABLES,
        "additionalProperties": {
            "type": "object",
            "properties": {"json": _PointerRule.schema, "header": _HeaderRule.schema, "regex": _RegexRule.schema},
            "additionalProperties": False,
        },
    }

    def coerce(self, value: object) -> dict[str, Extract]:
        if not isinstance(value, Mapping) or len(value) > MOST_VARIABLES:
            raise Invalid(f"must be an object of at most {MOST_VARIABLES} variables")
        found, problems = dict[str, Extract](), list[Problem]()
        for name, where in value.items():
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                text = "must have names of letters, digits and underscores that begin with none of the digits"
                problems.append(Problem("", text, show_value(name)))
                continue
            try:
                found[name] = where if isinstance(where, Extract) else _make_extract(where)
            except SpecError as error:
                problems += [problem.within(name) for problem in error.problems]
        if problems:
            raise SpecError(problems)
        return found


def _make_extract(where: object) -> Extract:
    known = ("json", "header", "regex")
    if not isinstance(where, Mapping) or not set(where) <= set(known):
        raise SpecError([Problem("", f"must be an object with one of {', '.join(known)}", show_value(where))])
    return Extract(**{name: where[name] for name in known if name in where})


Find = Callable[[Headers, bytes], object]
"""The value that a reply with these headers and this body has; `ABSENT` if it has none."""


class Extraction:
    """Takes the variables of one step out of its replies. ``names``: variable → under which name templates know it."""

    def __init__(self, extract: Mapping[str, Extract], step: str) -> None:
        self.names = {variable: f"{step}.{variable}" for variable in extract}
        self.looks_at_headers = any(each.header is not None for each in extract.values())
        self.looks_at_body = any(each.header is None for each in extract.values())
        # The body is decoded once, however many pointers look into it.
        self._pointers = [
            (self.names[name], compile_pointer(each.json)) for name, each in extract.items() if each.json is not None
        ]
        self._headers = [
            (self.names[name], each.header.lower()) for name, each in extract.items() if each.header is not None
        ]
        self._regexes = [
            (self.names[name], LinearRegex(each.regex)) for name, each in extract.items() if each.regex is not None
        ]

    def take(self, headers: Headers, body: bytes, variables: dict[str, object]) -> bool:
        """Write what the reply has into ``variables``. Returns whether it had all of it."""
        found = list(self._find_headers(headers))
        if self._pointers:
            found += self._find_pointers(body)
        if self._regexes:
            # What is no UTF-8 is not worth a failure of its own: it only cannot be matched.
            text = body[:MOST_TEXT].decode("utf-8", "replace")
            # All of a step's together may take as long as two: one reply must not hold up every other job.
            most = min(MOST_STEPS, 2 * MOST_STEPS // len(self._regexes))
            found += [(name, regex.find(text, most)) for name, regex in self._regexes]
        for name, value in found:
            # A null would become the text "null" in the next request, which is never intended.
            most = MOST_NESTED if isinstance(value, (dict, list)) else MOST_VALUE
            if value is ABSENT or value is None or len(write_text(value)) > most:
                return False
            variables[name] = value
        return True

    def _find_headers(self, headers: Headers) -> list[tuple[str, object]]:
        return [
            (name, next((value for key, value in headers if key == wanted), None)) for name, wanted in self._headers
        ]

    def _find_pointers(self, body: bytes) -> list[tuple[str, object]]:
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            document = ABSENT
        return [(name, pointer.find(document)) for name, pointer in self._pointers]
