"""Rules of the members of a request that are no plain numbers, texts or lists. Each converts a value, or says what is wrong.

``words`` is what a member may be, for the page of the specification; ``schema`` the same, for the HTTP interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import MOST_PROBLEMS, NOT_UNICODE, Invalid, is_unicode, show_value
from aurea_engine.targets.http.headers import TOKEN, check_headers
from aurea_engine.targets.http.pointers import compile_pointer
from aurea_engine.targets.http.urls import split_url
from aurea_engine.targets.secrets import SecretReference

Schema = Mapping[str, Any]
SECRET_SCHEMA: Schema = {
    "type": "object",
    "properties": {"secret": {"type": "string", "maxLength": 256}},
    "required": ["secret"],
    "additionalProperties": False,
}
MOST_URL = 8192
MOST_FIELDS = 1000
MOST_DEPTH = 32
"""How deep a body that is given as JSON may nest; a document that is read from a file is bounded more tightly."""


class UrlRule:
    """A URL that requests can be sent to; its path and query may be templates."""

    words = "URL"
    schema: ClassVar[Schema] = {
        "type": "string",
        "maxLength": MOST_URL,
        "pattern": "^([Hh][Tt][Tt][Pp][Ss]?://[^@]|[Uu][Nn][Ii][Xx]:/)",
    }

    def coerce(self, value: object) -> str:
        # Its problems never show user-info, so they are not `Invalid`, beside which the value is shown.
        if not isinstance(value, str) or len(value) > MOST_URL:
            raise SpecError([Problem("", f"must be a text of at most {MOST_URL:,} characters")])
        if not is_unicode(value):
            raise SpecError([Problem("", NOT_UNICODE)])
        split_url(value)
        return value


class MethodRule:
    """A method, in capitals: RFC 9110 has them differ by case, and ``get`` is none."""

    words = "method"
    pattern = "^[!#$%&'*+.^_`|~0-9A-Z-]{1,32}$"

    def coerce(self, value: object) -> str:
        if not isinstance(value, str) or not TOKEN.fullmatch(value) or value != value.upper() or len(value) > 32:
            hint = f" (did you mean {value.upper()}?)" if isinstance(value, str) and TOKEN.fullmatch(value) else ""
            raise Invalid(f"must be a method in capitals, such as GET or POST{hint}")
        if value == "CONNECT":
            raise Invalid("must not be CONNECT: tunnels are not spoken")
        return value


class HeadersRule:
    """Name → text, or a reference to a secret."""

    words = "object of texts or secrets"
    schema: ClassVar[Schema] = {
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "string"}, SECRET_SCHEMA]},
    }

    def coerce(self, value: object) -> dict[str, str | SecretReference]:
        if not isinstance(value, Mapping):
            raise SpecError([Problem("", "must be an object of texts, or of references to secrets")])
        headers, problems = dict[str, str | SecretReference](), list[Problem]()
        for name, text in value.items():
            # The value may be a secret in the wrong place, so no problem shows it.
            if not isinstance(name, str) or not is_unicode(name):
                problems.append(Problem("", "must have names of letters, digits and hyphens", show_value(name)))
            else:
                self._add(headers, name, text, problems)
        problems += check_headers(headers)
        if problems:
            raise SpecError(problems)
        return headers

    @staticmethod
    def _add(headers: dict[str, str | SecretReference], name: str, value: object, problems: list[Problem]) -> None:
        where = show_value(name)[1:-1]
        if isinstance(value, Mapping):
            try:
                headers[name] = SecretReference(
                    **{key: value[key] for key in ("secret", "env", "file") if key in value}
                )
            except SpecError as error:
                problems += [problem.within(where) for problem in error.problems]
            if unknown := sorted(show_value(key).strip("'") for key in value.keys() - {"secret", "env", "file"}):
                problems.append(Problem(f"{where}.{unknown[0]}", "is not a member: known are secret, env, file"))
        elif isinstance(value, SecretReference) or (isinstance(value, str) and is_unicode(value)):
            headers[name] = value
        else:
            problems.append(Problem(where, "must be a text, or a reference to a secret"))


# A form's fields are texts: a number would have more than one way to be written.
class FormRule:
    """Name → text, sent as an HTML form."""

    words = "object of texts or null"
    schema: ClassVar[Schema] = {
        "anyOf": [{"type": "object", "additionalProperties": {"type": "string"}}, {"type": "null"}]
    }

    def coerce(self, value: object) -> dict[str, str] | None:
        if value is None:
            return None
        if not isinstance(value, Mapping) or len(value) > MOST_FIELDS:
            raise Invalid(f"must be an object of at most {MOST_FIELDS:,} texts")
        for name, text in value.items():
            if not (isinstance(name, str) and isinstance(text, str) and is_unicode(name + text)):
                raise SpecError([Problem(show_value(name)[1:-1], "must be a text", show_value(text))])
        return dict(value)


class JsonRule:
    """Any value of JSON. Null is no body: one that is null can be sent as ``body``."""

    words = "any JSON value"
    schema: ClassVar[Schema] = {"description": "Any value of JSON; its texts are templates."}

    def coerce(self, value: object) -> object:
        return copy_json(value)


class ExpectedJsonRule:
    """JSON pointer → the value that must stand there."""

    words = "object of JSON values or null"
    schema: ClassVar[Schema] = {"anyOf": [{"type": "object"}, {"type": "null"}]}

    def coerce(self, value: object) -> dict[str, object] | None:
        if value is None:
            return None
        if not isinstance(value, Mapping) or not value:
            raise Invalid('must be an object of JSON pointers, such as {"/status": "ok"}')
        # Compiled when the run is set up; here only for what is wrong with them.
        problems = list[Problem]()
        for pointer in value:
            if len(problems) >= MOST_PROBLEMS:
                break
            try:
                compile_pointer(pointer)
            except SpecError as error:
                problems += [problem._replace(got=show_value(pointer)) for problem in error.problems]
        if problems:
            raise SpecError(problems)
        return {pointer: copy_json(expected) for pointer, expected in value.items()}


def copy_json(value: object, depth: int = 0) -> Any:
    """A value of JSON with lists, dicts, and floats in place of decimals. Raises `Invalid` for anything else."""
    if depth > MOST_DEPTH:
        raise Invalid(f"must be nested at most {MOST_DEPTH} deep")
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) and is_unicode(name) for name in value):
            raise Invalid("must have texts as the names of its members")
        return {name: copy_json(member, depth + 1) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_json(item, depth + 1) for item in value]
    # The parser makes decimals of fractions. JSON's readers make doubles of them, so nothing is lost that would be seen.
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value - value != 0:
        raise Invalid("must be JSON, which has no NaN and no infinity")
    if isinstance(value, str) and not is_unicode(value):
        raise Invalid(NOT_UNICODE)
    if not (value is None or isinstance(value, (bool, int, float, str))):
        raise Invalid("must be a value of JSON")
    return value
