"""Where requests go: the URL of an endpoint, from the URL of a server."""

from __future__ import annotations

import re
from typing import Literal

from aurea_engine.errors import Problem, SpecError
from aurea_engine.targets.http.templates import OPENING

Endpoint = Literal["chat", "completions"]

PATHS = {"chat": "/chat/completions", "completions": "/completions"}
VERSION = "/v1"
_AUTHORITY = re.compile(r"[A-Za-z]+://[^/]*")


def find_base(url: str) -> str:
    """What endpoints stand behind, without a slash at its end. Of the URL of a server ``/v1`` is a part, whether it has it
    or not; what names one of the endpoints is taken at its word.

    Raises `SpecError` where it cannot be the URL of a server.
    """
    if OPENING in url:
        raise SpecError([Problem("url", "must have no template: all requests go to one endpoint")])
    if "?" in url or "#" in url:
        raise SpecError([Problem("url", "must have no query: it is the URL of a server, with or without /v1")])
    base = url.rstrip("/")
    if base.lower().startswith("unix:") and base.count(":") == 1:
        base += ":"  # the path of the request begins there
    # Only of the path: a host may have the name of a version, or of an endpoint.
    at = len(found[0]) if (found := _AUTHORITY.match(base)) else 0
    server, path = base[:at], base[at:]
    for endpoint in PATHS.values():
        if path.endswith(endpoint):
            return server + path.removesuffix(endpoint)
    return server + (path if path.endswith(VERSION) else path + VERSION)


def find_endpoint(url: str, endpoint: Endpoint) -> str:
    """The URL that requests are sent to. Raises `SpecError`."""
    return find_base(url) + PATHS[endpoint]
