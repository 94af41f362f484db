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
    server, path = _split(base)
    for endpoint in PATHS.values():
        if path.endswith(endpoint):
            return server + path.removesuffix(endpoint)
    return server + (path if path.endswith(VERSION) else path + VERSION)


def _split(url: str) -> tuple[str, str]:
    # A host may have the name of a version, or of an endpoint: only a path is looked at.
    at = len(found[0]) if (found := _AUTHORITY.match(url)) else 0
    return url[:at], url[at:]


def read_endpoint(url: str) -> Endpoint | None:
    """The endpoint that ``url`` names; None for the URL of a server."""
    path = _split(url.rstrip("/"))[1]
    if path.endswith(PATHS["chat"]):
        return "chat"
    return "completions" if path.endswith(PATHS["completions"]) else None


def find_endpoint(url: str, endpoint: Endpoint) -> str:
    """The URL that requests are sent to. Raises `SpecError`."""
    return find_base(url) + PATHS[endpoint]
