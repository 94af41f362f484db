"""``GET /``: the web page, and the files that it is made of. Its references are relative, so that it works anywhere."""

from __future__ import annotations

from aiohttp import ETag, web
from aiohttp.helpers import ETAG_ANY

from aurea_server.http.negotiation import choose_coding
from aurea_server.http.security import VARY
from aurea_server.ui.page_files import PageFile, page_files


async def get_page(request: web.Request) -> web.Response:
    """``GET /``"""
    return _send(request, page_files()["index.html"])


async def get_file(request: web.Request) -> web.Response:
    """``GET /ui/{folder}/{name}``"""
    # A lookup in a dict and not a path: no name can lead out of the package.
    found = page_files().get("{folder}/{name}".format_map(request.match_info))
    if found is None:
        raise web.HTTPNotFound
    return _send(request, found)


async def redirect_to_page(request: web.Request) -> web.Response:
    """The base path without a slash at its end, from which relative references would lead to the folder above."""
    # Relative, too: what a proxy put before our paths cannot be seen here.
    return web.Response(status=308, headers={"Location": request.path.rpartition("/")[2] + "/"})


def _send(request: web.Request, file: PageFile) -> web.Response:
    request[VARY] = "Accept-Encoding"
    # Where both are refused, too: a page that can be read is of more use to a person than an error that cannot.
    zipped = choose_coding(request.headers.getall("Accept-Encoding", []), ["gzip"]) == "gzip"
    # Two forms of one file are two entities, so each has a tag of its own (RFC 9110, 8.8.3.3).
    tag = ETag(f"{file.tag}-gzip" if zipped else file.tag)
    # Browsers keep the files and ask each time whether they are still the same: after an update nobody sees an old one.
    headers = {"ETag": f'"{tag.value}"', "Cache-Control": "no-cache"}
    if any(each.value in (tag.value, ETAG_ANY) for each in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    body = file.compressed if zipped else file.content
    return web.Response(body=body, content_type=file.media_type, charset="utf-8", headers=headers)
