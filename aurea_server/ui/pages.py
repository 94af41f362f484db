"""The page at ``/docs``. Its files are read once, from the package: no path from outside ever reaches a disk."""

from __future__ import annotations

import functools
from importlib.resources import files

from aiohttp import web

# Only what is listed here is served; anything else in the folder is no page, such as the licences.
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@functools.cache
def assets() -> dict[str, tuple[bytes, str]]:
    """Name → (content, media type)."""
    found = {}
    for file in files("aurea_server.ui").joinpath("static").iterdir():
        kind = TYPES.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None and file.is_file():
            found[file.name] = file.read_bytes(), kind
    return found


def _page(name: str) -> web.Response:
    # A lookup in a dict and not a path: no name can lead out of the package.
    found = assets().get(name)
    if found is None:
        raise web.HTTPNotFound
    content, kind = found
    return web.Response(body=content, content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"})


async def index(_: web.Request) -> web.Response:
    """``GET /docs``"""
    return _page("index.html")


async def asset(request: web.Request) -> web.Response:
    """``GET /docs/{name}``"""
    return _page(request.match_info["name"])
