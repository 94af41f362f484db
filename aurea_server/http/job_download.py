"""``GET /benchmark/runs/{run_id}/jobs``: a page of JSON, or all jobs as a download of CSV or NDJSON; ``…/steps``: a page."""

from __future__ import annotations

import logging
from contextlib import aclosing

from aiohttp import web

from aurea_engine import DamagedParts, encode_json
from aurea_engine.closed_sets import EXPORT_FORMATS
from aurea_server.http.app_keys import READER
from aurea_server.http.links import link
from aurea_server.http.negotiation import Offer
from aurea_server.http.responses import json_bytes, negotiate, query_problem, read_number
from aurea_server.runs.exports import Export
from aurea_server.runs.reader import JobPage

log = logging.getLogger(__name__)

MAX_ROWS = 10_000
_UTF8 = {"charset": "utf-8"}
FORMATS = {
    "json": Offer("application/json", _UTF8),
    "csv": Offer("text/csv", _UTF8),
    "ndjson": Offer("application/x-ndjson", _UTF8),
}
"""Name of a format, as ``?format=`` has it → how it is sent. The names are `EXPORT_FORMATS`, which a test compares."""


async def get_jobs(request: web.Request) -> web.StreamResponse:
    """``GET …/jobs``"""
    reader, run_id = request.app[READER], request.match_info["run_id"]
    form = _choose_format(request)
    first = read_number(request, "cursor", 0, 2**62, 0)
    # All of the query is checked before the run is looked for, so a wrong one is 400 whatever the run's state.
    limit = read_number(request, "limit", 1000, MAX_ROWS)
    if form != "json":
        return await _send_export(request, await reader.export(run_id, form), form)
    return _send_page(request, "jobs", await reader.jobs(run_id, first, limit), first, limit)


async def get_steps(request: web.Request) -> web.StreamResponse:
    """``GET …/steps``"""
    first, limit = read_number(request, "cursor", 0, 2**62, 0), read_number(request, "limit", 1000, MAX_ROWS)
    page = await request.app[READER].steps(request.match_info["run_id"], first, limit)
    return _send_page(request, "steps", page, first, limit)


def _send_page(request: web.Request, name: str, page: JobPage, first: int, limit: int) -> web.StreamResponse:
    """``page`` as JSON under ``name``, with a link to the next."""
    # A cursor is a row's number, so pages stay the same however often they are read: an ended run never changes.
    after = first + limit if first + limit < page.total else None
    headers = {}
    if after is not None:
        where = link(request, f"/benchmark/runs/{request.match_info['run_id']}/{name}")
        headers["Link"] = f'<{where}?limit={limit}&cursor={after}>; rel="next"'
    content = {name: page.rows, "total": page.total, "next": None if after is None else str(after)}
    return json_bytes(encode_json(content), headers=headers)


def _choose_format(request: web.Request) -> str:
    """What ``?format=`` says, which a link can carry, comes before ``Accept``."""
    asked = request.query.get("format")
    if not asked:
        return list(FORMATS)[negotiate(request, list(FORMATS.values())).index]
    if asked not in FORMATS:
        *others, last = EXPORT_FORMATS
        raise query_problem("format", f"must be {', '.join(others)} or {last}", asked)
    return asked


async def _send_export(request: web.Request, export: Export, form: str) -> web.StreamResponse:
    """``export`` as the answer. A client that leaves is no error, and the connection breaks off where the records do."""
    name = request.match_info["run_id"]
    # The name is an id of ours, checked by the lookup, so it needs no escaping in the header.
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}.{form}"'})
    response.content_type, response.charset = FORMATS[form].type, "utf-8"
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        # Each write waits until the client has taken enough of what came before: the client's speed sets the pace.
        async with aclosing(export.pieces()) as pieces:
            async for piece in pieces:
                await response.write(piece)
        await response.write_eof()
    except DamagedParts as error:
        log.error("the export of %s breaks off: %s", name, error)  # noqa: TRY400 - a sentence for the operator says it all
        if request.transport is not None:
            request.transport.abort()  # a clean end would say that these are all jobs
    finally:
        export.close()
    return response
