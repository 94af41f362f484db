"""Texts with placeholders: ``{{row.field}}``, ``{{index}}``, ``{{uuid}}``, ``{{STEP.variable}}``.

A template is compiled once, before the run, and then rendered for each job. What a value is escaped as depends on the
place: percent-encoded in a URL, escaped in JSON, refused in a header where it would end the line.
"""

# A template is a format with a place for each placeholder, and as many functions, which give texts that are escaped already.
# Rendering is one list and one `%`: about 0.1 µs a placeholder. What the data hold is escaped as the rows are read, so that
# a job only looks it up. No expression language, and none will follow: a value that has to be computed belongs into the
# data, where it costs nothing during the run.
#
# A text may come from anybody, and be as long as a body may be. So the pattern of a placeholder is bounded: one without a
# bound would look for the end of each of a million openings through all of the rest.

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeAlias

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import MOST_PROBLEMS, show_value
from aurea_engine.targets.http.escaping import (
    WRITERS,
    Place,
    Written,
    check_header_value,
    escape_json,
    write_extracted,
    write_json,
)

OPENING = "{{"
PLACEHOLDER = re.compile(r"""\{\{('\{\{'|"\{\{"|[^{}]{0,256})\}\}""")
_NAME = re.compile(r"([^\s|{}]+)(?:\s*\|\s*(\w+))?")
_LITERAL_OPENING = ("'{{'", '"{{"')
MOST_SUGGESTED = 100
"""Names among which a similar one is looked for."""


class JobContext:
    """What the placeholders of one job stand for. One object serves all jobs of a pool, one after the other.

    ``row``: the texts of the job's row, as `RowFields` numbers them. ``variables``: ``"STEP.variable"`` → its value.
    """

    __slots__ = ("_make_uuid", "_uuid", "index", "row", "variables")

    def __init__(self, make_uuid: Callable[[int], str] = str) -> None:
        self._make_uuid, self._uuid = make_uuid, ""
        self.index = 0
        self.row: Sequence[str] = ()
        self.variables: Mapping[str, object] = {}

    def begin(self, index: int, row: Sequence[str] = (), variables: Mapping[str, object] | None = None) -> None:
        """From here on the placeholders stand for the job of number ``index``."""
        self.index, self.row, self._uuid = index, row, ""
        self.variables = variables or {}

    @property
    def uuid(self) -> str:
        """The job's own UUID: the same wherever it stands in the job, and in every run of the same seed."""
        # Made when it is first asked for: most templates have none.
        if not self._uuid:
            self._uuid = self._make_uuid(self.index)
        return self._uuid


Insert: TypeAlias = Callable[[JobContext], str]
Part: TypeAlias = str | Insert


@dataclass
class RowFields:
    """The fields of a row that templates name, each with the position at which `JobContext.row` has its text.

    ``known``: the fields that there are, None if that shows only when the file is read. ``used`` grows as templates are
    compiled: (field, how it is written) → position. So of a file only these columns are kept.
    """

    known: Sequence[str] | None = ()
    used: dict[tuple[str, Written], int] = field(default_factory=dict)

    def position_of(self, name: str, written: Written) -> int:
        """Where the row has the field ``name``, written so."""
        return self.used.setdefault((name, written), len(self.used))


@dataclass
class Names:
    """What placeholders may name: ``row`` the fields of the data, ``variables`` those of earlier steps."""

    row: RowFields = field(default_factory=RowFields)
    variables: Sequence[str] = ()

    def list_known(self) -> list[str]:
        """Every name, for suggestions."""
        return ["index", "uuid", *(f"row.{name}" for name in self.row.known or ()), *self.variables]


class Template:
    """A compiled text. ``parts``: literals, and functions of the context."""

    __slots__ = ("_format", "_inserts", "parts")

    def __init__(self, parts: Sequence[Part]) -> None:
        merged: list[Part] = []
        for part in parts:
            # Neighbouring literals become one, so that a request has as few parts as it can.
            if isinstance(part, str) and merged and isinstance(merged[-1], str):
                merged[-1] += part
            elif part != "":
                merged.append(part)
        self.parts = tuple(merged)
        self._format = "".join(part.replace("%", "%%") if isinstance(part, str) else "%s" for part in merged)
        self._inserts = tuple(part for part in merged if not isinstance(part, str))

    @property
    def is_literal(self) -> bool:
        """Whether it is the same for every job."""
        return not self._inserts

    def render(self, context: JobContext) -> str:
        """The text for one job. Raises `RequestFailed` for a value that cannot stand in a header."""
        return self._format % tuple([insert(context) for insert in self._inserts])


