"""Where requests go: the URL of an endpoint, from the URL of a server."""

from __future__ import annotations

from typing import Literal

from aurea_engine.errors import Problem, SpecError
from aurea_engine.targets.http.templates import OPENING

Endpoint = Literal["chat", "completions"]

PATHS = {"chat": "/chat/completions", "completions": "/completions"}
VERSION = "/v1"


def find_base(url: str) -> str:
    """``url`` with ``/v1`` at its end, and no slash: that of a server, with or without it, or of one of its endpoints.

    Raises `SpecError` where it cannot be the URL of a server.
    """
    if OPENING in url:
        raise SpecError([Problem("url", "must have no template: all requests go to one endpoint")])
    if "?" in url or "#" in url:
        raise SpecError([Problem("url", "must have no query: it is the URL of a server, with or without /v1")])
    base = url.rstrip("/")
    if base.lower().startswith("unix:") and base.count(":") == 1:
        base += ":"  # the path of the request begins there
    for path in PATHS.values():
        base = base.removesuffix(path)
    return base if base.endswith(VERSION) else base + VERSION


def find_endpoint(url: str, endpoint: Endpoint) -> str:
    """The URL that requests are sent to. Raises `SpecError`."""
    return find_base(url) + PATHS[endpoint]
