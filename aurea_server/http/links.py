"""References to runs in ``Location`` and ``Link``, as clients reach them, whatever stands before this server's own paths."""

from __future__ import annotations

from aiohttp import web

from aurea_server.http.app_keys import BASE_PATH

_RESOURCES = "/benchmark/"
"""Every route whose answers refer to others begins like this; what an outer app puts before it is its prefix."""


def link(request: web.Request, path: str) -> str:
    """``path`` with the base path before it, or else with the prefix under which an outer aiohttp app has this one.

    What a proxy took away cannot be seen here; the setting says it. Headers such as X-Forwarded-Prefix are not believed:
    any client can send them.
    """
    if base := request.app[BASE_PATH]:
        return base + path
    # The route that was matched knows its whole path, with the prefix of every outer app in it.
    resource = request.match_info.route.resource
    return ("" if resource is None else resource.canonical.rpartition(_RESOURCES)[0]) + path
