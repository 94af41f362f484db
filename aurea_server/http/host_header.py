"""The check of the ``Host`` header: by which names clients may call this server.

It is what protects a server on loopback from web pages: a page of another site can make a browser send requests here under
a name of that site's own (DNS rebinding), and then read the answers as if they were the site's. Such requests carry that
name in ``Host``. So a server answers only to loopback's names, to the address it is bound to, and to ``--allowed-host``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from aiohttp import web

from aurea_server.http.problems import HttpProblem

LOCAL = ("localhost", "127.0.0.1", "[::1]")

_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[0-9A-Za-z._-]{1,253})(?::([0-9]{1,5}))?", re.ASCII)
# A proxy's form of a request line. Whatever stands before the path there is where the client thinks it is.
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)", re.ASCII)


def parse_host(text: str) -> str | None:
    """The name in a ``Host`` header or an authority, lower case and without its port; None if it is none."""
    found = _HOST.fullmatch(text)
    if found is None:
        return None
    name = found[1].lower().rstrip(".")
    if not name.startswith("["):
        return name
    try:
        return f"[{ipaddress.IPv6Address(name[1:-1])}]"  # the same address has many spellings
    except ValueError:
        return None


def allowed_hosts(bind: str, more: Iterable[str]) -> frozenset[str]:
    """Names that a server bound to ``bind`` answers to. Raises ValueError for what is not a host name."""
    bound = f"[{bind.partition('%')[0]}]" if ":" in bind else bind  # no client names the zone of an address
    names = {*LOCAL, parse_host(bound) or bind.lower()}
    for text in more:
        name = parse_host(text)
        if name is None:
            raise ValueError(f"{text!r} is not a host name")
        names.add(name)
    return frozenset(names)


def check_host(request: web.Request, allowed: frozenset[str]) -> str:
    """The ``Host`` of a request, lower case. Raises HttpProblem where it is not one of those ``allowed``."""
    text = request.headers.get("Host", "")
    # A request without a Host, or with one that is not a host name, parses to None, which is never allowed. So is a second
    # Host header: aiohttp's parser refuses it before.
    if parse_host(text) not in allowed or not {*map(parse_host, _authority(request))} <= allowed:
        raise HttpProblem(403, "host_not_allowed", "This server does not answer to that Host; --allowed-host adds one.")
    return text.lower()


def _authority(request: web.Request) -> list[str]:
    """What an absolute target (``GET http://localhost/health``) names, which counts more than ``Host`` (RFC 9112, 3.2.2)."""
    return [found[1]] if (found := _ABSOLUTE.match(request.raw_path)) else []
