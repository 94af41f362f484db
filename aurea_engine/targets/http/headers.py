"""The headers of a request, checked: names, values, and which of them belong to the connection."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aurea_engine.errors import LITERAL_CREDENTIAL, Problem
from aurea_engine.fields.checked import show_value
from aurea_engine.targets.http.escaping import UNFIT_IN_HEADERS
from aurea_engine.targets.http.templates import has_placeholder

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", re.ASCII)
"""RFC 9110, section 5.6.2: what names of headers and methods are made of."""

CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
"""Headers whose values are secrets."""

# A framing that contradicts the body makes the server read the next request from the middle of this one.
FORBIDDEN: Mapping[str, str] = {
    "content-length": "is worked out from the body: leave it out",
    "transfer-encoding": "is not for a specification: a body is sent with its length",
    "connection": "belongs to the pool of connections: give reuse false for a connection per request",
    "keep-alive": "belongs to the pool of connections: leave it out",
    "proxy-connection": "belongs to the pool of connections: leave it out",
    "upgrade": "asks for another protocol, and only HTTP/1.1 is spoken: leave it out",
    "te": "belongs to the connection: leave it out",
    "trailer": "belongs to the framing of the body: leave it out",
    "expect": "is sent by expect_continue: give that",
}
"""Headers that may not be set by hand, each with the remedy."""

# A credential that is filled in later, such as the token that an earlier step was given: a scheme may stand before it, or
# the names of cookies, and no text that could be a secret itself.
_PLACEHOLDERS = r"(?:\{\{[^{}]{1,256}\}\})+"
_FILLED = (
    re.compile(rf"(?:[A-Za-z]{{1,32}} )?{_PLACEHOLDERS}"),
    re.compile(rf"[^=;{{}}\s]{{1,256}}={_PLACEHOLDERS}(?:; ?[^=;{{}}\s]{{1,256}}={_PLACEHOLDERS})*"),
)

MOST_HEADERS = 100
MOST_VALUE = 16_384
"""Bytes of one value. Servers allow 8 KiB as a rule; a trial of their limits needs a little more."""


def check_headers(headers: Mapping[str, object]) -> list[Problem]:
    """What is wrong with ``headers``: name → text or SECRET."""
    problems, seen = list[Problem](), set[str]()
    if len(headers) > MOST_HEADERS:
        return [Problem("", f"must be at most {MOST_HEADERS} headers", show_value(headers))]
    for name, value in headers.items():
        lower = name.lower()
        where = f"{show_value(name)[1:-1]}"
        if not TOKEN.fullmatch(name):
            # A whole header in place of its name may hold a secret behind the colon.
            shown, colon, _ = name.partition(":")
            text = "must have names of letters, digits and hyphens"
            problems.append(Problem("", text, show_value(shown + (":…" if colon else ""))))
        elif lower in seen:
            problems.append(Problem(where, "must be given once: the case of letters makes no difference"))
        elif lower in FORBIDDEN:
            problems.append(Problem(where, FORBIDDEN[lower]))
        elif isinstance(value, str):
            problems += _check_text(lower, where, value)
        seen.add(lower)
    return problems


def _check_text(name: str, where: str, value: str) -> list[Problem]:
    # Never with the value beside it, where that may be a secret.
    if name in CREDENTIALS and not _FILLED[name == "cookie"].fullmatch(value):
        return [Problem(where, LITERAL_CREDENTIAL)]
    got = "" if name in CREDENTIALS else show_value(value)
    if UNFIT_IN_HEADERS.search(value):
        return [Problem(where, "must have no line end and no control character", got)]
    if len(value.encode("utf-8", "replace")) > MOST_VALUE:
        return [Problem(where, f"must be at most {MOST_VALUE:,} bytes", got)]
    if value != value.strip():
        return [Problem(where, "must not begin or end with a space: servers drop it", got)]
    if name == "host" and (has_placeholder(value) or not re.fullmatch(r"[A-Za-z0-9._\[\]:-]+", value)):
        return [Problem(where, "must be a host, with a port if need be, and no template", got)]
    return []