def compile_template(text: str, place: Place, names: Names) -> Template:
    """``text`` as a template. Raises `SpecError` with every placeholder that names nothing."""
    parts, problems, end = list[Part](), list[Problem](), 0
    for found in PLACEHOLDER.finditer(text):
        parts.append(_check_closed(text[end : found.start()], problems))
        end = found.end()
        if len(problems) >= MOST_PROBLEMS:
            break  # more are not reported
        try:
            parts.append(_compile_placeholder(found[1].strip(), place, names))
        except SpecError as error:
            problems += error.problems
    parts.append(_check_closed(text[end:], problems))
    if problems:
        raise SpecError(problems)
    return Template(parts)


def has_placeholder(text: str) -> bool:
    """Whether ``text`` may differ from job to job."""
    return OPENING in text


def _check_closed(literal: str, problems: list[Problem]) -> str:
    if OPENING in literal:
        problems.append(Problem("", "has {{ without }}: two braces that are meant are written {{'{{'}}"))
    return literal


def _compile_placeholder(inner: str, place: Place, names: Names) -> Part:
    if inner in _LITERAL_OPENING:
        return OPENING
    found = _NAME.fullmatch(inner)
    if found is None or found[2] not in (None, "json"):
        text = "must be {{NAME}} or {{NAME|json}}, such as {{row.user}}"
        raise SpecError([Problem("", text, show_value(f"{{{{{inner}}}}}"))])
    if found[2] is not None and place not in ("json", "text"):
        raise SpecError([Problem("", "|json is for bodies only", show_value(f"{{{{{inner}}}}}"))])
    return _compile_name(found[1], place if found[2] is None else "value", names)


def _compile_name(name: str, written: Written, names: Names) -> Insert:
    """The function that gives the text of ``name``."""
    # Digits and hyphens are the same in every place.
    if name == "index":
        return lambda context: str(context.index)
    if name == "uuid":
        return (lambda context: f'"{context.uuid}"') if written == "value" else (lambda context: context.uuid)
    head, _, rest = name.partition(".")
    if head == "row" and rest and (names.row.known is None or rest in names.row.known):
        position = names.row.position_of(rest, written)
        # A value that cannot stand in a header fails its job alone, and so when its turn has come.
        if written == "header":
            return lambda context: check_header_value(context.row[position])
        return lambda context: context.row[position]
    if name in names.variables:
        write = write_extracted if written == "header" else WRITERS[written]
        return lambda context: write(context.variables[name])
    raise SpecError([Problem("", _describe_unknown(name, names), show_value(f"{{{{{name}}}}}"))])


def _describe_unknown(name: str, names: Names) -> str:
    if name.startswith("row.") and names.row.known == () and not names.variables:
        return "names a field of a row, and there is no data: give data, with rows or a file"
    known = names.list_known()[:MOST_SUGGESTED]
    near = get_close_matches(name, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known[:20])}"
    return f"names nothing: {hint}"


def compile_json(value: Any, names: Names) -> Template:
    """A JSON value whose texts, at any depth, are templates.

    ``"{{row.n}}"`` stays a text, ``"5"``. ``"{{row.n|json}}"`` as a whole text is the value itself: ``5``.
    """
    parts, problems = list[Part](), list[Problem]()
    _add_json(value, "", names, parts, problems)
    if problems:
        raise SpecError(problems)
    return Template(parts)


def _add_json(value: Any, path: str, names: Names, parts: list[Part], problems: list[Problem]) -> None:
    if len(problems) >= MOST_PROBLEMS:
        return
    if isinstance(value, str):
        _add_json_text(value, path, names, parts, problems)
    elif isinstance(value, Mapping):
        parts.append("{")
        for i, (name, member) in enumerate(value.items()):
            parts.append("," if i else "")
            _add_json_text(str(name), path, names, parts, problems)
            parts.append(":")
            _add_json(member, f"{path}.{name}".lstrip("."), names, parts, problems)
        parts.append("}")
    elif isinstance(value, (list, tuple)):
        parts.append("[")
        for i, item in enumerate(value):
            parts.append("," if i else "")
            _add_json(item, f"{path}[{i}]", names, parts, problems)
        parts.append("]")
    else:
        parts.append(write_json(value))


_WHOLE_VALUE = re.compile(r"\{\{[^{}]*\|\s*json\s*\}\}")


def _add_json_text(text: str, path: str, names: Names, parts: list[Part], problems: list[Problem]) -> None:
    if not has_placeholder(text):
        parts.append(write_json(text))
        return
    whole = len(text) < 300 and _WHOLE_VALUE.fullmatch(text) is not None
    if not whole and any(re.search(r"\|\s*json\s*$", found[1]) for found in PLACEHOLDER.finditer(text)):
        problems.append(Problem(path, 'must be "{{NAME|json}}" alone: a JSON value cannot stand within a text'))
        return
    try:
        template = compile_template(text, "json", names)
    except SpecError as error:
        problems += [problem.within(path) if path else problem for problem in error.problems]
        return
    # Literals stand inside the quotation marks too, and are escaped like the values.
    inner = [escape_json(part) if isinstance(part, str) else part for part in template.parts]
    parts += inner if whole else ['"', *inner, '"']
