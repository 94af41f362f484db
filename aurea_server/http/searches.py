"""Capacity searches as resources: start, list, read, follow, cancel, delete.

A search takes minutes, so there is no answer that waits for it: `POST /benchmark/searches` answers 202 at once, and the
search goes on whatever becomes of the client. Its **Idempotency-Key** is as that of a run; keys of searches and of runs are
told apart.
"""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from aurea_engine.closed_sets import STATES
from aurea_server.history import IdempotencyKey, KeyReused
from aurea_server.http.app_keys import SEARCH_LIFECYCLE, SEARCH_READER, SEARCH_VALIDATOR
from aurea_server.http.links import link
from aurea_server.http.problems import HttpProblem
from aurea_server.http.responses import json_bytes, json_response, query_problem, read_number, tagged_bytes
from aurea_server.http.run_submission import is_asynchronous, read_key
from aurea_server.http.runs import MAX_RUNS_LISTED, NO_CURSOR
from aurea_server.http.security import read_body
from aurea_server.http.server_sent_events import send_events


async def start_search(request: web.Request) -> web.Response:
    """``POST /benchmark/searches``"""
    content = await read_body(request)
    # Before the key: what is wrong is never stored, so its key stands for nothing.
    submission = await request.app[SEARCH_VALIDATOR].validate(content)
    key = read_key(request, content)
    try:
        search = await request.app[SEARCH_LIFECYCLE].submit(submission, key)
    except KeyReused as reused:
        assert key is not None
        return await _answer_again(request, reused.taken, key[1])
    return _accepted(request, search.id, request.app[SEARCH_READER].view(search))


def _accepted(request: web.Request, search_id: str, document: bytes) -> web.Response:
    headers = {"Location": link(request, f"/benchmark/searches/{search_id}")}
    if is_asynchronous(request):
        headers["Preference-Applied"] = "respond-async"
    return json_bytes(document, 202, headers)


async def _answer_again(request: web.Request, known: IdempotencyKey, digest: str) -> web.Response:
    """The answer to a request that was made before."""
    if known.digest != digest:
        raise HttpProblem(422, "idempotency_key_reused", "This Idempotency-Key was used with another body.")
    reader = request.app[SEARCH_READER]
    if reader.is_active(known.run_id):
        headers = {"Location": link(request, f"/benchmark/searches/{known.run_id}"), "Retry-After": "1"}
        text = "The search of this Idempotency-Key has not ended."
        raise HttpProblem(409, "search_in_progress", text, headers=headers)
    return _accepted(request, known.run_id, await reader.get(known.run_id))


async def list_searches(request: web.Request) -> web.Response:
    """``GET /benchmark/searches``: newest first."""
    limit = read_number(request, "limit", 20, MAX_RUNS_LISTED)
    before = read_number(request, "cursor", NO_CURSOR, NO_CURSOR)
    status = request.query.get("status")
    if status is not None and status not in STATES:
        raise query_problem("status", f"must be one of {', '.join(STATES)}", status)
    listed, after = await request.app[SEARCH_READER].list(limit, before, status)
    headers = {}
    if after is not None:
        query = {"limit": str(limit), "cursor": str(after), **({"status": status} if status else {})}
        headers["Link"] = f'<{link(request, "/benchmark/searches")}?{urlencode(query)}>; rel="next"'
    return json_response({"searches": listed, "next": None if after is None else str(after)}, headers=headers)


async def get_search(request: web.Request) -> web.Response:
    """``GET /benchmark/searches/{search_id}``: of a search that has ended also with an ``ETag``."""
    search_id, reader = request.match_info["search_id"], request.app[SEARCH_READER]
    # Asked before the search is read: one that ends in between is sent without a tag.
    ended = not reader.is_active(search_id)
    content = await reader.get(search_id)
    return tagged_bytes(request, content) if ended else json_bytes(content)


async def get_search_events(request: web.Request) -> web.StreamResponse:
    """``GET …/events``: as those of a run."""
    return await send_events(request, request.app[SEARCH_READER].events, request.match_info["search_id"])


async def cancel_search(request: web.Request) -> web.Response:
    """``POST …/cancel``: asked again, it changes nothing."""
    search = await request.app[SEARCH_LIFECYCLE].cancel(request.match_info["search_id"])
    return json_bytes(request.app[SEARCH_READER].view(search), 202)


async def delete_search(request: web.Request) -> web.Response:
    """``DELETE …``: a search that has ended, and its trials."""
    await request.app[SEARCH_LIFECYCLE].delete(request.match_info["search_id"])
    return web.Response(status=204)
