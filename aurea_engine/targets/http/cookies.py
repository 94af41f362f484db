"""The cookies of one job, over its redirects or the steps of its flow: a subset of RFC 6265."""

# What is done, of RFC 6265, sections 5.2 to 5.4: name and value as they came, `Domain`, `Path`, `Secure`, and the end of a
# cookie by `Max-Age` ≤ 0 or an `Expires` in the past. What is not: other ends (a job lasts seconds, so a cookie that would
# end in an hour lasts as long as its job), `HttpOnly` and `SameSite`, which are about scripts and pages, and the list of
# public suffixes. In its place: a `Domain` without a dot in it, and any `Domain` of an address, is refused.
#
# A jar belongs to one job. Users of a load test are strangers to each other, and a session that they shared would be cached
# by the target as no real one is.

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from aurea_engine.targets.http.urls import SplitUrl

MOST_COOKIES = 50
"""Of one jar, as RFC 6265, section 6.1, has it: a target cannot make jars grow."""

MOST_BYTES = 4096
"""Of one cookie with its attributes (RFC 6265, section 6.1): longer ones are ignored. A path is kept, too."""

# The calendar plays no part in a run; that a cookie is to end at once is written as a date long ago, such as 1970.
LONG_AGO = 2000


_AGE = re.compile(r"-?[0-9]+", re.ASCII)


@dataclass
class _Cookie:
    value: str
    host_only: bool
    secure: bool


class CookieJar:
    """The cookies that one job was given."""

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        # (domain, path, name): what makes two cookies the same one. In the order in which they came first.
        self._cookies: dict[tuple[str, str, str], _Cookie] = {}

    def store(self, url: SplitUrl, set_cookie: str) -> None:
        """Take one header ``Set-Cookie`` of a reply from ``url``. What is no cookie, or not for this host, is ignored."""
        if len(set_cookie) > MOST_BYTES:
            return
        pair, *attributes = set_cookie.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not name or not _is_printable(pair):
            return
        given = _read_attributes(attributes)
        domain = given.get("domain", "").lstrip(".").lower()
        if domain and not _may_set(url.host, domain):
            return
        # A cookie that is for secure connections only must come over one (RFC 6265bis, section 5.7).
        if "secure" in given and url.scheme != "https":
            return
        path = given.get("path", "")
        key = (domain or url.host, path if path.startswith("/") else _default_path(url), name)
        if _has_ended(given):
            self._cookies.pop(key, None)
        elif key in self._cookies or len(self._cookies) < MOST_COOKIES:
            self._cookies[key] = _Cookie(value, not domain, "secure" in given)

    def header(self, url: SplitUrl) -> str:
        """What a request to ``url`` sends as its header ``Cookie``; empty if nothing."""
        path = url.target.partition("?")[0]
        found = [
            (key, cookie)
            for key, cookie in self._cookies.items()
            if _matches(url, key[0], cookie) and _is_within(path, key[1])
        ]
        # Longer paths first (section 5.4); the sort is stable, so among equals the earlier one is first.
        found.sort(key=lambda each: -len(each[0][1]))
        return "; ".join(f"{key[2]}={cookie.value}" for key, cookie in found)


def _is_printable(text: str) -> bool:
    return all(32 <= ord(character) != 127 for character in text)


def _read_attributes(attributes: list[str]) -> dict[str, str]:
    """Attribute in lower case → value; of a repeated one the last."""
    pairs = (attribute.partition("=") for attribute in attributes)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _may_set(host: str, domain: str) -> bool:
    """Whether ``host`` may set a cookie for ``domain``: itself, or a domain above it that is no top-level one."""
    if host == domain:
        return True
    return "." in domain and host.endswith(f".{domain}") and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _default_path(url: SplitUrl) -> str:
    """The folder of the URL (section 5.1.4)."""
    path = url.target.partition("?")[0]
    return path[: path.rfind("/")] or "/"


def _has_ended(given: dict[str, str]) -> bool:
    # Max-Age counts, whatever Expires says (section 5.3).
    if _AGE.fullmatch(age := given.get("max-age", "")):
        return age.startswith("-") or not age.strip("0")
    expires = given.get("expires", "")
    try:
        return bool(expires) and parsedate_to_datetime(expires[:64].replace("-", " ")).year < LONG_AGO
    except (ValueError, OverflowError):
        return False


def _matches(url: SplitUrl, domain: str, cookie: _Cookie) -> bool:
    if cookie.secure and url.scheme != "https":
        return False
    return url.host == domain or (not cookie.host_only and url.host.endswith(f".{domain}"))


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder if folder.endswith("/") else f"{folder}/")
