"""The URL of a request, checked: what is wrong with it is said before anything is resolved or sent."""

# Stricter than browsers, on purpose: a browser guesses what a person may have meant, and a guess here would load another
# host than the one that was meant. Scheme, host and port take no template, so that what a run may reach is known before it
# begins. Path and query may have some; what is inserted there is percent-encoded.

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple, NoReturn
from urllib.parse import quote

from aurea_engine.errors import LITERAL_CREDENTIAL, Problem, SpecError
from aurea_engine.fields.checked import show_value
from aurea_engine.fields.hosts import parse_host
from aurea_engine.targets.http.templates import OPENING, PLACEHOLDER

SCHEMES = {"http": 80, "https": 443}
UNIX = "unix:"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_UNFIT = re.compile(r"[\x00-\x20\x7f]")
# Reserved and unreserved characters of RFC 3986, and %: they stand for themselves in a path and a query.
_AS_WRITTEN = "!$&'()*+,;=:@/?-._~%[]"
# A placeholder is kept as it is written; what is inserted for it is encoded later.
_PLACEHOLDERS = re.compile(f"({PLACEHOLDER.pattern.replace('(', '(?:')})")


class SplitUrl(NamedTuple):
    """``host`` in ASCII without brackets, lower case; ``unix`` the path of a socket, else None. ``target``: path and query,
    percent-encoded, placeholders as written.
    """

    scheme: str
    host: str
    port: int
    unix: str | None
    target: str

    @property
    def authority(self) -> str:
        """What the header Host says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.unix is not None or self.port == SCHEMES[self.scheme] else f"{host}:{self.port}"


def split_url(text: str, *, literal: bool = False) -> SplitUrl:
    """``text`` in its parts. Raises `SpecError`; what it shows has no user-info.

    ``literal``: it comes from a target, so braces are no placeholders, and a space is what browsers make of it.
    """
    found = _SCHEME.fullmatch(text)
    if found is not None and found[1].lower() == "unix":
        return _split_unix(text)
    # "localhost:8080/path" has a colon too, and so would be of the scheme "localhost".
    if found is None or found[1].lower() not in SCHEMES or not found[2].startswith("//"):
        _refuse(f"must begin with http://, https:// or unix:{_suggest(text, found)}", text)
    rest = found[2][2:]
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    authority, target = rest[:end], rest[end:]
    if OPENING in authority:
        _refuse("must have no template in scheme, host or port: what a run reaches is known before it begins", text)
    if "@" in authority:
        _refuse(LITERAL_CREDENTIAL, "")
    scheme = found[1].lower()
    host, port = _split_authority(authority, SCHEMES[scheme], text)
    return SplitUrl(scheme, host, port, None, _encode_target(target) if literal else _check_target(target, text))


def _refuse(problem: str, text: str) -> NoReturn:
    raise SpecError([Problem("", problem, show_value(hide_user_info(text)) if text else "")])


def hide_user_info(text: str) -> str:
    """``text`` without all that stands before its last @: it may be a password, which may have any character in it."""
    # Also in a URL that is none: with one slash, without a scheme, or with a slash in the password.
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*:/+)?.*@", r"\1…@", text, count=1, flags=re.DOTALL)


def _suggest(text: str, found: re.Match[str] | None) -> str:
    if found is not None and found[2].startswith("//"):
        return ""
    near = f"http://{text}"
    if found is not None and found[1].lower() in SCHEMES:  # http:/example.com
        near = f"{found[1]}://{found[2].lstrip('/')}"
    try:
        split_url(near)
    except SpecError:
        return ""
    return f' (did you mean "{near}"?)'


def _split_unix(text: str) -> SplitUrl:
    """``unix:/path.sock:/request/path``: the request's path begins after the first colon."""
    socket, colon, target = text[len(UNIX) :].partition(":")
    if not socket.startswith("/") or OPENING in socket or _UNFIT.search(socket):
        _refuse("must be unix:/path.sock:/request/path, with an absolute path and no template in it", text)
    if colon and not target.startswith("/"):
        _refuse("must have a request path that begins with / after the colon: unix:/path.sock:/request/path", text)
    # Linux's limit is 108 bytes with the zero at the end (unix(7)); a longer name would fail every job.
    if len(socket.encode()) > 107:
        _refuse("must name a socket by at most 107 bytes", text)
    return SplitUrl("http", "localhost", 80, socket, _check_target(target, text))


def _split_authority(authority: str, default: int, text: str) -> tuple[str, int]:
    if authority.startswith("["):
        inner, bracket, rest = authority[1:].partition("]")
        host, port = _check_ipv6(inner, bracket, text), rest
    elif authority.count(":") > 1:
        _refuse("must have an IPv6 address within [ and ], and one port at most", text)
    else:
        name, colon, number = authority.partition(":")
        host, port = _check_host(name, text), colon + number
    if port in ("", ":"):
        return host, default
    if not re.fullmatch(r":[0-9]{1,5}", port, re.ASCII) or not 0 < int(port[1:]) < 65536:
        _refuse("must have a port from 1 to 65535", text)
    return host, int(port[1:])


def _check_ipv6(inner: str, bracket: str, text: str) -> str:
    try:
        # A zone belongs to link-local addresses and to this machine; Python would read it.
        return str(ipaddress.IPv6Address("" if "%" in inner or not bracket else inner))
    except ValueError:
        _refuse("must have an IPv6 address, without a zone, within [ and ]", text)


def _check_host(name: str, text: str) -> str:
    if not name:
        _refuse("must name a host", text)
    try:
        host = str(parse_host(name))
    except ValueError as error:
        _refuse(f"must name a host of letters, digits, hyphens and dots: it {error}", text)
    # 2130706433, 0x7f.1 and 127.1 are 127.0.0.1 for most resolvers. Written so, nobody sees what is reached.
    if isinstance(parse_host(name), ipaddress.IPv4Address) and host != name.removesuffix("."):
        _refuse(f"must have an IPv4 address as four decimal numbers: {host}", text)
    return host


def _encode_target(target: str) -> str:
    """Path and query as they can be sent, whatever characters are in them."""
    encoded = quote(target.partition("#")[0], safe=_AS_WRITTEN)
    return encoded if encoded.startswith("/") else f"/{encoded}"


def _check_target(target: str, text: str) -> str:
    if "#" in _PLACEHOLDERS.sub("", target):
        _refuse("must have no fragment: what follows # is never sent; as a part of the path it is %23", text)
    literal = "".join(_PLACEHOLDERS.split(target)[::2])
    if OPENING in literal:
        _refuse("has {{ without }}: two braces that are meant are written {{'{{'}}", text)
    if _UNFIT.search(literal):
        _refuse("must have no space and no control character: a space is %20", text)
    if re.search(r"%(?![0-9A-Fa-f]{2})", literal):
        _refuse("must have two hexadecimal digits after each %: a percent sign that is meant is %25", text)
    if not target.startswith("/"):
        target = f"/{target}"
    # Every second part is a placeholder. Letters of other scripts are sent as their UTF-8, percent-encoded (RFC 3987).
    parts = _PLACEHOLDERS.split(target)
    return "".join(part if i % 2 else quote(part, safe=_AS_WRITTEN) for i, part in enumerate(parts))
