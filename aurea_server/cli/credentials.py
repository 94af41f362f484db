"""Literal credentials of a specification → names, before anything else sees them.

What a user types (``-H 'Authorization: …'``, ``-u user:password``, ``https://user:password@host/``) or what a browser
recorded must stand in no result, no saved file and no log. So it is taken out of the plain data, before a specification is
made of it, and the name of an environment variable stands in its place: ``{"env": "AUREA_SECRET_BEARER"}``. The value goes
to the run by `Access.given`, in memory, or, for an imported request, nowhere: the user is told to supply it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

PREFIX = "AUREA_SECRET_"
REQUEST_KINDS = ("http", "chat")
"""Kinds of jobs that have the members of a request themselves; the steps of a flow have them too."""

# Whole words of a name, so that "author" and "sidebar" are none. Too many rather than too few: what is taken out by mistake
# is listed and can be supplied again, and what is left in by mistake is published with the result.
_PARTS = frozenset((
    *("token", "secret", "password", "passwd", "pwd", "passphrase", "auth", "authorization", "cookie", "signature", "sig"),
    *("session", "sessionid", "sid", "jwt", "apikey", "accesskey", "credential", "credentials"),
    *("csrf", "xsrf", "csrftoken", "xsrftoken"),
))  # fmt: skip
_PAIRS = frozenset({("api", "key"), ("pass", "word"), ("access", "key"), ("private", "key"), ("session", "id")})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPLIT = re.compile(r"[^a-z0-9]+")
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|(sk|pk|rk|ghp|gho|ghs|glpat|xox[abp])[-_][\w-]{12,}", re.ASCII)
"""A JSON Web Token, or a token of one of the services that mark theirs by a prefix."""
_USER_INFO = re.compile(r"(?P<scheme>https?://)(?P<user>[^/?#]*)@(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Credential:
    """A value that was taken out; ``variable`` names it from now on, ``purpose`` says to people what it is."""

    variable: str
    purpose: str
    value: str = field(repr=False)


def is_credential_name(name: str) -> bool:
    """Whether a header, a parameter or a member of this name most likely holds a credential."""
    parts = [part for part in _SPLIT.split(_CAMEL.sub("-", name).lower()) if part]
    # "key" alone is what Google's services call theirs; "sort-key" and "cache-key" are no secrets.
    return parts == ["key"] or not _PARTS.isdisjoint(parts) or any(pair in _PAIRS for pair in pairwise(parts))


def is_credential(name: str, value: str) -> bool:
    """Whether the value of a parameter or a member is a credential, by its name or by its look."""
    return bool(value) and (is_credential_name(name) or _TOKEN.fullmatch(value) is not None)


def take_credentials(document: Any, *, by_target: bool = False) -> tuple[Any, list[Credential]]:
    """``document``, a specification as plain data, with names in place of literal credentials; and what was taken out.

    Each value has a variable of its own; ``by_target``: each header of a target has, whatever its value was. That is for
    recordings, whose values are of no use any more.
    """
    taker = _Taker(by_target)
    return taker.take(document), taker.taken


class _Taker:
    def __init__(self, by_target: bool) -> None:
        self._by_target = by_target
        self.taken: list[Credential] = []

    def take(self, value: Any, *, is_request: bool = False) -> Any:
        """A copy of ``value`` without literal credentials, at any depth: jobs stand within mixes, wrappers and flows.

        ``is_request``: it is a step of a flow, which has no kind of its own.
        """
        if isinstance(value, list):
            return [self.take(each, is_request=is_request) for each in value]
        if not isinstance(value, dict):
            return value
        kind = value.get("kind")
        # Kinds of other packages have members of their own, and may not know what a reference is.
        if (is_request or kind in REQUEST_KINDS) and isinstance(value.get("url"), str):
            return self._take_from_request(value)
        return {
            name: self.take(member, is_request=kind == "flow" and name == "steps") for name, member in value.items()
        }

    def _take_from_request(self, members: dict[str, Any]) -> dict[str, Any]:
        """The members of one request. A header beside another kind of credential wins, as with curl."""
        url, userinfo = split_userinfo(members["url"])
        cleaned = {**members, "url": url}
        where, headers = describe_origin(url), members.get("headers")
        if isinstance(headers, dict) and any(name.lower() == "authorization" for name in headers):
            cleaned.pop("auth", None)
        elif userinfo and "auth" not in cleaned:
            cleaned["auth"] = {"basic": self._name("BASIC", f"user:password for {where}", unquote(userinfo))}
        auth = cleaned.get("auth")
        if isinstance(auth, dict):
            cleaned["auth"] = {kind: self._name_literal(kind, secret, where) for kind, secret in auth.items()}
        if isinstance(headers, dict):
            cleaned["headers"] = self._take_from_headers(headers, where, cleaned)
            if not cleaned["headers"]:
                del cleaned["headers"]
        return cleaned

    def _name_literal(self, kind: str, secret: Any, where: str) -> Any:
        what = "user:password" if kind == "basic" else "token"
        return self._name(kind, f"{what} for {where}", secret) if isinstance(secret, str) else secret

    def _take_from_headers(self, headers: Mapping[str, Any], where: str, members: dict[str, Any]) -> dict[str, Any]:
        left: dict[str, Any] = {}
        for name, value in headers.items():
            # A template is no literal: a flow puts there what an earlier step was given.
            if not isinstance(value, str) or not is_credential_name(name) or "{{" in value or not value:
                left[name] = value
            elif name.lower() == "authorization" and (auth := self._read_authorization(value, where)):
                members["auth"] = auth
            else:
                left[name] = self._name(name, f"header {name} for {where}", value)
        return left

    def _read_authorization(self, value: str, where: str) -> dict[str, Any] | None:
        """``auth`` for the two schemes that it knows; None for any other, which stays a header."""
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() == "bearer" and rest.strip():
            return {"bearer": self._name("BEARER", f"token for {where}", rest.strip())}
        if scheme.lower() == "basic" and (pair := _decode_basic(rest.strip())) is not None:
            return {"basic": self._name("BASIC", f"user:password for {where}", pair)}
        return None

    def _name(self, name: str, purpose: str, value: str) -> dict[str, str]:
        """The reference that stands for ``value``; the same one for the same value."""
        base = name_variable(name)
        # A second value under the same name gets a number: one variable cannot stand for two secrets.
        number, variable = 1, base
        known = {each.variable: each.purpose if self._by_target else each.value for each in self.taken}
        while variable in known and known[variable] != (purpose if self._by_target else value):
            number += 1
            variable = f"{base}_{number}"
        # Listed once, however many requests send it.
        if variable not in known:
            self.taken.append(Credential(variable, purpose, value))
        return {"env": variable}


def name_variable(name: str) -> str:
    """The environment variable for the credential of a header or a scheme: ``AUREA_SECRET_X_API_KEY``."""
    return PREFIX + re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


def list_variables(document: Any) -> list[str]:
    """Every environment variable of ours that a specification refers to."""
    found: dict[str, None] = {}

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(name := value.get("env"), str) and len(value) == 1:
                found[name] = None
            for member in value.values():
                visit(member)
        elif isinstance(value, list):
            for each in value:
                visit(each)

    visit(document)
    return list(found)


def split_userinfo(url: str) -> tuple[str, str]:
    """A URL without ``user:password@``, and that, still percent-encoded; an empty text where there is none."""
    found = _USER_INFO.fullmatch(url)
    # The last @ before the path ends it: a password may hold one.
    return (url, "") if found is None else (found["scheme"] + found["rest"], found["user"])


def describe_origin(url: str) -> str:
    """Scheme, host and port of a URL, or the path of a Unix socket: what people know a target by."""
    if url.startswith("unix:"):
        return "unix:" + url[5:].partition(":")[0]
    found = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*", url)
    return url if found is None else found[0].rpartition("@")[2] if "@" in found[0] else found[0]


def _decode_basic(text: str) -> str | None:
    # What is no pair in base64 stays a header as it came: a server may have its own idea of "Basic".
    try:
        pair = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return pair if ":" in pair else None


def list_needed(taken: list[Credential]) -> Iterator[str]:
    """A line for each variable that must be set before the specification runs."""
    width = max((len(each.variable) for each in taken), default=0)
    yield from (f"  {each.variable:<{width}}  {each.purpose}" for each in taken)
