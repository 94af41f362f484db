"""How a value is written where it is inserted: it must end no segment of a URL, no string of JSON and no line of a head."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import quote, quote_plus

import msgspec

from aurea_engine.targets.failures import RequestFailed

Place = Literal["text", "json", "path", "query", "form", "header"]
"""Where the rendered text will stand, which decides how values are escaped."""

Written = Literal[Place, "value"]
"""The same; and ``value`` where it stands as a value of JSON by itself."""

UNFIT_IN_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header may hold (RFC 9110, section 5.5): line ends would begin another header, or another request."""


def write_text(value: object) -> str:
    """A value of JSON as plain text: a text is itself, true is ``true``, a list is JSON."""
    return value if isinstance(value, str) else write_json(value)


def write_json(value: object) -> str:
    """A value as JSON."""
    return msgspec.json.encode(value).decode()  # ten times as fast as the standard library


def escape_json(text: str) -> str:
    """The text as it stands within the quotation marks of a JSON string."""
    return msgspec.json.encode(text)[1:-1].decode()


_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*", re.ASCII)


# Most values need no encoding: a number, a name, a UUID. Asking first costs a tenth of encoding.
def percent_encode(text: str) -> str:
    """Everything but RFC 3986's unreserved characters as %XX, so that a value ends no segment and no parameter."""
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def encode_form(text: str) -> str:
    """As HTML forms are encoded: like a URL, but for the space, which is ``+``."""
    return text if _UNRESERVED.fullmatch(text) else quote_plus(text)


def check_header_value(text: str) -> str:
    """``text``, which ends no line. Raises `RequestFailed`."""
    # Class `local`: the request was never made, so it cannot be the target's failure.
    if UNFIT_IN_HEADERS.search(text):
        raise RequestFailed("local")
    return text


def write_extracted(value: object) -> str:
    """For a header, what came from the target. Raises `RequestFailed`: the target is to blame for what cannot be used."""
    text = write_text(value)
    if UNFIT_IN_HEADERS.search(text):
        raise RequestFailed("extract")
    return text


WRITERS: Mapping[Written, Callable[[object], str]] = {
    "text": write_text,
    "value": write_json,
    "json": lambda value: escape_json(write_text(value)),
    "path": lambda value: percent_encode(write_text(value)),
    "query": lambda value: percent_encode(write_text(value)),
    "form": lambda value: encode_form(write_text(value)),
    "header": lambda value: check_header_value(write_text(value)),
}
"""How a value of JSON is written in each place."""
